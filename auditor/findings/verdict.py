"""The sentence that a reader takes home: a level from 0 to 4, and the grade of its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from auditor.findings.effects import AverageEffect, average_effects
from auditor.findings.finding import Finding, Severity, by_severity, p_equation
from auditor.findings.harm import harms
from auditor.findings.material import Material
from auditor.statistics import wilson
from auditor.thresholds import Thresholds

Level = Literal[0, 1, 2, 3, 4]
Grade = Literal["A", "B", "C"]

GRADES: dict[Grade, str] = {
    "A": "A, donors",
    "B": "B, fills",
    "C": "C, maps only",
}

LIMITS = (
    "Only the cues that were named were looked at; a map is not a cause; a cue that was not seen "
    "may still be used."
)

_SEVERITY: dict[Level, Severity] = {
    0: "notice",
    1: "info",
    2: "notice",
    3: "warning",
    4: "warning",
}


@dataclass(frozen=True)
class Verdict:
    """The verdict of a run."""

    level: Level
    grade: Grade
    text: str
    value: float | None
    """The largest average effect in logits, signed; null where none could be estimated."""
    low: float | None
    high: float | None
    n: int | None
    threshold: float
    """The effect that matters, in logits."""
    cue: str | None = None

    def finding(self) -> Finding:
        """The verdict as the first of the findings."""
        return Finding(
            "verdict", _SEVERITY[self.level], self.text, value=float(self.level), n=self.n
        )

    def described(self) -> dict[str, Any]:
        """JSON-ready, for `run.json`."""
        return {
            "level": self.level,
            "grade": self.grade,
            "text": self.text,
            "cue": self.cue,
            "effect": self.value,
            "low": self.low,
            "high": self.high,
            "threshold": self.threshold,
        }


def effect_that_matters(cases: pd.DataFrame, thresholds: Thresholds) -> float:
    """δ in logits: a share of the median margin of all cases with a prediction; 0 for none."""
    margins = cases["margin"].dropna().to_numpy(dtype=float)
    return thresholds.effect * float(np.median(margins)) if len(margins) else 0.0


def effect_findings(
    effects: Sequence[AverageEffect], delta: float, thresholds: Thresholds
) -> list[Finding]:
    """One finding an effect: its size with a 95 % interval, and whether it exceeds δ."""
    findings = []
    for effect in sorted(effects, key=lambda e: -abs(e.estimate)):
        low, high = _plain(effect)
        shown = effect.least(thresholds.certain) > delta
        findings.append(
            Finding(
                "effect",
                "warning" if shown else "info",
                f"Cue {effect.cue!r}{_because(effect)} {_does(effect)} on average over all cases "
                f"(95 % interval {low:+.2f} to "
                f"{high:+.2f}, {effect.n} tested); "
                + (
                    f"more than {delta:.2f}, the size that matters, at level "
                    f"{thresholds.certain:g}."
                    if shown
                    else f"not shown to exceed {delta:.2f}, the size that matters; "
                    f"one of {effect.detectable(thresholds.certain, delta):.2f} would have been "
                    "detected."
                ),
                value=effect.estimate,
                low=low,
                high=high,
                n=effect.n,
                threshold=delta,
            )
        )
    return findings


def evidence_findings(cases: pd.DataFrame) -> list[Finding]:
    """What the interventions say of errors and of correct cases, counted."""
    findings = []
    wrong = (cases["correct"] == False).fillna(False).astype(bool)  # noqa: E712 - nulls
    tested = cases["passes"].notna()
    for flag, of, told in (
        ("spurious_error", tested & wrong, "errors"),
        ("wrong_reason", tested & ~wrong, "correct cases"),
    ):
        group = cases[of]
        spoken = group[group["evidence"].ne("untestable").fillna(True)]
        confirmed = int((group["evidence"] == "confirmed").sum())
        probable = int((group["evidence"] == "probable").sum())
        n = len(spoken)
        if not len(group):
            continue
        interval = wilson(confirmed + probable, n)
        shown = group["evidence"].isin(["confirmed", "probable"])
        by_cue = group.loc[shown & (group["flag"] == flag), "cue"].value_counts()
        cues = ", ".join(f"{cue} {count}" for cue, count in by_cue[by_cue > 0].items())
        means = (
            "with the cue exchanged or filled, the label comes first"
            if flag == "spurious_error"
            else "decided by the cue, and still so without the subject"
        )
        untestable = len(group) - n
        findings.append(
            Finding(
                flag,
                "notice" if confirmed + probable else "info",
                f"Of {n} {told} whose pixels were changed, {confirmed} "
                f"{'is' if confirmed == 1 else 'are'} confirmed ({means}) and {probable} probable "
                "(at least half the margin)"
                + (f": {cues}" if cues else "")
                + "."
                + (_why(group[group["evidence"] == "untestable"]) if untestable else ""),
                value=(confirmed + probable) / n if n else None,
                low=interval[0] if interval else None,
                high=interval[1] if interval else None,
                n=n,
                query=f"flag == {flag!r} and evidence in ['confirmed', 'probable']",
            )
        )
    return findings


def with_verdict(
    material: Material, findings: Sequence[Finding], thresholds: Thresholds
) -> tuple[list[Finding], Verdict]:
    """The findings with those on interventions, the verdict before all others.

    `findings` are those of `conclude`: failed gates and notable associations are read there.
    """
    effects = average_effects(material.shifts, material.cases, material.classes)
    grade = grade_of(effects)
    gates = [found for found in findings if found.kind in ("gate_chance", "gate_classes")]
    associated = [
        f"{_ASSOCIATED[found.kind]} (see the finding)"
        for found in findings
        if found.kind in _ASSOCIATED and found.severity == "notice"
    ]
    reached = verdict(
        material,
        effects,
        grade,
        bool(gates) and all(gate.severity == "info" for gate in gates),
        list(dict.fromkeys(associated)),
        thresholds,
    )
    more = [
        *evidence_findings(material.cases),
        *effect_findings(effects, reached.threshold, thresholds),
    ]
    return [reached.finding(), *by_severity([*findings, *more])], reached


_ASSOCIATED = {
    "association": "label and attribute go together in the audited images",
    "training_association": "label and attribute went together in training",
    "attention": "maps of errors lie on cues more than chance explains",
}


def verdict(
    material: Material,
    effects: Sequence[AverageEffect],
    grade: Grade,
    trusted: bool,
    associated: Sequence[str],
    thresholds: Thresholds,
) -> Verdict:
    """The level of a run.

    0 insufficient evidence; 1 none detected; 2 association only; 3 the model is sensitive to
    the cue; 4 cue-caused errors are confirmed and a group is harmed. `trusted` says whether the
    predictions passed their gates; `associated` names what the data or the maps associate.
    """
    delta = effect_that_matters(material.cases, thresholds)
    strongest = max(effects, key=lambda e: abs(e.estimate) - delta, default=None)
    beyond = [e for e in effects if e.least(thresholds.certain) > delta]
    if beyond:
        strongest = max(beyond, key=lambda e: e.least(thresholds.certain))
    harmed = [
        harm
        for harm in harms(material.cases, material.attributes, thresholds)
        for effect in beyond
        if set(harm.cue.split("+")) <= set(effect.cue.split("+"))
        or set(effect.cue.split("+")) <= set(harm.cue.split("+"))
    ]
    level: Level
    if not trusted:
        level = 0
        said = (
            "The predictions did not pass their gates, so nothing can be said of what they rest "
            "on; see the warnings below."
        )
    elif harmed:
        level, harm = 4, harmed[0]
        others = harm.others[0] / harm.others[1]
        said = (
            f"Errors caused by {_named(harm.cue)} are confirmed and a group is harmed: images of "
            f"{harm.label!r} annotated as {harm.attribute} {harm.value!r} are classified right in "
            f"{harm.correct} of {harm.judged} ({harm.correct / harm.judged:.1%}), others of that "
            f"label in {others:.1%} ({p_equation(harm.p)}); {harm.confirmed} of that group's "
            f"{harm.tested} tested errors come right when the cue is taken away."
        )
    elif beyond:
        level = 3
        assert strongest is not None
        said = (
            f"The model is sensitive to {_named(strongest.cue)}: on average it "
            f"{_does(strongest)}, more than the {delta:.2f} that matter (level "
            f"{thresholds.certain:g}). That a group is harmed by it is not shown."
        )
    elif associated:
        level = 2
        said = f"Association only: {'; '.join(associated)}. " + (
            "That the model uses it is not shown: " + _largest(strongest, delta, thresholds)
            if strongest is not None
            else "Whether the model uses it was not tested."
        )
    elif strongest is not None:
        level = 1
        said = f"No reliance on a cue was detected. {_largest(strongest, delta, thresholds)}"
    else:
        level = 0
        said = "There is too little evidence to say whether the model relies on a cue."
    low, high = _plain(strongest) if strongest else (None, None)
    return Verdict(
        level,
        grade,
        f"Level {level} of 4, evidence grade {GRADES[grade]}. {said} {LIMITS}",
        strongest.estimate if strongest else None,
        low,
        high,
        strongest.n if strongest else None,
        delta,
        strongest.cue if strongest else None,
    )


def grade_of(effects: Sequence[AverageEffect]) -> Grade:
    """The best evidence that the run has: donors, fills, or maps only."""
    if not effects:
        return "C"
    return "A" if any(effect.attribute for effect in effects) else "B"


def _why(untestable: pd.DataFrame) -> str:
    reasons = untestable["reason"].value_counts()
    told = "; ".join(f"{reason} ({count})" for reason, count in reasons.items() if count)
    return f" {len(untestable)} more could not be tested: {told}."


def _because(effect: AverageEffect) -> str:
    if effect.attribute is None:
        return " being there"
    return f", annotated as {effect.value} rather than another {effect.attribute}:"


def _does(effect: AverageEffect) -> str:
    if effect.class_name is None:
        return f"adds {effect.estimate:+.2f} to the margin of the prediction"
    against = "the others" if effect.against is None else repr(effect.against)
    return f"moves the logit of {effect.class_name!r} against {against} by {effect.estimate:+.2f}"


def _largest(effect: AverageEffect, delta: float, thresholds: Thresholds) -> str:
    low, high = _plain(effect)
    return (
        f"The largest average effect is {effect.estimate:+.2f} logits ({effect.cue}; 95 % interval "
        f"{low:+.2f} to {high:+.2f}), and one of "
        f"{effect.detectable(thresholds.certain, delta):.2f} would have been detected."
    )


def _plain(effect: AverageEffect) -> tuple[float, float]:
    """The 95 % interval of one effect by itself."""
    width = float(stats.t.isf(0.025, effect.df)) * effect.error
    return effect.estimate - width, effect.estimate + width


def _named(cue: str) -> str:
    cues = [repr(name) for name in cue.split("+")]
    return f"the cue{'s' * (len(cues) > 1)} {' and '.join(cues)}"
