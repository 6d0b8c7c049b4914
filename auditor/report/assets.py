"""The pictures of the flagged cases that a report has no room for, as a ZIP archive."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from auditor.errors import AuditorError
from auditor.language import spoken
from auditor.report.blocks import plain
from auditor.report.examples import chosen, drawn, flagged, rows_of, studio
from auditor.report.source import Source

# One rule for every CSV that Auditor writes; it is kept where verdicts are exchanged.
from auditor.reviews.exchange import guarded

COLUMNS = ("folder", "id", "label", "predicted", "confidence", "flag", "cue", "evidence",
           "severity", "pictures", "problem")  # fmt: skip
"""Of `index.csv`, a row a case: `pictures` are names of files in its folder, by semicolon;
`problem` says which are missing and why."""

_AT_ONCE = 256  # cases whose rows are read together
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that the format has: no time of writing is kept


def folder_of(number: int) -> str:
    """The folder of a case, by its number (from 1) among the flagged cases of the appendix."""
    return f"case-{number:06d}"


def write_assets(source: Source, file: Path) -> int:
    """Write the archive, and return how many cases it holds.

    It holds every flagged case but those whose pictures stand in the report's own examples:
    `case-<number>/<picture>.webp`, and `index.csv`. The same run and options give the same bytes.
    Raises `AuditorError` where no picture can be made at all.
    """
    made, problem = studio(source)
    if made is None:
        raise AuditorError(f"{file}: no archive of pictures can be made. {problem}")
    shown = set()
    if source.options.shows_examples:
        shown = {case["position"] for case in chosen(source.run, source.options.examples)[0]}
    numbered = [(n, p) for n, p in enumerate(flagged(source.run), 1) if p not in shown]
    index = io.StringIO(newline="")
    lines = csv.writer(index)
    lines.writerow(COLUMNS)
    with ZipFile(file, "w") as archive:
        for start in range(0, len(numbered), _AT_ONCE):
            some = numbered[start : start + _AT_ONCE]
            rows = rows_of(source.run, [position for _, position in some])
            for (number, _), case in zip(some, rows, strict=True):
                pictures, _, missing = drawn(source, case, made)
                folder = folder_of(number)
                names = [f"{picture['name']}.webp" for picture in pictures]
                for name, picture in zip(names, pictures, strict=True):
                    content = base64.b64decode(picture["src"].partition(",")[2])
                    archive.writestr(_entry(f"{folder}/{name}", ZIP_STORED), content)
                told = {**case, "folder": folder, "pictures": ";".join(names)}
                told["problem"] = spoken(missing or "", source.options.language)
                lines.writerow([_cell(told[column]) for column in COLUMNS])
        content = index.getvalue().encode("utf-8-sig", "replace")
        archive.writestr(_entry("index.csv", ZIP_DEFLATED), content)
    return len(numbered)


def _entry(name: str, compression: int) -> ZipInfo:
    entry = ZipInfo(name, _TIME)
    entry.compress_type = compression
    entry.external_attr = 0o644 << 16
    return entry


def _cell(value: object) -> str:
    known = plain(value)
    if isinstance(known, str):
        return guarded(known)
    return "" if known is None else str(known)
