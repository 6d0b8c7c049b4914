"""Groups of cases: their accuracy, none left out, and which cases belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.statistics import wilson

COUNTS_ONLY = 10
"""Below this many judged cases a group shows its counts, and no rate."""
IMPRECISE = 30
"""Below this many judged cases a group's rate is marked as imprecise."""


def precision(judged: int) -> str:
    """What a group of so many judged cases allows: "ok", "imprecise" or "counts only"."""
    return "ok" if judged >= IMPRECISE else "imprecise" if judged >= COUNTS_ONLY else "counts only"


def group_table(cases: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Accuracy in every cell of `by` that holds a case.

    `cases` has the columns `by` and `correct` (null where a case has no prediction).
    Returns one row a group, in the order of the group values, with the columns of `by`,
    `n` (cases), `judged` (those with a prediction), `correct` (how many), `accuracy`
    (0..1), `low` and `high` (Wilson, 95 %), and `precision`: "ok"; "imprecise" for 10 to
    29 judged; "counts only" below that, where accuracy and interval are null.
    """
    rows = []
    for key, group in cases.groupby(list(by), dropna=False, sort=True, observed=True):
        judged = group["correct"].dropna().astype(bool)
        n, right = len(judged), int(judged.sum())
        enough = n >= COUNTS_ONLY
        interval = wilson(right, n) if enough else None
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "n": len(group),
                "judged": n,
                "correct": right,
                "accuracy": right / n if enough else None,
                "low": interval[0] if interval else None,
                "high": interval[1] if interval else None,
                "precision": precision(n),
            }
        )
    columns = [*by, "n", "judged", "correct", "accuracy", "low", "high", "precision"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"accuracy": float, "low": float, "high": float})


def cluster_numbers(clusters: Sequence[object] | NDArray[np.str_] | pd.Series) -> NDArray[np.intp]:
    """A number from 0 for each case, the same for those that belong together, [cases].

    Named clusters first, in order; a case without one (null or "") stands alone.
    """
    names = pd.Series(list(clusters), dtype=object)
    known = names.notna() & (names != "")
    codes = np.array(pd.factorize(names.where(known), sort=True)[0], dtype=np.intp)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return codes
