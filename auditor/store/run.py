"""A finished run, read lazily."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auditor.errors import RunError
from auditor.hashing import file_sha256

SCHEMA_VERSION = 2
PART = ".part"
"""What the name of an unfinished run's directory ends in."""


@dataclass(frozen=True)
class Run:
    """What one audit wrote. Nothing is read before it is asked for."""

    path: Path
    info: Mapping[str, Any]
    """`run.json`: configuration, provenance, counts; see docs/run-format.md."""

    @cached_property
    def key(self) -> str:
        """What reviews know the run by: 16 hexadecimal digits of the SHA-256 of `run.json`.

        A copy of the run has the same key, wherever it lies; a run that replaces it has another.
        """
        file = self.path / "run.json"
        try:
            return file_sha256(file)[:16]
        except OSError as error:
            raise RunError(f"{file}: cannot be read ({error}); run the audit again.") from None

    @cached_property
    def cases(self) -> pd.DataFrame:
        """One row a case, in dataset order; columns as docs/run-format.md lists them."""
        return self.read_cases()

    def read_cases(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """`cases.parquet`, or only some of its columns, without keeping it."""
        return self._table("cases.parquet", columns)

    @cached_property
    def interventions(self) -> pd.DataFrame:
        """One row an image that was made or seen for the tests; see docs/run-format.md."""
        return self._table("interventions.parquet", None)

    @cached_property
    def agreement(self) -> pd.DataFrame | None:
        """What further methods say of errors, a row an error and method; None if not asked for."""
        return self._asked("agreement.parquet")

    @cached_property
    def faithfulness(self) -> pd.DataFrame | None:
        """How faithful maps are, a row a case and method; None where it was not asked for."""
        return self._asked("faithfulness.parquet")

    def _asked(self, name: str) -> pd.DataFrame | None:
        return self._table(name, None) if (self.path / name).exists() else None

    def _table(self, name: str, columns: Sequence[str] | None) -> pd.DataFrame:
        file = self.path / name
        try:
            return pq.read_table(file, columns=list(columns) if columns else None).to_pandas()
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{file}: is damaged ({error}); run the audit again.") from None

    @cached_property
    def maps(self) -> NDArray[np.float16]:
        """[cases, 3, h, w], read from disk as it is indexed.

        The second axis is `auditor.types.MAPS`. Each case is divided by its `map_scale`;
        NaN where a case has no map.
        """
        file = self.path / "maps.npy"
        try:
            return np.asanyarray(np.load(file, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError) as error:
            raise RunError(f"{file}: is damaged ({error}); run the audit again.") from None

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """The findings, most severe first; keys as docs/run-format.md lists them."""
        file = self.path / "findings.json"
        told = _read_json(file)
        found = told.get("findings") if isinstance(told, dict) else None
        if not isinstance(found, list):
            raise RunError(f"{file}: holds no list of findings; run the audit again.")
        return found

    def by_group(self, by: Sequence[str]) -> pd.DataFrame:
        """Accuracy in every cell of label × attributes; see `auditor.groups.group_table`.

        `by` holds "label" and names of attributes. Raises `RunError` for unknown ones.
        """
        # Here, since it imports SciPy, which nothing else that reads a run needs.
        from auditor.groups import group_table  # noqa: PLC0415

        attributes = self.info["attributes"]
        columns = [name if name == "label" else f"attribute.{name}" for name in by]
        for name in by:
            if name != "label" and name not in attributes:
                known = ", ".join(["label", *attributes])
                raise RunError(f"{self.path}: has no group column {name!r}; it has {known}.")
        needed = [*dict.fromkeys(columns), "correct"]
        if self.info["clustered"]:
            needed.append("cluster")
        return group_table(self.read_cases(needed), columns)


def open_run(path: str | Path) -> Run:
    """Open a finished run. Raises `RunError` for anything else, saying what it is."""
    path = Path(path)
    if not path.exists():
        if path.with_name(path.name + PART).exists():
            raise RunError(
                f"{path}: is not finished yet ({path.name}{PART} holds what is done); call "
                f"`auditor audit` again with the same configuration and --out {path}."
            )
        raise RunError(f"{path}: no such run; give the directory that `auditor audit` wrote.")
    if not (path / "run.json").is_file():
        raise RunError(
            f"{path}: is no run, since it holds no run.json; give the directory of a run, or "
            "for a new one a path that does not exist."
        )
    info = _read_json(path / "run.json")
    version = info.get("schema_version") if isinstance(info, dict) else None
    if version != SCHEMA_VERSION:
        raise RunError(
            f"{path}: was written with schema version {version!r}; this Auditor reads version "
            f"{SCHEMA_VERSION}. Open it with the Auditor that wrote it, or audit again."
        )
    return Run(path, info)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: cannot be read ({error}); run the audit again.") from None
