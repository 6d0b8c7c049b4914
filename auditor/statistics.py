"""Intervals and corrections; SciPy does the arithmetic wherever it has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from auditor.types import Floats


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval of a proportion, (low, high); None for n = 0.

    Wilson 1927; Newcombe 1998, method 3.
    """
    if n == 0:
        return None
    interval = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def holm(p: Floats) -> NDArray[np.float64]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given; NaN is left out.

    [n] in and out, at most 1.
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    (given,) = np.nonzero(~np.isnan(p))
    order = given[np.argsort(p[given], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return adjusted


def mean_interval(values: Floats, confidence: float = 0.95) -> tuple[float, float] | None:
    """Student's t interval of a mean, (low, high), over values without NaN; None below two."""
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return None
    error = stats.sem(values)
    if error == 0:
        return float(values[0]), float(values[0])
    interval = stats.t.interval(confidence, len(values) - 1, values.mean(), error)
    return float(interval[0]), float(interval[1])


def more_than_chance(successes: int, n: int, chance: float) -> float | None:
    """One-sided exact binomial p-value that the rate lies above `chance`; None for n = 0."""
    if n == 0:
        return None
    return float(stats.binomtest(successes, n, chance, alternative="greater").pvalue)
