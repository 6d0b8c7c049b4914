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
from auditor.findings.flagged import evidence_findings
from auditor.findings.harm import Harm, harms
from auditor.findings.intervals import written_interval
from auditor.findings.material import Material
from auditor.language import Phrase, Text, Words, clauses, phrase, sentences
from auditor.thresholds import Thresholds

Level = Literal[0, 1, 2, 3, 4]
Grade = Literal["A", "B", "C"]

GRADES: dict[Grade, Phrase] = {
    "A": phrase("A, donors"),
    "B": phrase("B, fills"),
    "C": phrase("C, maps only"),
}

LIMITS = phrase(
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
    message: Text
    value: float | None
    """The largest average effect in logits, signed; null where none could be estimated."""
    low: float | None
    high: float | None
    n: int | None
    threshold: float
    """The effect that matters, in logits."""
    cue: str | None = None

    @property
    def text(self) -> str:
        """What it says, in English."""
        return str(self.message)

    def finding(self) -> Finding:
        """The verdict as the first of the findings."""
        return Finding(
            "verdict", _SEVERITY[self.level], self.message, value=float(self.level), n=self.n
        )

    def described(self) -> dict[str, Any]:
        """JSON-ready, for `run.json`."""
        return {
            "level": self.level,
            "grade": self.grade,
            "text": self.text,
            "message": self.message.described(),
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
                clauses(
                    [
                        phrase(
                            "{effect} on average over all cases ({interval}, {n} tested)",
                            effect=_effect(effect),
                            interval=_within(low, high),
                            n=effect.n,
                        ),
                        phrase(
                            "more than {delta:.2f}, the size that matters, at level {level:g}.",
                            delta=delta,
                            level=thresholds.certain,
                        )
                        if shown
                        else phrase(
                            "not shown to exceed {delta:.2f}, the size that matters; one of "
                            "{detectable:.2f} would have been detected.",
                            delta=delta,
                            detectable=effect.detectable(thresholds.certain, delta),
                        ),
                    ]
                ),
                value=effect.estimate,
                low=low,
                high=high,
                n=effect.n,
                threshold=delta,
                attribute=effect.attribute,
                cue=effect.cue,
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
    passed = {found.kind: found.severity == "info" for found in findings}
    notable = {found.kind for found in findings if found.severity == "notice"}
    associated = [told for kind, told in _ASSOCIATED.items() if kind in notable]
    reached = verdict(
        material,
        effects,
        grade,
        passed.get("gate_chance", False),
        passed.get("gate_classes", False),
        associated,
        thresholds,
    )
    more = [
        *evidence_findings(material.cases),
        *effect_findings(effects, reached.threshold, thresholds),
    ]
    return [reached.finding(), *by_severity([*findings, *more])], reached


_ASSOCIATED = {
    "association": phrase(
        "label and attribute go together in the audited images (see the finding)"
    ),
    "training_association": phrase(
        "label and attribute went together in training (see the finding)"
    ),
    "attention": phrase("maps of errors lie on cues more than chance explains (see the finding)"),
}


def verdict(
    material: Material,
    effects: Sequence[AverageEffect],
    grade: Grade,
    above_chance: bool,
    in_order: bool,
    associated: Sequence[Words],
    thresholds: Thresholds,
) -> Verdict:
    """The level of a run.

    0 insufficient evidence; 1 none detected; 2 association only; 3 the model is sensitive to
    the cue; 4 cue-caused errors are confirmed and a group is harmed. `above_chance` and `in_order`
    say whether the predictions passed their gates; `associated` names what the data or the maps
    associate. With its classes in another order nothing can be said of a model. One that is right
    no more often than chance may decide by the cue throughout, which is what changing the pixels
    shows: only where they show nothing is it insufficient.
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
    said: Text
    if not in_order or not (above_chance or beyond):
        level = 0
        said = phrase(
            "The predictions did not pass their gates, so nothing can be said of what they rest "
            "on; see the warnings below."
        )
    elif harmed:
        level, said = 4, _harmed(harmed[0])
    elif beyond:
        level = 3
        assert strongest is not None
        said = sentences(
            _sensitive(strongest, delta, thresholds),
            phrase("That the errors of a group come from it is not shown."),
        )
    elif associated:
        level = 2
        said = sentences(
            phrase("Association only: {associated}.", associated=clauses(associated)),
            *(
                [phrase("Whether the model uses it was not tested.")]
                if strongest is None
                else [
                    phrase("That the model uses it is not shown:"),
                    _largest(strongest, delta, thresholds),
                ]
            ),
        )
    elif strongest is not None:
        level = 1
        said = sentences(
            phrase("No reliance on a cue was detected."), _largest(strongest, delta, thresholds)
        )
    else:
        level = 0
        said = phrase("There is too little evidence to say whether the model relies on a cue.")
    low, high = _plain(strongest) if strongest else (None, None)
    return Verdict(
        level,
        grade,
        sentences(
            phrase("Level {level} of 4, evidence grade {grade}.", level=level, grade=GRADES[grade]),
            said,
            LIMITS,
        ),
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


def _effect(effect: AverageEffect) -> Phrase:
    """What the cue does, without its interval; a sentence that has no end yet."""
    if effect.class_name is None:
        return phrase(
            "Cue {cue!r} being there adds {estimate:+.2f} to the margin of the prediction",
            cue=effect.cue,
            estimate=effect.estimate,
        )
    if effect.against is None:
        return phrase(
            "Cue {cue!r}, annotated as {value} rather than another {attribute}: moves the logit of "
            "{label!r} against the others by {estimate:+.2f}",
            cue=effect.cue,
            value=effect.value,
            attribute=effect.attribute,
            label=effect.class_name,
            estimate=effect.estimate,
        )
    return phrase(
        "Cue {cue!r}, annotated as {value} rather than another {attribute}: moves the logit of "
        "{label!r} against {other!r} by {estimate:+.2f}",
        cue=effect.cue,
        value=effect.value,
        attribute=effect.attribute,
        label=effect.class_name,
        other=effect.against,
        estimate=effect.estimate,
    )


def _sensitive(effect: AverageEffect, delta: float, thresholds: Thresholds) -> Phrase:
    cues, estimate, level = _named(effect.cue), effect.estimate, thresholds.certain
    if effect.class_name is None:
        return phrase(
            "The model is sensitive to {cues}: on average it adds {estimate:+.2f} to the margin of "
            "the prediction, more than the {delta:.2f} that matter (level {level:g}).",
            cues=cues,
            estimate=estimate,
            delta=delta,
            level=level,
        )
    if effect.against is None:
        return phrase(
            "The model is sensitive to {cues}: on average it moves the logit of {label!r} against "
            "the others by {estimate:+.2f}, more than the {delta:.2f} that matter (level "
            "{level:g}).",
            cues=cues,
            label=effect.class_name,
            estimate=estimate,
            delta=delta,
            level=level,
        )
    return phrase(
        "The model is sensitive to {cues}: on average it moves the logit of {label!r} against "
        "{other!r} by {estimate:+.2f}, more than the {delta:.2f} that matter (level {level:g}).",
        cues=cues,
        label=effect.class_name,
        other=effect.against,
        estimate=estimate,
        delta=delta,
        level=level,
    )


def _harmed(harm: Harm) -> Phrase:
    return phrase(
        "Errors caused by {cues} are confirmed and a group is harmed: images of {label!r} "
        "annotated as {attribute} {value!r} are classified right in {correct} of {judged} "
        "({share:.1%}), others of that label in {others:.1%} ({p}); {confirmed} of that group's "
        "{tested} tested errors come right when the cue is taken away.",
        cues=_named(harm.cue),
        label=harm.label,
        attribute=harm.attribute,
        value=harm.value,
        correct=harm.correct,
        judged=harm.judged,
        share=harm.correct / harm.judged,
        others=harm.others[0] / harm.others[1],
        p=p_equation(harm.p),
        confirmed=harm.confirmed,
        tested=harm.tested,
    )


def _largest(effect: AverageEffect, delta: float, thresholds: Thresholds) -> Phrase:
    return phrase(
        "The largest average effect is {estimate:+.2f} logits ({cue}; {interval}), and one of "
        "{detectable:.2f} would have been detected.",
        estimate=effect.estimate,
        cue=effect.cue,
        interval=_within(*_plain(effect)),
        detectable=effect.detectable(thresholds.certain, delta),
    )


def _plain(effect: AverageEffect) -> tuple[float, float]:
    """The 95 % interval of one effect by itself."""
    width = float(stats.t.isf(0.025, effect.df)) * effect.error
    return effect.estimate - width, effect.estimate + width


def _within(low: float, high: float) -> Phrase:
    return written_interval((low, high), write=lambda end: f"{end:+.2f}".replace("-", "−"))


def _named(cue: str) -> Phrase:
    """A cue set as a sentence has it: "the cue 'face'", "the cues 'face' and 'hair'"."""
    names = cue.split("+")
    if len(names) == 1:
        return phrase("the cue {cue!r}", cue=cue)
    cues = phrase("{first!r} and {second!r}", first=names[0], second=names[1])
    for name in names[2:]:
        cues = phrase("{some} and {cue!r}", some=cues, cue=name)
    return phrase("the cues {cues}", cues=cues)
