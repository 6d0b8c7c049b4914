"""How values are written for a reader, the same in every format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from auditor.findings.finding import written_p

ABSENT = "–"
"""Stands for a value that is null; the reason stands beside it."""

UNITS: Mapping[str, Callable[[Any], str]] = {
    "text": str,
    "count": lambda value: f"{value:,}",
    "share": lambda value: f"{value:.1%}",
    "points": lambda value: f"{100 * value:+.1f}",
    "number": lambda value: f"{value:,.0f}" if value and value % 1 == 0 else f"{value:.3f}",
    "logits": lambda value: f"{value:+.2f}",
    "p": written_p,
    "plain": lambda value: f"{value:g}",
    "hash": lambda value: f"{value[:12]}…",
}
"""How a value of each unit is written: `share` is 0..1 and written in percent, `points` a
difference of shares, `p` a p-value, `plain` a number as short as it is, `hash` the beginning of
one that stands in full in the section on provenance."""

NUMERIC = frozenset(UNITS) - {"text", "hash"}


def written(value: Any, unit: str = "text") -> str:
    """A value as a reader sees it, on one line; "–" for null."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):  # of names, or the ends of an interval
        between = " to " if unit in NUMERIC else ", "
        return between.join(written(one, unit) for one in value) or ABSENT
    if unit == "text" or (isinstance(value, str) and unit != "hash"):
        return one_line(str(value))
    # A minus sign is as wide as the digits below it, and no hyphen.
    return UNITS[unit](value).replace("-", "−")


def cell(row: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    """One cell of a block's table."""
    value = row.get(column["name"])
    if "to" not in column:
        return written(value, column["unit"])
    end = row.get(column["to"])
    if value is None or end is None:
        return ABSENT
    return f"{written(value, column['unit'])} to {written(end, column['unit'])}"


def one_line(text: str) -> str:
    """One line without control characters and without marks that turn the writing direction."""
    return "".join(
        char if char.isprintable() else " " if char in "\n\t\r" else "�" for char in text
    )


def lines(text: str) -> str:
    """Several lines, otherwise as `one_line`."""
    return "\n".join(one_line(line) for line in text.splitlines())


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 case", "2 cases"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: list[str], most: int = 20) -> str:
    """Names in a sentence; beyond `most` they are counted."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return ", ".join(names)
