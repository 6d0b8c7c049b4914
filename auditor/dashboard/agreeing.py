"""What the reviews of a run come to: how much is seen, and how far people agree."""

from __future__ import annotations

from auditor.dashboard.reviewing import Reviewing
from auditor.dashboard.words import many, share
from auditor.reviews import coverage, flag_agreement, pair_agreement


def review_summary(reviewing: Reviewing) -> list[str]:
    """Sentences on coverage and on agreement (Cohen's kappa); none without a verdict."""
    current = reviewing.current()
    if not current["verdict"].notna().any():
        return []
    cases = reviewing.judged_cases()
    seen = coverage(current, cases)
    told = [
        f"Of {many(seen.flagged, 'flagged case')} (confirmed or probable) {seen.reviewed:,} "
        f"are reviewed, {seen.unresolved:,} of them unresolved: unclear, or judged differently."
    ]
    flags = flag_agreement(current, cases)
    if flags.precision is not None:
        told.append(
            f"Of the flagged cases that people decided, {share(flags.precision)} show a spurious "
            f"cue (95 % interval {share(flags.low)} to {share(flags.high)})."
        )
    told.append(f"Flags and people: {_kappa(flags.kappa, flags.reason, flags.n)}.")
    told += [
        f"{pair.a} and {pair.b}: {_kappa(pair.kappa, pair.reason, pair.n)}."
        for pair in pair_agreement(current)
    ]
    return told


def _kappa(kappa: float | None, reason: str | None, n: int) -> str:
    if kappa is None:
        return f"no agreement can be told, {reason}"
    return f"Cohen's κ {kappa:.2f} over {many(n, 'case')}"
