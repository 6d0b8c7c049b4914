"""Intervals and corrections; SciPy does the arithmetic wherever it has it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats
from scipy.stats import contingency

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


def lower_rate(some: tuple[int, int], others: tuple[int, int]) -> float:
    """One-sided p-value that the rate of `some` lies below that of `others`: Fisher's exact test.

    Each is (successes, trials).
    """
    table = [[wins, trials - wins] for wins, trials in (some, others)]
    return float(stats.fisher_exact(table, alternative="less").pvalue)


def mcnemar(only_first: int, only_second: int) -> float | None:
    """Exact two-sided p-value of McNemar's test (McNemar 1947), from the discordant pairs.

    The binomial test of one half. None without a discordant pair.
    """
    if only_first + only_second == 0:
        return None
    return float(stats.binomtest(only_second, only_first + only_second).pvalue)


def paired_difference(
    both: int, only_first: int, only_second: int, neither: int, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Interval of the second proportion minus the first, of pairs, (low, high); None for n = 0.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial
    proportions based on paired data", method 10: the Wilson intervals of both proportions,
    put together with their correlation, which is corrected for continuity.
    """
    n = both + only_first + only_second + neither
    first, second = both + only_first, both + only_second
    one, other = wilson(first, n, confidence), wilson(second, n, confidence)
    if one is None or other is None:
        return None
    (low_1, high_1), (low_2, high_2) = one, other
    product: float = both * neither - only_first * only_second
    margins = first * (n - first) * second * (n - second)
    if product > 0:
        product = max(product - n / 2, 0)
    correlation = product / math.sqrt(margins) if margins else 0.0

    def distance(x: float, y: float) -> float:
        return math.sqrt(max(x**2 - 2 * correlation * x * y + y**2, 0))

    p_1, p_2 = first / n, second / n
    difference = p_2 - p_1
    return (
        difference - distance(p_2 - low_2, high_1 - p_1),
        difference + distance(high_2 - p_2, p_1 - low_1),
    )


def benjamini_hochberg(p: Floats) -> NDArray[np.float64]:
    """P-values adjusted for the false discovery rate of their family, in the order given.

    Benjamini & Hochberg 1995, by `scipy.stats.false_discovery_control`. [n] in and out, at
    most 1; NaN is in no family and stays NaN.
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    given = ~np.isnan(p)
    if given.any():
        adjusted[given] = stats.false_discovery_control(p[given])
    return adjusted


def rate_difference(
    some: tuple[int, int], others: tuple[int, int], confidence: float = 0.95
) -> tuple[float, float] | None:
    """Interval of the rate of `some` minus that of `others`, (low, high), -1 to 1.

    Each is (successes, trials), independent of the other. Newcombe 1998, "Interval
    estimation for the difference between independent proportions", method 10: the Wilson
    intervals of both, squared and added. None where either has no trial.
    """
    one, other = wilson(*some, confidence), wilson(*others, confidence)
    if one is None or other is None:
        return None
    p_1, p_2 = some[0] / some[1], others[0] / others[1]
    (low_1, high_1), (low_2, high_2) = one, other
    return (
        p_1 - p_2 - math.hypot(p_1 - low_1, high_2 - p_2),
        p_1 - p_2 + math.hypot(high_1 - p_1, p_2 - low_2),
    )


def rate_ratio(
    some: tuple[int, int], others: tuple[int, int], confidence: float = 0.95
) -> tuple[float, float] | None:
    """Interval of the rate of `some` over that of `others`, (low, high), 0 or more.

    Each is (successes, trials). On the logarithm of the ratio (Katz et al. 1978), by
    `scipy.stats.contingency.relative_risk`. None where either has no success or no trial:
    the logarithm or its variance is then undefined.
    """
    if not (some[0] and others[0]):
        return None
    interval = contingency.relative_risk(*some, *others).confidence_interval(confidence)
    return float(interval.low), float(interval.high)


def different_rates(some: tuple[int, int], others: tuple[int, int]) -> float:
    """Two-sided p-value that two rates differ, each (successes, trials): Fisher's exact test."""
    table = [[wins, trials - wins] for wins, trials in (some, others)]
    return float(stats.fisher_exact(table).pvalue)


def shared_information(counts: Floats) -> float | None:
    """Normalised mutual information of a table of counts, [rows, columns], 0 to 1.

    Mutual information over the mean of both entropies, as scikit-learn's
    `normalized_mutual_info_score` has it, from counts that may be fractional. Not corrected
    for chance. None where fewer than two rows or columns hold a case.
    """
    counts = np.asarray(counts, dtype=np.float64)
    rows, columns = counts.sum(1), counts.sum(0)
    if min((rows > 0).sum(), (columns > 0).sum()) < 2:
        return None
    of_rows, of_columns, joint = (float(stats.entropy(x.ravel())) for x in (rows, columns, counts))
    shared = (of_rows + of_columns - joint) / ((of_rows + of_columns) / 2)
    return min(max(shared, 0.0), 1.0)


def cramers_v(counts: Floats, corrected: bool = True) -> float | None:
    """Cramér's V of a table of counts, [rows, columns]: 0 (independent) to 1.

    By default corrected for the association that a finite sample shows by chance (Bergsma
    2013, "A bias-correction for Cramér's V and Tschuprow's T"); else as Cramér 1946 has it,
    which is `scipy.stats.contingency.association`. Rows and columns without a case are left
    out. None where fewer than two of either are left, or too few cases for the correction.
    """
    counts = np.asarray(counts, dtype=np.float64)
    counts = counts[counts.any(1)][:, counts.any(0)]
    if min(counts.shape) < 2:
        return None
    n = float(counts.sum())
    # Not SciPy's `association`, which refuses the fractional counts of a weighted table.
    phi2 = float(stats.chi2_contingency(counts, correction=False).statistic) / n
    if not corrected:
        return math.sqrt(min(phi2 / (min(counts.shape) - 1), 1))
    most = _most_phi2(counts.shape, n)
    if most is None:
        return None
    rows, columns = counts.shape
    by_chance = (rows - 1) * (columns - 1) / (n - 1)
    return math.sqrt(min(max(phi2 - by_chance, 0) / most, 1))


def cramers_v_interval(
    counts: Floats,
    seed: int,
    clusters: sparse.csr_array | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> tuple[float, float] | None:
    """Bootstrap interval of the corrected `cramers_v`, (low, high); None where that is None.

    Cases are resampled, which is a multinomial draw of the table. Where cases belong
    together, `clusters` is [clusters, rows × columns], the counts of each, and whole clusters
    are resampled. φ² = χ² / n of a resample carries the noise of two samplings, that of the
    cases and its own, and each raises it; so what the resampling raises it by (their mean
    less the observed φ²) is taken off twice before percentiles are read. Plain percentiles
    would call independent tables of many cells associated. Widened to hold the estimate,
    whose correction knows nothing of clusters.
    """
    counts = np.asarray(counts, dtype=np.float64)
    estimate = cramers_v(counts)
    if estimate is None:
        return None
    random = np.random.default_rng(seed)
    rows, columns = np.nonzero(counts)
    cells = counts[rows, columns]
    n = float(cells.sum())
    held = None if clusters is None else clusters[:, rows * counts.shape[1] + columns]

    def resampled() -> NDArray[np.float64]:
        if held is None:
            return random.multinomial(round(n), cells / n).astype(np.float64)
        size = held.shape[0]
        weights = np.bincount(random.integers(size, size=size), minlength=size)
        return np.asarray(weights @ held, dtype=np.float64)

    drawn = np.array([_phi2(rows, columns, resampled()) for _ in range(resamples)])
    drawn = drawn[~np.isnan(drawn)]
    present = (len(np.unique(rows)), len(np.unique(columns)))
    most = _most_phi2(present, n)
    if most is None or not len(drawn):
        return None
    raised = drawn.mean() - _phi2(rows, columns, cells)
    tails = np.quantile(drawn - 2 * raised, [(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = (math.sqrt(min(max(tail / most, 0), 1)) for tail in tails)
    return min(low, estimate), max(high, estimate)


def _most_phi2(shape: tuple[int, ...], n: float) -> float | None:
    """The largest φ² that Bergsma's correction leaves; None where it leaves nothing."""
    if n <= 1:
        return None
    most = min(size - 1 - (size - 1) ** 2 / (n - 1) for size in shape)
    return most if most > 0 else None


def _phi2(rows: NDArray[np.intp], columns: NDArray[np.intp], cells: Floats) -> float:
    """χ² / n of a table given by its cells; NaN where fewer than two rows or columns are held."""
    by_row, by_column = np.bincount(rows, cells), np.bincount(columns, cells)
    if min((by_row > 0).sum(), (by_column > 0).sum()) < 2:
        return float("nan")
    some = cells > 0
    expected = by_row[rows[some]] * by_column[columns[some]]
    return float((cells[some] ** 2 / expected).sum() - 1)
