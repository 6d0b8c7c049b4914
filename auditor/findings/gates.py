"""Gates: checks that an audit has to pass before anything else in it is worth reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from auditor.findings.finding import Finding
from auditor.findings.map_gates import OF_MAPS, SEVERITY, Outcome, gates_of_maps
from auditor.findings.material import MapChecks
from auditor.language import Text, listed, phrase, sentences
from auditor.statistics import mcnemar, more_than_chance
from auditor.thresholds import Thresholds

_MOST_NAMES = 6


def gates(
    cases: pd.DataFrame,
    classes: Sequence[str],
    thresholds: Thresholds,
    checks: MapChecks | None = None,
) -> list[Finding]:
    """Whether the predictions mean anything, and whether the maps do.

    Of the predictions: `gate_chance` and `gate_classes`. Of the maps, from `checks`:
    `gate_randomisation`, `gate_maps` and `gate_noise`; where there are no checks, none of these.
    `cases` needs `label` and `predicted` (null without a prediction); `classes` are the
    model's, in the order of its outputs. A warning where a gate is not passed, a notice where
    nothing can be said (it could not run, or the interval holds the threshold), else
    information. None are made where no case has a prediction.
    """
    judged = cases[cases["predicted"].notna()]
    if judged.empty:
        return []
    places = {name: place for place, name in enumerate(classes)}
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    pairs = [judged[column].astype(object).map(places) for column in ("label", "predicted")]
    np.add.at(confusion, tuple(pair.to_numpy(dtype=np.int64) for pair in pairs), 1)
    chance = _chance(confusion, classes, thresholds)
    findings = [chance, _order(confusion, classes, thresholds)]
    if checks is not None:
        findings += gates_of_maps(checks, chance.severity == "info", thresholds)
    return findings


def map_gates(
    cases: pd.DataFrame, classes: Sequence[str], thresholds: Thresholds, checks: MapChecks
) -> list[tuple[Finding, Outcome]]:
    """The gates of the maps alone, as `gates` has them, each with its outcome."""
    outcomes = {severity: outcome for outcome, severity in SEVERITY.items()}
    return [
        (found, outcomes[found.severity])
        for found in gates(cases, classes, thresholds, checks)
        if found.kind in OF_MAPS
    ]


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
    label = classes[commonest]
    text: Text
    if chance == 1:
        text = phrase(
            "All judged images are labelled {label!r}, so nothing shows whether the model tells "
            "the classes apart.",
            label=label,
        )
    elif passed:
        text = phrase(
            "Gate passed: the model is right on {share:.1%} of {n} images, above the {chance:.1%} "
            "of always saying {label!r}.",
            share=right / n,
            n=n,
            chance=chance,
            label=label,
        )
    else:
        given = np.flatnonzero(confusion.sum(0))
        text = sentences(
            phrase(
                "Gate not passed: the model is right on {share:.1%} of {n} images, not shown to be "
                "above the {chance:.1%} of always saying {label!r}.",
                share=right / n,
                n=n,
                chance=chance,
                label=label,
            ),
            phrase("It names {label!r} for every image.", label=classes[given[0]])
            if len(given) == 1
            else phrase(
                "Where it is right on some groups and wrong on others, it may decide by what tells "
                "the groups apart; else check the checkpoint, the preprocessing and the labels."
            ),
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
    text: Text
    if passed:
        text = phrase(
            "Gate passed: no other order of model.classes would fit the labels much better."
        )
    else:
        right = float(np.trace(confusion)) / n
        text = sentences(
            phrase(
                "Gate not passed: with its outputs in another order, the model would be right on "
                "{other:.1%} of {n} images instead of {share:.1%} ({moved}).",
                other=right + gain,
                n=n,
                share=right,
                moved=_moved(classes, order),
            ),
            phrase(
                "model.classes is probably in the wrong order; correct it before reading anything "
                "else."
            ),
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


def _moved(classes: Sequence[str], order: Sequence[str]) -> Text:
    """Which outputs would have another name; beyond `_MOST_NAMES` they are counted."""
    moved = [
        phrase("{was!r} would be {name!r}", was=was, name=name)
        for was, name in zip(classes, order, strict=True)
        if was != name
    ]
    some = listed(moved[:_MOST_NAMES])
    if len(moved) <= _MOST_NAMES:
        return some
    return phrase("{names} and {n} more", names=some, n=len(moved) - _MOST_NAMES)
