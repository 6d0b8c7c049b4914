"""Tables between marks in a page of the documentation."""

from __future__ import annotations

from pathlib import Path

from auditor.errors import AuditorError


def with_tables(page: str, begin: str, end: str, tables: str, file: Path) -> str:
    """The page with what stands between its two marks exchanged for `tables`.

    Raises `AuditorError`, which names `file`, where the page lacks a mark.
    """
    before, found, rest = page.partition(begin)
    _, last, after = rest.partition(end)
    if not found or not last:
        raise AuditorError(f"{file} lacks its marks, {begin} and {end}; put them back.")
    return f"{before}{begin}\n{tables}\n{end}{after}"
