"""Tables and wrapped text in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click

from auditor.cli.text import printable

_WIDEST = 44  # characters of a cell


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under a dim head, columns as wide as their longest text.

    What is too long loses its beginning; control characters are replaced.
    """
    widths = [
        min(_WIDEST, max(len(text) for text in column)) for column in zip(head, *rows, strict=True)
    ]
    for number, row in enumerate([head, *rows]):
        cells = (
            _shortened(text, width).ljust(width) for text, width in zip(row, widths, strict=True)
        )
        click.echo("   " + click.style("  ".join(cells).rstrip(), dim=number == 0))


def wrapped(text: str) -> str:
    """A paragraph whose further lines are indented as a table is."""
    return click.wrap_text(printable(text), width=96, initial_indent="", subsequent_indent="   ")


def _shortened(text: str, width: int) -> str:
    text = printable(text)
    return text if len(text) <= width else "…" + text[1 - width :]
