"""One case of a run: its row, and the images that were made to test it."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auditor.errors import RunError
from auditor.store import Run

_KEPT = 4  # row groups: neighbours in the queue often lie in few
_KEPT_PATHS = 64  # row groups' paths of images: a gallery's cases lie in as many as it has
_MADE = ("case", "cue", "arm", "attribute", "donor", "fill", "number", "logits")


class Details:
    """Reads single cases of a run, a row group at a time; for any thread."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._cases = _Groups(run.path / "cases.parquet")
        self._images = _Groups(run.path / "cases.parquet", ("image",), _KEPT_PATHS, self._cases)
        self._interventions = _Groups(run.path / "interventions.parquet")

    def case(self, row: int) -> dict[str, Any]:
        """Every column of a case, nulls as None. Raises `RunError` for a row that is not there."""
        return dict(self._cases.rows(row, row + 1).to_pylist()[0])

    def image(self, row: int) -> str:
        """The path of a case's image, as the dataset has it. Raises `RunError`.

        Without the rest of its row group, which is a hundred columns.
        """
        return str(self._images.rows(row, row + 1)["image"][0].as_py())

    def interventions(self, case: str) -> pd.DataFrame:
        """The rows of `interventions.parquet` of a case, with the margins of its two classes.

        Columns as docs/run-format.md has them, `margin` (logit of the predicted class minus that
        of the contrast class, as the case has them) left to `margins`. Empty for a case that was
        not tested.
        """
        span = self._spans.get(case)
        if span is None:
            return pd.DataFrame(columns=list(_MADE))
        found = self._interventions.rows(*span).to_pandas()
        return found[found["case"] == case].reset_index(drop=True)

    def margins(self, made: pd.DataFrame, predicted: str, contrast: str) -> NDArray[np.float64]:
        """[rows] the margin that each changed image has between two classes, in logits."""
        classes = list(self.run.info["model"]["classes"])
        first, second = classes.index(predicted), classes.index(contrast)
        return np.array([float(row[first]) - float(row[second]) for row in made["logits"]])

    def faithfulness(self, case: str) -> pd.DataFrame | None:
        """How faithful a case's maps are, a row a method; None where it was not measured.

        `method`, `deletion`, `insertion` and `occlusion`, as docs/run-format.md has them.
        """
        measured = self.run.faithfulness
        if measured is None:
            return None
        found = measured[measured["id"] == case].drop(columns="id")
        return found.reset_index(drop=True) if len(found) else None

    @cached_property
    def _spans(self) -> dict[str, tuple[int, int]]:
        """By case: from its first row of `interventions.parquet` to behind its last."""
        file = self.run.path / "interventions.parquet"
        try:
            column = pq.read_table(file, columns=["case"], read_dictionary=["case"])["case"]
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{file}: is damaged ({error}); run the audit again.") from None
        if not len(column):
            return {}
        whole = column.unify_dictionaries().combine_chunks()
        codes = whole.indices.to_numpy()
        # A case's rows follow each other.
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        ends = np.append(starts[1:], len(codes))
        names = pc.take(whole.dictionary, pa.array(codes[starts])).to_pylist()
        return dict(zip(names, zip(starts.tolist(), ends.tolist(), strict=True), strict=True))


class _Groups:
    """A Parquet file's rows by number, the row groups last read being kept."""

    def __init__(
        self,
        file: Path,
        columns: tuple[str, ...] | None = None,
        most: int = _KEPT,
        like: _Groups | None = None,
    ) -> None:
        """Of some columns, or all; `like` are other groups of the same file."""
        self._file = file
        self._columns = None if columns is None else list(columns)
        self._most = most
        self._like = like
        self._lock = Lock()
        self._kept: OrderedDict[int, pa.Table] = OrderedDict()

    @cached_property
    def _opened(self) -> tuple[pq.ParquetFile, NDArray[np.int64]]:
        try:
            # Not mapped: what was read once of a map counts as memory of this process.
            opened = pq.ParquetFile(self._file, memory_map=False, metadata=self._metadata())
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{self._file}: is damaged ({error}); run the audit again.") from None
        sizes = [opened.metadata.row_group(n).num_rows for n in range(opened.num_row_groups)]
        return opened, np.cumsum([0, *sizes])

    def _metadata(self) -> pq.FileMetaData | None:
        """Of the other groups: that of a million cases takes 20 MB."""
        return None if self._like is None else self._like._opened[0].metadata

    def rows(self, start: int, stop: int) -> pa.Table:
        with self._lock:
            ends = self._opened[1]
            if not 0 <= start < stop <= int(ends[-1]):
                raise RunError(f"{self._file}: has no rows {start} to {stop}.")
            first = int(np.searchsorted(ends, start, side="right")) - 1
            last = int(np.searchsorted(ends, stop, side="left")) - 1
            parts = [self._group(number) for number in range(first, last + 1)]
            whole = parts[0] if len(parts) == 1 else pa.concat_tables(parts)
            offset = start - int(ends[first])
            return whole.slice(offset, stop - start)

    def _group(self, number: int) -> pa.Table:
        if number not in self._kept:
            try:
                self._kept[number] = self._opened[0].read_row_group(
                    number, columns=self._columns, use_threads=False
                )
            except (OSError, pa.ArrowException) as error:
                told = f"{self._file}: is damaged ({error}); run the audit again."
                raise RunError(told) from None
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]
