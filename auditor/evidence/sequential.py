"""Looking at the evidence while it comes in, with an interval that stays valid.

The error that a test is allowed is spent in shares over a few planned looks (error spending:
Lan and DeMets 1983, "Discrete sequential boundaries for clinical trials"). The shares sum to
the whole, so by Bonferroni's inequality the chance that any look's interval misses is at most
the level, however the looks depend on each other and whatever rule stops between them. The
exact boundaries would be a little tighter, but rest on normal increments of known variance;
with three donors an arm there is neither. Stopping early because nothing will come of it
(futility) costs recall alone, never false positives.
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor.thresholds import THRESHOLDS


@dataclass(frozen=True)
class Looks:
    """When to look, and what share of the error each look may spend."""

    pairs: tuple[int, ...] = THRESHOLDS.looks
    """Donor pairs at each look, growing; the last is the most."""
    shares: tuple[float, ...] = THRESHOLDS.spending
    """Shares of the level, above 0, one a look, summing to 1."""

    def __post_init__(self) -> None:
        growing = all(a < b for a, b in zip(self.pairs, self.pairs[1:], strict=False))
        if not self.pairs or not growing or self.pairs[0] < 2:
            raise ValueError(f"looks at {self.pairs} pairs; give growing numbers from 2 on")
        if len(self.shares) != len(self.pairs) or min(self.shares) <= 0:
            raise ValueError(f"shares are {self.shares}; give one above 0 for each look")
        if abs(sum(self.shares) - 1) > 1e-9:
            raise ValueError(f"shares {self.shares} sum to {sum(self.shares):g}; make it 1")

    def next(self, pairs: int, available: int) -> int | None:
        """How many pairs the next look needs, having `pairs`; None where there is none left.

        With fewer `available` than a look wants, that look takes what there is, and is the last.
        """
        if pairs >= available:
            return None
        later = next((wanted for wanted in self.pairs if wanted > pairs), None)
        return None if later is None else min(later, available)

    def level(self, pairs: int, available: int, alpha: float) -> float:
        """The level of the look at `pairs` pairs, where `alpha` is that of the whole test.

        The last look, whether for lack of donors or by plan, also gets what later ones would.
        Raises `ValueError` for a number of pairs at which nobody looks.
        """
        planned, have = [], 0
        while (wanted := self.next(have, available)) is not None:
            planned.append(wanted)
            have = wanted
        if pairs not in planned:
            raise ValueError(f"nobody looks at {pairs} of {available} pairs, but at {planned}")
        look = planned.index(pairs)
        last = look == len(planned) - 1
        return alpha * (sum(self.shares[look:]) if last else self.shares[look])
