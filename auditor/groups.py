"""Groups of cases: their accuracy, none left out, and which cases belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.rates import Rates

COUNTS_ONLY = 10
"""Below this many judged cases a group shows its counts, and no rate."""
IMPRECISE = 30
"""Below this many judged cases a group's rate is marked as imprecise."""


def precision(judged: int) -> str:
    """What a group of so many judged cases allows: "ok", "imprecise" or "counts only"."""
    return "ok" if judged >= IMPRECISE else "imprecise" if judged >= COUNTS_ONLY else "counts only"


def group_table(cases: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Accuracy in every cell of `by` that holds a case.

    `cases` has the columns `by` and `correct` (null where a case has no prediction), and
    `cluster` where some belong together (null or "" stands alone).
    Returns one row a group, in the order of the group values, with the columns of `by`,
    `n` (cases), `judged` (those with a prediction), `correct` (how many), `accuracy`
    (0..1), `low` and `high` (95 %: Wilson, or percentiles over clusters), and `precision`:
    "ok"; "imprecise" for 10 to 29 judged; "counts only" below that, where accuracy and
    interval are null. Where cases belong together, their clusters count instead.
    """
    return grouped(cases, by)[0]


def grouped(cases: pd.DataFrame, by: Sequence[str], seed: int = 0) -> tuple[pd.DataFrame, Rates]:
    """The `group_table`, and the rates of its rows, in their order. The seed is a bootstrap's."""
    cases = cases.reset_index(drop=True)
    numbers = np.full(len(cases), -1, dtype=np.intp)
    keys: list[tuple[object, ...]] = []
    for key, group in cases.groupby(list(by), dropna=False, sort=True, observed=True):
        numbers[group.index] = len(keys)
        keys.append(key)
    judged = cases["correct"].notna().to_numpy()
    right = cases["correct"].eq(True).fillna(False).to_numpy(dtype=bool)
    clusters = clusters_of(cases)
    rates = Rates.of(
        numbers[judged],
        right[judged],
        len(keys),
        None if clusters is None else clusters[judged],
        seed,
    )
    sizes = np.bincount(numbers[numbers >= 0], minlength=len(keys))
    rows = []
    for number, key in enumerate(keys):
        enough = rates.units[number] >= COUNTS_ONLY
        interval = rates.interval([number]) if enough else None
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "n": int(sizes[number]),
                "judged": int(rates.judged[number]),
                "correct": int(rates.right[number]),
                "accuracy": rates.rate([number]) if enough else None,
                "low": interval[0] if interval else None,
                "high": interval[1] if interval else None,
                "precision": precision(int(rates.units[number])),
            }
        )
    columns = [*by, "n", "judged", "correct", "accuracy", "low", "high", "precision"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"accuracy": float, "low": float, "high": float}), rates


def tells_groups(values: pd.Series) -> bool:
    """Whether annotated values tell groups, and are no names or numbers of images.

    Not if there are more of them than two, and than one for every two annotated cases.
    """
    known = values[values.notna()]
    return bool(known.nunique() <= max(2, len(known) / 2))


def clusters_of(cases: pd.DataFrame) -> NDArray[np.intp] | None:
    """The `cluster_numbers` of cases; None where no two of them belong together."""
    if "cluster" not in cases:
        return None
    numbers = cluster_numbers(cases["cluster"])
    return numbers if len(numbers) and numbers.max() + 1 < len(numbers) else None


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
