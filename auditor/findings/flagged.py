"""How many cases the interventions flag, among errors and among correct cases."""

from __future__ import annotations

import pandas as pd

from auditor.findings.finding import Finding
from auditor.language import Phrase, Series, clauses, listed, phrase, sentences
from auditor.reasons import recognised
from auditor.statistics import wilson


def evidence_findings(cases: pd.DataFrame) -> list[Finding]:
    """What the interventions say of errors and of correct cases, counted."""
    findings = []
    wrong = (cases["correct"] == False).fillna(False).astype(bool)  # noqa: E712 - nulls
    tested = cases["passes"].notna()
    for flag, of in (("spurious_error", tested & wrong), ("wrong_reason", tested & ~wrong)):
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
        cues = listed([f"{cue} {count}" for cue, count in by_cue[by_cue > 0].items()])
        untestable = group[group["evidence"] == "untestable"]
        findings.append(
            Finding(
                flag,
                "notice" if confirmed + probable else "info",
                sentences(
                    _counts_of_errors(n, confirmed, probable, cues)
                    if flag == "spurious_error"
                    else _counts_of_correct(n, confirmed, probable, cues),
                    _untestable(untestable) if len(untestable) else None,
                ),
                value=(confirmed + probable) / n if n else None,
                low=interval[0] if interval else None,
                high=interval[1] if interval else None,
                n=n,
                query=f"flag == {flag!r} and evidence in ['confirmed', 'probable']",
            )
        )
    return findings


def _counts_of_errors(n: int, confirmed: int, probable: int, cues: Series) -> Phrase:
    if cues.parts:
        return phrase(
            "Of {n} errors whose pixels were changed, {confirmed} (with the cue exchanged or "
            "filled, the label comes first) and {probable} probable (at least half the margin): "
            "{cues}.",
            n=n,
            confirmed=_confirmed(confirmed),
            probable=probable,
            cues=cues,
        )
    return phrase(
        "Of {n} errors whose pixels were changed, {confirmed} (with the cue exchanged or filled, "
        "the label comes first) and {probable} probable (at least half the margin).",
        n=n,
        confirmed=_confirmed(confirmed),
        probable=probable,
    )


def _counts_of_correct(n: int, confirmed: int, probable: int, cues: Series) -> Phrase:
    if cues.parts:
        return phrase(
            "Of {n} correct cases whose pixels were changed, {confirmed} (decided by the cue, and "
            "still so without the subject) and {probable} probable (at least half the margin): "
            "{cues}.",
            n=n,
            confirmed=_confirmed(confirmed),
            probable=probable,
            cues=cues,
        )
    return phrase(
        "Of {n} correct cases whose pixels were changed, {confirmed} (decided by the cue, and "
        "still so without the subject) and {probable} probable (at least half the margin).",
        n=n,
        confirmed=_confirmed(confirmed),
        probable=probable,
    )


def _confirmed(count: int) -> Phrase:
    if count == 1:
        return phrase("{n} is confirmed", n=count)
    return phrase("{n} are confirmed", n=count)


def _untestable(cases: pd.DataFrame) -> Phrase:
    reasons = cases["reason"].value_counts()
    return phrase(
        "{n} more could not be tested: {reasons}.",
        n=len(cases),
        reasons=clauses(
            phrase("{reason} ({n})", reason=recognised(str(reason)), n=count)
            for reason, count in reasons.items()
            if count
        ),
    )
