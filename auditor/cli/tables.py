"""Tables and wrapped text in a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import click

from auditor.cli.text import printable

_WIDEST = 44  # columns of a cell
_PARAGRAPH = 96  # columns of a line
_NOT_FIRST = frozenset(
    ")]},.;:!?%'\"、。，．・：；！？）」』】〕〉》’”…‥ー々ゝゞ"
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
)
_NOT_LAST = frozenset("（「『【〔〈《‘“([{")
"""What no line begins with, and what none ends with (JIS X 4051's kinsoku, the common part)."""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a dim head, columns as wide as their longest text.

    What is too long loses its beginning; control characters are replaced.
    """
    printed = [[printable(text) for text in row] for row in (head, *rows)]
    widths = [
        min(_WIDEST, max(display_width(text) for text in column))
        for column in zip(*printed, strict=True)
    ]
    for number, row in enumerate(printed):
        cells = (_padded(text, width) for text, width in zip(row, widths, strict=True))
        click.echo("   " + click.style("  ".join(cells).rstrip(), dim=number == 0))


def wrapped(text: str) -> str:
    """A paragraph whose further lines are indented as a table is.

    Of Japanese, whose words have no spaces between them, a line may end after any character that
    is not an opening bracket, where no closing one and no other mark would begin the next.
    """
    text, indent = printable(text), "   "
    if display_width(text) == len(text):
        return click.wrap_text(text, _PARAGRAPH, initial_indent="", subsequent_indent=indent)
    lines = [""]
    for piece in _pieces(text):
        if lines[-1].strip() and display_width(lines[-1] + piece.rstrip()) > _PARAGRAPH:
            lines.append(indent)
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def display_width(text: str) -> int:
    """The columns of a terminal that a text takes: East Asian characters take two each."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):  # drawn over the character before it
        return 0
    return 2 if _is_wide(char) else 1


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def _pieces(text: str) -> Iterator[str]:
    """The parts of a text between which a line may end."""
    start = 0
    for place in range(1, len(text)):
        before, after = text[place - 1], text[place]
        if _may_end(before, after):
            yield text[start:place]
            start = place
    yield text[start:]


def _may_end(before: str, after: str) -> bool:
    if " " in (before, after):
        return after != " "
    if not (_is_wide(before) or _is_wide(after)):
        return False
    return before not in _NOT_LAST and after not in _NOT_FIRST and _columns(after) > 0


def _padded(text: str, width: int) -> str:
    """A text in exactly so many columns, its beginning left out where it is too long."""
    if display_width(text) > width:
        room = width - 1
        kept = len(text)
        while kept and room >= _columns(text[kept - 1]):
            kept -= 1
            room -= _columns(text[kept])
        text = "…" + text[kept:]
    return text + " " * (width - display_width(text))
