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
from auditor.findings.untestable import untestable_causes
from auditor.groups import clusters_of
from auditor.language import Phrase, Series, Text, listed, phrase, sentences
from auditor.rates import Rates, mean_over_clusters
from auditor.reasons import UNMEASURED
from auditor.statistics import mean_interval, more_than_chance
from auditor.thresholds import THRESHOLDS, Thresholds
from auditor.types import SUBJECT

_FOUND_BY_VALIDATE = ("unreadable", "mask_mismatch", "no_regions")
_VALIDATED = phrase("Each is named, with its file, by auditor validate.")
_FINER = phrase("Give a larger input, or a finer model.layer.")


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
    if follows is None:
        seen = phrase("the map gave no answer to it")
    else:
        seen = phrase(
            "correlation {follows:.2f}, below {threshold}",
            follows=follows,
            threshold=layer["threshold"],
        )
    return [
        Finding(
            "layer",
            "warning",
            phrase(
                "The maps at {layer!r} do not follow a stimulus that is moved across the image "
                "({seen}), so they may not show where the evidence lies. Name another layer.",
                layer=layer["name"],
                seen=seen,
            ),
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
        return [Finding("accuracy", "warning", phrase("No case has a prediction."), n=0)]
    low, high = interval
    found = Finding(
        "accuracy",
        "info",
        phrase(
            "The model classifies {right} of {n} images as they are labelled: {share:.1%} "
            "({interval}).",
            right=right,
            n=n,
            share=right / n,
            interval=written_interval(interval, clustered),
        ),
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
            phrase(
                "The configuration expects an accuracy of {expected:.1%}, outside the interval of "
                "what was seen ({low:.1%} to {high:.1%}). Check the order of model.classes, the "
                "preprocessing and the checkpoint before reading anything else.",
                expected=expected,
                low=low,
                high=high,
            ),
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
        untestable = errors[~errors.index.isin(tested.index)]
        why = untestable_causes(untestable, cues, thresholds)
        sure = None  # without testable errors
        if p is not None and clustered:
            sure = phrase(
                "{alpha:.0%} of them; the {interval}",
                alpha=thresholds.alpha,
                interval=written_interval(rate, True),
            )
        elif p is not None:
            sure = phrase("{p} that chance gives so many", p=p_equation(p))
        findings.append(
            Finding(
                "attention",
                "notice" if unusual else "info",
                _attended(queued, n, len(untestable), why, sure, thresholds),
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
                    phrase(
                        "Cue {cue!r}: the margin maps of {on_cue} of {tested} errors that could "
                        "be tested on it lie there.",
                        cue=cue,
                        on_cue=on_cue,
                        tested=with_p,
                    ),
                    value=on_cue / with_p,
                    low=rate[0] if rate else None,
                    high=rate[1] if rate else None,
                    n=with_p,
                    query=f"map_evidence == 'attention' and map_cue == {cue!r}",
                    cue=cue,
                )
            )
    return findings


def _attended(
    queued: int,
    tested: int,
    untestable: int,
    why: Series,
    sure: Phrase | None,
    thresholds: Thresholds,
) -> Text:
    """How many errors lie on a cue, and how `sure` that is; null where none could be tested."""
    if sure is None:
        return phrase(
            "None of {n} errors could be tested for attention: {why}.", n=untestable, why=why
        )
    found = phrase(
        "On {queued} of {n} testable errors the margin's evidence lies on a cue more than regions "
        "of other images of the class would explain; about {expected:.1f} would by chance alone "
        "({sure}).",
        queued=queued,
        n=tested,
        expected=thresholds.alpha * tested,
        sure=sure,
    )
    if not untestable:
        return found
    others = phrase("{n} further errors could not be tested: {why}.", n=untestable, why=why)
    return sentences(found, others)


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
        shown = listed(
            _share(values, area[values.index], values is errors)
            for values in (errors, right)
            if len(values)
        )
        cue = None if region == SUBJECT else region
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
                _shared(cue, shown),
                value=float(errors.mean()) if len(errors) else None,
                low=interval[0] if interval else None,
                high=interval[1] if interval else None,
                n=len(errors),
                threshold=float(area[errors.index].mean()) if len(errors) else None,
                query=f"correct == False and `mass.{region}`.notna()",
                cue=cue,
            )
        )
    return findings


def _shared(cue: str | None, shares: Series) -> Phrase:
    """The mean shares of a cue; of the subject for null."""
    if cue is None:
        return phrase("Subject: mean share of the predicted class's map {shares}.", shares=shares)
    return phrase(
        "Cue {cue!r}: mean share of the predicted class's map {shares}.", cue=cue, shares=shares
    )


def _share(masses: pd.Series, areas: pd.Series, errors: bool) -> Phrase:
    """The mean mass of errors, or of correct cases, beside the mean area."""
    share, area, n = masses.mean(), areas.mean(), len(masses)
    if errors:
        return phrase(
            "{share:.1%} on errors (chance, its area, {area:.1%}; n = {n})",
            share=share,
            area=area,
            n=n,
        )
    return phrase(
        "{share:.1%} on correct cases (chance, its area, {area:.1%}; n = {n})",
        share=share,
        area=area,
        n=n,
    )


def _unjudged(cases: pd.DataFrame, cues: Sequence[str]) -> list[Finding]:
    findings = []
    if not (cases["status"] == "ok").any():
        findings.append(
            Finding(
                "no_regions",
                "warning",
                phrase(
                    "In no case could a map be compared with regions. Name the annotated subject "
                    "and cues in [regions], or look at the statuses below for what spoiled them."
                ),
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
                sentences(
                    phrase(
                        "{count} of {n} cases have the status {status!r}; their undefined "
                        "measures are null and in no average.",
                        count=count,
                        n=len(cases),
                        status=str(status),
                    ),
                    _VALIDATED if status in _FOUND_BY_VALIDATE else None,
                ),
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
        others = [
            phrase("{n} {status}", n=count, status=UNMEASURED[str(status)])
            for status, count in sorted(counts.items())
            if status != "ok"
        ]
        severity: Severity = "info"
        if usable < shown / 2:
            severity = "notice"
        if not usable:
            severity = "warning"
        cue = None if region == SUBJECT else region
        finer = counts.get("below_resolution", 0) > usable
        findings.append(
            Finding(
                "subject_coverage" if cue is None else "cue_coverage",
                severity,
                sentences(_covered(cue, usable, len(cases), others), _FINER if finer else None),
                value=usable / len(cases),
                n=len(cases),
                query=f"`status.{region}` == 'ok'",
                cue=cue,
            )
        )
    return findings


def _covered(cue: str | None, usable: int, n: int, others: Sequence[Phrase]) -> Phrase:
    """In how many of `n` cases the cue (null: the subject) is usable, and why not in others."""
    statuses = listed(others) if others else phrase("no regions")
    if cue is None:
        return phrase(
            "The subject could be measured in {usable} of {n} cases ({statuses}).",
            usable=usable,
            n=n,
            statuses=statuses,
        )
    return phrase(
        "Cue {cue!r} could be measured in {usable} of {n} cases ({statuses}).",
        cue=cue,
        usable=usable,
        n=n,
        statuses=statuses,
    )
