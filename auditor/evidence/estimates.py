"""From the logits of changed images to how much of the margin the change takes away.

The margin m is the logit of one class minus that of another, both fixed before anything is
changed: for an error the predicted class minus the label, for a correct case the label minus
the runner-up. Differences of logits are the only part that a softmax identifies.

Donors of the same value are the control, in one of two ways. With one case alone, their mean is
subtracted (`estimate_donors`): what splicing does goes, and with it what this image's own cue does
beyond a typical one of its value, though that is part of what the cue does here. With many cases,
the images' own margins tell the two apart (`learn_splicing`, `adjust`): over a random sample an
image's own cue is on average worth what another of its value is, so the mean difference is what
splicing does, and it alone is subtracted; what the differences spread more than donors do among
each other is splicing that varies from image to image, and widens the interval.

Sources: Welch 1947 and Satterthwaite 1946 for the interval of a difference of means; James and
Stein 1961 (positive part) for shrinking the mean of what splicing does; Smyth 2004, "Linear models
and empirical Bayes methods for assessing differential expression", for sharing variances between
cases; Kish 1965 for the effective size of a weighted sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from auditor.types import Floats

F64 = NDArray[np.float64]

FEWEST_CASES = 10
"""Cases of a random sample from which splicing can be learnt."""

_LEAST_WEIGHT, _MOST_WEIGHT = 1.0, 1000.0  # degrees of freedom of a shared variance


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
    its value, and what splicing itself does. Part of D only once `adjust` took the seams out."""
    pair: Pair
    """The classes of the margin."""
    removed: tuple[float, ...]
    """Logits of the image less the mean of the opposite arm's, without control."""
    moved: tuple[float, ...]
    """Logits of the image less the mean of the control's."""
    variances: tuple[float, float] | None
    """Of the margins in the control and in the opposite arm; None for a single pair."""

    @property
    def decision(self) -> int:
        """The class that comes first in the corrected logits; of equals the lowest."""
        return int(np.argmax(self.corrected))

    @property
    def contrast(self) -> float:
        """mean m(same) - mean m(opposite): D by the case's own control alone."""
        return float(margins(np.array(self.removed), self.pair)) - self.own


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
        pair,
        tuple((logits - arms[1].mean(0)).tolist()),
        tuple((logits - arms[0].mean(0)).tolist()),
        _variances(margins(arms[0], pair), margins(arms[1], pair)),
    )


def _variances(same: F64, opposite: F64) -> tuple[float, float] | None:
    return (float(same.var(ddof=1)), float(opposite.var(ddof=1))) if len(same) > 1 else None


@dataclass(frozen=True)
class Splicing:
    """What splicing does by itself, and how much donors differ: learnt from many cases."""

    shifts: Mapping[object, tuple[float, ...]]
    """By the attribute's value: what putting in a cue of the same value takes from the logits on
    average, [classes], shrunk towards 0 as far as it may be chance."""
    varying: float
    """Variance of what it takes from a margin, from image to image; 0 or more."""
    cases: float
    """Effective number of cases behind `shifts` and `varying`."""
    variance: float
    """Typical variance of a margin among the donors of an arm,"""
    weight: float
    """which counts as much as so many degrees of freedom of a case's own."""


def learn_splicing(
    estimates: Sequence[DonorEstimate],
    values: Sequence[object],
    weights: Sequence[float] | None = None,
) -> Splicing | None:
    """From a random sample of cases and their own values of the attribute.

    Errors by themselves are no such sample: a model errs where a cue is strong. Where they are
    in it more often, `weights` are the inverse chances of being drawn; 0 leaves a case out of all
    but the variances. Any number of pairs will do, the first look's for example. None for fewer
    than `FEWEST_CASES` (effectively), since nothing could be told of so few.
    """
    usable = [
        (estimate, value, weight)
        for estimate, value, weight in zip(
            estimates, values, weights or [1.0] * len(estimates), strict=True
        )
        if estimate.variances is not None
    ]
    weight = np.array([w for _, _, w in usable])
    effective = float(weight.sum() ** 2 / (weight**2).sum()) if weight.any() else 0.0
    if effective < FEWEST_CASES:
        return None
    moved = np.array([estimate.moved for estimate, _, _ in usable])
    own = moved - moved.mean(1, keepdims=True)  # only differences of logits are identified
    shifts: dict[object, tuple[float, ...]] = {}
    rest = own.copy()
    for value in dict.fromkeys(v for _, v, _ in usable):
        of = np.array([v == value for _, v, _ in usable])
        share = weight[of] / weight[of].sum() if weight[of].any() else weight[of]
        mean = share @ own[of]
        error = float((share**2 @ (own[of] - mean) ** 2).sum())
        length = float(mean @ mean)
        kept = max(0.0, 1 - error / length) if length > 0 and (share > 0).sum() > 1 else 0.0
        shifts[value] = tuple((kept * mean).tolist())
        rest[of] -= mean
    left = np.array([margins(r, e.pair) for r, (e, _, _) in zip(rest, usable, strict=True)])
    donors = np.array([estimate.variances for estimate, _, _ in usable])
    pairs = np.array([estimate.pairs for estimate, _, _ in usable])
    share = weight / weight.sum()
    among = share @ (donors[:, 0] * (1 + 1 / pairs))
    spread = share @ left**2 * effective / max(effective - len(shifts), 1)
    typical, counts = _shared(donors.ravel(), np.repeat(pairs - 1.0, 2))
    return Splicing(shifts, max(0.0, float(spread - among)), effective, typical, counts)


def adjust(estimate: DonorEstimate, splicing: Splicing | None, value: object) -> DonorEstimate:
    """The estimate with D = m - mean m(opposite), less what splicing does by itself.

    `value` is the case's own of the attribute. The error takes in the donors' variance (that of
    the case and the typical one, weighted) and what splicing varies from image to image. Without
    `splicing` the estimate stays as it is, D by the case's own control.
    """
    if splicing is None:
        return estimate
    shift = np.array(splicing.shifts.get(value, (0.0,) * len(estimate.removed)))
    taken = float(margins(np.array(estimate.removed) - shift, estimate.pair))
    own_df = estimate.pairs - 1.0
    own = estimate.variances[1] if estimate.variances else 0.0
    df = own_df + splicing.weight
    among = (own_df * own + splicing.weight * splicing.variance) / df / estimate.pairs
    total = among + splicing.varying
    if total > 0:
        others = max(splicing.cases - len(splicing.shifts), 1.0)
        df = 1 / ((among / total) ** 2 / df + (splicing.varying / total) ** 2 / others)
    opposite = np.array(estimate.corrected) - estimate.moved
    return replace(
        estimate,
        effect=Effect(taken, math.sqrt(total), df, estimate.effect.margin),
        corrected=tuple((opposite + shift).tolist()),
    )


def _shared(variances: F64, df: F64) -> tuple[float, float]:
    """Smyth's prior of variances with so many degrees of freedom: its place and its weight."""
    above = variances > 0
    if above.sum() < 2:
        return float(variances.mean()), _MOST_WEIGHT
    logs, half = np.log(variances[above]), df[above] / 2
    centred = logs - special.digamma(half) + np.log(half)
    mean = float(centred.mean())
    extra = float(centred.var(ddof=1) - special.polygamma(1, half).mean())
    low, high = _LEAST_WEIGHT / 2, _MOST_WEIGHT / 2
    if extra <= special.polygamma(1, high):
        return math.exp(mean), _MOST_WEIGHT
    if extra >= special.polygamma(1, low):
        prior = low
    else:
        prior = float(optimize.brentq(lambda x: special.polygamma(1, x) - extra, low, high))
    return math.exp(mean + float(special.digamma(prior)) - math.log(prior)), 2 * prior


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
