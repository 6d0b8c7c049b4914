"""Two runs side by side: the comparison, kept while it is looked at, and the cases that changed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pandas as pd

from auditor.dashboard.components import Card
from auditor.dashboard.media import image_address
from auditor.dashboard.opened import Opened
from auditor.dashboard.pictures import SIDES
from auditor.findings import Comparison, compare
from auditor.store import Run

CHANGES = {
    "fixed": "Fixed: wrong in A, right in B",
    "broken": "Broken: right in A, wrong in B",
    "still_wrong": "Wrong in both",
}
"""The changes that are shown, and their headings."""


RELIANCE = {
    "cue": "cue",
    "attribute": "donors by",
    "n_a": "tested, A",
    "n_b": "tested, B",
    "a": "A",
    "b": "B",
    "difference": "B − A",
    "low": "from",
    "high": "to",
    "reason": "why not",
}
"""The columns of `Comparison.reliance` that are shown, and their headings."""


def comparison(a: Run, b: Run) -> Comparison:
    """What changed from A to B; see `auditor.findings.compare`. The last two are kept.

    Runs between which data were changed are compared too: `changed_data` tells them.
    """
    return _compared(_Keyed(a), _Keyed(b))


class _Keyed:
    """A run by its content: what a comparison depends on."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and other.run.key == self.run.key

    def __hash__(self) -> int:
        return hash(self.run.key)


@lru_cache(maxsize=2)
def _compared(a: _Keyed, b: _Keyed) -> Comparison:
    return compare(a.run, b.run, changed=True)


def changed_cards(found: Comparison, b: Opened, change: str, start: int, count: int) -> list[Card]:
    """Cards of cases with that change, `count` of them from `start`; pictures are B's."""
    rows = found.cases[found.cases["change"] == change].iloc[start : start + count]
    made = []
    for case in rows.to_dict("records"):
        row = b.index.row(case["id"])
        if row is None:
            continue
        told = [f"A: {case['predicted_a']}{_told(case['evidence_a'])}"]
        told.append(f"B: {case['predicted_b']}{_told(case['evidence_b'])}")
        src = image_address(b, row, SIDES[0])
        made.append(
            Card(row, src, f"{case['id']}: {'; '.join(told)}", str(case["label"]), tuple(told))
        )
    return made


def _told(evidence: object) -> str:
    return "" if evidence is None or pd.isna(evidence) else f" ({evidence})"


def lowest(row: Mapping[str, Any]) -> str:
    """A row of `Comparison.worst` in a sentence."""
    by = "label" if pd.isna(row["attribute"]) else f"label × {row['attribute']}"
    of = [
        " · ".join(str(name) for name in (row[f"label_{run}"], row[f"value_{run}"]) if name)
        for run in ("a", "b")
    ]
    told = (
        f"Lowest by {by}: {of[0]} {row['accuracy_a']:.1%} in A, {of[1]} {row['accuracy_b']:.1%} "
        f"in B; {100 * row['difference']:+.1f} points"
    )
    if pd.isna(row["low"]):
        return f"{told}."
    return f"{told} (95 % interval {100 * row['low']:+.1f} to {100 * row['high']:+.1f})."


def group_table(found: Comparison) -> pd.DataFrame:
    """The groups as a reader wants them: group, counts, accuracies, difference, interval, p."""
    groups = found.groups
    names = [
        f"{label}" if pd.isna(attribute) else f"{label}, {attribute} = {value}"
        for label, attribute, value in zip(
            groups["label"],
            groups["attribute"],
            groups["value"].where(groups["value"].notna(), "not annotated"),
            strict=True,
        )
    ]
    columns = {
        "n": "judged in both",
        "accuracy_a": "A",
        "accuracy_b": "B",
        "difference": "B − A",
        "low": "from",
        "high": "to",
        "holm": "p (Holm)",
        "fixed": "fixed",
        "broken": "broken",
        "precision": "precision",
    }
    table = groups[list(columns)].rename(columns=columns)
    table.insert(0, "group", names)
    return table
