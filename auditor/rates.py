"""Rates of groups of cases, and how sure they are: independent cases, or cases in clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from auditor.statistics import different_rates, lower_rate, rate_difference, rate_ratio, wilson
from auditor.types import Floats

Interval = tuple[float, float]
Integers = NDArray[np.intp]

RESAMPLES = 1000
"""Bootstrap resamples behind every interval over clusters."""

_CHUNK = 5_000_000  # weights in memory at once


@dataclass(frozen=True)
class Rates:
    """How many of the judged cases of each group are right.

    Where cases belong together in clusters, the closed forms, which take cases for
    independent, give way to a bootstrap of whole clusters. A bootstrap cannot vary a group
    whose cases all agree, so there the closed form is taken over clusters instead of cases.
    """

    right: Integers
    """[groups]"""
    judged: Integers
    """[groups]"""
    members: tuple[Integers, ...] | None = None
    """The clusters that hold a judged case of each group; None if cases are independent."""
    drawn: Floats | None = None
    """[resamples, 2, groups] right and judged cases; None if cases are independent."""

    @classmethod
    def of(
        cls,
        groups: Integers,
        right: NDArray[np.bool_],
        count: int,
        clusters: Integers | None = None,
        seed: int = 0,
    ) -> Rates:
        """Rates of `count` groups from judged cases: `groups`, `right` and `clusters` [cases].

        `groups` and `clusters` are numbers from 0; a negative group is in none of them.
        """
        inside = groups >= 0
        groups, right = groups[inside], right[inside]
        wins = np.bincount(groups[right], minlength=count).astype(np.intp)
        trials = np.bincount(groups, minlength=count).astype(np.intp)
        if clusters is None:
            return cls(wins, trials)
        names, number = np.unique(clusters[inside], return_inverse=True)
        shape = (len(names), 2 * count)
        rows = np.concatenate([number[right], number])
        columns = np.concatenate([groups[right], groups + count])
        held = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=shape)
        pairs = np.unique(groups * max(len(names), 1) + number)
        of_group = np.split(pairs, np.searchsorted(pairs // max(len(names), 1), range(1, count)))
        members = tuple(part % max(len(names), 1) for part in of_group)
        drawn = resampled_sums(sparse.csr_array(held), seed)
        return cls(wins, trials, members, drawn.reshape(len(drawn), 2, count))

    @property
    def clustered(self) -> bool:
        """Whether intervals come from resampling clusters."""
        return self.members is not None

    @cached_property
    def units(self) -> Integers:
        """What counts as independent in each group, [groups]: judged cases, or clusters."""
        if self.members is None:
            return self.judged
        return np.array([len(part) for part in self.members], dtype=np.intp)

    def counts(self, groups: Sequence[int]) -> tuple[int, int]:
        """(right, judged) of some groups together."""
        return int(self.right[list(groups)].sum()), int(self.judged[list(groups)].sum())

    def rate(self, groups: Sequence[int]) -> float | None:
        """Rate of some groups together, 0 to 1; None without a judged case."""
        right, judged = self.counts(groups)
        return right / judged if judged else None

    def interval(self, groups: Sequence[int], confidence: float = 0.95) -> Interval | None:
        """Interval of that rate: Wilson, or percentiles over clusters; None without a case."""
        if self.drawn is None:
            return wilson(*self.counts(groups), confidence)
        if self._agree(groups):
            return wilson(*self._as_units(groups), confidence)
        return percentiles(self._rates(groups), confidence)

    def simultaneous(self, groups: Sequence[int], confidence: float = 0.95) -> list[Interval]:
        """Intervals that all hold at once at that confidence, one for each group.

        Each group needs a judged case. Independent: Wilson at Šidák's level. Clustered: every
        rate ± q of its standard errors, q from the largest deviation in each resample, in
        standard errors, over the groups (the studentised maximum of the bootstrap).
        """
        each = confidence ** (1 / len(groups)) if groups else confidence
        if self.drawn is None:
            found = [self.interval([group], each) for group in groups]
            return [interval for interval in found if interval is not None]
        varied = [group for group in groups if not self._agree([group])]
        of_group = {group: self._rates([group]) for group in varied}
        rates = {group: self.rate([group]) or 0.0 for group in varied}
        errors = {group: float(np.nanstd(of_group[group], ddof=1)) for group in varied}
        deviations = [
            np.abs(of_group[group] - rates[group]) / errors[group]
            for group in varied
            if errors[group]
        ]
        q = stats.norm.ppf((1 + each) / 2)
        if deviations:
            # Not below the normal one: a thousand resamples of few clusters stay inside.
            largest = np.nan_to_num(np.array(deviations)).max(0)
            q = max(float(np.quantile(largest, confidence)), q)
        intervals = []
        for group in groups:
            if group in rates:
                half = q * errors[group]
                found_at = (max(rates[group] - half, 0.0), min(rates[group] + half, 1.0))
            else:
                found_at = wilson(*self._as_units([group]), each) or (0.0, 1.0)
            intervals.append(found_at)
        return intervals

    def difference(self, some: Sequence[int], others: Sequence[int]) -> Interval | None:
        """95 % interval of the rate of `some` minus that of `others`; None without a case.

        Newcombe 1998, method 10; or percentiles over clusters.
        """
        if self.drawn is None:
            return rate_difference(self.counts(some), self.counts(others))
        if self._agree(some) and self._agree(others):
            return rate_difference(self._as_units(some), self._as_units(others))
        return percentiles(self._rates(some) - self._rates(others))

    def ratio(self, some: Sequence[int], others: Sequence[int]) -> Interval | None:
        """95 % interval of the rate of `some` over that of `others`; None where undefined.

        Katz et al. 1978; or percentiles over clusters. Undefined where either has none right.
        """
        if not (self.counts(some)[0] and self.counts(others)[0]):
            return None
        if self.drawn is None:
            return rate_ratio(self.counts(some), self.counts(others))
        if self._agree(some) and self._agree(others):
            return rate_ratio(self._as_units(some), self._as_units(others))
        below = self._rates(others)
        ratios = np.divide(
            self._rates(some), below, out=np.full_like(below, np.nan), where=below > 0
        )
        return percentiles(ratios)

    def p(self, some: Sequence[int], others: Sequence[int], lower: bool = False) -> float | None:
        """P-value that the rates differ, or one-sided that `some` is `lower`; None if undefined.

        Fisher's exact test; over clusters Student's t of the difference over its bootstrap
        standard error, with one degree of freedom less than the smaller side has clusters.
        """
        test = lower_rate if lower else different_rates
        if not (self.counts(some)[1] and self.counts(others)[1]):
            return None
        if self.drawn is None:
            return test(self.counts(some), self.counts(others))
        if self._agree(some) and self._agree(others):
            return test(self._as_units(some), self._as_units(others))
        difference = (self.rate(some) or 0.0) - (self.rate(others) or 0.0)
        error = float(np.nanstd(self._rates(some) - self._rates(others), ddof=1))
        freedom = min(self._units_of(some), self._units_of(others)) - 1
        if not error or freedom < 1:
            return None
        t = difference / error
        return float(stats.t.cdf(t, freedom) if lower else 2 * stats.t.sf(abs(t), freedom))

    def _rates(self, groups: Sequence[int]) -> Floats:
        """Rates in each resample, [resamples]; NaN where it holds no case of the groups."""
        assert self.drawn is not None
        right, judged = self.drawn[:, 0, list(groups)].sum(1), self.drawn[:, 1, list(groups)].sum(1)
        rates = np.divide(right, judged, out=np.full_like(judged, np.nan), where=judged > 0)
        return np.asarray(rates, dtype=np.float64)

    def _agree(self, groups: Sequence[int]) -> bool:
        right, judged = self.counts(groups)
        return right in (0, judged)

    def _units_of(self, groups: Sequence[int]) -> int:
        if self.members is None:
            return self.counts(groups)[1]
        none = np.empty(0, dtype=np.intp)
        return len(np.unique(np.concatenate([none, *(self.members[group] for group in groups)])))

    def _as_units(self, groups: Sequence[int]) -> tuple[int, int]:
        """(right, all) clusters of groups whose cases all agree."""
        units = self._units_of(groups)
        return (units if self.counts(groups)[0] else 0), units


def percentiles(drawn: Floats, confidence: float = 0.95) -> Interval | None:
    """The middle of a bootstrap distribution, (low, high); None where nothing was drawn."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return None
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resampled_sums(
    held: sparse.csr_array, seed: int, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Sums over clusters that are drawn with replacement, [resamples, sums].

    `held` is [clusters, sums], what each cluster adds to each.
    """
    random = np.random.default_rng(seed)
    clusters = held.shape[0]
    if not clusters:
        return np.zeros((resamples, held.shape[1]))
    sums = []
    rows = max(1, _CHUNK // clusters)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = random.integers(clusters, size=(count, clusters))
        drawn += clusters * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * clusters)
        sums.append(weights.reshape(count, clusters).astype(np.float64) @ held)
    return np.concatenate(sums)


def mean_over_clusters(values: Floats, clusters: Integers, seed: int) -> Interval | None:
    """95 % bootstrap interval of a mean, whole clusters resampled; None for under two clusters.

    `values` and `clusters` are [cases]; a NaN is left out. Where all values are equal the
    interval is that value.
    """
    known = ~np.isnan(values)
    names, number = np.unique(clusters[known], return_inverse=True)
    if len(names) < 2:
        return None
    held = np.stack([np.bincount(number, values[known]), np.bincount(number)], axis=1)
    sums = resampled_sums(sparse.csr_array(held), seed)
    return percentiles(sums[:, 0] / sums[:, 1])
