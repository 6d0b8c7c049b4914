"""How well scores and decisions on errors meet the truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Bools = NDArray[np.bool_]
F64 = NDArray[np.float64]


def auroc(score: F64, true: Bools) -> float | None:
    """Chance that a true case scores higher than another, ties counting half.

    A NaN scores below everything else. None without cases of either kind.
    """
    positive, negative = int(true.sum()), int((~true).sum())
    if not positive or not negative:
        return None
    ranks = stats.rankdata(np.where(np.isnan(score), -np.inf, score))
    above = float(ranks[true].sum()) - positive * (positive + 1) / 2
    return above / (positive * negative)


def average_precision(score: F64, true: Bools) -> float | None:
    """Precision averaged over the true cases as the threshold falls, without interpolation.

    A NaN scores below everything else. None without a true case.
    """
    if not true.any():
        return None
    score = np.where(np.isnan(score), -np.inf, score)
    order = np.argsort(-score, kind="stable")
    ordered, hits = score[order], np.cumsum(true[order])
    # Cases of one score come in together.
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float((np.diff(recall, prepend=0) * precision).sum())


def precision(said: Bools, true: Bools) -> float | None:
    """Share of what was said that is true; None where nothing was said."""
    return float(true[said].mean()) if said.any() else None


def recall(said: Bools, true: Bools) -> float | None:
    """Share of what is true that was said; None where nothing is."""
    return float(said[true].mean()) if true.any() else None


def upper_bound(events: int, trials: int, confidence: float = 0.95) -> float | None:
    """One-sided upper bound of a rate (Clopper and Pearson 1934); None without trials."""
    if not trials:
        return None
    if events == trials:
        return 1.0
    return float(stats.beta.ppf(confidence, events + 1, trials - events))


def slope(true: F64, estimated: F64) -> tuple[float, float] | None:
    """Slope of the line of `estimated` on `true`, and the correlation; None for too few."""
    if len(true) < 3 or true.std() == 0 or estimated.std() == 0:
        return None
    line = stats.linregress(true, estimated)
    return float(line.slope), float(line.rvalue)


def resampled(
    clusters: NDArray[np.intp],
    statistic: Callable[[NDArray[np.intp]], float | None],
    resamples: int,
) -> tuple[float, float] | None:
    """95 % interval of a statistic of rows, whole clusters drawn anew: percentiles.

    None for a single cluster, or where the statistic is undefined in half of the draws.
    """
    members = [np.flatnonzero(clusters == name) for name in np.unique(clusters)]
    if len(members) < 2:
        return None
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(resamples):
        chosen = random.integers(len(members), size=len(members))
        value = statistic(np.concatenate([members[i] for i in chosen]))
        if value is not None:
            drawn.append(value)
    if 2 * len(drawn) < resamples:
        return None
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
