"""Statements about a whole run, computed from its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from auditor.findings.association import associations, training_associations
from auditor.findings.finding import Finding, Severity, p_equation
from auditor.findings.gates import gates
from auditor.findings.material import Material
from auditor.groups import COUNTS_ONLY, group_table
from auditor.statistics import lower_rate, mean_interval, more_than_chance, wilson
from auditor.thresholds import THRESHOLDS, Thresholds
from auditor.types import SUBJECT

_FINER = " It is smaller than a cell of the map: give a larger input, or a finer model.layer."


def conclude(material: Material, thresholds: Thresholds = THRESHOLDS) -> list[Finding]:
    """The findings of a run, warnings first, in a fixed order."""
    cases, attributes, cues = material.cases, material.attributes, material.cues
    findings = [
        *gates(cases, material.classes, thresholds),
        *_layer(material.layer),
        *_accuracy(cases, material.expected_accuracy),
        *_worst_group(cases, attributes, thresholds),
        *associations(cases, attributes, material.seed, thresholds),
        *training_associations(material.training, material.seed, thresholds),
        *_attention(cases, cues, thresholds),
        *_shares(cases, ("subject", *cues)),
        *_unjudged(cases, cues),
        Finding(
            "grade",
            "info",
            "Evidence grade C: maps only. No intervention was run, so no error is confirmed as "
            "caused by a cue; `attention` cases are a queue for a person and are not counted "
            "as bias. Only annotated, localised cues were looked at, a map is not a cause, and "
            "a cue that was not seen may still be used.",
        ),
    ]
    order = {"warning": 0, "notice": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding.severity])


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


def _accuracy(cases: pd.DataFrame, expected: float | None) -> list[Finding]:
    judged = cases["correct"].dropna().astype(bool)
    n, right = len(judged), int(judged.sum())
    interval = wilson(right, n)
    if interval is None:
        return [Finding("accuracy", "warning", "No case has a prediction.", n=0)]
    low, high = interval
    found = Finding(
        "accuracy",
        "info",
        f"The model classifies {right} of {n} images as they are labelled: {right / n:.1%} "
        f"(95 % interval {low:.1%} to {high:.1%}).",
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


def _worst_group(
    cases: pd.DataFrame, attributes: Sequence[str], thresholds: Thresholds
) -> list[Finding]:
    findings = []
    for by in (["label"], *(["label", f"attribute.{name}"] for name in attributes)):
        table = group_table(cases, by)
        known = table.dropna(subset=["accuracy"])
        if len(known) < 2:
            continue
        worst = known.loc[known["accuracy"].idxmin()]
        told = ", ".join(f"{name.removeprefix('attribute.')} {worst[name]!r}" for name in by)
        few = len(table) - len(known)
        others = known.drop(index=worst.name)
        rate = others["correct"].sum() / others["judged"].sum()
        p = lower_rate(
            (int(worst["correct"]), int(worst["judged"])),
            (int(others["correct"].sum()), int(others["judged"].sum())),
        )
        # Any group may turn out the lowest: corrected for all of them (Bonferroni).
        p = min(1.0, p * len(known))
        notable = p <= thresholds.alpha
        findings.append(
            Finding(
                "worst_group",
                "notice" if notable else "info",
                f"Lowest accuracy by {' × '.join(name.removeprefix('attribute.') for name in by)}"
                f": {told}, {worst['correct']} of {worst['judged']} ({worst['accuracy']:.1%}, "
                f"95 % interval {worst['low']:.1%} to {worst['high']:.1%})"
                + (", imprecise" if worst["precision"] == "imprecise" else "")
                + (
                    f"; the other groups together {rate:.1%} ({p_equation(p)}, corrected for "
                    f"{len(known)} groups)"
                )
                + (f"; groups under {COUNTS_ONLY} cases, without a rate: {few}." if few else "."),
                value=float(worst["accuracy"]),
                low=float(worst["low"]),
                high=float(worst["high"]),
                n=int(worst["judged"]),
                query=" and ".join(f"`{name}` == {str(worst[name])!r}" for name in by),
            )
        )
    return findings


def _attention(cases: pd.DataFrame, cues: Sequence[str], thresholds: Thresholds) -> list[Finding]:
    errors = cases[cases["correct"].notna() & (cases["correct"] == False)]  # noqa: E712 - nulls
    tested = errors[errors["evidence"].isin(["attention", "unsupported"])]
    queued = int((tested["evidence"] == "attention").sum())
    n = len(tested)
    findings = []
    p = more_than_chance(queued, n, thresholds.alpha)
    unusual = p is not None and p <= thresholds.alpha
    if cues and len(errors):
        untestable = len(errors) - n
        rate = wilson(queued, n)
        untold = (
            "no cue is measurable there, or too few other images of the class show it "
            f"(under {thresholds.fewest_references}), or they show it at the same place, so that "
            "no map could tell"
        )
        if p is not None:  # there are testable errors
            text = (
                f"On {queued} of {n} testable errors the margin's evidence lies on a cue more than "
                f"regions of other images of the class would explain; about "
                f"{thresholds.alpha * n:.1f} would by chance alone ({p_equation(p)} that chance "
                "gives so many)."
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
                query="evidence == 'attention'",
            )
        )
    for cue in cues:
        on_cue = int((tested["cue"] == cue).sum())
        with_p = int((tested[f"best_p.{cue}"] <= thresholds.alpha).sum())
        if on_cue:
            rate = wilson(on_cue, with_p)
            findings.append(
                Finding(
                    "attention_cue",
                    "notice" if unusual else "info",
                    f"Cue {cue!r}: {on_cue} of {with_p} errors tested on it are queued for a "
                    "person to look at.",
                    value=on_cue / with_p,
                    low=rate[0] if rate else None,
                    high=rate[1] if rate else None,
                    n=with_p,
                    query=f"evidence == 'attention' and cue == {cue!r}",
                )
            )
    return findings


def _shares(cases: pd.DataFrame, regions: Sequence[str]) -> list[Finding]:
    """Where the predicted class's evidence lies on average, errors beside correct cases."""
    findings = []
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
        interval = mean_interval(errors.to_numpy(dtype=float))
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
