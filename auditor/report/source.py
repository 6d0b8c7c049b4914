"""What a report is made from: a run's own files, each read once and only as far as needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from auditor.datasets import Dataset
from auditor.groups import COUNTS_ONLY, tells_groups
from auditor.language import Phrase, Words, phrase, read
from auditor.report.options import ReportOptions
from auditor.store import Run

UNANNOTATED = phrase("unannotated")
"""What a group is called whose attribute nobody annotated."""

_CODES: Mapping[str, Mapping[str, Phrase]] = {
    "precision": {
        "ok": phrase("ok"),
        "imprecise": phrase("imprecise"),
        "counts only": phrase("counts only"),
    },
    "screen": {"passes": phrase("passes"), "fails": phrase("fails")},
}
"""What a reader is told for the values of columns that groups and findings have."""


def group_name(label: str, value: str | None) -> Words:
    """A label and an attribute's value; null where nobody annotated it."""
    return f"{label} · {value}" if value else phrase("{label} · unannotated", label=label)


def in_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of groups or of a finding's table, for a table: its codes and its reason as texts."""
    told = {key: value for key, value in row.items() if key != "reason_message"}
    for name, words in _CODES.items():
        if name in told:
            told[name] = words.get(told[name], told[name])
    message = row.get("reason_message")
    return told if message is None else {**told, "reason": read(message)}


@dataclass(frozen=True)
class Source:
    """A finished run, and what the report was asked to be."""

    run: Run
    options: ReportOptions
    reviews: pd.DataFrame | None = None
    dataset: Dataset | None = None
    """Where the caller has it open; otherwise it is opened from the run's configuration."""

    @property
    def info(self) -> Mapping[str, Any]:
        """The run's `run.json`."""
        return self.run.info

    def findings(self, *kinds: str) -> list[dict[str, Any]]:
        """The findings of those kinds, in the run's order."""
        return [found for found in self.run.findings if found["kind"] in kinds]

    @cached_property
    def _tested(self) -> Mapping[str, Any]:
        """Places in interventions.parquet by case."""
        return dict(self.run.interventions.groupby("case", sort=False, observed=True).indices)

    def interventions(self, case: str) -> pd.DataFrame:
        """The rows of interventions.parquet of one case; none where it was not tested."""
        return self.run.interventions.iloc[self._tested.get(case, [])]

    @cached_property
    def nameless(self) -> tuple[str, ...]:
        """Attributes that name images, not groups, so that nothing is broken down by them."""
        names = []
        for name in self.info["attributes"]:
            values = self.run.read_cases([f"attribute.{name}"])[f"attribute.{name}"]
            if not tells_groups(values[values != ""]):
                names.append(name)
        return tuple(names)

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Attributes that tell groups."""
        return tuple(name for name in self.info["attributes"] if name not in self.nameless)

    @cached_property
    def labels(self) -> list[dict[str, Any]]:
        """`Run.by_group` of the labels alone; see `groups`."""
        return self._groups(None)

    @cached_property
    def groups(self) -> Mapping[str, list[dict[str, Any]]]:
        """`Run.by_group` of label × each attribute, lowest accuracy first.

        Rows have `label`, `value` (null where not annotated), `group` (both, as written), `n`,
        `judged`, `correct`, `accuracy`, `low`, `high`, `precision`, and `reason`, a text: why
        a rate is null.
        """
        return {name: self._groups(name) for name in self.attributes}

    def _groups(self, attribute: str | None) -> list[dict[str, Any]]:
        by = ["label"] if attribute is None else ["label", attribute]
        table = self.run.by_group(by)
        rows = []
        ordered = table.sort_values(["accuracy", "n"], na_position="last", kind="stable")
        for row in ordered.to_dict("records"):
            label = str(row["label"])
            value = None
            if attribute is not None:
                given = row[f"attribute.{attribute}"]
                value = None if pd.isna(given) or given == "" else str(given)
            known = not pd.isna(row["accuracy"])
            rows.append(
                {
                    "label": label,
                    "value": value,
                    "group": label if attribute is None else group_name(label, value),
                    "n": int(row["n"]),
                    "judged": int(row["judged"]),
                    "correct": int(row["correct"]),
                    "accuracy": float(row["accuracy"]) if known else None,
                    "low": float(row["low"]) if known else None,
                    "high": float(row["high"]) if known else None,
                    "precision": str(row["precision"]),
                    "reason": None if known else self._why(int(row["judged"])),
                }
            )
        return rows

    def _why(self, judged: int) -> Phrase:
        if not judged:
            return phrase("no case has a prediction")
        if self.info["clustered"]:
            return phrase("fewer than {least} clusters: counts only", least=COUNTS_ONLY)
        return phrase("fewer than {least} judged cases: counts only", least=COUNTS_ONLY)
