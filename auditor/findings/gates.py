"""Gates: checks that an audit has to pass before anything else in it is worth reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from auditor.findings.finding import Finding
from auditor.statistics import mcnemar, more_than_chance
from auditor.thresholds import Thresholds

_MOST_NAMES = 6


def gates(cases: pd.DataFrame, classes: Sequence[str], thresholds: Thresholds) -> list[Finding]:
    """Whether the predictions mean anything: `gate_chance` and `gate_classes`.

    `cases` needs `label` and `predicted` (null without a prediction); `classes` are the
    model's, in the order of its outputs. A warning where a gate is not passed, else
    information. None are made where no case has a prediction.
    """
    judged = cases[cases["predicted"].notna()]
    if judged.empty:
        return []
    places = {name: place for place, name in enumerate(classes)}
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    pairs = [judged[column].astype(object).map(places) for column in ("label", "predicted")]
    np.add.at(confusion, tuple(pair.to_numpy(dtype=np.int64) for pair in pairs), 1)
    return [_chance(confusion, classes, thresholds), _order(confusion, classes, thresholds)]


def _chance(
    confusion: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    classes: Sequence[str],
    thresholds: Thresholds,
) -> Finding:
    """Accuracy against always naming the commonest label, by the exact binomial test."""
    n, right = int(confusion.sum()), int(np.trace(confusion))
    commonest = int(confusion.sum(1).argmax())
    chance = float(confusion[commonest].sum() / n)
    p = more_than_chance(right, n, chance) if chance < 1 else None
    passed = p is not None and p <= thresholds.alpha
    told = f"{right / n:.1%} of {n} images"
    if chance == 1:
        text = (
            f"All judged images are labelled {classes[commonest]!r}, so nothing shows whether the "
            "model tells the classes apart."
        )
    elif passed:
        text = (
            f"Gate passed: the model is right on {told}, above the {chance:.1%} of always saying "
            f"{classes[commonest]!r}."
        )
    else:
        given = np.flatnonzero(confusion.sum(0))
        why = (
            f"It names {classes[given[0]]!r} for every image."
            if len(given) == 1
            else "Where it is right on some groups and wrong on others, it may decide by what "
            "tells the groups apart; else check the checkpoint, the preprocessing and the labels."
        )
        text = (
            f"Gate not passed: the model is right on {told}, not shown to be above the "
            f"{chance:.1%} of always saying {classes[commonest]!r}. {why}"
        )
    return Finding(
        "gate_chance",
        "info" if passed else "warning",
        text,
        value=right / n,
        n=n,
        threshold=chance,
    )


def _order(
    confusion: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    classes: Sequence[str],
    thresholds: Thresholds,
) -> Finding:
    """Whether other names for the outputs would fit much better: the commonest user error.

    Few images of a model that guesses would, too; so the gain has to be beyond chance by
    McNemar's test, at a level that allows for the best of all orders being looked at.
    """
    n = int(confusion.sum())
    # Each output (column) gets the name (row) with which most predictions would be right.
    names, outputs = linear_sum_assignment(confusion, maximize=True)
    moved_there = names != outputs
    better = int(confusion[names, outputs][moved_there].sum())
    worse = int(np.diag(confusion)[outputs[moved_there]].sum())
    gain = (better - worse) / n
    p = mcnemar(worse, better)
    passed = gain <= thresholds.reordering or p is None or p > thresholds.certain
    order = [classes[name] for _, name in sorted(zip(outputs, names, strict=True))]
    if passed:
        text = "Gate passed: no other order of model.classes would fit the labels much better."
    else:
        moved = [
            f"{was!r} would be {name!r}"
            for was, name in zip(classes, order, strict=True)
            if was != name
        ]
        more = f" and {len(moved) - _MOST_NAMES} more" if len(moved) > _MOST_NAMES else ""
        text = (
            "Gate not passed: with its outputs in another order, the model would be right on "
            f"{np.trace(confusion) / n + gain:.1%} of {n} images instead of "
            f"{np.trace(confusion) / n:.1%} ({', '.join(moved[:_MOST_NAMES])}{more}). "
            "model.classes is probably in the wrong order; correct it before reading anything "
            "else."
        )
    return Finding(
        "gate_classes",
        "info" if passed else "warning",
        text,
        value=gain,
        n=n,
        threshold=thresholds.reordering,
        table=None
        if passed
        else tuple({"output": was, "name": name} for was, name in zip(classes, order, strict=True)),
    )
