"""From the trials of a case to its flag: which cue, on what evidence, how grave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from auditor.findings import Judgement
from auditor.pipeline.trials import RANKS
from auditor.reasons import UNCHANGED
from auditor.types import Evidence, Flag


@dataclass(frozen=True)
class Summary:
    """What the interventions say of one case."""

    evidence: Evidence
    cue: str
    """The cue set that the evidence is about: of equal evidence, the one with the largest D."""
    told: str
    against: frozenset[str]
    """Cues that trials spoke against."""
    reliance: float | None
    """Of `cue`."""
    passes: int
    measures: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """Cue set to ρ, its standard error and net flips; NaN where unknown."""


class Decided(NamedTuple):
    """The columns of a case that maps and interventions decide together; null as they say."""

    flag: Flag | None
    cue: str | None
    evidence: Evidence | None
    severity: float | None
    stability: float | None
    reason: str | None


def summarised(trials: pd.DataFrame) -> dict[str, Summary]:
    """Case id to what its trials came to; `trials` has the columns of `TRIALS`."""
    found = {}
    frame = trials.assign(
        rank=trials["outcome"].map(RANKS).astype(int),
        reliance=np.where(trials["margin"] > 0, trials["value"] / trials["margin"], np.nan),
    )
    frame["reliance_se"] = np.where(frame["margin"] > 0, frame["error"] / frame["margin"], np.nan)
    for case, group in frame.groupby("case", sort=False):
        # The first of equals: sets of several cues stand before single ones.
        order = group.sort_values(["rank", "reliance"], ascending=False, kind="stable")
        best = order.iloc[0]
        measured = order[order["problem"].isna()].drop_duplicates("cue")
        against = group.loc[group["against"], "cue"]
        found[str(case)] = Summary(
            evidence=best["outcome"],
            cue=best["cue"],
            told=best["told"],
            against=frozenset(cue for name in against for cue in name.split("+")),
            reliance=None if np.isnan(best["reliance"]) else float(best["reliance"]),
            passes=int(best["passes"]),
            measures={
                cue: (float(reliance), float(error), float(flips))
                for cue, reliance, error, flips in zip(
                    *(measured[c] for c in ("cue", "reliance", "reliance_se", "flips")),
                    strict=True,
                )
            },
        )
    return found


def decide(
    wrong: bool, confidence: float, judgement: Judgement | None, tested: Summary | None
) -> Decided:
    """Put the maps' judgement and the interventions together.

    `judgement` is of the maps of an error, None for a correct case or where maps are void.
    Confirmed and probable come from interventions alone; a map alone queues the case for a
    person (`attention`), unless the interventions spoke against its cue.
    """
    if tested is not None and tested.evidence in ("confirmed", "probable"):
        severity = None
        if tested.reliance is not None:
            severity = min(max(tested.reliance, 0.0), 1.0) * confidence
        flag: Flag = "spurious_error" if wrong else "wrong_reason"
        return Decided(flag, tested.cue, tested.evidence, severity, None, tested.told)
    if judgement is not None and judgement.evidence == "attention":
        if tested is None or judgement.cue not in tested.against:
            told = None if tested is None else tested.told
            return Decided(*judgement[:3], None, judgement.stability, told)
        return Decided(None, None, "unsupported", None, None, tested.told)
    if tested is not None:
        return Decided(None, None, tested.evidence, None, None, tested.told)
    untold = str(UNCHANGED)
    evidence = judgement.evidence if judgement else None
    return Decided(None, None, evidence, None, None, untold if evidence == "untestable" else None)
