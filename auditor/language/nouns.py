"""Counts with their nouns."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.language.text import Phrase

NOUNS: Mapping[str, tuple[str, str]] = {
    "case": ("{n:,} case", "{n:,} cases"),
    "cell": ("{n:,} cell", "{n:,} cells"),
    "cluster": ("{n:,} cluster", "{n:,} clusters"),
    "comparison": ("{n:,} comparison", "{n:,} comparisons"),
    "error": ("{n:,} error", "{n:,} errors"),
    "example": ("{n:,} example", "{n:,} examples"),
    "further attribute": ("{n:,} further attribute", "{n:,} further attributes"),
    "group": ("{n:,} group", "{n:,} groups"),
    "image": ("{n:,} image", "{n:,} images"),
    "judged case": ("{n:,} judged case", "{n:,} judged cases"),
    "label": ("{n:,} label", "{n:,} labels"),
    "picture": ("{n:,} picture", "{n:,} pictures"),
    "verdict": ("{n:,} verdict", "{n:,} verdicts"),
}
"""A noun to the templates of one and of any other number of it."""


def counted(n: int, noun: str) -> Phrase:
    """A number with its noun, one of `NOUNS`: "1 case", "2 cases"."""
    n = int(n)
    return Phrase(NOUNS[noun][n != 1], {"n": n})
