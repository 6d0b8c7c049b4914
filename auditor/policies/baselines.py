"""Conditions on what changed against a baseline run over the same dataset."""

from __future__ import annotations

import numpy as np

from auditor.findings import Comparison
from auditor.findings.intervals import points, written_interval
from auditor.language import Phrase, counted, phrase, sentences
from auditor.policies.accuracies import of_share
from auditor.policies.cells import rate_among
from auditor.policies.outcome import Bound, Outcome, Part, Status, named, of_parts, stopped
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
    broken = [str(case) for case in pairing.changed("broken")]
    gone = cases["correct_a"].eq(True) & cases["correct_b"].isna()
    lost = [str(case) for case in cases.loc[gone, "id"]]
    asked = stopped(phrase("Asked for: at most {limit}", limit=limit))
    text = sentences(stopped(_broken(broken)), asked, _lost(lost))
    status: Status = "pass"
    if len(broken) > limit:
        status = "fail"
    elif len(broken) + len(lost) > limit:
        status = "insufficient"
    if not cases["correct_a"].notna().any():
        status = "insufficient"
        text = sentences(phrase("The baseline judged no case."), asked)
    return (
        Outcome(
            name,
            status,
            "count",
            limit,
            text,
            len(broken),
            n=int((cases["correct_a"].notna() & cases["correct_b"].notna()).sum()),
            groups=tuple(broken if status == "fail" else lost if status != "pass" else ()),
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
    told = phrase("cases right in the baseline are wrong in the run")
    kind = phrase("cases right in the baseline")
    return (of_share(name, bound, rates, policy.min_n, told, kind),)


def drop(_: Run, policy: Policy, pairing: Comparison | None) -> tuple[Outcome, ...]:
    """`baseline.max_drop`: accuracy in the baseline minus accuracy in the run.

    Over the cases that both judged; 95 % interval of Newcombe 1998 for paired proportions, or
    percentiles over whole clusters.
    """
    assert pairing is not None
    name = "baseline.max_drop"
    bound = Bound(policy.limits[name], "at most", policy.decide)
    asked = phrase("Asked for: at most {points} points lost", points=points(bound.limit))
    found = pairing.accuracy
    judged = pairing.cases["change"].notna().to_numpy()
    units = found.n
    if pairing.clusters is not None:
        units = len(np.unique(pairing.clusters[judged]))
    if units < policy.min_n or found.accuracy_a is None or found.accuracy_b is None:
        few = (
            phrase(
                "Too few: {n} paired judged cases, fewer than {least}.", n=units, least=policy.min_n
            )
            if pairing.clusters is None
            else phrase(
                "Too few: {n} paired clusters, fewer than {least}.", n=units, least=policy.min_n
            )
        )
        text = sentences(few, stopped(asked))
        return (Outcome(name, "insufficient", "share", bound.limit, text, n=found.n),)
    value = found.accuracy_a - found.accuracy_b
    # Of accuracy in the run minus that in the baseline, turned round.
    interval = None if found.low is None or found.high is None else (-found.high, -found.low)
    told = phrase(
        "Accuracy {before:.1%} in the baseline, {now:.1%} in the run: {points} points lost over "
        "{n} cases ({interval}; {broken} newly wrong, {fixed} newly right)",
        before=found.accuracy_a,
        now=found.accuracy_b,
        points=points(value),
        n=found.n,
        interval=written_interval(interval, pairing.clusters is not None, points),
        broken=found.broken,
        fixed=found.fixed,
    )
    parts = [Part(None, told, value, interval, found.n)]
    return (of_parts(name, "share", bound, asked, parts, remark=_unjudged(pairing)),)


def _broken(cases: list[str]) -> Phrase:
    count = counted(len(cases), "case")
    if not cases:
        return phrase("{cases} right in the baseline are wrong in the run", cases=count)
    if len(cases) == 1:
        return phrase(
            "{cases} right in the baseline is wrong in the run ({names})",
            cases=count,
            names=named(cases),
        )
    return phrase(
        "{cases} right in the baseline are wrong in the run ({names})",
        cases=count,
        names=named(cases),
    )


def _lost(cases: list[str]) -> Phrase | None:
    if not cases:
        return None
    return phrase(
        "Right in the baseline and without a prediction in the run: {n} ({names}).",
        n=len(cases),
        names=named(cases),
    )


def _unjudged(pairing: Comparison) -> Phrase | None:
    missing = sum(pairing.unjudged.values())
    if not missing:
        return None
    return phrase("Not judged in both, and so left out: {cases}.", cases=counted(missing, "case"))
