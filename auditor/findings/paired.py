"""Two runs over the same cases, paired: where resampled, a case is drawn for both or for neither.

Efron and Tibshirani 1993, chapters 8 and 13: percentiles of the differences of resampled cases, or
of resampled clusters where cases belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, stats

from auditor.groups import COUNTS_ONLY
from auditor.language import Phrase, phrase
from auditor.rates import RESAMPLES, Integers, Interval, percentiles, resampled_sums
from auditor.statistics import mcnemar, paired_difference
from auditor.types import Floats

STILL_RIGHT, FIXED, BROKEN, STILL_WRONG = range(4)
"""What became of a case, in the order of `auditor.findings.pairing.CHANGES`."""
_NEWCOMBE = (STILL_RIGHT, BROKEN, FIXED, STILL_WRONG)  # right in both, A alone, B alone, neither


_CHUNK = 5_000_000  # counts in memory at once


@dataclass(frozen=True)
class PairedRates:
    """How often two runs are right on each group of the cases that both judge."""

    counts: Integers
    """[groups, 4] cases by what became of them."""
    units: Integers
    """[groups] what counts as independent: cases, or clusters that hold one."""
    held: sparse.csr_array | None
    """[clusters, 4 × groups] what each cluster adds; None if cases are independent."""
    seed: int

    @classmethod
    def of(
        cls,
        groups: Integers,
        changes: Integers,
        count: int,
        clusters: Integers | None = None,
        seed: int = 0,
    ) -> PairedRates:
        """From `groups`, `changes` (0 to 3) and `clusters`, [cases] each, of `count` groups."""
        cells = 4 * groups + changes
        counts = np.bincount(cells, minlength=4 * count).astype(np.intp).reshape(count, 4)
        if clusters is None:
            return cls(counts, counts.sum(1), None, seed)
        names, number = np.unique(clusters, return_inverse=True)
        shape = (len(names), 4 * count)
        held = sparse.csr_array((np.ones(len(cells)), (number, cells)), shape=shape)
        pairs = np.unique(groups * max(len(names), 1) + number)
        units = np.bincount(pairs // max(len(names), 1), minlength=count).astype(np.intp)
        return cls(counts, units, held, seed)

    @property
    def clustered(self) -> bool:
        """Whether intervals come from resampling clusters."""
        return self.held is not None

    def difference(self, group: int) -> Interval | None:
        """95 % interval of a group's rate in B minus its rate in A, -1 to 1.

        Newcombe 1998, method 10, for paired proportions; or percentiles over clusters, and where
        all its cases changed alike, which no resample could vary, the closed form over clusters in
        the place of cases. None without a case, and with a single cluster.
        """
        own, units = self.counts[group], int(self.units[group])
        if not self.clustered:
            return paired_difference(*(int(own[kind]) for kind in _NEWCOMBE)) if units else None
        if units < 2:
            return None
        fixed, broken = int(own[FIXED]), int(own[BROKEN])
        if own.sum() in (fixed, broken) or not fixed + broken:
            alike = FIXED if fixed else BROKEN if broken else STILL_RIGHT
            return paired_difference(*(units * (kind == alike) for kind in _NEWCOMBE))
        return percentiles(self._differences(group))

    def p(self, group: int) -> float | None:
        """Two-sided p-value of no difference; None where no case changed.

        McNemar's exact test; over clusters Student's t of the difference over its bootstrap
        standard error, with one degree of freedom less than clusters. None there where resamples
        do not vary.
        """
        own, freedom = self.counts[group], int(self.units[group]) - 1
        if not self.clustered:
            return mcnemar(int(own[BROKEN]), int(own[FIXED]))
        error = float(np.nanstd(self._differences(group), ddof=1)) if freedom > 0 else 0.0
        if not error:
            return None
        difference = (own[FIXED] - own[BROKEN]) / own.sum()
        return float(2 * stats.t.sf(abs(difference) / error, freedom))

    def lowest(self, groups: Sequence[int]) -> tuple[float, Interval | None] | None:
        """The lowest rate among groups in B minus the lowest in A, with its 95 % interval.

        The groups that have it need not be the same, in the runs or in the resamples. Both are the
        least of several estimates and so too low; of their difference that largely cancels. None
        without a group, and where one has no case; no interval where no case changed.
        """
        own = self.counts[list(groups)]
        if not len(own) or not own.sum(1).all():
            return None
        (estimate,) = _gained(own[None])
        if not own[:, [FIXED, BROKEN]].any() or (self.held is not None and self.held.shape[0] < 2):
            return float(estimate), None
        return float(estimate), percentiles(self._spread(list(groups)))

    def _spread(self, groups: list[int]) -> Floats:
        """`_gained` of some groups in each resample, [resamples]."""
        if self.held is not None:
            return _gained(self._drawn[:, groups])
        random, n = np.random.default_rng(self.seed), int(self.counts.sum())
        chosen = self.counts[groups].ravel()
        # Cases drawn with replacement, by what they are: the same, and as fast for any n.
        shares = np.append(chosen, n - chosen.sum()) / n
        rows = max(1, _CHUNK // len(shares))
        return np.concatenate(
            [
                _gained(
                    random.multinomial(n, shares, min(rows, RESAMPLES - start))[:, :-1].reshape(
                        -1, len(groups), 4
                    )
                )
                for start in range(0, RESAMPLES, rows)
            ]
        )

    @cached_property
    def _drawn(self) -> Floats:
        """[resamples, groups, 4] the counts over resampled clusters."""
        assert self.held is not None
        return resampled_sums(self.held, self.seed).reshape(-1, *self.counts.shape)

    def _differences(self, group: int) -> Floats:
        held = self._drawn[:, group]
        n = held.sum(1)
        gained = held[:, FIXED] - held[:, BROKEN]
        differences: Floats = np.divide(gained, n, out=np.full(len(n), np.nan), where=n > 0)
        return differences


def _gained(counts: Floats | Integers) -> NDArray[np.float64]:
    """The lowest rate over the groups in B minus that in A, [resamples].

    `counts` is [resamples, groups, 4]; a group without a case in a resample has no rate there.
    """
    n = counts.sum(2).astype(np.float64)
    lowest = []
    for right in ((STILL_RIGHT, BROKEN), (STILL_RIGHT, FIXED)):
        wins = counts[:, :, list(right)].sum(2)
        lowest.append(np.divide(wins, n, out=np.full(n.shape, np.nan), where=n > 0))
    known = (n > 0).any(1)
    gained = np.full(len(n), np.nan)
    in_a, in_b = (np.nanmin(rates[known], axis=1) for rates in lowest)
    gained[known] = in_b - in_a
    return gained


@dataclass(frozen=True)
class Effects:
    """What one run's tests of a cue say, case by case; of the same cases in the same order."""

    effects: Floats
    """[cases] effect on the contrast in logits; NaN where not tested."""
    strata: NDArray[np.object_]
    """[cases] null for a case that stands for nobody."""
    margin: float
    """The median margin of the run's judged cases, in logits."""


@dataclass(frozen=True)
class PairedReliance:
    """How much two runs rely on one cue set: its average effect ÷ the run's median margin.

    The effect is that of `auditor.findings.effects`, on the contrast on which A's is shown to be
    largest: of `class_name`'s logit against that of `against` (null: the mean of all others),
    annotated with `value` of `attribute` rather than another; of the margin of the prediction where
    all four are null, the cue having been filled. Each tested case counts with the cases of its
    stratum that it stands for; none stands for a stratum of which nothing was tested. `a` is 0 or
    more, and `b` below 0 where the effect goes the other way in B. `difference` is B minus A, with
    its 95 % interval; the median margins are taken as known. `n_a` and `n_b` are the cases tested,
    `n` those tested in both. All figures are null where too few were tested in either, and `reason`
    says so.
    """

    cue: str
    attribute: str | None
    value: str | None
    class_name: str | None
    against: str | None
    n_a: int
    n_b: int
    n: int
    a: float | None = None
    b: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    reason: Phrase | None = None


Contrast = tuple[str, str | None, str | None, str | None, str | None]
"""Cue set, attribute, value, class and the class that it is held against."""


def paired_reliance(
    contrast: Contrast, a: Effects, b: Effects, clusters: Integers | None = None, seed: int = 0
) -> PairedReliance:
    """Reliance on one cue set in two runs.

    Effects cases need not be the same, since the errors of two models differ. A case that both
    tested is drawn for both.
    """
    weights = [_weights(run) for run in (a, b)]
    tested = [weight > 0 for weight in weights]
    n_a, n_b, n = (int(of.sum()) for of in (*tested, tested[0] & tested[1]))
    if min(n_a, n_b) < COUNTS_ONLY:
        why = phrase(
            "tested on it: {a:,} cases in A and {b:,} in B, and {least} are needed",
            a=n_a,
            b=n_b,
            least=COUNTS_ONLY,
        )
        return PairedReliance(*contrast, n_a, n_b, n, reason=why)
    if not (a.margin > 0 and b.margin > 0):
        why = phrase("the median margin of a run is 0")
        return PairedReliance(*contrast, n_a, n_b, n, reason=why)
    drawn_from = np.flatnonzero(tested[0] | tested[1])
    units = drawn_from if clusters is None else clusters[drawn_from]
    names, number = np.unique(units, return_inverse=True)
    columns = []
    for run, weight in zip((a, b), weights, strict=True):
        columns += [np.nan_to_num(run.effects) * weight / run.margin, weight]
    held = np.stack([np.bincount(number, column[drawn_from]) for column in columns], axis=1)
    first, second = (float(mean[0]) for mean in _means(held.sum(0)[None]))
    in_a, in_b = _means(resampled_sums(sparse.csr_array(held), seed))
    interval = percentiles(in_b - in_a) if len(names) > 1 else None
    low, high = interval or (None, None)
    found = PairedReliance(*contrast, n_a, n_b, n, first, second, second - first, low, high)
    return found if first >= 0 else _turned(found)


def _turned(found: PairedReliance) -> PairedReliance:
    """The same, the sign of the contrast turned."""
    figures = (found.a, found.b, found.difference, found.high, found.low)
    a, b, difference, low, high = (None if value is None else -value for value in figures)
    return replace(found, a=a, b=b, difference=difference, low=low, high=high)


def _weights(run: Effects) -> Floats:
    """How many cases of its stratum each tested case stands for, [cases]; 0 if untested."""
    strata = pd.Series(run.strata)
    tested = ~np.isnan(run.effects) & strata.notna().to_numpy()
    share = pd.Series(tested).groupby(strata).transform("mean").to_numpy(dtype=np.float64)
    weights: Floats = np.divide(1.0, share, out=np.zeros(len(share)), where=tested)
    return weights


def _means(sums: Floats) -> tuple[Floats, Floats]:
    """Weighted means in A and B, [resamples] each, of sums [resamples, 4]."""
    of, weight = sums[:, [0, 2]], sums[:, [1, 3]]
    means = np.divide(of, weight, out=np.full(of.shape, np.nan), where=weight > 0)
    return means[:, 0], means[:, 1]
