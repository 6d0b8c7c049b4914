"""What a dataset format delivers: a table of cases and a way to read each one's regions.

Below it, what every format does alike: text columns, the choice of a split, and the check
that the annotations provide the regions which the configuration names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from auditor.configuration import DatasetConfig
from auditor.errors import CaseError, DatasetError
from auditor.regions import RegionRoles
from auditor.types import Mask, Size

Regions: TypeAlias = Mapping[str, Mask]

RegionReader: TypeAlias = Callable[[int, Size], Regions]
"""(position in the table, size of the stored image) to the masks of its named regions.

A region that the image does not have is left out. Masks may come in a size other than the
one asked for (a mask file has its own); the caller judges that. Raises `CaseError`
("mask_mismatch") naming the file for a mask that cannot be read; where several cannot, one
error names them all (`read_each`).
"""

RegionFiles: TypeAlias = Callable[[int], tuple[Path, ...]]
"""Position in the table to the mask files behind that row, whether they exist or not."""


@dataclass(frozen=True)
class Listing:
    """One dataset as a format found it.

    `cases` has one row a case, in a stable order, all columns strings: `id`, `image` (path
    relative to `image_root`, or absolute), `label`, then `split`, `cluster` and
    `attribute.<name>` where they were asked for. `regions` reads the masks of a row;
    `region_files` lists the mask files behind a row, for hashes (empty
    where the masks are not files of their own). `sources` are the files that define the
    listing. `named` are the regions that the annotations can provide.
    """

    cases: pd.DataFrame
    image_root: Path
    regions: RegionReader
    region_files: RegionFiles
    sources: tuple[Path, ...]
    named: frozenset[str]

    def image_path(self, position: int) -> Path:
        """The image file of the case at `position`."""
        return self.image_root / str(self.cases["image"].iat[position])


def read_each(readers: Mapping[str, Callable[[], Mask]]) -> dict[str, Mask]:
    """Call every reader: region name to mask.

    All are tried before the first failure is raised, so that a person mends a case in one
    go. Raises `CaseError` with the messages of all that failed.
    """
    masks: dict[str, Mask] = {}
    failed: list[CaseError] = []
    for name, reader in readers.items():
        try:
            masks[name] = reader()
        except CaseError as problem:
            failed.append(problem)
    if failed:
        # Several regions may lie in one file, whose message is then the same.
        raise CaseError(failed[0].status, "; ".join(dict.fromkeys(map(str, failed))))
    return masks


def require_regions(path: Path, roles: RegionRoles, named: frozenset[str], where: str) -> None:
    """Raise `DatasetError` unless the annotations have every region that has a role.

    `named` are those they have, and `where` says in the plural what gives them.
    """
    missing = sorted(roles.named - named)
    if missing:
        raise DatasetError(
            f"{path}: has no region {missing[0]!r}, which [regions] names; {where} give "
            f"{listed(sorted(named)) or 'none'}. Correct [regions], or add the annotation."
        )


def of_split(cases: pd.DataFrame, config: DatasetConfig) -> pd.DataFrame:
    """The rows of `config.split` (all where it is None), with the index they had.

    Raises `DatasetError` with the splits that there are.
    """
    if config.split is None:
        return cases
    chosen = cases[cases["split"] == config.split]
    if chosen.empty:
        raise DatasetError(
            f"{config.path}: no image has the split {config.split!r}; there is "
            f"{listed(sorted(cases['split'].unique())) or 'no image at all'}. "
            "Correct dataset.split."
        )
    return chosen


def texts(column: pd.Series[Any]) -> pd.Series[Any]:
    """Any column as strings: empty where missing, whole numbers without a decimal point.

    Lists and tables become JSON, so that a shape in a cell survives.
    """
    if pd.api.types.is_string_dtype(column.dtype) and not column.isna().any():
        return column.astype("str")
    if pd.api.types.is_float_dtype(column.dtype):
        # A whole-number column with a gap arrives as floats; so far they are exact.
        given = column.dropna().to_numpy(dtype=np.float64)
        if np.all((np.abs(given) < 2**53) & (given == np.round(given))):
            column = column.astype("Int64")
    return column.astype(object).map(_text).astype("str")


def listed(names: Iterable[object], most: int = 12) -> str:
    """Names in quotes for a message, cut after `most` with the number left out."""
    quoted = [repr(str(name)) for name in names]
    rest = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + rest


def _text(value: Any) -> str:
    if isinstance(value, dict | list | np.ndarray):  # nested JSON Lines or Parquet values
        return json.dumps(value, default=lambda array: array.tolist())
    return "" if pd.isna(value) else str(value)
