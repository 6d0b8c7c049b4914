"""Counts with their nouns, for what a discovery tells."""

from __future__ import annotations


def counted(n: int, one: str) -> str:
    """A number with its noun: "1 case", "2 cases"."""
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"
