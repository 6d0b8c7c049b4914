"""Groups that fare worse than others of their label, with errors that a cue caused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from auditor.findings.cells import annotated
from auditor.groups import COUNTS_ONLY
from auditor.statistics import lower_rate
from auditor.thresholds import Thresholds


@dataclass(frozen=True)
class Harm:
    """A group that is classified worse than others of its label, with confirmed errors in it."""

    cue: str
    label: str
    attribute: str
    value: str
    correct: int
    judged: int
    others: tuple[int, int]
    """(correct, judged) of the label's other values."""
    p: float
    confirmed: int
    tested: int
    """Errors of the group that were tested."""


def harms(cases: pd.DataFrame, attributes: Sequence[str], thresholds: Thresholds) -> list[Harm]:
    """Groups that fare worse than the others of their label and whose errors are confirmed.

    Both at `thresholds.certain`, corrected over the groups: accuracy by Fisher's exact test, and
    confirmed errors against the rate at which tests confirm without cause.
    """
    found = []
    judged = cases[cases["correct"].notna()]
    right = judged["correct"].astype(bool)
    cells = []
    for attribute in attributes:
        column = annotated(judged[f"attribute.{attribute}"])
        for label, rows in judged.groupby("label", observed=True).groups.items():
            values = column.loc[rows]
            known = values[values.notna()]
            if known.nunique() < 2:
                continue
            for value in sorted(known.unique(), key=str):
                mine = known.index[known == value]
                others = known.index[known != value]
                if len(mine) >= COUNTS_ONLY and len(others) >= COUNTS_ONLY:
                    cells.append((str(label), attribute, str(value), mine, others))
    for label, attribute, value, mine, others in cells:
        some = int(right.loc[mine].sum()), len(mine)
        rest = int(right.loc[others].sum()), len(others)
        p = min(1.0, lower_rate(some, rest) * len(cells))
        if p > thresholds.certain:
            continue
        group = judged.loc[mine]
        tested = group[~right.loc[mine] & group["passes"].notna()]
        tested = tested[tested["evidence"].ne("untestable")]
        confirmed = tested[tested["evidence"] == "confirmed"]
        for cue, count in confirmed["cue"].value_counts().items():
            if not count:
                continue
            chance = stats.binomtest(
                int(count), len(tested), thresholds.caused, alternative="greater"
            ).pvalue
            if chance * len(cells) <= thresholds.certain:
                found.append(
                    Harm(str(cue), label, attribute, value, *some, rest, p, int(count), len(tested))
                )
    return sorted(found, key=lambda harm: harm.p)
