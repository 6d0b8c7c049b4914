"""Conditions on what changed against a baseline run over the same dataset."""

from __future__ import annotations

import numpy as np

from auditor.findings import Comparison
from auditor.findings.intervals import percent, points, written_interval
from auditor.language import counted
from auditor.policies.accuracies import of_share
from auditor.policies.cells import rate_among
from auditor.policies.outcome import Bound, Outcome, Part, Status, named, of_parts
from auditor.policies.policy import Policy
from auditor.store import Run


def new_failures(_: Run, policy: Policy, pairing: Comparison | None) -> tuple[Outcome, ...]:
    """`baseline.max_new_failures`: cases that the baseline has right and the run wrong.

    A count of these very cases, so without an interval. Cases that the baseline has right and
    the run could not judge may be failures too: they leave it open where they could exceed the
    limit.
    """
    assert pairing is not None
    name, limit = "baseline.max_new_failures", policy.limits["baseline.max_new_failures"]
    cases = pairing.cases
    broken = pairing.changed("broken")
    lost = list(cases.loc[cases["correct_a"].eq(True) & cases["correct_b"].isna(), "id"])
    text = f"{counted(len(broken), 'case')} right in the baseline {_are(broken)} wrong in the run"
    if broken:
        text += f" ({named([str(case) for case in broken])})"
    text += f". Asked for: at most {limit}."
    status: Status = "pass"
    if len(broken) > limit:
        status = "fail"
    elif len(broken) + len(lost) > limit:
        status = "insufficient"
    if lost:
        shown = named([str(case) for case in lost])
        text += (
            f" Right in the baseline and without a prediction in the run: {len(lost)} ({shown})."
        )
    if not cases["correct_a"].notna().any():
        status, text = "insufficient", f"The baseline judged no case. Asked for: at most {limit}."
    return (
        Outcome(
            name,
            status,
            "count",
            limit,
            text,
            len(broken),
            n=int((cases["correct_a"].notna() & cases["correct_b"].notna()).sum()),
            groups=tuple(
                map(str, broken if status == "fail" else lost if status != "pass" else ())
            ),
        ),
    )


def new_failure_share(run: Run, policy: Policy, pairing: Comparison | None) -> tuple[Outcome, ...]:
    """`baseline.max_new_failure_share`: new failures, of the cases that the baseline has right.

    Of those alone that the run judged too; with its 95 % interval.
    """
    assert pairing is not None
    name = "baseline.max_new_failure_share"
    change = pairing.cases["change"]
    among = change.isin(["still_right", "broken"]).to_numpy(dtype=bool)
    hits = change.isin(["broken"]).to_numpy(dtype=bool)
    rates = rate_among(pairing.clusters, among, hits, run.info["seed"])
    bound = Bound(policy.limits[name], "at most", policy.decide)
    told = "cases right in the baseline are wrong in the run"
    return (of_share(name, bound, rates, policy.min_n, told, "cases right in the baseline"),)


def drop(_: Run, policy: Policy, pairing: Comparison | None) -> tuple[Outcome, ...]:
    """`baseline.max_drop`: accuracy in the baseline minus accuracy in the run.

    Over the cases that both judged; 95 % interval of Newcombe 1998 for paired proportions, or
    percentiles over whole clusters.
    """
    assert pairing is not None
    name = "baseline.max_drop"
    bound = Bound(policy.limits[name], "at most", policy.decide)
    asked = f"Asked for: at most {points(bound.limit)} points lost"
    found = pairing.accuracy
    judged = pairing.cases["change"].notna().to_numpy()
    units = found.n
    if pairing.clusters is not None:
        units = len(np.unique(pairing.clusters[judged]))
    if units < policy.min_n or found.accuracy_a is None or found.accuracy_b is None:
        what = "judged cases" if pairing.clusters is None else "clusters"
        text = f"Too few: {units} paired {what}, fewer than {policy.min_n}. {asked}."
        return (Outcome(name, "insufficient", "share", bound.limit, text, n=found.n),)
    value = found.accuracy_a - found.accuracy_b
    # Of accuracy in the run minus that in the baseline, turned round.
    interval = None if found.low is None or found.high is None else (-found.high, -found.low)
    told = (
        f"accuracy {percent(found.accuracy_a)} in the baseline, {percent(found.accuracy_b)} in "
        f"the run: {points(value)} points lost over {found.n} cases "
        f"({written_interval(interval, pairing.clusters is not None, points)}; "
        f"{found.broken} newly wrong, {found.fixed} newly right)"
    )
    parts = [Part(None, told, value, interval, found.n)]
    return (of_parts(name, "share", bound, asked, parts, remark=_unjudged(pairing)),)


def _unjudged(pairing: Comparison) -> str:
    missing = sum(pairing.unjudged.values())
    return f"Not judged in both, and so left out: {counted(missing, 'case')}." if missing else ""


def _are(some: list[str]) -> str:
    return "is" if len(some) == 1 else "are"
