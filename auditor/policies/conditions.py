"""The table of conditions: a key of the policy, and the function that holds a run against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from auditor.findings import Comparison
from auditor.policies import accuracies, baselines, inequalities, reliance, verdicts
from auditor.policies.outcome import Outcome
from auditor.policies.policy import Policy
from auditor.store import Run

Condition = Callable[[Run, Policy, Comparison | None], tuple[Outcome, ...]]
"""From a run, a policy that asks for the condition, and the pairing with a baseline (there for
every condition in `baseline`) to its outcomes: more than one where it is asked for every
attribute or cue set, none only of `reliance.max` where `reliance.by_cue` limits every cue set.
Raises `AuditorError` where the policy names what the run does not have."""

CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "verdict.max_level": verdicts.max_level,
        "evidence.min_grade": verdicts.min_grade,
        "evidence.min_tested": verdicts.min_tested,
        "evidence.min_judged": verdicts.min_judged,
        "reliance.max": reliance.effect,
        "reliance.by_cue": reliance.effect_by_cue,
        "spurious_errors.max_share_of_errors": reliance.share_of_errors,
        "spurious_errors.max_share_of_cases": reliance.share_of_cases,
        "accuracy.min": accuracies.overall,
        "accuracy.worst_group_min": accuracies.worst_group,
        "disparity.max_difference": inequalities.difference,
        "disparity.min_ratio": inequalities.ratio,
        "baseline.max_new_failures": baselines.new_failures,
        "baseline.max_new_failure_share": baselines.new_failure_share,
        "baseline.max_drop": baselines.drop,
    }
)
