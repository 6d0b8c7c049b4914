"""What the interventions on one case amount to: confirmed, probable, unsupported, untestable.

Pure functions of estimates; every threshold is in `Thresholds`, which the caller gives. Whether
a case without either has a map that points to a cue (`attention`) is decided elsewhere.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from auditor import reasons
from auditor.evidence.estimates import DonorEstimate, FillEstimate
from auditor.evidence.sequential import Looks
from auditor.language import Words, clauses
from auditor.reasons import REASONS, Reason
from auditor.thresholds import THRESHOLDS, Thresholds

Outcome = Literal["confirmed", "probable", "unsupported", "untestable"]
"""The values of `auditor.types.Evidence` that an intervention can lead to."""


class Decision(NamedTuple):
    """The outcome of one case and cue set."""

    outcome: Outcome
    told: str
    """Why, in words and numbers."""
    final: bool
    """False where further donors could still change the outcome."""


def untestable(reason: Reason) -> Decision:
    """A case that no intervention can speak about, and why."""
    return Decision("untestable", str(REASONS[reason]), True)


def decide_by_donors(
    estimate: DonorEstimate,
    available: int,
    sets: int,
    label: int,
    predicted: int,
    thresholds: Thresholds = THRESHOLDS,
) -> Decision:
    """Decide an error (`predicted` is not `label`) or a correct case at one look.

    `available` is the number of donor pairs that the case has, `sets` how many cue sets are
    tried on it: the level is divided among them (Bonferroni). Confirmed where the lower bound
    of D lies above m and the corrected logits decide the other way (for an error: for the
    label); probable where it lies above `thresholds.share` of m; neither where less than
    `thresholds.controlled` of D shows against the case's own control. Best after `adjust`.
    """
    effect = estimate.effect
    looks = Looks(thresholds.looks, thresholds.spending)
    level = looks.level(estimate.pairs, available, thresholds.caused / sets)
    lower = effect.lower(level)
    last = looks.next(estimate.pairs, available) is None
    enough = thresholds.share * effect.margin
    turned = _turned(estimate.decision, label, predicted)
    figures = reasons.by_donors(effect.value, effect.margin, lower, level, estimate.pairs)
    if lower > enough and estimate.contrast < thresholds.controlled * effect.value:
        told = _told(figures, reasons.own_control(estimate.contrast))
        return Decision("unsupported", told, last)
    if lower > effect.margin and turned:
        return Decision("confirmed", _told(figures, reasons.TURNED), True)
    if effect.upper(thresholds.futile) < enough:
        return Decision("unsupported", _told(figures, reasons.LITTLE), True)
    if lower > enough:
        # More donors can still confirm, but not where the upper bound says no.
        final = last or effect.upper(thresholds.futile) < effect.margin
        return Decision("probable", _told(figures, reasons.CONTRIBUTING), final)
    return Decision("unsupported", str(figures), last)


def decide_by_fills(
    estimate: FillEstimate,
    sets: int,
    label: int,
    predicted: int,
    thresholds: Thresholds = THRESHOLDS,
) -> Decision:
    """Decide a case by its fills, where no attribute is tied to the cue.

    Confirmed where at least `thresholds.fill_flips` fills turn the decision (of an error: to the
    label) and at most `thresholds.control_flips` on controls do; probable as with donors, the
    interval being over the fills.
    """
    effect = estimate.effect
    lower = effect.lower(thresholds.intervention / sets)
    figures = clauses(
        [
            reasons.by_fills(estimate.flips, len(estimate.values), estimate.control_flips),
            reasons.over_fills(effect.value, estimate.disagreement, effect.margin),
        ]
    )
    few_controls = estimate.control_flips <= thresholds.control_flips
    if (
        estimate.flips >= thresholds.fill_flips
        and few_controls
        and _turned(estimate.decision, label, predicted)
    ):
        return Decision("confirmed", str(figures), True)
    if effect.value >= thresholds.share * effect.margin and lower > 0:
        return Decision("probable", _told(figures, reasons.CONTRIBUTING), True)
    return Decision("unsupported", str(figures), True)


def survives_without_subject(decision: Decision, survives: bool | None) -> Decision:
    """The decision on a correct case as `wrong_reason`: it also has to outlast the subject.

    `survives` says whether the class stays when the subject is filled (in most of the fills);
    None where that could not be tried, which leaves nothing to be said.
    """
    if decision.outcome not in ("confirmed", "probable") or survives:
        return decision
    if survives is None:
        return untestable("subject_not_removed")._replace(final=decision.final)
    told = _told(decision.told, reasons.FALLS)
    return Decision("unsupported", told, decision.final)


def _told(*parts: Words) -> str:
    return str(clauses(parts))


def _turned(decision: int, label: int, predicted: int) -> bool:
    return decision == label if predicted != label else decision != label
