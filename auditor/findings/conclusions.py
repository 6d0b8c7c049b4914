"""Statements about a whole run, computed from its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from auditor.findings.association import (
    associations,
    presence_associations,
    training_associations,
)
from auditor.findings.disparities import disparities
from auditor.findings.finding import Finding, Severity, by_severity, p_equation
from auditor.findings.gates import gates
from auditor.findings.intervals import written_interval
from auditor.findings.lowest import intersections, worst_groups
from auditor.findings.masses import mass_differences
from auditor.findings.material import Material
from auditor.findings.probes import probes
from auditor.findings.ties import ties
from auditor.groups import clusters_of
from auditor.rates import Rates, mean_over_clusters
from auditor.statistics import mean_interval, more_than_chance
from auditor.thresholds import THRESHOLDS, Thresholds
from auditor.types import SUBJECT

_FINER = " It is smaller than a cell of the map: give a larger input, or a finer model.layer."


def conclude(material: Material, thresholds: Thresholds = THRESHOLDS) -> list[Finding]:
    """The findings of a run, warnings first, in a fixed order."""
    cases, attributes, cues = material.cases, material.attributes, material.cues
    seed = material.seed
    findings = [
        *gates(cases, material.classes, thresholds, material.checks),
        *_layer(material.layer),
        *_accuracy(cases, material.expected_accuracy, seed),
        *worst_groups(cases, attributes, seed, thresholds),
        *disparities(cases, attributes, seed, thresholds),
        *intersections(cases, attributes, seed, thresholds),
        *associations(cases, attributes, seed, thresholds),
        *presence_associations(cases, cues, seed, thresholds),
        *training_associations(material.training, seed, thresholds),
        *probes(cases, material.probed, seed, thresholds),
        *ties(cases, material.probed, material.ties, seed, thresholds),
        *_attention(cases, cues, seed, thresholds),
        *_shares(cases, ("subject", *cues), seed),
        *mass_differences(cases, cues, attributes, seed, thresholds),
        *_unjudged(cases, cues),
    ]
    return by_severity(findings)


def _layer(layer: Mapping[str, Any]) -> list[Finding]:
    if layer["verified"]:
        return []
    follows = layer["follows"]
    told = (
        "the map gave no answer to it" if follows is None else f"correlation {follows:.2f}, below "
    )
    told += "" if follows is None else f"{layer['threshold']}"
    return [
        Finding(
            "layer",
            "warning",
            f"The maps at {layer['name']!r} do not follow a stimulus that is moved across the "
            f"image ({told}), so they may not show where the evidence lies. Name another layer.",
            value=follows,
            threshold=layer["threshold"],
        )
    ]


def _rate(
    right: pd.Series, cases: pd.DataFrame, seed: int
) -> tuple[tuple[float, float] | None, bool]:
    """95 % interval of the share of `right` (booleans, indexed as `cases`), and if over clusters.

    None where there is no case.
    """
    numbers = clusters_of(cases)
    held = Rates.of(
        np.zeros(len(right), dtype=np.intp),
        right.to_numpy(dtype=bool),
        1,
        None if numbers is None else numbers[cases.index.get_indexer(right.index)],
        seed,
    )
    return held.interval([0]), held.clustered


def _accuracy(cases: pd.DataFrame, expected: float | None, seed: int) -> list[Finding]:
    judged = cases["correct"].dropna().astype(bool)
    n, right = len(judged), int(judged.sum())
    interval, clustered = _rate(judged, cases, seed)
    if interval is None:
        return [Finding("accuracy", "warning", "No case has a prediction.", n=0)]
    low, high = interval
    found = Finding(
        "accuracy",
        "info",
        f"The model classifies {right} of {n} images as they are labelled: {right / n:.1%} "
        f"({written_interval(interval, clustered)}).",
        value=right / n,
        low=low,
        high=high,
        n=n,
    )
    if expected is None or low <= expected <= high:
        return [found]
    return [
        found,
        Finding(
            "expected_accuracy",
            "warning",
            f"The configuration expects an accuracy of {expected:.1%}, outside the interval of "
            f"what was seen ({low:.1%} to {high:.1%}). Check the order of model.classes, the "
            "preprocessing and the checkpoint before reading anything else.",
            value=right / n,
            low=low,
            high=high,
            n=n,
            threshold=expected,
        ),
    ]


def _attention(
    cases: pd.DataFrame, cues: Sequence[str], seed: int, thresholds: Thresholds
) -> list[Finding]:
    errors = cases[cases["correct"].notna() & (cases["correct"] == False)]  # noqa: E712 - nulls
    tested = errors[errors["map_evidence"].isin(["attention", "unsupported"])]
    queued = int((tested["map_evidence"] == "attention").sum())
    n = len(tested)
    findings = []
    p = more_than_chance(queued, n, thresholds.alpha)
    rate, clustered = _rate(tested["map_evidence"] == "attention", cases, seed)
    unusual = p is not None and p <= thresholds.alpha
    if clustered:  # the binomial test takes cases for independent
        unusual = rate is not None and rate[0] > thresholds.alpha
    if cues and len(errors):
        untestable = len(errors) - n
        untold = (
            "no cue is measurable there, or too few other images of the class show it "
            f"(under {thresholds.fewest_references}), or they show it at the same place, so that "
            "no map could tell"
        )
        if p is not None:  # there are testable errors
            sure = f"{p_equation(p)} that chance gives so many"
            if clustered:
                sure = f"{thresholds.alpha:.0%} of them; the {written_interval(rate, True)}"
            text = (
                f"On {queued} of {n} testable errors the margin's evidence lies on a cue more than "
                f"regions of other images of the class would explain; about "
                f"{thresholds.alpha * n:.1f} would by chance alone ({sure})."
            )
            if untestable:
                text += f" {untestable} further errors could not be tested: {untold}."
        else:
            text = f"None of {untestable} errors could be tested for attention: {untold}."
        findings.append(
            Finding(
                "attention",
                "notice" if unusual else "info",
                text,
                value=queued / n if n else None,
                low=rate[0] if rate else None,
                high=rate[1] if rate else None,
                n=n,
                threshold=thresholds.alpha,
                query="map_evidence == 'attention'",
            )
        )
    for cue in cues:
        speaking = tested[tested[f"best_p.{cue}"] <= thresholds.alpha]
        on_cue, with_p = int((tested["map_cue"] == cue).sum()), len(speaking)
        if on_cue:
            rate, _ = _rate(speaking["map_cue"] == cue, cases, seed)
            findings.append(
                Finding(
                    "attention_cue",
                    "notice" if unusual else "info",
                    f"Cue {cue!r}: the margin maps of {on_cue} of {with_p} errors that could be "
                    "tested on it lie there.",
                    value=on_cue / with_p,
                    low=rate[0] if rate else None,
                    high=rate[1] if rate else None,
                    n=with_p,
                    query=f"map_evidence == 'attention' and map_cue == {cue!r}",
                )
            )
    return findings


def _shares(cases: pd.DataFrame, regions: Sequence[str], seed: int) -> list[Finding]:
    """Where the predicted class's evidence lies on average, errors beside correct cases."""
    findings = []
    numbers = clusters_of(cases)
    for region in regions:
        measured = cases[cases[f"mass.{region}"].notna()]
        errors = measured.loc[measured["correct"] == False, f"mass.{region}"]  # noqa: E712
        right = measured.loc[measured["correct"] == True, f"mass.{region}"]  # noqa: E712
        if errors.empty and right.empty:
            continue
        area = measured[f"area.{region}"]
        parts = [
            f"{values.mean():.1%} on {what} (chance, its area, {area[values.index].mean():.1%}; "
            f"n = {len(values)})"
            for values, what in ((errors, "errors"), (right, "correct cases"))
            if len(values)
        ]
        shares = errors.to_numpy(dtype=float)
        if numbers is None:
            interval = mean_interval(shares)
        else:
            where = numbers[cases.index.get_indexer(errors.index)]
            interval = mean_over_clusters(shares, where, seed)
        findings.append(
            Finding(
                "mass",
                "info",
                f"{'Subject' if region == 'subject' else f'Cue {region!r}'}: mean share of the "
                f"predicted class's map {', '.join(parts)}.",
                value=float(errors.mean()) if len(errors) else None,
                low=interval[0] if interval else None,
                high=interval[1] if interval else None,
                n=len(errors),
                threshold=float(area[errors.index].mean()) if len(errors) else None,
                query=f"correct == False and `mass.{region}`.notna()",
            )
        )
    return findings


def _unjudged(cases: pd.DataFrame, cues: Sequence[str]) -> list[Finding]:
    findings = []
    if not (cases["status"] == "ok").any():
        findings.append(
            Finding(
                "no_regions",
                "warning",
                "In no case could a map be compared with regions. Name the annotated subject and "
                "cues in [regions], or look at the statuses below for what spoiled them.",
                value=0.0,
                n=len(cases),
            )
        )
    spoiled = cases.loc[cases["status"] != "ok", "status"].value_counts()
    for status, count in sorted(spoiled[spoiled > 0].items()):
        findings.append(
            Finding(
                "not_judged",
                "warning" if status in ("unreadable", "nonfinite_logits") else "notice",
                f"{count} of {len(cases)} cases have the status {status!r}; their undefined "
                "measures are null and in no average.",
                value=int(count) / len(cases),
                n=len(cases),
                query=f"status == {status!r}",
            )
        )
    for region in (SUBJECT, *cues):
        counts = cases[f"status.{region}"].value_counts()
        counts = counts[counts > 0]
        usable = int(counts.get("ok", 0))
        shown = int(counts.sum() - counts.get("absent", 0))
        if usable == len(cases):
            continue
        told = ", ".join(
            f"{count} {status}" for status, count in sorted(counts.items()) if status != "ok"
        )
        severity: Severity = "info"
        if usable < shown / 2:
            severity = "notice"
        if not usable:
            severity = "warning"
        findings.append(
            Finding(
                "cue_coverage" if region != SUBJECT else "subject_coverage",
                severity,
                f"{'The subject' if region == SUBJECT else f'Cue {region!r}'} could be measured in "
                f"{usable} of {len(cases)} cases ({told or 'no regions'})."
                + (_FINER if counts.get("below_resolution", 0) > usable else ""),
                value=usable / len(cases),
                n=len(cases),
                query=f"`status.{region}` == 'ok'",
            )
        )
    return findings
