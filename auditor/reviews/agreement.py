"""How far reviewers agree with each other and with the flags, and how much is reviewed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

FLAGGED = ("confirmed", "probable")
"""Evidence of the cases that count as flagged in findings and totals."""
QUEUED = ("attention",)
"""Evidence of the cases that wait for a person."""


@dataclass(frozen=True)
class PairAgreement:
    """Two reviewers over the cases that both gave a verdict about."""

    a: str
    b: str
    n: int
    """Cases in common. "unclear" is a verdict here as the others are."""
    agreed: int
    agreement: float | None
    """agreed ÷ n, 0 to 1; null for n = 0."""
    kappa: float | None
    """Cohen's, unweighted, at most 1, 0 for chance; null where `reason` says why."""
    reason: str | None


@dataclass(frozen=True)
class FlagAgreement:
    """The machine's flag against what people decided; counted in cases.

    A case is spurious to people where every reviewer of it says "spurious_cue", and not where
    all decided otherwise (other cause, label wrong, mask wrong, also mixed). The machine says
    spurious where a flag has evidence in `FLAGGED`.
    """

    n: int
    both: int
    """Flagged, and spurious to people."""
    machine_only: int
    human_only: int
    neither: int
    unclear: int
    """Left out: at least one reviewer says "unclear"."""
    disagreed: int
    """Left out: some say "spurious_cue", and others another decided verdict."""
    kappa: float | None
    """Cohen's; null where `reason` says why."""
    reason: str | None
    precision: float | None
    """both ÷ (both + machine_only), 0 to 1; null where no flagged case is decided."""
    low: float | None
    """Wilson's 95 % interval of the precision; null with it."""
    high: float | None


@dataclass(frozen=True)
class Coverage:
    """How much of the flagged cases people have seen."""

    flagged: int
    reviewed: int
    """Those with at least one verdict."""
    unresolved: int
    """Those reviewed where a reviewer says "unclear", or two verdicts differ."""


def pair_agreement(current: pd.DataFrame) -> list[PairAgreement]:
    """Every pair of reviewers, in the order of their names.

    `current` has the columns `case`, `reviewer` and `verdict` of one run, one row a case and
    reviewer, as `Reviews.current` gives them. Rows without a verdict are left out.
    """
    judged = current[current["verdict"].notna()]
    given = {
        str(reviewer): dict(zip(rows["case"], rows["verdict"], strict=True))
        for reviewer, rows in judged.groupby("reviewer", sort=True)
    }
    found = []
    for (a, of_a), (b, of_b) in combinations(given.items(), 2):
        cases = [case for case in of_a if case in of_b]
        first, second = [of_a[case] for case in cases], [of_b[case] for case in cases]
        agreed = sum(x == y for x, y in zip(first, second, strict=True))
        kappa, reason = _kappa(first, second)
        share = agreed / len(cases) if cases else None
        found.append(PairAgreement(a, b, len(cases), agreed, share, kappa, reason))
    return found


def flag_agreement(current: pd.DataFrame, cases: pd.DataFrame) -> FlagAgreement:
    """The flags of a run's cases against its reviewers.

    `current` as for `pair_agreement`; `cases` has `id`, `flag` and `evidence`, one row a case.
    Verdicts about cases that it does not have are left out.
    """
    flags = dict(zip(cases["id"], _flagged(cases, FLAGGED), strict=True))
    human, machine = [], []
    unclear = disagreed = 0
    for case, verdicts in _verdicts(current).items():
        spurious = {verdict == "spurious_cue" for verdict in verdicts}
        if case not in flags:
            continue
        if "unclear" in verdicts:
            unclear += 1
        elif len(spurious) > 1:
            disagreed += 1
        else:
            human.append(spurious == {True})
            machine.append(bool(flags[case]))
    pairs = list(zip(machine, human, strict=True))
    both, machine_only = pairs.count((True, True)), pairs.count((True, False))
    kappa, reason = _kappa(machine, human)
    # Here, since it imports SciPy, and a dashboard should answer before that.
    from auditor.statistics import wilson  # noqa: PLC0415

    interval = wilson(both, both + machine_only)
    low, high = interval or (None, None)
    return FlagAgreement(
        len(pairs),
        both,
        machine_only,
        pairs.count((False, True)),
        pairs.count((False, False)),
        unclear,
        disagreed,
        kappa,
        reason,
        both / (both + machine_only) if interval else None,
        low,
        high,
    )


def coverage(
    current: pd.DataFrame, cases: pd.DataFrame, evidence: Collection[str] = FLAGGED
) -> Coverage:
    """How many of the cases with a flag and one of these kinds of evidence are reviewed.

    Columns as for `flag_agreement`. A row without a verdict is no review.
    """
    flagged = set(cases.loc[_flagged(cases, evidence), "id"])
    reviewed = {case: given for case, given in _verdicts(current).items() if case in flagged}
    unresolved = sum(len(given) > 1 or "unclear" in given for given in reviewed.values())
    return Coverage(len(flagged), len(reviewed), unresolved)


def _flagged(cases: pd.DataFrame, evidence: Collection[str]) -> pd.Series:
    return cases["flag"].notna() & cases["evidence"].isin(list(evidence))


def _verdicts(current: pd.DataFrame) -> dict[str, set[str]]:
    """Of every case with a verdict, the different ones."""
    found: dict[str, set[str]] = {}
    judged = current[current["verdict"].notna()]
    for case, verdict in zip(judged["case"], judged["verdict"], strict=True):
        found.setdefault(case, set()).add(verdict)
    return found


def _kappa(
    first: list[str] | list[bool], second: list[str] | list[bool]
) -> tuple[float, None] | tuple[None, str]:
    if len(first) < 2:
        return None, f"fewer than 2 cases in common ({len(first)})"
    if len({*first, *second}) == 1:
        return None, "undefined, since both give every case the same verdict"
    # Only here: a reader of verdicts need not wait for scikit-learn.
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415

    return float(cohen_kappa_score(first, second)), None
