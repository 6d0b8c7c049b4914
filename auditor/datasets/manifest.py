"""The `manifest` format: a CSV, Parquet or JSON Lines table with one row an image.

Columns: `image` (path relative to the manifest, or to `dataset.image_root`), the label
column, optional `id`, `split`, attribute and cluster columns, and for the regions either
`region.<name>` (a mask file, or JSON: {"box": [x, y, width, height]} or
{"polygon": [[x, y], ...]}; empty where the image lacks the region) or one column `regions`
with an indexed mask file whose values `[regions.index]` names. Shapes are in the pixels of
the image as stored, or as displayed where `dataset.mask_frame` says so.
`[dataset.columns]` maps these names to the file's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from auditor.configuration import DatasetConfig
from auditor.datasets.listing import (
    Listing,
    Regions,
    listed,
    of_split,
    read_each,
    require_regions,
    texts,
)
from auditor.datasets.masks import read_indexed, read_mask, read_shape
from auditor.errors import DatasetError
from auditor.regions import RegionRoles
from auditor.types import Mask, Size


def open_manifest(config: DatasetConfig, roles: RegionRoles) -> Listing:
    """List the rows of a manifest. Raises `DatasetError` with path, column and remedy."""
    table = read_table(config.path)
    column = _columns(config, table)
    wanted: dict[str, str] = {"image": column("image"), "label": column(config.label)}
    if "id" in table.columns or "id" in config.columns:
        wanted["id"] = column("id")
    if config.split is not None:
        wanted["split"] = column("split")
    if config.cluster is not None:
        wanted["cluster"] = column(config.cluster)
    for attribute in config.attributes:
        wanted[f"attribute.{attribute}"] = column(attribute)

    indexed = "regions" in config.columns or "regions" in table.columns
    named = _region_columns(config, table)
    regions = dict.fromkeys(sorted(roles.named), "")
    if indexed and not named:
        wanted["regions"] = column("regions")
        require_regions(config.path, roles, frozenset(roles.index.values()), "[regions.index]")
    else:
        require_regions(config.path, roles, frozenset(named), "the columns region.<name>")
        wanted |= {f"region.{name}": named[name] for name in regions}

    cases = pd.DataFrame({name: table[source] for name, source in wanted.items()})
    cases = of_split(cases, config).reset_index(drop=True)
    if "id" not in cases:
        cases.insert(0, "id", cases["image"])
    region_columns = [name for name in cases if name == "regions" or name.startswith("region.")]
    root = config.path.parent if config.image_root is None else config.image_root
    sources = cases[region_columns]

    def read(position: int, size: Size) -> Regions:
        if "regions" in sources:
            file = sources["regions"].iat[position]
            return read_indexed(root / file, roles.index) if file else {}
        readers: dict[str, Callable[[], Mask]] = {}
        for name in regions:
            cell = sources[f"region.{name}"].iat[position]
            if cell:
                is_shape = cell.startswith("{")
                readers[name] = (
                    partial(read_shape, cell, size) if is_shape else partial(read_mask, root / cell)
                )
        return read_each(readers)

    def files(position: int) -> tuple[Path, ...]:
        row = sources.iloc[position]
        return tuple(root / cell for cell in row if cell and not cell.startswith("{"))

    return Listing(
        cases=cases.drop(columns=region_columns),
        image_root=root,
        regions=read,
        region_files=files,
        sources=(config.path,),
        named=frozenset(roles.index.values()) if "regions" in sources else frozenset(named),
    )


def read_table(path: Path) -> pd.DataFrame:
    """A CSV (also `.tsv`), Parquet (`.parquet`) or JSON Lines (`.jsonl`, `.ndjson`) file.

    Every value a string, empty where missing. Raises `DatasetError`.
    """
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": partial(_read_delimited, delimiter=","),
        ".tsv": partial(_read_delimited, delimiter="\t"),
        ".parquet": _read_parquet,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(
            f"{path}: a manifest ends in {', '.join(readers)}, not {path.suffix or 'nothing'!r}; "
            "convert it, or set dataset.format to another format."
        )
    try:
        table = reader(path)
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; correct dataset.path.") from None
    except (OSError, ValueError) as error:  # pandas and pyarrow derive theirs from these
        cause = str(error).strip().rstrip(".")
        raise DatasetError(f"{path}: cannot be read as {path.suffix}: {cause}.") from None
    table.columns = table.columns.map(str)
    repeated = sorted(set(table.columns[table.columns.duplicated()]))
    if repeated:
        raise DatasetError(f"{path}: has the columns {repeated} twice; rename one of each.")
    return pd.DataFrame({name: texts(table[name]) for name in table.columns})


def _read_delimited(path: Path, delimiter: str) -> pd.DataFrame:
    # The header is read as a row: pandas would rename a repeated column, and take the first
    # column for an index where a row has a field too many.
    table = pd.read_csv(
        path, sep=delimiter, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
    )
    table.columns = pd.Index(table.iloc[0])
    table = table.iloc[1:].reset_index(drop=True)
    return table.loc[:, table.columns != ""]  # such as the row names that R writes


def _read_parquet(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path)
    # A column that pandas had made the index is a column of the file.
    return table if table.index.names == [None] else table.reset_index()


def _read_json_lines(path: Path) -> pd.DataFrame:
    # Not by pandas, which guesses dates from column names.
    rows = []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number}: {error}") from None
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object: {line.strip()[:60]}")
            rows.append(row)
    return pd.DataFrame(rows)


def _columns(config: DatasetConfig, table: pd.DataFrame) -> Callable[[str], str]:
    unknown = [key for key, value in config.columns.items() if value not in table.columns]
    if unknown:
        raise DatasetError(
            f"{config.path}: has no column {config.columns[unknown[0]]!r}, which "
            f"dataset.columns.{unknown[0]} names; it has {listed(table.columns)}."
        )

    def column(name: str) -> str:
        source = config.columns.get(name, name)
        if source not in table.columns:
            raise DatasetError(
                f"{config.path}: has no column {source!r}; it has {listed(table.columns)}. "
                f'Rename one, or map it: [dataset.columns] {name} = "...".'
            )
        return source

    return column


def _region_columns(config: DatasetConfig, table: pd.DataFrame) -> dict[str, str]:
    """Region name to the table's column."""
    given = {name: name for name in table.columns if name.startswith("region.")}
    given |= {k: v for k, v in config.columns.items() if k.startswith("region.")}
    return {name.removeprefix("region."): source for name, source in given.items()}
