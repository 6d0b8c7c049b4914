"""The ideal observer: what the best possible use of a skewed cue does on a balanced test.

It sees evidence x, normal with mean +d for doctors and −d for nurses and unit variance, where
Φ(d) is its accuracy without a cue, and adds the cue's log-odds in its training set. No
classifier that has learned the training set's frequencies can be blamed for less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from auditor.study.arms import Shares

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Observer:
    """What the ideal observer reaches on a test in which the cue tells nothing.

    `groups` is its accuracy, 0..1, on (first label, first value), (first, second), (second,
    first), (second, second); `accuracy` is their mean; `undone` is the share of its errors
    that swapping the cue undoes; `changed` the share of decisions that it changes; `effect`
    is by how much the cue moves its log-odds.
    """

    accuracy: float
    groups: tuple[float, float, float, float]
    undone: float
    changed: float
    effect: float


def ideal(without_cue: float, shares: Shares) -> Observer:
    """The observer that is right on `without_cue` of the cases when there is no cue.

    `shares` are those of the training set, each within 0..1, ends excluded.
    """
    d = _NORMAL.inv_cdf(without_cue)
    first, second = shares
    odds = (math.log(first / second), math.log((1 - first) / (1 - second)))
    # log-odds of x are 2dx, so a cue moves the threshold on x by log-odds / 2d.
    moved = [value / (2 * d) for value in odds]
    groups = (
        _NORMAL.cdf(d + moved[0]),
        _NORMAL.cdf(d + moved[1]),
        _NORMAL.cdf(d - moved[0]),
        _NORMAL.cdf(d - moved[1]),
    )
    errors = 4 - sum(groups)
    # Swapping only ever helps where the cue was against the label.
    between = abs(groups[0] - groups[1]), abs(groups[2] - groups[3])
    return Observer(
        accuracy=sum(groups) / 4,
        groups=groups,
        undone=sum(between) / errors,
        changed=sum(between) / 2,
        effect=odds[0] - odds[1],
    )
