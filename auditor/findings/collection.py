"""What to collect so that a label and an attribute no longer go together."""

from __future__ import annotations

import numpy as np
import pandas as pd

COLUMNS = ("label", "value", "n", "target", "collect", "surplus")


def collection_plan(counts: pd.DataFrame) -> pd.DataFrame:
    """The counts that make label and attribute independent while every class keeps its size.

    `counts` holds whole numbers of images, one row a label, one column an attribute value.
    Each class gets every value's share of all images, rounded to whole images by largest
    remainder, so that its size is kept exactly; of equal remainders the cell goes first that
    already has more of what it would get, then the earlier one. The values' totals are kept
    up to that rounding. A table that is independent in whole numbers needs nothing.

    Returns one row a cell that has or needs images, labels and values in the order given:
    `label`, `value`, `n` (images there are), `target`, `collect` (images to add: target - n,
    0 or more) and `surplus` (images to take out: n - target, 0 or more). Within a class
    `collect` and `surplus` have the same sum.
    """
    table = counts.to_numpy(dtype=np.int64)
    sizes, totals = table.sum(1, keepdims=True), table.sum(0, keepdims=True)
    # Whole numbers throughout: a share in floating point could miss a remainder of zero.
    target, remainder = np.divmod(sizes * totals, max(int(table.sum()), 1))
    missing = (sizes - target.sum(1, keepdims=True)).ravel()
    for row, count in enumerate(missing):
        first = np.lexsort((-(table[row] - target[row]), -remainder[row]))
        target[row, first[:count]] += 1
    rows, columns = np.nonzero((table > 0) | (target > 0))
    n, wanted = table[rows, columns], target[rows, columns]
    return pd.DataFrame(
        {
            "label": counts.index.to_numpy(dtype=object)[rows],
            "value": counts.columns.to_numpy(dtype=object)[columns],
            "n": n,
            "target": wanted,
            "collect": np.maximum(wanted - n, 0),
            "surplus": np.maximum(n - wanted, 0),
        },
        columns=list(COLUMNS),
    )
