"""Which cases the pixels are changed of: suspects, and a random sample of the rest."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.pipeline.computing import Cases
from auditor.thresholds import Thresholds

Stratum = Literal["error", "doubtful", "rest"]
"""Misclassified; correct by a small margin; correct, and drawn for the random sample."""

STRATA: tuple[Stratum, ...] = ("error", "doubtful", "rest")


def choose(
    cases: pd.DataFrame,
    wanted: Cases,
    seed: int,
    thresholds: Thresholds,
) -> pd.DataFrame:
    """Choose the cases to test.

    `cases` needs `id`, `correct` (null without a prediction), `margin` and `testable` (whether
    its regions are known). Returns `stratum` (null where a case is in none: no prediction, or
    no regions) and `chosen`, in the order of `cases`. Doubtful are the correct cases with the
    smallest margins, `thresholds.doubtful` times as many as errors. By default every suspect
    and a sample of the rest are chosen; with a number, that many: `thresholds.sampled_share` of
    them from the rest, then errors, then doubtful cases. Who is drawn follows from the seed and
    the case's id alone.
    """
    correct = cases["correct"]
    testable = cases["testable"].to_numpy(dtype=bool) & correct.notna().to_numpy()
    right = (correct == True).to_numpy(dtype=bool)  # noqa: E712 - nulls are neither
    errors = np.flatnonzero(testable & ~right)
    rest = np.flatnonzero(testable & right)
    by_margin = rest[np.argsort(cases["margin"].to_numpy(dtype=float)[rest], kind="stable")]
    doubtful = by_margin[: math.ceil(thresholds.doubtful * len(errors))]
    others = np.setdiff1d(rest, doubtful, assume_unique=True)
    strata = pd.Series([None] * len(cases), index=cases.index, dtype=object)
    members = dict(zip(STRATA, (errors, doubtful, others), strict=True))
    for stratum, rows in members.items():
        strata.iloc[rows] = stratum
    ids = cases["id"]
    drawn = {stratum: _shuffled(rows, ids, seed) for stratum, rows in members.items()}
    if wanted == "all":
        counts = {stratum: len(rows) for stratum, rows in drawn.items()}
    elif wanted == "suspects":
        sample = max(thresholds.fewest_sampled, round(thresholds.sampled * len(cases)))
        sample = min(sample, thresholds.most_sampled)
        counts = {"error": len(errors), "doubtful": len(doubtful), "rest": sample}
    else:
        sample = min(len(others), math.ceil(thresholds.sampled_share * wanted))
        some = min(len(errors), wanted - sample)
        few = min(len(doubtful), wanted - sample - some)
        counts = {"error": some, "doubtful": few, "rest": wanted - some - few}
    chosen = np.zeros(len(cases), dtype=bool)
    for stratum, rows in drawn.items():
        chosen[rows[: counts[stratum]]] = True
    return pd.DataFrame({"stratum": strata, "chosen": chosen}, index=cases.index)


def _shuffled(
    rows: NDArray[np.intp], ids: Sequence[str] | pd.Series, seed: int
) -> NDArray[np.intp]:
    """The rows in an order that depends on the seed and their ids alone."""
    names = pd.Series(ids).to_numpy(dtype=object)
    keys = [hashlib.sha256(f"{seed}\0evidence\0{names[row]}".encode()).hexdigest() for row in rows]
    return rows[np.argsort(np.array(keys, dtype=object), kind="stable")] if len(rows) else rows
