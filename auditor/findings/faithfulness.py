"""How well maps foretell what taking pixels away does: the finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.findings.finding import Finding
from auditor.findings.intervals import decimal, written_interval
from auditor.findings.means import mean_columns
from auditor.groups import clusters_of
from auditor.language import Phrase, counted, phrase, sentences
from auditor.types import Floats

_RANDOM = "random"
Row = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """A method whose maps were held against what taking pixels away does."""

    method: str
    title: str
    evidence: bool
    problem: str | None
    """Why the model cannot serve it; null where it can."""


@dataclass(frozen=True)
class Faithful:
    """Figures of a sample of cases."""

    methods: tuple[Judged, ...]
    """The audit's own first; "random" and "uniform" maps, which know nothing, last."""
    rows: NDArray[np.intp]
    """[cases] positions in the cases."""
    values: Floats
    """[methods, 3, cases]: areas under deletion and insertion, 0 to 1, and Spearman's
    correlation with occlusion, -1 to 1; NaN where undefined."""
    steps: int


def faithfulness_findings(cases: pd.DataFrame, measured: Faithful, seed: int) -> list[Finding]:
    """The finding `faithfulness`, a row of its table a method.

    `method`, `title`, `evidence`, `chance` (a map that knows nothing), and the means `deletion`
    (lower is more faithful), `insertion` (higher) and `occlusion` (higher; 0 is chance), with
    `_low`, `_high` (95 %) and `_n`; `deletion_gain` and `insertion_gain` are the mean differences
    to the same cases' random maps, above 0 where the method does better; `problem`. Value,
    interval and n are those of the audit's own maps' correlation with occlusion. The message says
    of each method whether it does better than random maps, and the audit's own figures; the others'
    are in the table. `cases` needs `cluster` where cases belong together.
    """
    clusters = clusters_of(cases)
    units = None if clusters is None else clusters[measured.rows]
    names = [one.method for one in measured.methods]
    random = measured.values[names.index(_RANDOM)]
    table = []
    for one, values in zip(measured.methods, measured.values, strict=True):
        gains = {"deletion_gain": random[0] - values[0], "insertion_gain": values[1] - random[1]}
        figures = dict(zip(("deletion", "insertion", "occlusion"), values, strict=True))
        row: Row = {"method": one.method, "title": one.title, "evidence": one.evidence}
        row["chance"] = one.method in names[-2:]
        for name, found in (figures | gains).items():
            row |= mean_columns(name, found, units, seed, *_BOUNDS[name])
        table.append(row | {"problem": one.problem})
    own, *others = table
    message = sentences(
        _verdict(own),
        phrase(
            "Measured on {cases}, drawn at random: cells are taken away, and put back, in {steps} "
            "steps, the highest first.",
            cases=counted(len(measured.rows), "case"),
            steps=measured.steps,
        ),
        *_figures(own, table[names.index(_RANDOM)], units is not None),
        *(_verdict(row) for row in others if not row["chance"]),
        phrase(
            "Images with cells taken away are unlike those that the model was trained on, so the "
            "figures tell of such images as well as of the maps; they change no flag."
        ),
    )
    return [
        Finding(
            "faithfulness",
            "info",
            message,
            value=own["occlusion"],
            low=own["occlusion_low"],
            high=own["occlusion_high"],
            n=own["occlusion_n"],
            threshold=0.0,
            table=tuple(table),
        )
    ]


_BOUNDS = {
    "deletion": (0.0, 1.0),
    "insertion": (0.0, 1.0),
    "occlusion": (-1.0, 1.0),
    "deletion_gain": (-1.0, 1.0),
    "insertion_gain": (-1.0, 1.0),
}
"""Where each figure can lie."""


def _verdict(row: Row) -> Phrase:
    """Whether the maps do better than random ones, by the intervals of the paired gains."""
    title = row["title"]
    if row["problem"] is not None:
        return phrase("{title} could not be had: {why}", title=title, why=row["problem"])
    if not _is_known(row):
        return phrase(
            "The scores of {title} are undefined, since the model's answer was not finite.",
            title=title,
        )
    deletion, insertion = (
        row[f"{name}_gain_low"] is not None and row[f"{name}_gain_low"] > 0
        for name in ("deletion", "insertion")
    )
    if deletion and insertion:
        return phrase(
            "{title}: by deletion and by insertion, its maps are shown to be more faithful than "
            "random maps.",
            title=title,
        )
    if deletion:
        return phrase(
            "{title}: by deletion, its maps are shown to be more faithful than random maps; by "
            "insertion, not.",
            title=title,
        )
    if insertion:
        return phrase(
            "{title}: by insertion, its maps are shown to be more faithful than random maps; by "
            "deletion, not.",
            title=title,
        )
    return phrase(
        "{title}: neither by deletion nor by insertion are its maps shown to be more faithful than "
        "random maps.",
        title=title,
    )


def _figures(row: Row, random: Row, clustered: bool) -> list[Phrase]:
    """What was measured of a method's maps, a sentence each; nothing where it is undefined."""
    if not _is_known(row):
        return []
    found = [
        phrase(
            "Deletion: the predicted class keeps a probability of {mean:.2f} on average "
            "({interval}; random maps {random:.2f}; lower is more faithful).",
            mean=row["deletion"],
            interval=_interval(row, "deletion", clustered),
            random=random["deletion"],
        ),
        phrase(
            "Insertion: it regains {mean:.2f} ({interval}; random maps {random:.2f}; higher is "
            "more faithful).",
            mean=row["insertion"],
            interval=_interval(row, "insertion", clustered),
            random=random["insertion"],
        ),
    ]
    if row["occlusion"] is not None:
        found.append(
            phrase(
                "Occlusion: the maps' rank correlation with what painting over each patch takes "
                "from the logit is {mean:.2f} ({interval}; 0 is chance).",
                mean=row["occlusion"],
                interval=_interval(row, "occlusion", clustered),
            )
        )
    return found


def _is_known(row: Row) -> bool:
    return row["deletion"] is not None and row["insertion"] is not None


def _interval(row: Row, name: str, clustered: bool) -> Phrase:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return written_interval(None if low is None else (low, high), clustered, decimal)
