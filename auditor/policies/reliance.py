"""Conditions on what cues do: their average effect, and the errors that they cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.errors import ConfigurationError
from auditor.findings import Comparison
from auditor.findings.effects import tested_alone
from auditor.findings.intervals import decimal, percent, written_interval
from auditor.groups import clusters_of
from auditor.language import Phrase, Series, Words, phrase, sentences, told
from auditor.policies.accuracies import of_share
from auditor.policies.cells import is_true, rate_among, read
from auditor.policies.outcome import Bound, Outcome, Part, of_parts, stopped
from auditor.policies.policy import Policy
from auditor.rates import Interval
from auditor.store import Run


def effect(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`reliance.max`: |average effect| of each cue set ÷ the median margin of all judged cases.

    One outcome a cue set, of those that have an average effect of their own and no limit in
    `reliance.by_cue`. Effect and interval are those of the finding `effect`.
    """
    limited = policy.limits.get("reliance.by_cue", {})
    names = [name for name in tested_alone(run.info["cue_sets"]) if name not in limited]
    limit = policy.limits["reliance.max"]
    outcomes = tuple(_effect(run, policy, "reliance.max", name, limit) for name in names)
    if outcomes or limited:
        return outcomes
    bound = Bound(limit, "at most", policy.decide)
    remark = phrase("The run tested no cue.")
    return (of_parts("reliance.max", "ratio", bound, _asked(bound), [], [], remark),)


def effect_by_cue(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`reliance.by_cue`: the same with a limit for each cue set that it names.

    Raises `ConfigurationError` for a cue set that the run does not have.
    """
    known = [cues["name"] for cues in run.info["cue_sets"]]
    outcomes = []
    for name, limit in policy.limits["reliance.by_cue"].items():
        if name not in known:
            has = ", ".join(known) or "none"
            raise ConfigurationError(
                f"{policy.path}: reliance.by_cue names {name!r}, which is no cue set of "
                f"{run.path}; it has {has}."
            )
        outcomes.append(_effect(run, policy, "reliance.by_cue", name, limit))
    return tuple(outcomes)


def share_of_errors(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`spurious_errors.max_share_of_errors`: confirmed or probable, of the errors tested.

    Untestable ones are in neither number, as in the finding `spurious_error`.
    """
    name = "spurious_errors.max_share_of_errors"
    cases = read(run, "correct", "evidence", "passes")
    wrong, tested, caused = _errors(cases)
    rates = rate_among(clusters_of(cases), wrong & tested, caused, run.info["seed"])
    bound = Bound(policy.limits[name], "at most", policy.decide)
    what = phrase("tested errors rest on a cue, confirmed or probable")
    return (of_share(name, bound, rates, policy.min_n, what, phrase("tested errors")),)


def share_of_cases(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`spurious_errors.max_share_of_cases`: errors confirmed or probable, of all judged cases.

    Errors that were not or could not be tested may be caused too: the interval reaches from the
    lower bound without them to the upper bound with all of them, and without an interval
    (`decide = "estimate"`) they leave open what they could turn.
    """
    name = "spurious_errors.max_share_of_cases"
    cases = read(run, "correct", "evidence", "passes")
    wrong, tested, caused = _errors(cases)
    judged = cases["correct"].notna().to_numpy()
    clusters, seed = clusters_of(cases), run.info["seed"]
    least = rate_among(clusters, judged, wrong & caused, seed)
    most = rate_among(clusters, judged, wrong & (caused | ~tested), seed)
    bound = Bound(policy.limits[name], "at most", policy.decide)
    if int(least.units[0]) < policy.min_n:
        kind = phrase("judged cases")
        return (of_share(name, bound, least, policy.min_n, kind, kind),)
    (count, n), (highest, _n) = least.counts([0]), most.counts([0])
    low, high = least.interval([0]), most.interval([0])
    interval = None if low is None or high is None else (low[0], high[1])
    seen = phrase(
        "{n} of {total} judged cases are errors that rest on a cue, confirmed or probable "
        "({share:.1%}, {interval})",
        n=count,
        total=n,
        share=count / n,
        interval=written_interval(interval, least.clustered),
    )
    remark = None
    if highest > count:
        remark = phrase(
            "{n} further errors were not tested or could not be; the interval's upper end counts "
            "them in.",
            n=highest - count,
        )
    asked = bound.asked(percent(bound.limit))
    parts = [Part(None, seen, count / n, interval, n)]
    outcome = of_parts(name, "share", bound, asked, parts, remark=remark)
    if outcome.status == "pass" and policy.decide == "estimate" and highest / n > bound.limit:
        untold = phrase(
            "{asked}; with the {n} errors that nobody could test it may be {share:.1%}, so neither "
            "can be said.",
            asked=asked,
            n=highest - count,
            share=highest / n,
        )
        message = sentences(stopped(seen), untold)
        outcome = replace(outcome, status="insufficient", message=message)
    return (outcome,)


def _effect(run: Run, policy: Policy, key: str, name: str, limit: float) -> Outcome:
    bound = Bound(limit, "at most", policy.decide)
    full = f"{key} ({name})"
    found = [
        finding
        for finding in run.findings
        if finding["kind"] == "effect" and finding.get("cue") == name
    ]
    delta, share = run.info["verdict"]["threshold"], run.info["thresholds"]["effect"]
    margin = delta / share if share else 0.0
    few = [finding["n"] for finding in found if finding["n"] < policy.min_n]
    if few:
        remark = phrase(
            "Too few: {n} cases tested on {cue!r}, fewer than {least}.",
            n=few[0],
            cue=name,
            least=policy.min_n,
        )
        return of_parts(full, "ratio", bound, _asked(bound), [], [name], remark)
    if not found or not margin:
        why = _why_not(run, name) if margin else phrase("the median margin is 0")
        remark = phrase("Cue {cue!r} has no average effect: {why}.", cue=name, why=why)
        return of_parts(full, "ratio", bound, _asked(bound), [], [name], remark)
    return of_parts(full, "ratio", bound, _asked(bound), [_part(name, f, margin) for f in found])


def _why_not(run: Run, name: str) -> Phrase:
    if name not in tested_alone(run.info["cue_sets"]):
        return phrase(
            "it is tested by itself only where a cue set that holds it had an effect, and so on "
            "no random sample"
        )
    return phrase("too few cases could be tested on it, or none")


def _part(name: str, finding: Mapping[str, Any], margin: float) -> Part:
    value, interval = abs(finding["value"]) / margin, None
    if finding["low"] is not None and finding["high"] is not None:
        interval = _size(finding["low"] / margin, finding["high"] / margin)
    seen = phrase(
        "{effect} on average: {share:.2f} of the median margin of {margin:.2f} ({interval})",
        effect=_moved(finding),
        share=value,
        margin=margin,
        interval=written_interval(interval, False, decimal),
    )
    return Part(name, seen, value, interval, finding["n"])


def _moved(finding: Mapping[str, Any]) -> Words:
    """What the cue does, of a finding `effect`; in English if the run recorded no more."""
    message = told(finding)
    first = message.parts[0] if isinstance(message, Series) else message
    effect = first.values.get("effect") if isinstance(first, Phrase) else None
    if isinstance(effect, Phrase | Series):
        return effect
    return str(finding["text"]).partition(" on average")[0]


def _size(low: float, high: float) -> Interval:
    """The interval of a size from that of a signed value; from 0 where that holds 0."""
    return max(low, -high, 0.0), max(abs(low), abs(high))


def _asked(bound: Bound) -> Phrase:
    limit = decimal(bound.limit)
    return phrase("Asked for: at most {limit} of the median margin", limit=limit)


def _errors(
    cases: pd.DataFrame,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cases are wrong, tested with an answer, and confirmed or probable, each [cases]."""
    wrong = cases["correct"].notna().to_numpy() & ~is_true(cases["correct"])
    untestable = cases["evidence"].isin(["untestable"]).to_numpy(dtype=bool)
    tested = cases["passes"].notna().to_numpy() & ~untestable
    caused = cases["evidence"].isin(["confirmed", "probable"]).to_numpy(dtype=bool)
    return wrong, tested, caused
