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
from auditor.policies.accuracies import of_share
from auditor.policies.cells import is_true, rate_among, read
from auditor.policies.outcome import Bound, Outcome, Part, of_parts
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
    remark = "The run tested no cue."
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
    told = "tested errors rest on a cue, confirmed or probable"
    return (of_share(name, bound, rates, policy.min_n, told, "tested errors"),)


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
        return (of_share(name, bound, least, policy.min_n, "judged cases", "judged cases"),)
    (count, n), (highest, _n) = least.counts([0]), most.counts([0])
    low, high = least.interval([0]), most.interval([0])
    interval = None if low is None or high is None else (low[0], high[1])
    told = (
        f"{count} of {n} judged cases are errors that rest on a cue, confirmed or probable "
        f"({percent(count / n)}, {written_interval(interval, least.clustered)})"
    )
    remark = ""
    if highest > count:
        remark = (
            f"{highest - count} further errors were not tested or could not be; the interval's "
            "upper end counts them in."
        )
    asked = f"Asked for: at most {percent(bound.limit)}"
    parts = [Part(None, told, count / n, interval, n)]
    outcome = of_parts(name, "share", bound, asked, parts, remark=remark)
    if outcome.status == "pass" and policy.decide == "estimate" and highest / n > bound.limit:
        text = (
            f"{told}. {asked}; with the {highest - count} errors that nobody could test it may be "
        )
        text += f"{percent(highest / n)}, so neither can be said."
        outcome = replace(outcome, status="insufficient", text=text)
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
        remark = f"Too few: {few[0]} cases tested on {name!r}, fewer than {policy.min_n}."
        return of_parts(full, "ratio", bound, _asked(bound), [], [name], remark)
    if not found or not margin:
        remark = f"Cue {name!r} has no average effect: " + (
            _why_not(run, name) if margin else "the median margin is 0."
        )
        return of_parts(full, "ratio", bound, _asked(bound), [], [name], remark)
    return of_parts(full, "ratio", bound, _asked(bound), [_part(name, f, margin) for f in found])


def _why_not(run: Run, name: str) -> str:
    if name not in tested_alone(run.info["cue_sets"]):
        return (
            "it is tested by itself only where a cue set that holds it had an effect, and so on "
            "no random sample."
        )
    return "too few cases could be tested on it, or none."


def _part(name: str, finding: Mapping[str, Any], margin: float) -> Part:
    value, interval = abs(finding["value"]) / margin, None
    if finding["low"] is not None and finding["high"] is not None:
        interval = _size(finding["low"] / margin, finding["high"] / margin)
    told = (
        f"{finding['text'].partition(' on average')[0]} on average: {decimal(value)} of the "
        f"median margin of {decimal(margin)} ({written_interval(interval, False, decimal)})"
    )
    return Part(name, told, value, interval, finding["n"])


def _size(low: float, high: float) -> Interval:
    """The interval of a size from that of a signed value; from 0 where that holds 0."""
    return max(low, -high, 0.0), max(abs(low), abs(high))


def _asked(bound: Bound) -> str:
    return f"Asked for: at most {decimal(bound.limit)} of the median margin"


def _errors(
    cases: pd.DataFrame,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cases are wrong, tested with an answer, and confirmed or probable, each [cases]."""
    wrong = cases["correct"].notna().to_numpy() & ~is_true(cases["correct"])
    untestable = cases["evidence"].isin(["untestable"]).to_numpy(dtype=bool)
    tested = cases["passes"].notna().to_numpy() & ~untestable
    caused = cases["evidence"].isin(["confirmed", "probable"]).to_numpy(dtype=bool)
    return wrong, tested, caused
