"""Two runs over the same cases, paired: where resampled, a case is drawn for both or for neither.

Efron and Tibshirani 1993, chapters 8 and 13: percentiles of the differences of resampled cases, or
of resampled clusters where cases belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
"""What became of a case, in the order of `auditor.findings.comparison.CHANGES`."""
_NEWCOMBE = (STILL_RIGHT, BROKEN, FIXED, STILL_WRONG)  # right in both, A alone, B alone, neither


@dataclass(frozen=True)
class PairedRates:
    """How often two runs are right on each group of the cases that both judge, resampled."""

    counts: Integers
    """[groups, 4] cases by what became of them."""
    drawn: Floats
    """[resamples, groups, 4] the same in each resample."""
    clustered: bool
    members: tuple[Integers, ...]
    """What counts as independent in each group: its cases, or the clusters that hold one."""

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
        counts = np.bincount(cells, minlength=4 * count).astype(np.intp)
        units = np.arange(len(groups)) if clusters is None else clusters
        members = tuple(np.unique(units[groups == group]) for group in range(count))
        if clusters is None:
            drawn = np.zeros((RESAMPLES, 4 * count))
            if n := int(counts.sum()):
                # Cases drawn with replacement, by what they are: the same, and as fast for any n.
                drawn += np.random.default_rng(seed).multinomial(n, counts / n, RESAMPLES)
        else:
            names, number = np.unique(clusters, return_inverse=True)
            ones = np.ones(len(cells))
            held = sparse.csr_array((ones, (number, cells)), shape=(len(names), 4 * count))
            drawn = resampled_sums(held, seed)
        shape = (-1, count, 4)
        return cls(counts.reshape(count, 4), drawn.reshape(shape), clusters is not None, members)

    def units(self, group: int) -> int:
        """How many cases, or clusters that hold one, a group has."""
        return len(self.members[group])

    def difference(self, groups: Sequence[int]) -> Interval | None:
        """95 % interval of the rate in B minus the rate in A of some groups together, -1 to 1.

        Newcombe 1998, method 10, for paired proportions; or percentiles over clusters, and where
        all their cases changed alike, which no resample could vary, the closed form over clusters
        in the place of cases. None without a case, and with a single cluster.
        """
        own = self.counts[list(groups)].sum(0)
        if not own.sum():
            return None
        if not self.clustered:
            return paired_difference(*(int(own[kind]) for kind in _NEWCOMBE))
        if self._units(groups) < 2:
            return None
        fixed, broken, units = int(own[FIXED]), int(own[BROKEN]), int(self._units(groups))
        if own.sum() in (fixed, broken) or not fixed + broken:
            alike = FIXED if fixed else BROKEN if broken else STILL_RIGHT
            return paired_difference(*(units * (kind == alike) for kind in _NEWCOMBE))
        return percentiles(self._differences(groups))

    def p(self, groups: Sequence[int]) -> float | None:
        """Two-sided p-value of no difference; None where no case changed.

        McNemar's exact test; over clusters Student's t of the difference over its bootstrap
        standard error, with one degree of freedom less than clusters. None there where resamples
        do not vary.
        """
        own = self.counts[list(groups)].sum(0)
        if not self.clustered:
            return mcnemar(int(own[BROKEN]), int(own[FIXED]))
        freedom = int(self._units(groups)) - 1
        if freedom < 1:
            return None
        error = float(np.nanstd(self._differences(groups), ddof=1))
        if not error:
            return None
        difference = (own[FIXED] - own[BROKEN]) / own.sum()
        return float(2 * stats.t.sf(abs(difference) / error, freedom))

    def lowest(self, groups: Sequence[int]) -> tuple[float, Interval | None] | None:
        """The lowest rate among groups in B minus the lowest in A, with its 95 % interval.

        The groups that have it need not be the same, in the runs or in the resamples. Both are the
        least of several estimates and so too low; of their difference that largely cancels. None
        where a group has no case.
        """
        own = self.counts[list(groups)]
        if not len(own) or not own.sum(1).all():
            return None
        estimate = float(_lowest(own[None], B)[0] - _lowest(own[None], A)[0])
        drawn = self.drawn[:, list(groups)]
        spread = _lowest(drawn, B) - _lowest(drawn, A)
        changed = bool(own[:, [FIXED, BROKEN]].any())
        return estimate, percentiles(spread) if changed and self._units(groups) > 1 else None

    def _units(self, groups: Sequence[int]) -> int:
        """How many cases or clusters some groups hold together, each counted once."""
        return len(np.unique(np.concatenate([self.members[group] for group in groups])))

    def _differences(self, groups: Sequence[int]) -> Floats:
        held = self.drawn[:, list(groups)].sum(1)
        n = held.sum(1)
        gained = held[:, FIXED] - held[:, BROKEN]
        differences: Floats = np.divide(gained, n, out=np.full(len(n), np.nan), where=n > 0)
        return differences


A, B = (STILL_RIGHT, BROKEN), (STILL_RIGHT, FIXED)


def _lowest(counts: Floats | Integers, right: tuple[int, int]) -> NDArray[np.float64]:
    """The lowest rate over the groups, [resamples], of counts [resamples, groups, 4]."""
    n = counts.sum(2).astype(np.float64)
    rates = np.divide(
        counts[:, :, list(right)].sum(2), n, out=np.full(n.shape, np.inf), where=n > 0
    )
    lowest = rates.min(1)
    return np.where(np.isfinite(lowest), lowest, np.nan)


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
