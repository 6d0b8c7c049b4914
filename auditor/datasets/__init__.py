"""Labelled images with annotated regions, whatever they are kept in.

A new format is one module with a function `(DatasetConfig, RegionRoles) -> Listing` and one
line in `FORMATS`; docs/extending.md walks through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from auditor.configuration import Config, DatasetConfig, read_config
from auditor.datasets.coco import open_coco
from auditor.datasets.dataset import Case, Dataset
from auditor.datasets.imagefolder import open_imagefolder
from auditor.datasets.listing import Listing, Regions
from auditor.datasets.manifest import open_manifest
from auditor.datasets.validation import Problem, validate
from auditor.errors import DatasetError
from auditor.regions import RegionRoles

FORMATS: Mapping[str, Callable[[DatasetConfig, RegionRoles], Listing]] = {
    "coco": open_coco,
    "imagefolder": open_imagefolder,
    "manifest": open_manifest,
}


def open_dataset(
    source: str | Path | Config | DatasetConfig,
    format: str | None = None,  # noqa: A002 - the word that users know
    regions: RegionRoles | None = None,
) -> Dataset:
    """Open a dataset: from a configuration, or from a path and a format.

    `source` is a TOML file or a record read from one; with `format` given, the path of the
    data itself. `regions` replaces the roles that the configuration gives. Raises
    `ConfigurationError` or `DatasetError`.
    """
    if isinstance(source, str | Path) and format is not None:
        source = DatasetConfig(path=Path(source).resolve(), format=format)
    if isinstance(source, str | Path):
        source = read_config(source)
    whole = source if isinstance(source, Config) else None
    if isinstance(source, Config):
        regions = regions or source.regions
        source = source.dataset
    roles = regions or RegionRoles()
    if source.format not in FORMATS:
        raise DatasetError(
            f"dataset.format {source.format!r} is not known; choose one of {', '.join(FORMATS)}."
        )
    dataset = Dataset(source, roles, FORMATS[source.format](source, roles), whole)
    _refuse_useless(dataset)
    return dataset


def _refuse_useless(dataset: Dataset) -> None:
    path, cases = dataset.config.path, dataset.cases
    if cases.empty:
        raise DatasetError(f"{path}: holds no image; check dataset.path and dataset.split.")
    for column in ("id", "image", "label"):
        empty = (cases[column] == "").to_numpy().nonzero()[0]
        if len(empty):
            raise DatasetError(
                f"{path}: {len(empty)} rows have no {column}, the first at row {empty[0] + 1}; "
                "fill it in or drop the row."
            )
    repeated = cases["id"].duplicated(keep=False)
    if repeated.any():
        first = str(cases["id"][repeated].iloc[0])
        rows = [str(row + 1) for row in (cases["id"] == first).to_numpy().nonzero()[0]]
        raise DatasetError(
            f"{path}: the id {first!r} stands in rows {', '.join(rows[:5])} "
            f"({repeated.sum()} rows share an id with another); make ids unique, with an "
            "`id` column where the same image is meant to be audited twice."
        )


__all__ = [
    "FORMATS",
    "Case",
    "Dataset",
    "Listing",
    "Problem",
    "Regions",
    "open_dataset",
    "validate",
]
