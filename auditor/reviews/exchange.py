"""Verdicts as CSV: out for a spreadsheet, and in again, all rows or none."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from auditor.errors import ReviewError, RunError
from auditor.files import refuse_existing, whole
from auditor.reviews.events import Imported, Reviews
from auditor.reviews.verdicts import Draft
from auditor.store import Run, open_run

COLUMNS = ("run", "run_name", "case", "reviewer", "verdict", "tags", "note", "time")
_NEEDED = ("run", "case", "reviewer", "verdict")
_TAG_SEPARATOR = ";"
_MOST_PROBLEMS = 50
_FORMULA = "=+-@＝＋－＠\t'"  # full-width signs start one where East Asian text is typed
_NUMERIC = re.compile(r"(?=.*\d)[\d\s.,:/%eE+-]+")


def export_csv(
    reviews: Reviews, file: Path, run_key: str | None = None, *, overwrite: bool = False
) -> int:
    """Write the verdicts that stand to `file`, a `.csv`, and return how many rows it has.

    Columns as in `COLUMNS`; null for `run_key` writes all runs. UTF-8 with the mark that
    spreadsheets tell it by; tags are separated by semicolons; null is an empty cell. A text
    that a spreadsheet would take for a formula, a number or a date (the id 0007) has an
    apostrophe before it, which `import_csv` takes off. The file appears whole or not at all;
    folders above it are made. Raises `ReviewError` for another suffix, `AuditorError` for a file
    that exists unless `overwrite` or cannot be written, and what `Reviews` raises.
    """
    if file.suffix.lower() != ".csv":
        raise ReviewError(f"{file}: verdicts are exported as CSV; give a name that ends in .csv.")
    refuse_existing(file, overwrite)
    current = reviews.current(run_key)
    with whole(file) as part, part.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for row in current[list(COLUMNS)].itertuples(index=False):
            texts = row._replace(tags=_TAG_SEPARATOR.join(row.tags), verdict=row.verdict or "")
            writer.writerow(guarded(text) for text in texts)
    return len(current)


def import_csv(reviews: Reviews, file: Path, runs: Iterable[Run]) -> Imported:
    """Add the rows of a CSV that `export_csv` or a spreadsheet wrote; all of them or none.

    `runs` are those that verdicts are accepted for, the first of each key. A row that says what
    stands already is left out, so importing a file twice is importing it once; one that says
    something else takes the place of what its reviewer said of the case. Columns may come in any
    order, separated by commas, semicolons or tabs; `run_name`, `tags`, `note` and `time` may be
    missing (an empty time is now), and unknown columns are refused. Raises `ReviewError` that
    lists every problem with its line, before anything is written.
    """
    rows = _rows(file)
    known: dict[str, _Target] = {}
    for run in runs:
        known.setdefault(run.key, _Target(run))
    drafts, problems = [], []
    seen: dict[tuple[str, str, str], int] = {}
    for line, cells in rows:
        target = known.get(cells["run"])
        draft = Draft.of(
            cells["run"],
            target.name if target else "",
            cells["case"],
            cells["reviewer"],
            cells["verdict"].strip() or None,
            cells.get("tags", "").split(_TAG_SEPARATOR),
            cells.get("note", ""),
            cells.get("time", "").strip() or None,
        )
        found = list(draft.problems())
        if target is None and draft.run.strip():
            found.append(f"is of the run {draft.run!r}, which is not here; {_listed(known)}")
        if target and draft.case.strip() and draft.case not in target.ids:
            found.append(f"is of the case {draft.case!r}, which the run {target.name} has not")
        first = seen.setdefault((draft.run, draft.case, draft.reviewer), line)
        if first != line:
            found.append(f"is about the same case and reviewer as line {first}; leave one out")
        problems += [f"line {line} {what}" for what in found]
        drafts.append(draft)
    if problems:
        raise _all_at_once(file, problems)
    return reviews.merge(drafts)


def runs_beside(run: Run) -> list[Run]:
    """The finished runs whose verdicts are kept in the same file: `run`, the others by name.

    Directories that hold no run, or one that cannot be opened, are passed over.
    """
    here = run.path.resolve()
    found = [run]
    for path in sorted(here.parent.iterdir()):
        if path.resolve() != here and (path / "run.json").is_file():
            try:
                other = open_run(path)
            except RunError:
                continue
            found.append(other)
    return found


@dataclass(frozen=True)
class _Target:
    """A run that verdicts are imported for."""

    run: Run

    @property
    def name(self) -> str:
        return self.run.path.resolve().name

    @cached_property
    def ids(self) -> frozenset[str]:
        return frozenset(self.run.read_cases(["id"])["id"].astype(str))


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Each row's line number and cells by column; empty lines are left out."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ReviewError(f"{file}: no such file; give the CSV to import.") from None
    except UnicodeDecodeError as error:
        raise ReviewError(
            f"{file}: byte {error.start} is no UTF-8; save it as “CSV UTF-8”."
        ) from None
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    problems: list[str] = []
    try:
        head = [name.strip() for name in next(reader, [])]
        _check_head(file, head)
        end = reader.line_num
        for cells in reader:
            line, end = end + 1, reader.line_num  # a row may hold line breaks
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(head):
                problems.append(
                    f"line {line} has {len(cells)} cells, not {len(head)} as the first line; put "
                    "text that holds the separator in quotation marks"
                )
                continue
            texts = (unguarded(cell) for cell in cells)
            rows.append((line, dict(zip(head, texts, strict=True))))
    except csv.Error as error:
        problems.append(f"line {reader.line_num} cannot be read ({error}); save the file as CSV")
    if problems:
        raise _all_at_once(file, problems)
    return rows


def _check_head(file: Path, head: list[str]) -> None:
    missing = [name for name in _NEEDED if name not in head]
    unknown = [name for name in head if name not in COLUMNS]
    repeated = sorted({name for name in head if head.count(name) > 1})
    wrong = [
        f"{what} {', '.join(map(repr, names))}"
        for what, names in (
            ("no column", missing),
            ("the unknown column", unknown),
            ("more than once", repeated),
        )
        if names
    ]
    if wrong:
        raise ReviewError(
            f"{file}: its first line has {'; '.join(wrong)}. It needs {', '.join(_NEEDED)}, and "
            f"may have {', '.join(name for name in COLUMNS if name not in _NEEDED)}."
        )


def _all_at_once(file: Path, problems: list[str]) -> ReviewError:
    shown = problems[:_MOST_PROBLEMS]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
    return ReviewError(f"{file}: {count}, so nothing was imported: {'; '.join(shown)}.")


def _listed(known: dict[str, _Target]) -> str:
    return "here are " + ", ".join(f"{key} ({target.name})" for key, target in known.items())


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula, number or date; `unguarded` undoes it."""
    return "'" + text if _is_misread(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given, whatever that was; an apostrophe before other text stays."""
    return text[1:] if text[:1] == "'" and _is_misread(text[1:]) else text


def _is_misread(text: str) -> bool:
    """Whether a spreadsheet would take it for something else than text."""
    return text.lstrip(" \r\n")[:1] in tuple(_FORMULA) or _NUMERIC.fullmatch(text) is not None
