"""Exports as files: one table of formats, written in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from auditor.datasets import Dataset
from auditor.errors import AuditorError
from auditor.exports import (
    coco,
    csv_table,
    json_document,
    model_card,
    parquet_table,
    review_events,
)
from auditor.exports.request import MaskForm, Progress, Request, Written
from auditor.files import refuse_existing, whole
from auditor.store import Run


class Format(NamedTuple):
    """How a run becomes a file, and data again."""

    write: Callable[[Request, Path], Written]
    suffix: str
    """With its dot."""
    about: str
    """What it is for, in one line."""
    read: Callable[[Path], Any] | None
    """What brings the data back; null for what is written for people."""
    from_images: bool = False
    """Whether it opens the dataset, so that cases can be chosen and masks be coded."""


FORMATS: Mapping[str, Format] = {
    "csv": Format(csv_table.write, ".csv", "the cases, for a spreadsheet", csv_table.read_csv),
    "parquet": Format(
        parquet_table.write,
        ".parquet",
        "the cases, with the run's identity",
        parquet_table.read_parquet,
    ),
    "json": Format(
        json_document.write,
        ".json",
        "the run's identity, its findings and its cases",
        json_document.read_json,
    ),
    "coco": Format(
        coco.write, ".json", "regions and flags, for annotation tools", coco.read_coco, True
    ),
    "modelcard": Format(model_card.write, ".md", "a model card for the Hugging Face Hub", None),
    "reviews": Format(
        review_events.write,
        ".csv",
        "every event of the reviews, undone ones too",
        review_events.read_events,
    ),
}
"""By the name that `--format` takes."""


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    written: Written


def write_export(
    run: Run,
    format: str,  # noqa: A002 - the word that users know
    path: str | Path,
    *,
    dataset: Dataset | None = None,
    flagged: bool = False,
    masks: MaskForm = "compressed",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write a finished run in a format of `FORMATS`.

    `dataset`, `flagged` and `masks` are for `coco` alone, as `Request` says. The file appears
    whole or not at all; folders above it are made. Raises `AuditorError` for an unknown format,
    another suffix than the format's, a place inside of the run or that cannot be written, and a
    file that exists unless `overwrite`.
    """
    path = Path(path)
    if format not in FORMATS:
        raise AuditorError(f"an export is no {format!r}; choose {', '.join(FORMATS)}.")
    chosen = FORMATS[format]
    if flagged and not chosen.from_images:
        raise AuditorError(
            f"{format} has all cases; only {_with_images()} can be limited to flagged ones."
        )
    if path.suffix.lower() != chosen.suffix:
        raise AuditorError(
            f"{path}: {format} is written to a file whose name ends in {chosen.suffix}; give one."
        )
    if path.resolve().is_relative_to(run.path.resolve()):
        raise AuditorError(f"{path}: lies in the run, which is never changed; give another place.")
    refuse_existing(path, overwrite)
    request = Request(run, dataset, flagged, masks, progress or (lambda _done, _total: None))
    with whole(path) as part:
        written = chosen.write(request, part)
    return Exported(path, written)


def _with_images() -> str:
    return ", ".join(name for name, made in FORMATS.items() if made.from_images)
