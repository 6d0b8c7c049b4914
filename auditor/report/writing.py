"""Reports as files: one table of formats, each file written in one step."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from auditor.datasets import Dataset
from auditor.errors import AuditorError
from auditor.files import refuse_existing, whole
from auditor.report.assets import write_assets
from auditor.report.document import build
from auditor.report.html import html
from auditor.report.markdown import markdown
from auditor.report.options import ReportOptions
from auditor.report.pdf import needed, pdf
from auditor.report.source import Source
from auditor.store import Run


def _nothing() -> None:
    """What a format needs that is written by Auditor alone."""


class Format(NamedTuple):
    """How a document becomes a file."""

    render: Callable[[Mapping[str, Any]], bytes]
    pictures: bool
    """Whether it can show them."""
    needs: Callable[[], object] = _nothing
    """Raises `AuditorError` where what the format is written with is not on this machine."""


def as_json(document: Mapping[str, Any]) -> bytes:
    """A document of `build` as UTF-8 JSON."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", "replace")


FORMATS: Mapping[str, Format] = {
    "html": Format(html, pictures=True),
    "pdf": Format(pdf, pictures=True, needs=needed),
    "md": Format(markdown, pictures=False),
    "json": Format(as_json, pictures=True),
}
"""By the suffix of the file, without its dot."""


def available() -> list[str]:
    """The names of `FORMATS` that can be written on this machine."""
    names = []
    for name, one in FORMATS.items():
        try:
            one.needs()
        except AuditorError:
            continue
        names.append(name)
    return names


def render(
    run: Run,
    format: str = "html",  # noqa: A002 - the word that users know
    options: ReportOptions | None = None,
    reviews: pd.DataFrame | None = None,
    dataset: Dataset | None = None,
) -> bytes:
    """A report as bytes; `format` is a name of `FORMATS`, the rest as `build` takes it.

    Raises `AuditorError` for another format, and for one that needs what is not on this machine.
    """
    if format not in FORMATS:
        raise AuditorError(f"a report is no {format!r}; choose {_choices()}.")
    chosen, options = FORMATS[format], options or ReportOptions()
    chosen.needs()  # before the document is made
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
    assets: str | Path | None = None,
) -> Path:
    """Write a report of a finished run, in the format that the file's suffix names.

    `reviews` and `dataset` as `auditor.report.build` takes them. `assets` is a `.zip` for the
    pictures of the flagged cases that the report has no room for; see
    `auditor.report.assets.write_assets`. Each file appears whole or not at all; folders above it
    are made. Returns the report's path. Raises `AuditorError` for another suffix, for a file that
    exists unless `overwrite` or cannot be written, and for an archive where pictures are not
    wanted.
    """
    path, options = Path(path), options or ReportOptions()
    format = path.suffix.lower().removeprefix(".")  # noqa: A001
    if format not in FORMATS:
        raise AuditorError(f"{path}: the suffix says no format of a report; choose {_choices()}.")
    refuse_existing(path, overwrite)
    if assets is not None:
        archive = Path(assets)
        if archive.suffix.lower() != ".zip":
            raise AuditorError(f"{archive}: an archive of pictures is a .zip; name it so.")
        if not options.images:
            raise AuditorError(
                "an archive of pictures was asked for, and no pictures; leave out one of the two "
                "(--assets, --no-images)."
            )
        refuse_existing(archive, overwrite)
        options = dataclasses.replace(options, assets=archive.name)
    content = render(run, format, options, reviews, dataset)
    if assets is not None:
        shown = options if FORMATS[format].pictures else dataclasses.replace(options, examples=0)
        source = Source(run, shown, reviews, dataset)
        with whole(archive) as part:
            write_assets(source, part)
    with whole(path) as part:
        part.write_bytes(content)
    return path


def _choices() -> str:
    return ", ".join(f".{name}" for name in FORMATS)
