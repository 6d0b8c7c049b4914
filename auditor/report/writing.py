"""Reports as files: one table of formats, written in one step."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from auditor.datasets import Dataset
from auditor.errors import AuditorError
from auditor.report.document import build
from auditor.report.html import html
from auditor.report.markdown import markdown
from auditor.report.options import ReportOptions
from auditor.store import Run


class Format(NamedTuple):
    """How a document becomes a file."""

    render: Callable[[Mapping[str, Any]], bytes]
    pictures: bool
    """Whether it can show them."""


def as_json(document: Mapping[str, Any]) -> bytes:
    """A document of `build` as UTF-8 JSON."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", "replace")


FORMATS: Mapping[str, Format] = {
    "html": Format(html, pictures=True),
    "md": Format(markdown, pictures=False),
    "json": Format(as_json, pictures=True),
}
"""By the suffix of the file, without its dot."""


def render(
    run: Run,
    format: str = "html",  # noqa: A002 - the word that users know
    options: ReportOptions | None = None,
    reviews: pd.DataFrame | None = None,
    dataset: Dataset | None = None,
) -> bytes:
    """A report as bytes; `format` is a name of `FORMATS`, the rest as `build` takes it.

    Raises `AuditorError` for another format.
    """
    if format not in FORMATS:
        raise AuditorError(f"a report is no {format!r}; choose {_choices()}.")
    chosen, options = FORMATS[format], options or ReportOptions()
    if not chosen.pictures:
        options = dataclasses.replace(options, images=False)
    return chosen.render(build(run, options, reviews, dataset))


def write_report(
    run: Run,
    path: str | Path,
    options: ReportOptions | None = None,
    reviews: pd.DataFrame | None = None,
    dataset: Dataset | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a report of a finished run, in the format that the file's suffix names.

    `reviews` and `dataset` as `auditor.report.build` takes them. The file appears whole or not
    at all; folders above it are made. Returns its path. Raises `AuditorError` for another
    suffix, and for a file that exists unless `overwrite`.
    """
    path = Path(path)
    format = path.suffix.lower().removeprefix(".")  # noqa: A001
    if format not in FORMATS:
        raise AuditorError(f"{path}: the suffix says no format of a report; choose {_choices()}.")
    if path.is_dir():
        raise AuditorError(f"{path}: is a folder; give the name of a file.")
    if path.exists() and not overwrite:
        raise AuditorError(f"{path}: exists; choose another name, remove it or ask to overwrite.")
    content = render(run, format, options, reviews, dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _choices() -> str:
    return ", ".join(f".{name}" for name in FORMATS)
