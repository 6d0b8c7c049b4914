"""From the logits of changed images to how much of the margin the change takes away.

The margin m is the logit of one class minus that of another, both fixed before anything is
changed: for an error the predicted class minus the label, for a correct case the label minus
the runner-up. Differences of logits are the only part that a softmax identifies.

Sources: Welch 1947 and Satterthwaite 1946 for the interval of a difference of means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from auditor.types import Floats

F64 = NDArray[np.float64]


class Pair(NamedTuple):
    """The two classes of a margin: positions in the logits."""

    first: int
    """The predicted class."""
    second: int
    """The contrast: the label of an error, the runner-up of a correct case."""


def margins(logits: Floats, pair: Pair) -> F64:
    """First minus second, [...] of logits [..., classes]."""
    logits = np.asarray(logits, dtype=np.float64)
    difference: F64 = logits[..., pair.first] - logits[..., pair.second]
    return difference


@dataclass(frozen=True)
class Effect:
    """What a change takes from a margin, with its error; in logits.

    `value` is D, control subtracted. `error` and `df` are None where only one number is
    known, so that there is no interval.
    """

    value: float
    error: float | None
    """Standard error, 0 or more."""
    df: float | None
    margin: float
    """m of the unchanged image, 0 or more."""

    @property
    def reliance(self) -> float | None:
        """ρ = D ÷ m: 1 where the change takes all of it, below 0 where it adds; None for m = 0."""
        return self.value / self.margin if self.margin > 0 else None

    @property
    def reliance_error(self) -> float | None:
        """The standard error of ρ, the unchanged margin being known exactly."""
        if self.margin <= 0 or self.error is None:
            return None
        return self.error / self.margin

    def lower(self, alpha: float) -> float:
        """Lower bound of the one-sided t interval of D at level 1 - `alpha`; -∞ if unknown."""
        return self.value - self._width(alpha)

    def upper(self, alpha: float) -> float:
        """Upper bound of the other one-sided interval; ∞ if unknown."""
        return self.value + self._width(alpha)

    def _width(self, alpha: float) -> float:
        if self.error is None or self.df is None:
            return math.inf
        # Equal values in both arms leave no doubt; 0 times a quantile would say the same.
        return float(stats.t.isf(alpha, self.df)) * self.error if self.error > 0 else 0.0


def welch(higher: Floats, lower: Floats, margin: float) -> Effect:
    """mean(`higher`) - mean(`lower`) with Welch's standard error; [n] each, any n of 1 or more.

    Without an error where either has fewer than two values. Raises `ValueError` for none.
    """
    one, two = np.asarray(higher, dtype=np.float64), np.asarray(lower, dtype=np.float64)
    if not len(one) or not len(two):
        raise ValueError(f"{len(one)} and {len(two)} values have no difference of means")
    value = float(one.mean() - two.mean())
    if min(len(one), len(two)) < 2:
        return Effect(value, None, None, margin)
    a, b = float(one.var(ddof=1)) / len(one), float(two.var(ddof=1)) / len(two)
    if a + b == 0:
        return Effect(value, 0.0, float(len(one) + len(two) - 2), margin)
    # As shares of their sum, since squares of tiny variances would vanish.
    share = a / (a + b)
    df = 1 / (share**2 / (len(one) - 1) + (1 - share) ** 2 / (len(two) - 1))
    return Effect(value, math.sqrt(a + b), df, margin)


@dataclass(frozen=True)
class DonorEstimate:
    """What the donors say of one case and one cue set."""

    effect: Effect
    """D = mean m(same) - mean m(opposite)."""
    pairs: int
    """Donors in each arm so far."""
    corrected: tuple[float, ...]
    """Control-corrected logits: those of the image, plus what opposite donors change them by,
    less what donors of the same value do."""
    flips: float
    """Share of the opposite donors that turn the decision while the paired donor of the same
    value does not, less the share of pairs where it is the other way round; -1..1."""
    own: float
    """m of the image minus mean m(same): what the image's own cue does beyond a typical one of
    its value, and what splicing itself does. Not part of D: no control takes the seams out of
    it."""

    @property
    def decision(self) -> int:
        """The class that comes first in the corrected logits; of equals the lowest."""
        return int(np.argmax(self.corrected))


def estimate_donors(original: Floats, same: Floats, opposite: Floats, pair: Pair) -> DonorEstimate:
    """From logits: `original` [classes], `same` and `opposite` [pairs, classes] of the arms.

    `pair.first` is the class that the unchanged image gets. Raises `ValueError` for arms of
    different lengths or without a donor, and for logits that are not finite.
    """
    logits = np.asarray(original, dtype=np.float64)
    arms = np.asarray(same, dtype=np.float64), np.asarray(opposite, dtype=np.float64)
    if len(arms[0]) != len(arms[1]):
        raise ValueError(f"{len(arms[0])} same and {len(arms[1])} opposite donors are no pairs")
    if not all(np.isfinite(values).all() for values in (logits, *arms)):
        raise ValueError("logits are not finite; call the case untestable (`not_finite`)")
    margin = float(margins(logits, pair))
    effect = welch(margins(arms[0], pair), margins(arms[1], pair), margin)
    turned = [arm.argmax(1) != pair.first for arm in arms]
    corrected = logits + (arms[1].mean(0) - arms[0].mean(0))
    return DonorEstimate(
        effect,
        len(arms[0]),
        tuple(corrected.tolist()),
        float(turned[1].mean() - turned[0].mean()),
        margin - float(margins(arms[0], pair).mean()),
    )


@dataclass(frozen=True)
class FillEstimate:
    """What the fills say of one case and one cue set."""

    effect: Effect
    """The mean of `values`; its error is their own, as if fills were drawn from all fills."""
    values: tuple[float, ...]
    """D of each fill: mean m(control) - m(region), in the order given."""
    disagreement: float
    """Standard deviation of `values`, in logits; NaN for a single fill."""
    corrected: tuple[float, ...]
    """Logits of the image plus the mean over fills of what filling the region changes them by,
    less what filling the controls does."""
    flips: int
    """Fills on the region that turn the decision to the class that is asked for."""
    control_flips: float
    """The same for the controls, as a number of fills: summed shares of turned controls."""

    @property
    def decision(self) -> int:
        """The class that comes first in the corrected logits; of equals the lowest."""
        return int(np.argmax(self.corrected))


def estimate_fills(
    original: Floats, region: Floats, controls: Floats, pair: Pair, to: int | None
) -> FillEstimate:
    """From logits: `original` [classes], `region` [fills, classes], `controls`
    [fills, controls, classes], at least one control.

    `to` is the class that a flip leads to: the label of an error; None for any other than
    `pair.first`. Raises `ValueError` for shapes that do not fit and logits that are not finite.
    """
    logits = np.asarray(original, dtype=np.float64)
    filled, beside = np.asarray(region, dtype=np.float64), np.asarray(controls, dtype=np.float64)
    if beside.ndim != 3 or not beside.shape[1] or len(beside) != len(filled) or not len(filled):
        raise ValueError(
            f"logits of regions are {filled.shape}, of controls {beside.shape}; give "
            "[fills, classes] and [fills, controls, classes] with at least one of each"
        )
    if not all(np.isfinite(values).all() for values in (logits, filled, beside)):
        raise ValueError("logits are not finite; call the case untestable (`not_finite`)")
    values = margins(beside, pair).mean(1) - margins(filled, pair)
    count = len(values)
    spread = float(values.std(ddof=1)) if count > 1 else math.nan
    effect = Effect(
        float(values.mean()),
        spread / math.sqrt(count) if count > 1 else None,
        float(count - 1) if count > 1 else None,
        float(margins(logits, pair)),
    )

    def turned(changed: F64) -> NDArray[np.bool_]:
        first = changed.argmax(-1)
        return np.asarray(first != pair.first if to is None else first == to)

    return FillEstimate(
        effect,
        tuple(values.tolist()),
        spread,
        tuple((logits + (filled - beside.mean(1)).mean(0)).tolist()),
        int(turned(filled).sum()),
        float(turned(beside).mean(1).sum()),
    )
