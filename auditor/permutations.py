"""One number compared between two kinds of cases within strata: permutation and Cliff's δ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from auditor.rates import percentiles, resampled_sums
from auditor.types import Floats

Integers = NDArray[np.intp]

PERMUTATIONS = 1999
"""Random divisions of the cases: the smallest p-value is .0005."""

_CHUNK = 2_000_000  # random keys in memory at once


@dataclass(frozen=True)
class Contrast:
    """Values of marked cases against those of the others of their stratum.

    Only strata that hold both kinds say anything; the others are left out. Cliff's δ of a
    stratum is P(marked > other) − P(marked < other) over its pairs, and δ over all strata
    their mean, each weighted by n₁n₀ / (n₁ + n₀), its share of what can be learnt (van
    Elteren 1960): −1 to 1, and 0 where being marked says nothing about the value.
    """

    values: Floats
    """[cases], no NaN, sorted by stratum."""
    marked: NDArray[np.bool_]
    """[cases]"""
    strata: Integers
    """[cases] numbers from 0, none left out."""
    clusters: Integers | None
    """[cases]; None where cases are independent."""

    @classmethod
    def of(
        cls,
        values: Floats,
        marked: NDArray[np.bool_],
        strata: Integers,
        clusters: Integers | None = None,
    ) -> Contrast | None:
        """The contrast of all cases, each array [cases]; None if no stratum holds both kinds.

        A NaN, and a stratum with cases of one kind alone, is left out.
        """
        known = np.flatnonzero(~np.isnan(values))
        size = int(strata.max(initial=-1)) + 1
        both = (np.bincount(strata[known], marked[known], size) > 0) & (
            np.bincount(strata[known], ~marked[known], size) > 0
        )
        known = known[both[strata[known]]]
        if not len(known):
            return None
        known = known[np.argsort(strata[known], kind="stable")]
        return cls(
            np.asarray(values[known], dtype=np.float64),
            marked[known],
            np.unique(strata[known], return_inverse=True)[1],
            None if clusters is None else clusters[known],
        )

    @cached_property
    def sizes(self) -> tuple[Integers, Integers]:
        """Marked and other cases of each stratum, [strata] each."""
        some = np.bincount(self.strata, self.marked).astype(np.intp)
        return some, np.bincount(self.strata) - some

    @cached_property
    def weight(self) -> float:
        """Σ n₁n₀ / (n₁ + n₀) over the strata."""
        some, others = self.sizes
        return float((some * others / (some + others)).sum())

    @cached_property
    def scores(self) -> Floats:
        """What each case adds to δ if it is marked, [cases]: centred midranks of its stratum."""
        ranks = np.empty(len(self.values))
        for part in self._parts:
            count = part.stop - part.start
            ranks[part] = (stats.rankdata(self.values[part]) - (count + 1) / 2) * 2 / count
        return ranks / self.weight

    @cached_property
    def delta(self) -> float:
        """Cliff's δ within strata, −1 to 1."""
        return float(self.scores[self.marked].sum())

    def p(self, seed: int, permutations: int = PERMUTATIONS) -> float:
        """Two-sided p-value of δ, marks dealt anew at random within each stratum.

        (1 + divisions with a |δ| as large) / (1 + permutations).
        """
        random = np.random.default_rng(seed)
        drawn = np.zeros(permutations)
        for part, some, others in zip(self._parts, *self.sizes, strict=True):
            scores = self.scores[part]
            # Scores of a stratum sum to 0: the smaller kind stands for both.
            few, sign = (some, 1) if some <= others else (others, -1)
            rows = max(1, _CHUNK // len(scores))
            for start in range(0, permutations, rows):
                shape = (min(rows, permutations - start), len(scores))
                keys = random.random(shape, dtype=np.float32)
                chosen = np.argpartition(keys, few - 1, axis=1)[:, :few]
                drawn[start : start + shape[0]] += sign * scores[chosen].sum(1)
        # Equal up to rounding counts as reached.
        reached = np.abs(drawn) >= abs(self.delta) - 1e-12
        return float((1 + reached.sum()) / (1 + permutations))

    @cached_property
    def influence(self) -> Floats:
        """How far each case pulls δ from what it would be without it, about, [cases]; sums to 0.

        From its dominance over the other kind (Cliff 1993), against the δ over all strata:
        a single marked case in its stratum has no spread of its own.
        """
        pulls = np.empty(len(self.values))
        for part, some, others in zip(self._parts, *self.sizes, strict=True):
            values, marked = self.values[part], self.marked[part]
            one, other = np.sort(values[marked]), np.sort(values[~marked])
            own = np.empty(len(values))
            own[marked] = _dominance(values[marked], other) - self.delta
            own[~marked] = -_dominance(values[~marked], one) - self.delta
            weight = some * others / (some + others) / self.weight
            pulls[part] = own * weight / np.where(marked, some, others)
        return pulls

    def interval(self, seed: int, confidence: float = 0.95) -> tuple[float, float]:
        """Interval of δ, (low, high).

        Cliff 1996 (asymmetric, so that it stays within −1 and 1; at δ = ±1, where nothing
        varies, (n − z²) / (n + z²) of the smaller kind). Over clusters, percentiles of δ
        with the influence of whole clusters resampled.
        """
        if self.clusters is not None:
            names, number = np.unique(self.clusters, return_inverse=True)
            pulls = np.bincount(number, self.influence)
            drawn = resampled_sums(sparse.csr_array(pulls[:, None]), seed)[:, 0]
            low, high = percentiles(self.delta + drawn - pulls.sum(), confidence) or (-1.0, 1.0)
            if len(names) > 1 and low < high:
                return max(low, -1.0), min(high, 1.0)
            return self._separated(confidence, len(names))
        z = float(stats.norm.ppf((1 + confidence) / 2))
        variance = float((self.influence**2).sum())
        squared = 1 - self.delta**2
        if variance < 1e-12 or squared < 1e-12:
            return self._separated(confidence, int(min(size.sum() for size in self.sizes)))
        half = z * math.sqrt(variance) * math.sqrt(squared**2 + z**2 * variance)
        below = squared + z**2 * variance
        middle = self.delta * squared
        return max((middle - half) / below, -1.0), min((middle + half) / below, 1.0)

    def clustered_p(self, seed: int) -> float | None:
        """Two-sided p-value of δ, whole clusters resampled; None where nothing varies.

        Marks are not exchangeable between cases that belong together, so instead of a
        permutation: δ over its bootstrap standard error, Student's t.
        """
        if self.clusters is None:
            return None
        names, number = np.unique(self.clusters, return_inverse=True)
        pulls = np.bincount(number, self.influence)
        error = float(resampled_sums(sparse.csr_array(pulls[:, None]), seed)[:, 0].std(ddof=1))
        if len(names) < 2 or error < 1e-12:
            return None
        return float(2 * stats.t.sf(abs(self.delta) / error, len(names) - 1))

    def _separated(self, confidence: float, count: int) -> tuple[float, float]:
        """The interval where every pair says the same, so that nothing varies."""
        z2 = float(stats.norm.ppf((1 + confidence) / 2)) ** 2
        bound = (count - z2) / (count + z2)
        if self.delta > 0:
            return min(bound, self.delta), 1.0
        if self.delta < 0:
            return -1.0, max(-bound, self.delta)
        # All values are equal: as uncertain as a sign is over so many cases.
        return -z2 / (count + z2), z2 / (count + z2)

    @property
    def _parts(self) -> list[slice]:
        """The cases of each stratum."""
        edges = np.searchsorted(self.strata, range(int(self.strata[-1]) + 2))
        return [slice(int(first), int(last)) for first, last in pairwise(edges)]


def _dominance(values: Floats, ordered: Floats) -> Floats:
    """Share of `ordered` that lies below each value, minus the share above, [values]."""
    below = np.searchsorted(ordered, values, side="left")
    above = len(ordered) - np.searchsorted(ordered, values, side="right")
    return np.asarray((below - above) / len(ordered), dtype=np.float64)
