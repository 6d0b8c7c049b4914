"""The rows of `cases.parquet`, a few thousand at a time: a million never lie in memory at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.errors import RunError
from auditor.exports.request import Request
from auditor.store import Run

_ROWS = 4096

_TEXTS = frozenset(
    "id image label predicted contrast attribute cluster status message flag cue evidence "
    "map_evidence map_cue reason stratum quadrant pattern".split()
)


def column_type(name: str) -> pa.DataType:
    """The type of a column of `cases.parquet`, told by its name.

    What stands before the first full stop decides, as docs/run-format.md lists it: names of
    regions and attributes come after it, and may hold anything.
    """
    first = name.partition(".")[0]
    if first in _TEXTS:
        return pa.string()
    if first == "correct":
        return pa.bool_()
    return pa.int32() if first == "passes" else pa.float64()


def schema(run: Run) -> pa.Schema:
    """The columns of a run's cases, in order. Raises `RunError` for a damaged file."""
    with _opened(run) as file:
        return file.schema_arrow


def batches(request: Request, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A run's cases in dataset order, all columns or some; progress is told after each batch.

    Raises `RunError` for a damaged file.
    """
    with _opened(request.run) as file:
        total, done = file.metadata.num_rows, 0
        for batch in file.iter_batches(_ROWS, columns=list(columns) if columns else None):
            yield batch
            done += batch.num_rows
            request.progress(done, total)


def count(run: Run) -> int:
    """How many cases the run has. Raises `RunError` for a damaged file."""
    with _opened(run) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _opened(run: Run) -> Iterator[pq.ParquetFile]:
    path = run.path / "cases.parquet"
    try:
        # Not read ahead: that would keep a whole row group, which may be the whole file.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path}: is damaged ({error}); run the audit again.") from None
