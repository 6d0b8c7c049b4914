"""Conditions on the verdict of a run, and on how much evidence stands behind it."""

from __future__ import annotations

from auditor.findings import Comparison
from auditor.language import Phrase, Text, phrase, sentences
from auditor.policies.outcome import Outcome, Status, stopped
from auditor.policies.policy import Policy
from auditor.store import Run

_NEEDS = 3
"""From this level on a verdict needs changed pixels."""


def max_level(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`verdict.max_level`: the level of the run's verdict, which is a test by itself.

    Level 0 says nothing. Where no test could have reached the levels above the limit, not being
    there says nothing either: levels 3 and 4 need changed pixels (grade A or B), and level 4
    annotated groups.
    """
    limit = policy.limits["verdict.max_level"]
    verdict = run.info["verdict"]
    level, grade = verdict["level"], verdict["grade"]
    status: Status = "pass"
    why = None
    if level > limit:
        status = "fail"
    elif level == 0:
        status = "insufficient"
        why = phrase("Level 0 is too little evidence for a verdict.")
    elif grade == "C" and limit + 1 >= _NEEDS:
        status = "insufficient"
        why = phrase(
            "Grade C reaches no more than level 2, since no effect of changed pixels was "
            "estimated: a higher level could not have been seen. Audit with [evidence] cases."
        )
    elif level == _NEEDS and not run.info["attributes"]:
        status = "insufficient"
        why = phrase("Level 4 needs annotated groups, and the run has no attribute.")
    text = sentences(
        phrase(
            "The verdict is level {level} of 4, evidence grade {grade}.", level=level, grade=grade
        ),
        why,
        phrase("Asked for: at most level {level}.", level=limit),
    )
    n = run.info["counts"].get("tested")
    return (Outcome("verdict.max_level", status, "level", limit, text, level, n=n),)


def min_grade(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`evidence.min_grade`: A (donors) or B (fills); less is too little evidence, no failure."""
    limit, grade = policy.limits["evidence.min_grade"], run.info["verdict"]["grade"]
    status: Status = "pass" if grade <= limit else "insufficient"
    seen = phrase("The evidence is of grade {grade} (A donors, B fills, C maps only).", grade=grade)
    text = sentences(seen, _at_least(limit))
    return (Outcome("evidence.min_grade", status, "grade", limit, text, grade),)


def min_tested(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`evidence.min_tested`: cases whose pixels were changed; fewer are too little evidence."""
    count = run.info["counts"].get("tested", 0)
    told = phrase("{n} cases had their pixels changed.", n=count)
    return (_counted("evidence.min_tested", policy, count, told),)


def min_judged(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`evidence.min_judged`: cases with a prediction; fewer are too little evidence."""
    count = run.info["counts"]["judged"]
    told = phrase("{n} cases have a prediction.", n=count)
    return (_counted("evidence.min_judged", policy, count, told),)


def _counted(name: str, policy: Policy, count: int, told: Text) -> Outcome:
    limit = policy.limits[name]
    status: Status = "pass" if count >= limit else "insufficient"
    text = sentences(told, _at_least(limit))
    return Outcome(name, status, "count", limit, text, count, n=count)


def _at_least(limit: int | str) -> Phrase:
    return stopped(phrase("Asked for: at least {limit}", limit=limit))
