"""Differences and ratios of rates with intervals that hold at once over several comparisons.

The closed forms are those of `auditor.statistics`, at Šidák's level; over clusters the
studentised maximum of the bootstrap, as `Rates.simultaneous` has it for single rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from auditor.rates import Interval, Rates
from auditor.statistics import rate_difference, rate_ratio

F64 = NDArray[np.float64]
_Closed = Callable[[tuple[int, int], tuple[int, int], float], Interval | None]

_UNDEFINED = 0.05
"""Share of resamples without a ratio above which their spread says nothing."""


@dataclass(frozen=True)
class Contrast:
    """One group held against others together; each needs a judged case."""

    some: int
    others: tuple[int, ...]


def differences(
    rates: Rates, contrasts: Sequence[Contrast], confidence: float = 0.95
) -> list[Interval | None]:
    """Intervals of the rate of `some` minus that of `others`, -1 to 1, all holding at once.

    Newcombe 1998, method 10. Over clusters the difference ± q of its standard errors; None where
    the resamples do not vary.
    """
    each = confidence ** (1 / max(len(contrasts), 1))
    found = _resampled(rates, contrasts, np.subtract, confidence, each)
    intervals: list[Interval | None] = []
    for contrast, own in zip(contrasts, found, strict=True):
        if isinstance(own, str):
            intervals.append(_closed(rates, contrast, rate_difference, each))
        else:
            intervals.append(None if own is None else (max(own[0], -1.0), min(own[1], 1.0)))
    return intervals


def ratios(
    rates: Rates, contrasts: Sequence[Contrast], confidence: float = 0.95
) -> list[Interval | None]:
    """Intervals of the rate of `some` over that of `others`, 0 or more, all holding at once.

    Katz et al. 1978; over clusters likewise on the logarithm. Where none of `some` is right, and
    where resamples often hold none, the logarithm is undefined; where neither has an error, it
    has no spread. Then the interval reaches from the lowest to the highest quotient of the
    bounds of both rates, each at the root of the level, so that it covers at least as often.
    None where `others` have none right, or may have none.
    """
    each = confidence ** (1 / max(len(contrasts), 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _resampled(rates, contrasts, _log_ratio, confidence, each)
    intervals: list[Interval | None] = []
    for contrast, own in zip(contrasts, found, strict=True):
        interval: Interval | None
        if not rates.counts(contrast.others)[0]:
            interval = None
        elif not rates.counts([contrast.some])[0] or own is None:
            interval = _quotients(rates, contrast, math.sqrt(each))
        elif isinstance(own, str):
            interval = _closed(rates, contrast, rate_ratio, each)
            if interval is not None and not interval[0] < interval[1]:  # both without an error
                interval = _quotients(rates, contrast, math.sqrt(each))
        else:
            interval = (math.exp(own[0]), math.exp(own[1]))
        intervals.append(interval)
    return intervals


def _resampled(
    rates: Rates,
    contrasts: Sequence[Contrast],
    contrast_of: Callable[[F64, F64], F64],
    confidence: float,
    each: float,
) -> list[Interval | str | None]:
    """Each contrast ± q standard errors; "closed" where a closed form is to be taken instead.

    That is where cases are independent, and where both sides agree among themselves, which
    resampling cannot vary. None where the resamples give no spread.
    """
    if rates.drawn is None:
        return ["closed"] * len(contrasts)
    held: list[Interval | str | None] = []
    spread: list[tuple[int, float, float]] = []
    deviations: list[F64] = []
    for place, contrast in enumerate(contrasts):
        sides = ((contrast.some,), contrast.others)
        counts = [rates.counts(side) for side in sides]
        if all(right in (0, judged) for right, judged in counts):
            held.append("closed")
            continue
        held.append(None)
        drawn = contrast_of(*(_drawn_rates(rates, side) for side in sides))
        drawn = np.where(np.isfinite(drawn), drawn, np.nan)
        if np.isnan(drawn).mean() > _UNDEFINED:
            continue
        seen = float(contrast_of(*(np.array(right / judged) for right, judged in counts)))
        error = float(np.nanstd(drawn, ddof=1))
        if error > 0 and math.isfinite(seen):
            spread.append((place, seen, error))
            deviations.append(np.nan_to_num(np.abs(drawn - seen) / error))
    q = float(stats.norm.ppf((1 + each) / 2))
    if deviations:
        # Not below the normal one: a thousand resamples of few clusters stay inside.
        q = max(float(np.quantile(np.array(deviations).max(0), confidence)), q)
    for place, seen, error in spread:
        held[place] = (seen - q * error, seen + q * error)
    return held


def _drawn_rates(rates: Rates, groups: Sequence[int]) -> F64:
    """Rates in each resample, [resamples]; NaN where it holds no case of the groups."""
    assert rates.drawn is not None
    right, judged = (rates.drawn[:, kind][:, list(groups)].sum(1) for kind in (0, 1))
    return np.asarray(
        np.divide(right, judged, out=np.full_like(judged, np.nan), where=judged > 0), np.float64
    )


def _log_ratio(some: F64, others: F64) -> F64:
    return np.asarray(np.log(some) - np.log(others), dtype=np.float64)


def _closed(rates: Rates, contrast: Contrast, form: _Closed, each: float) -> Interval | None:
    """A closed form over cases; over clusters, which then agree, over those."""
    return form(_trials(rates, (contrast.some,)), _trials(rates, contrast.others), each)


def _trials(rates: Rates, groups: Sequence[int]) -> tuple[int, int]:
    right, judged = rates.counts(groups)
    if rates.members is None:
        return right, judged
    units = len(np.unique(np.concatenate([rates.members[group] for group in groups])))
    return (units if right else 0), units


def _quotients(rates: Rates, contrast: Contrast, confidence: float) -> Interval | None:
    some = rates.interval([contrast.some], confidence)
    others = rates.interval(contrast.others, confidence)
    if some is None or others is None or not others[0] > 0:
        return None
    return some[0] / others[1], some[1] / others[0]
