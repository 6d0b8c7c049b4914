"""Gates: checks that an audit has to pass before anything else in it is worth reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from auditor.findings.finding import Finding, Severity
from auditor.findings.intervals import written_interval
from auditor.findings.material import MapChecks
from auditor.language import Phrase, Text, Words, listed, phrase, sentences
from auditor.statistics import mcnemar, more_than_chance
from auditor.thresholds import Thresholds

_MOST_NAMES = 6
Outcome = Literal["passed", "undecided", "not passed"]

_SEVERITY: dict[Outcome, Severity] = {
    "passed": "info",
    "undecided": "notice",
    "not passed": "warning",
}
_OF_MAPS = ("gate_randomisation", "gate_maps", "gate_noise")
_VOID = phrase("The maps are no evidence; what changing the pixels showed stands.")

Interval = tuple[float, float] | None


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
        findings += [
            _randomisation(checks, chance.severity == "info", thresholds),
            _maps(checks, thresholds),
            _noise(checks, thresholds),
        ]
    return findings


def map_gates(
    cases: pd.DataFrame, classes: Sequence[str], thresholds: Thresholds, checks: MapChecks
) -> list[tuple[Finding, Outcome]]:
    """The gates of the maps alone, as `gates` has them, each with its outcome."""
    outcomes = {severity: outcome for outcome, severity in _SEVERITY.items()}
    return [
        (found, outcomes[found.severity])
        for found in gates(cases, classes, thresholds, checks)
        if found.kind in _OF_MAPS
    ]


def voided(checks: MapChecks | None, thresholds: Thresholds) -> list[str]:
    """The kinds of the gates of the maps that are not passed, each of which voids the maps.

    Empty where all are passed, undecided or could not run: nothing is then shown against the
    maps. What the interventions found does not hang on them.
    """
    if checks is None:
        return []
    outcomes: dict[str, Outcome] = {
        "gate_randomisation": _lost(checks, thresholds),
        "gate_maps": _below(checks.classes_interval, thresholds.classes_alike),
        "gate_noise": _above(checks.noise_interval, thresholds.steadiness),
    }
    return [kind for kind, outcome in outcomes.items() if outcome == "not passed"]


def _below(interval: Interval, threshold: float) -> Outcome:
    """Whether the figure lies below the threshold, with its whole interval."""
    if interval is None:
        return "undecided"
    low, high = interval
    return "passed" if high < threshold else "not passed" if low > threshold else "undecided"


def _above(interval: Interval, threshold: float) -> Outcome:
    if interval is None:
        return "undecided"
    low, high = interval
    return _below((-high, -low), -threshold)


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


def _judged_stages(checks: MapChecks) -> list[tuple[float, Interval]]:
    """What may not remain: at every stage signed; up to sign once all weights are gone.

    Up to sign only there, since another head may see what the trained layers below it found:
    where they found one thing, it is the same map but for its sign.
    """
    signed = zip(checks.randomised, checks.randomised_intervals, strict=True)
    return [*signed, *zip(checks.unsigned[-1:], checks.unsigned_intervals[-1:], strict=True)]


def _lost(checks: MapChecks, thresholds: Thresholds) -> Outcome:
    outcomes = [_below(interval, thresholds.remaining) for _, interval in _judged_stages(checks)]
    if "not passed" in outcomes:
        return "not passed"
    return "undecided" if not outcomes or "undecided" in outcomes else "passed"


def _randomisation(checks: MapChecks, trained: bool, thresholds: Thresholds) -> Finding:
    """Whether the maps are lost when what the network has learned is taken away.

    Adebayo et al. 2018, arXiv 1810.03292. An untrained network loses nothing that it has
    learned, and its maps would pass: so one that is not shown to be above chance cannot.
    """
    outcome = _lost(checks, thresholds)
    given = [
        (value, interval)
        for value, interval in _judged_stages(checks)
        if interval is not None and not math.isnan(value)
    ]
    if not given:
        return _not_run(
            "gate_randomisation",
            phrase(
                "This gate could not run: whether random weights destroy the maps is not known, "
                "because {why}.",
                why=_why(checks, "randomised"),
            ),
            checks,
            thresholds.remaining,
        )
    value, interval = max(given, key=lambda one: one[0])
    likeness = phrase(
        "a rank correlation with the maps of the trained network of {value:.2f} ({interval})",
        value=_rounded(value),
        interval=_told_interval(interval),
    )
    scale = phrase(
        "0 is chance, 1 the same map; over {stages} stages from the output down, {n} images",
        stages=len(checks.stages),
        n=checks.n,
    )
    text: Text
    if outcome == "not passed":
        text = sentences(
            phrase(
                "Gate not passed: with random weights in the network, {likeness} remains at most "
                "({scale}).",
                likeness=likeness,
                scale=scale,
            ),
            phrase("The maps show the picture or the architecture, not what was learned."),
            _VOID,
        )
    elif outcome == "undecided":
        text = sentences(
            phrase(
                "Not decided whether random weights destroy the maps: {likeness} remains at most "
                "({scale}), and not every figure is shown to be below {threshold}.",
                likeness=likeness,
                scale=scale,
                threshold=thresholds.remaining,
            ),
            phrase("More images would tell."),
        )
    elif not trained:
        outcome = "undecided"
        text = phrase(
            "Random weights destroy the maps, but that says nothing here: the model is not shown "
            "to be above chance, and the maps of an untrained network would be lost as well."
        )
    else:
        text = phrase(
            "Gate passed: random weights destroy the maps; {likeness} remains at most ({scale}).",
            likeness=likeness,
            scale=scale,
        )
    low, high = interval if interval else (None, None)
    return Finding(
        "gate_randomisation",
        _SEVERITY[outcome],
        text,
        value=value,
        low=low,
        high=high,
        n=checks.n,
        threshold=thresholds.remaining,
        table=tuple(_stages(checks)),
    )


def _stages(checks: MapChecks) -> list[dict[str, Any]]:
    """Rows of the cascade; null where a figure is undefined."""
    return [
        {
            "stage": number,
            "random_from": name,
            "signed": None if math.isnan(signed) else signed,
            "up_to_sign": None if math.isnan(unsigned) else unsigned,
        }
        for number, (name, signed, unsigned) in enumerate(
            zip(checks.stages, checks.randomised, checks.unsigned, strict=True), start=1
        )
    ]


def _maps(checks: MapChecks, thresholds: Thresholds) -> Finding:
    """Whether the maps of two classes of one image differ at all."""
    value, interval = checks.classes, checks.classes_interval
    threshold = thresholds.classes_alike
    if value is None or interval is None:
        text: Text = phrase(
            "This gate could not run: whether maps of different classes differ is not known, "
            "because {why}.",
            why=_why(checks, "classes"),
        )
        return _not_run("gate_maps", text, checks, threshold)
    outcome = _below(interval, threshold)
    likeness, within = _rounded(value), _told_interval(interval)
    if outcome == "passed":
        text = phrase(
            "Gate passed: maps of different classes differ; those of the predicted and the "
            "contrast class have a rank correlation of {value:.2f} ({interval}).",
            value=likeness,
            interval=within,
        )
    elif outcome == "undecided":
        text = phrase(
            "Not decided whether maps of different classes differ: those of the predicted and the "
            "contrast class have a rank correlation of {value:.2f} ({interval}), around "
            "{threshold}.",
            value=likeness,
            interval=within,
            threshold=threshold,
        )
    else:
        text = sentences(
            phrase(
                "Gate not passed: maps of different classes are the same; those of the predicted "
                "and the contrast class have a rank correlation of {value:.2f} ({interval}).",
                value=likeness,
                interval=within,
            ),
            phrase("They say where something is, not what speaks for a class."),
            _VOID,
        )
    return Finding(
        "gate_maps", _SEVERITY[outcome], text, value, *interval, n=checks.n, threshold=threshold
    )


def _noise(checks: MapChecks, thresholds: Thresholds) -> Finding:
    """Whether the margin maps stand a noise that nobody would see."""
    value, interval = checks.noise, checks.noise_interval
    threshold = thresholds.steadiness
    if value is None or interval is None:
        text: Text = phrase(
            "This gate could not run: whether a little noise moves the maps is not known, because "
            "{why}.",
            why=_why(checks, "noise"),
        )
        return _not_run("gate_noise", text, checks, threshold)
    outcome = _above(interval, threshold)
    likeness, within = _rounded(value), _told_interval(interval)
    if outcome == "passed":
        text = phrase(
            "Gate passed: a little noise does not move the maps; with noise of {noise:g} grey "
            "levels on the image, the margin maps keep a rank correlation of {value:.2f} "
            "({interval}) with what they were.",
            noise=thresholds.noise,
            value=likeness,
            interval=within,
        )
    elif outcome == "undecided":
        text = phrase(
            "Not decided whether a little noise moves the maps: with noise of {noise:g} grey "
            "levels on the image, the margin maps keep a rank correlation of {value:.2f} "
            "({interval}) with what they were, around {threshold}.",
            noise=thresholds.noise,
            value=likeness,
            interval=within,
            threshold=threshold,
        )
    else:
        text = sentences(
            phrase(
                "Gate not passed: a little noise moves the maps; with noise of {noise:g} grey "
                "levels on the image, the margin maps keep a rank correlation of {value:.2f} "
                "({interval}) with what they were.",
                noise=thresholds.noise,
                value=likeness,
                interval=within,
            ),
            phrase("Where they lie is chance."),
            _VOID,
        )
    return Finding(
        "gate_noise", _SEVERITY[outcome], text, value, *interval, n=checks.n, threshold=threshold
    )


def _not_run(kind: str, text: Text, checks: MapChecks, threshold: float) -> Finding:
    return Finding(kind, "notice", text, n=checks.n, threshold=threshold)


def _why(checks: MapChecks, figure: str) -> Words:
    """Why a figure is null: the end of a sentence that says that it is."""
    return checks.reasons.get(figure, phrase("too few images have a map that varies"))


def _rounded(value: float) -> float:
    """To two decimals, never −0."""
    return round(value, 2) + 0.0


def _told_interval(interval: Interval) -> Phrase:
    return written_interval(interval, write=lambda end: f"{_rounded(end):.2f}")
