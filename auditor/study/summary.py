"""From cells to the study's table, its paired differences, and what it was to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from auditor.scenes import CUES, LABELS
from auditor.statistics import mean_interval
from auditor.study.arms import ARMS
from auditor.study.cells import group_name

GROUPS = tuple(group_name(label, value) for label in LABELS for value in CUES["head"].values)
"""The four groups of the study's own cue, in the order of the ideal observer's."""
PAPER_ACCURACY: Mapping[str, float] = {"skewed": 0.82, "rebalanced": 0.90}
"""What the Grad-CAM paper reports (§6.3), of one model each, on a test of unknown size."""
WITHOUT_CUE = 0.90
"""Accuracy without a cue that the strength of the evidence was calibrated to."""
ENOUGH_SEEDS = 10
_PAIRS = (("rebalanced", "skewed"), ("even", "skewed"), ("even", "rebalanced"))


def per_seed(cells: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a cell, in the order given.

    `arm`, `seed`, `accuracy` (0..1, over the balanced test), one column for each of `GROUPS`
    (0..1; null in arms with another cue), `worst` (the group with the lowest accuracy; null
    there too), `like_training` (accuracy on a test mixed as the training set is; null without
    a cue), `undone` (share of the errors that swapping the cue undoes; null without errors or
    cue), `changed` (share of scenes decided differently by the cue) and `effect` (logits).
    """
    rows = []
    for cell in cells:
        arm, n, right = ARMS[cell["arm"]], cell["n"], cell["right"]
        rates = {group: right[group] / n[group] for group in n}
        own = {group: rates.get(group) for group in GROUPS}
        rows.append(
            {
                "arm": arm.name,
                "seed": cell["seed"],
                "accuracy": sum(right.values()) / sum(n.values()),
                **own,
                "worst": min(rates, key=rates.__getitem__) if None not in own.values() else None,
                "like_training": _like_training(arm.name, rates),
                "undone": cell["undone"] / cell["errors"]
                if cell["errors"] and cell["undone"] is not None
                else None,
                "changed": cell["changed"] / cell["pairs"] if cell["pairs"] else None,
                "effect": cell["effect"],
            }
        )
    table = pd.DataFrame(rows)
    numbers = ["accuracy", *GROUPS, "like_training", "undone", "changed", "effect"]
    return table.astype(dict.fromkeys(numbers, float))


def _like_training(name: str, rates: Mapping[str, float]) -> float | None:
    arm = ARMS[name]
    if arm.shares is None:
        return None
    first, second = arm.values
    return sum(
        share * rates[group_name(label, first)] + (1 - share) * rates[group_name(label, second)]
        for label, share in zip(LABELS, arm.shares, strict=True)
    ) / len(LABELS)


@dataclass(frozen=True)
class Mean:
    """A mean over `n` seeds, its standard deviation `sd` and 95 % t interval.

    `sd`, `low` and `high` are null below two seeds.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, values: pd.Series[float]) -> Mean | None:
        """None where there is no value."""
        given = values.dropna()
        if given.empty:
            return None
        low, high = mean_interval(given.to_numpy()) or (None, None)
        sd = float(given.std()) if len(given) > 1 else None
        return cls(float(given.mean()), sd, low, high, len(given))


def by_arm(table: pd.DataFrame) -> dict[str, dict[str, Mean | None]]:
    """The means of every number of `per_seed`, arm to column to mean, arms in their order."""
    columns = [c for c in table.columns if c not in ("arm", "seed", "worst")]
    return {
        arm: {column: Mean.of(rows[column]) for column in columns}
        for arm in ARMS
        if not (rows := table[table["arm"] == arm]).empty
    }


@dataclass(frozen=True)
class Difference:
    """`first` minus `second`, paired by seed, in one of the columns of `per_seed`."""

    first: str
    second: str
    column: str
    value: Mean


def differences(table: pd.DataFrame) -> list[Difference]:
    """The paired differences between the arms of the paper, where both were run."""
    found = []
    for first, second in _PAIRS:
        a, b = (table[table["arm"] == name].set_index("seed") for name in (first, second))
        for column in ("accuracy", *GROUPS, "effect"):
            value = Mean.of((a[column] - b[column]).dropna())
            if value is not None:
                found.append(Difference(first, second, column, value))
    return found


@dataclass(frozen=True)
class Condition:
    """Something that the study was to show; `met` is null where too few seeds were run."""

    told: str
    seen: str
    met: bool | None


def conditions(table: pd.DataFrame) -> list[Condition]:
    """What the study was to show, set down before it was run."""
    means = by_arm(table)
    if not {"skewed", "rebalanced"} <= set(means):
        return []
    skewed = table[table["arm"] == "skewed"]
    enough = len(skewed) >= ENOUGH_SEEDS
    found = [
        _within(
            "skewed training reaches .80 to .88 on the balanced test",
            means["skewed"]["accuracy"],
            0.80,
            0.88,
        ),
        _within(
            "rebalanced training reaches .87 to .92", means["rebalanced"]["accuracy"], 0.87, 0.92
        ),
    ]
    gain = next(
        d.value
        for d in differences(table)
        if (d.first, d.second, d.column) == ("rebalanced", "skewed", "accuracy")
    )
    found.append(
        Condition(
            "the interval of the paired gain lies above 0",
            f"{_signed(gain.mean)}{_interval(gain)}",
            None if gain.low is None else gain.low > 0,
        )
    )
    worst = int((skewed["worst"] == group_name(LABELS[1], "man")).sum())
    found.append(
        Condition(
            "nurses drawn as men are the worst group in at least 8 of 10 seeds",
            f"{worst} of {len(skewed)}",
            worst >= 0.8 * len(skewed),
        )
    )
    positive = int((skewed["effect"] > 0).sum())
    found.append(
        Condition(
            "the true mean effect of the cue is positive in every skewed seed",
            f"{positive} of {len(skewed)}, from {skewed['effect'].min():.2f} to "
            f"{skewed['effect'].max():.2f} logits",
            positive == len(skewed),
        )
    )
    for arm in ("placebo", "even"):
        effect = means.get(arm, {}).get("effect")
        reference = means["skewed"]["effect"]
        if effect is not None and reference is not None:
            found.append(
                Condition(
                    f"{arm}: the mean effect is near 0 (under a tenth of skewed training's)",
                    f"{_signed(effect.mean)}{_interval(effect)} logits, against "
                    f"{_signed(reference.mean)}",
                    abs(effect.mean) < abs(reference.mean) / 10,
                )
            )
    return found if enough else [Condition(c.told, c.seen, None) for c in found]


def _within(told: str, mean: Mean | None, low: float, high: float) -> Condition:
    assert mean is not None  # an arm that was run has an accuracy
    return Condition(told, f"{mean.mean:.3f}{_interval(mean)}", low <= mean.mean <= high)


def _interval(mean: Mean) -> str:
    return "" if mean.low is None else f" ({mean.low:.3f} to {mean.high:.3f})"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
