"""One case as the review desk shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auditor.dashboard.details import Details
from auditor.dashboard.words import EVIDENCE, FLAGS
from auditor.store import Run
from auditor.types import SUBJECT


@dataclass(frozen=True)
class Change:
    """One changed image of a test."""

    number: int
    """Its row among the case's interventions, which its picture is asked for by."""
    what: str
    margin: float
    """Logit of the predicted class minus that of the contrast class; NaN where not finite."""
    turns: bool
    """Whether the decision is another one."""
    donor: str | None


@dataclass(frozen=True)
class Test:
    """A cue set that was changed in a case, by an attribute's donors or by fills."""

    cue: str
    by: str
    """In words: how it was changed."""
    before: tuple[Change, ...]
    """The control: donors of the same value, or the same fill elsewhere."""
    after: tuple[Change, ...]
    """The cue exchanged or filled."""
    reliance: float | None
    """Share of the margin that the cue carries."""
    error: float | None
    """Its standard error."""
    flips: float | None

    @property
    def mean_before(self) -> float:
        """Mean margin of the controls, in logits."""
        return float(np.mean([change.margin for change in self.before])) if self.before else np.nan

    @property
    def mean_after(self) -> float:
        """Mean margin with the cue changed, in logits."""
        return float(np.mean([change.margin for change in self.after])) if self.after else np.nan


@dataclass(frozen=True)
class CaseView:
    """What is shown of a case; every value as the run has it."""

    row: int
    case: str
    image: str
    label: str
    predicted: str | None
    contrast: str | None
    correct: bool | None
    confidence: float | None
    margin: float | None
    flag: str | None
    """In words."""
    evidence: str | None
    """In words."""
    cue: str | None
    severity: float | None
    reason: str | None
    """What the tests came to, or why the case was not judged."""
    attributes: Mapping[str, str | None]
    maps: bool
    """Whether it has maps."""
    regions: pd.DataFrame
    """A row a region; see `region_table`."""
    tests: tuple[Test, ...]
    subject: tuple[Change, ...]
    """With the subject filled."""
    faithful: pd.DataFrame | None = None
    """How faithful its maps are, a row a method; null where it was not measured."""

    @property
    def decision(self) -> str:
        """Label and prediction in words."""
        if self.predicted is None:
            return f"{self.label}, not classified"
        if self.correct:
            return f"{self.label}, classified right"
        return f"{self.label}, classified as {self.predicted}"


def case_view(run: Run, details: Details, row: int) -> CaseView:
    """Everything that is shown of a case. Raises `RunError` where the run's files are damaged."""
    case = details.case(row)
    made = details.interventions(case["id"])
    predicted, contrast = case["predicted"], case["contrast"]
    changes: dict[int, Change] = {}
    if len(made) and predicted is not None and contrast is not None:
        margins = details.margins(made, predicted, contrast)
        first = list(run.info["model"]["classes"]).index(predicted)
        for number, entry in enumerate(made.to_dict("records")):
            turns = int(np.argmax(entry["logits"])) != first
            changes[number] = Change(
                number, _what(entry), float(margins[number]), turns, _text(entry["donor"])
            )
    tests = []
    known = made[made["cue"].notna()] if len(made) else made
    for (cue, attribute), rows in known.groupby(["cue", "attribute"], dropna=False, sort=False):
        arms = rows["arm"]
        before = rows.index[arms.isin(["same", "control"])]
        after = rows.index[arms.isin(["opposite", "fill"])]
        by = "filled in four ways" if pd.isna(attribute) else f"exchanged by {attribute}"
        tests.append(
            Test(
                str(cue),
                by,
                tuple(changes[number] for number in before),
                tuple(changes[number] for number in after),
                case.get(f"reliance.{cue}"),
                case.get(f"reliance_se.{cue}"),
                case.get(f"flips.{cue}"),
            )
        )
    subject = made.index[made["arm"] == "subject"] if len(made) else []
    return CaseView(
        row,
        case["id"],
        case["image"],
        case["label"],
        predicted,
        contrast,
        case["correct"],
        case["confidence"],
        case["margin"],
        FLAGS.get(case["flag"] or ""),
        EVIDENCE.get(case["evidence"] or ""),
        case["cue"] or case["map_cue"],
        case["severity"],
        case["reason"] or case["message"],
        {name: case[f"attribute.{name}"] or None for name in run.info["attributes"]},
        case["map_scale"] is not None and predicted is not None,
        region_table(run, case),
        tuple(tests),
        tuple(changes[number] for number in subject),
        details.faithfulness(case["id"]),
    )


_MEASURES = {
    "status": "status",
    "mass": "mass",
    "area": "area (chance)",
    "lift": "lift",
    "margin_mass": "margin mass",
    "margin_excess": "margin excess",
    "pointing": "pointing",
    "p": "p",
    "best_p": "best possible p",
}
"""The columns of a region, and how the table calls them."""


def region_table(run: Run, case: Mapping[str, Any]) -> pd.DataFrame:
    """A row a region with a measure: `region` and the values of `_MEASURES`, nulls as None.

    Masses and areas are shares 0..1, lift is their ratio (1 is chance), p as docs/method.md says.
    """
    names = [SUBJECT, *run.info["regions"]["cues"]]
    rest = run.info["regions"]["rest"]
    rows = []
    for name in dict.fromkeys([*names, rest]):
        values = {told: case.get(f"{column}.{name}") for column, told in _MEASURES.items()}
        rows.append({"region": name, **values})
    return pd.DataFrame(rows)


def _what(entry: Mapping[str, Any]) -> str:
    arm = entry["arm"]
    if arm in ("same", "opposite"):
        return f"donor {entry['number'] + 1}"
    if arm == "control":
        return f"{_fill(entry)}, elsewhere ({entry['number'] + 1})"
    return "as it is" if arm == "original" else _fill(entry)


def _fill(entry: Mapping[str, Any]) -> str:
    names = {"border_mean": "mean of the border", "blur": "blur", "noise": "noise"}
    return names.get(entry["fill"], "painted in")


def _text(value: object) -> str | None:
    return None if value is None or pd.isna(value) else str(value)
