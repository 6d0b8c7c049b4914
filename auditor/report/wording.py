"""How values are written for a reader, the same in every format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from auditor.findings.finding import written_p
from auditor.language import Language, Phrase, Text, Words, clauses, phrase
from auditor.language import listed as joined

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

SEVERITIES: Mapping[str, Phrase] = {
    "warning": phrase("Warning"),
    "notice": phrase("Notice"),
    "info": phrase("Information"),
}
"""What a reader is told a severity is."""

EVIDENCE: Mapping[str, Phrase] = {
    "confirmed": phrase("confirmed"),
    "probable": phrase("probable"),
    "attention": phrase("attention"),
    "unsupported": phrase("unsupported"),
    "untestable": phrase("untestable"),
}
"""What a reader is told a level of evidence is; in English the word that the run's files have."""

ARMS: Mapping[str, Phrase] = {
    "same": phrase("same"),
    "opposite": phrase("opposite"),
    "control": phrase("control"),
    "fill": phrase("fill"),
}
"""The arms of interventions.parquet that make a pair."""


def written(value: Any, unit: str = "text", language: Language = "en") -> str:
    """A value as a reader of that language sees it, on one line; "–" for null."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return (phrase("yes") if value else phrase("no")).written(language)
    if isinstance(value, list):
        parts = [written(one, unit, language) for one in value]
        if unit in NUMERIC and len(parts) == 2:
            return _interval(parts[0], parts[1], language)
        return joined(parts).written(language) or ABSENT
    if unit == "text" or (isinstance(value, str) and unit != "hash"):
        return one_line(str(value))
    # A minus sign is as wide as the digits below it, and no hyphen.
    return UNITS[unit](value).replace("-", "−")


def cell(row: Mapping[str, Any], column: Mapping[str, Any], language: Language = "en") -> str:
    """One cell of a block's table."""
    value = row.get(column["name"])
    if "to" not in column:
        return written(value, column["unit"], language)
    end = row.get(column["to"])
    if value is None or end is None:
        return ABSENT
    low, high = (written(one, column["unit"], language) for one in (value, end))
    return _interval(low, high, language)


def _interval(low: str, high: str, language: Language) -> str:
    return phrase("{low} to {high}", low=low, high=high).written(language)


def one_line(text: str) -> str:
    """One line without control characters and without marks that turn the writing direction."""
    return "".join(
        char if char.isprintable() else " " if char in "\n\t\r" else "�" for char in text
    )


def lines(text: str) -> str:
    """Several lines, otherwise as `one_line`."""
    return "\n".join(one_line(line) for line in text.splitlines())


def listed(names: Sequence[Words], most: int = 20) -> Text:
    """Names in a sentence; beyond `most` they are counted."""
    shown = joined(names[:most])
    left = len(names) - most
    return phrase("{names} and {n} more", names=shown, n=left) if left > 0 else shown


def margins_of(pair: Mapping[str, Any]) -> Text:
    """The margins of an example's pair of arms, arm by arm."""
    return clauses(
        phrase(
            "{arm} {margins}",
            arm=ARMS[arm],
            margins=joined(written(margin, "logits") for margin in margins),
        )
        for arm, margins in zip(pair["arms"], pair["margins"], strict=True)
    )
