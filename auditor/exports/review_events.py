"""Review events as CSV: the whole log of a run, with what was taken back and replaced."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields
from pathlib import Path

from auditor.errors import ReviewError
from auditor.exports.request import Request, Written
from auditor.reviews import Event, Reviews

# One rule for every CSV that Auditor writes; it is kept where verdicts are exchanged.
from auditor.reviews.exchange import guarded, unguarded

COLUMNS = tuple(field.name for field in fields(Event))
_TAG_SEPARATOR = ";"  # no tag holds it
_LONGEST_FIELD = 2**31 - 1


def write(request: Request, file: Path) -> Written:
    """Write the events about the run in the order of writing; columns as in `Event`.

    UTF-8 with its mark; tags are separated by semicolons; null is an empty field (no verdict
    and no number is ""). Text that a spreadsheet would take for something else has an
    apostrophe before it. `auditor reviews export` writes what stands instead.
    """
    events = Reviews.beside(request.run).events(request.run.key)
    with file.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for done, event in enumerate(events, start=1):
            writer.writerow(_cell(value) for value in astuple(event))
            request.progress(done, len(events))
    notes = () if events else ("Nobody has reviewed a case of this run yet.",)
    return Written(len(events), "events", notes)


def read_events(path: str | Path) -> list[Event]:
    """The events that `write` wrote.

    Raises `ReviewError` for a file that is missing or has other columns, naming the line.
    """
    path = Path(path)
    longest = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            head = next(reader, [])
            if tuple(head) != COLUMNS:
                raise ReviewError(
                    f"{path}: has the columns {', '.join(head) or '(none)'}, not "
                    f"{', '.join(COLUMNS)}; give a file of `auditor export --format reviews`."
                )
            events = []
            for row in reader:
                try:
                    events.append(_event([unguarded(cell) for cell in row]))
                except ValueError as error:
                    raise ReviewError(
                        f"{path}: the row that ends in line {reader.line_num} is no event "
                        f"({error}); export it again."
                    ) from None
            return events
    except FileNotFoundError:
        raise ReviewError(f"{path}: no such file; give a file that Auditor exported.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReviewError(f"{path}: cannot be read ({error}); export it again.") from None
    finally:
        csv.field_size_limit(longest)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        value = _TAG_SEPARATOR.join(value)
    return guarded(value) if isinstance(value, str) else str(value)


def _event(cells: list[str]) -> Event:
    number, run, run_name, case, reviewer, verdict, tags, note, time, undoes = cells
    return Event(
        int(number),
        run,
        run_name,
        case,
        reviewer,
        verdict or None,
        tuple(tags.split(_TAG_SEPARATOR)) if tags else (),
        note,
        time,
        int(undoes) if undoes else None,
    )
