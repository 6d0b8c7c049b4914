"""A progress bar with rate and time left, on standard error."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that draws the bar, from its first call on.

    The bar is closed when all is done. Where standard error is no terminal, nothing is
    drawn but a line at the end.
    """
    bar: Any = None
    start, first, now, total = 0.0, 0, 0, 0

    def rate(per_second: str, per_minute: str) -> str:
        elapsed = time.monotonic() - start
        speed = (now - first) / elapsed if elapsed > 0 else 0.0
        return f"{speed:,.1f} {per_second}" if speed >= 1 else f"{60 * speed:,.1f} {per_minute}"

    def update(done: int, of: int) -> None:
        nonlocal bar, start, first, now, total
        if bar is None:
            start, first, now, total = time.monotonic(), done, done, of
            shown = sys.stderr.isatty()
            bar = click.progressbar(
                length=of,
                label=label,
                show_pos=True,
                show_percent=False,
                file=sys.stderr if shown else io.StringIO(),
                item_show_func=lambda _: rate(f"{unit}/s", f"{unit}/min") if now > first else None,
            )
            bar.__enter__()
            bar.update(done)
        else:
            step, now = done - now, done
            bar.update(step, current_item=done)
        if done >= of:
            close()

    def close() -> None:
        nonlocal bar
        if bar is not None:
            bar.__exit__(None, None, None)
            if not sys.stderr.isatty():
                told = f"{label}: {now:,} of {total:,} {unit}"
                if now > first:
                    told += ", " + rate("a second", "a minute")
                click.echo(told, err=True)
        bar = None

    try:
        yield update
    finally:
        close()
