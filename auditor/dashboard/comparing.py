"""Two runs side by side: the comparison, kept while it is looked at, and the cases that changed."""

from __future__ import annotations

from functools import lru_cache

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


def comparison(a: Run, b: Run) -> Comparison:
    """What changed from A to B; see `auditor.findings.compare`. The last two are kept."""
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
    return compare(a.run, b.run)


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
