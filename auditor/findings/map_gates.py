"""Gates of the maps: whether anything that they show is worth reading."""

from __future__ import annotations

import math
from typing import Any, Literal

from auditor.findings.finding import Finding, Severity
from auditor.findings.intervals import decimal, written_interval
from auditor.findings.material import MapChecks
from auditor.language import Phrase, Text, Words, phrase, sentences
from auditor.thresholds import Thresholds

Outcome = Literal["passed", "undecided", "not passed"]
Interval = tuple[float, float] | None

SEVERITY: dict[Outcome, Severity] = {
    "passed": "info",
    "undecided": "notice",
    "not passed": "warning",
}
OF_MAPS = ("gate_randomisation", "gate_maps", "gate_noise")
_VOID = phrase("The maps are no evidence; what changing the pixels showed stands.")


def gates_of_maps(checks: MapChecks, trained: bool, thresholds: Thresholds) -> list[Finding]:
    """`gate_randomisation`, `gate_maps` and `gate_noise`.

    `trained`: whether the model is shown to be right more often than chance; the maps of one
    that is not may look the same with random weights. A warning where a gate is not passed, a
    notice where nothing can be said (it could not run, or the interval holds the threshold),
    else information.
    """
    return [
        _randomisation(checks, trained, thresholds),
        _maps(checks, thresholds),
        _noise(checks, thresholds),
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
        SEVERITY[outcome],
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
        "gate_maps", SEVERITY[outcome], text, value, *interval, n=checks.n, threshold=threshold
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
        "gate_noise", SEVERITY[outcome], text, value, *interval, n=checks.n, threshold=threshold
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
    return written_interval(interval, write=lambda end: decimal(_rounded(end)))
