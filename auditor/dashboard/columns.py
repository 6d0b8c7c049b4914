"""A few columns of a run's cases, small enough for a million of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auditor.errors import RunError
from auditor.store import Run

NOT_ANNOTATED = "not annotated"
OTHERS = "others"
"""What the values or labels are called together that are too many to be shown one by one."""


def read_columns(run: Run, texts: Sequence[str], numbers: Sequence[str] = ()) -> pd.DataFrame:
    """Some columns of `cases.parquet`, one row a case, in dataset order.

    `texts` come as categories in the order of their names, null where a text is null or empty.
    `numbers`, `correct` among them (1, 0), come as floats, NaN where null. A column that the
    run does not have is null throughout. Raises `RunError` for a damaged file.
    """
    file = run.path / "cases.parquet"
    wanted = [*dict.fromkeys([*texts, *numbers])]
    try:
        there = set(pq.read_schema(file).names)
        coded = [name for name in texts if name in there]
        with pq.ParquetFile(file, read_dictionary=coded) as parquet:
            table = parquet.read(columns=[name for name in wanted if name in there])
            rows = parquet.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{file}: is damaged ({error}); run the audit again.") from None
    columns: dict[str, object] = {}
    for name in wanted:
        if name not in there:
            nothing = np.full(rows, -1, dtype=np.int8)
            columns[name] = (
                pd.Categorical.from_codes(nothing, categories=[])
                if name in texts
                else np.full(rows, np.nan)
            )
        elif name in texts:
            columns[name] = _categories(table[name])
        else:
            columns[name] = _floats(table[name])
    return pd.DataFrame(columns, index=pd.RangeIndex(rows))


def codes(column: pd.Series) -> NDArray[np.intp]:
    """The place of each category, [cases]; -1 is null."""
    return np.array(column.cat.codes, dtype=np.intp)


def names(column: pd.Series) -> list[str]:
    """The categories of a column, in their order."""
    return [str(name) for name in column.cat.categories]


def read_clusters(run: Run) -> NDArray[np.intp] | None:
    """A number from 0 for each case, [cases], the same for those that belong together.

    Named clusters first, in order, as `auditor.groups.cluster_numbers` has them; a case without
    one (null or empty) stands alone. None where no two cases belong
    together, and where the run knows of no clusters. Raises `RunError` for a damaged file.
    """
    if not run.info["clustered"]:
        return None
    file = run.path / "cases.parquet"
    try:
        names = pq.read_table(file, columns=["cluster"])["cluster"].cast(pa.large_string())
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{file}: is damaged ({error}); run the audit again.") from None
    known = pc.if_else(pc.equal(names, ""), None, names).combine_chunks().dictionary_encode()
    code = known.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
    alone = code < 0
    together = len(known.dictionary)
    rank = np.empty(together + 1, dtype=np.intp)
    rank[pc.array_sort_indices(known.dictionary).to_numpy()] = np.arange(together)
    code = rank[code]
    code[alone] = together + np.arange(int(alone.sum()))
    return code if together + int(alone.sum()) < len(code) else None


def pooled(column: pd.Series, most: int) -> tuple[NDArray[np.intp], list[str | None], str]:
    """Number the values of a column, the commonest by themselves and the rest as one.

    Returns the number of each case [cases], what each number stands for in alphabetical order
    (then `OTHERS`, then None for cases without a value; neither where it holds no case), and a
    sentence that says what was put together ("" where nothing was).
    """
    code, values = codes(column), names(column)
    counts = np.bincount(code[code >= 0], minlength=len(values))
    held = np.flatnonzero(counts)
    note = ""
    shown: list[str | None]
    new = np.full(len(values) + 1, -1, dtype=np.intp)
    if len(held) > most:
        kept = np.sort(held[np.argsort(-counts[held], kind="stable")[:most]])
        rest = np.setdiff1d(held, kept)
        new[rest] = len(kept)
        shown = [*(values[place] for place in kept), OTHERS]
        note = (
            f"The {most} commonest of {len(held):,} are shown one by one; the other {len(rest):,} "
            f"({int(counts[rest].sum()):,} cases) together as “{OTHERS}”."
        )
    else:
        kept = held
        shown = [values[place] for place in kept]
    new[kept] = np.arange(len(kept))
    if (code < 0).any():
        new[-1] = len(shown)  # where the code -1 looks
        shown.append(None)
    return new[code], shown, note


def _categories(column: pa.ChunkedArray) -> pd.Categorical:
    if not pa.types.is_dictionary(column.type):  # a column of nulls has no text to be coded
        column = column.cast(pa.string()).dictionary_encode()
    whole = column.unify_dictionaries()
    values = whole.chunk(0).dictionary.to_pylist() if whole.num_chunks else []
    parts = [
        chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        for chunk in whole.chunks
    ]
    code = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    order = sorted((place for place, value in enumerate(values) if value), key=values.__getitem__)
    new = np.full(len(values) + 1, -1, dtype=np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    return pd.Categorical.from_codes(new[code], categories=[values[place] for place in order])


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
