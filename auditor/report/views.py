"""Looks beside the audit's own maps: other layers, other methods, and whether cells matter.

Only where the run was asked for them (docs/views.md); no flag rests on any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.language import Phrase, Words, listed, phrase, sentences
from auditor.report.blocks import Block, chart, column, findings, heading, table
from auditor.report.source import Source
from auditor.types import SUBJECT

Row = Mapping[str, Any]

LIFT_COLUMNS = (
    column("layer", phrase("Layer")),
    column("grid", phrase("Cells (height × width)")),
    column("region", phrase("Region")),
    column("errors", phrase("Errors: lift"), "number"),
    column("errors_low", phrase("95 % interval"), "number", to="errors_high"),
    column("errors_n", phrase("n"), "count"),
    column("correct", phrase("Correct: lift"), "number"),
    column("correct_low", phrase("95 % interval"), "number", to="correct_high"),
    column("correct_n", phrase("n"), "count"),
)
"""Of the rows of the chart `lifts` as a table, each with its `grid`."""

_MOST_REGIONS = 6  # strips of the chart
_GATES: Mapping[str, Phrase] = {
    "gate_randomisation": phrase("random weights"),
    "gate_maps": phrase("other classes"),
    "gate_noise": phrase("noise"),
}
_UNLIKE = phrase(
    "Images with cells taken away are unlike those that the model was trained on, so the "
    "figures tell of such images as well as of the maps; they change no flag."
)


def layers(source: Source) -> list[Block]:
    """Lift by layer, of the finding `layers`."""
    blocks: list[Block] = []
    for found in source.findings("layers"):
        rows = _lifts(found["table"] or [], source.info["regions"]["cues"])
        places = {row["place"] for row in rows}
        blocks.append(heading(phrase("At other layers")))
        if len(places) > 1:
            blocks.append(
                chart(
                    "layers",
                    "lifts",
                    phrase("Lift of each region by layer, from the input on"),
                    phrase(
                        "For each region a strip: the lift (mean share of the predicted class's "
                        "map over mean share of the area) at layers over the depth of the model, "
                        "in errors and in correct cases, with 95 % intervals. The dashed line at 1 "
                        "is what chance gives. Maps at other layers than this audit's are views."
                    ),
                    rows,
                    most=len(places) * _MOST_REGIONS,
                )
            )
        blocks.append(findings("layers.told", [found]))
    return blocks


def agreement(source: Source) -> list[Block]:
    """Whether other methods queue the same errors, of the findings `method_agreement`."""
    told = source.findings("method_agreement")
    if not told:
        return []
    rows = [_compared(row) for found in told for row in found["table"] or []]
    columns = [
        column("title", phrase("Method")),
        column("kappa", phrase("Cohen's κ"), "number"),
        column("kappa_low", phrase("95 % interval"), "number", to="kappa_high"),
        column("n", phrase("Errors"), "count"),
        column("both", phrase("Both queue"), "count"),
        column("own_only", phrase("Own alone"), "count"),
        column("other_only", phrase("Other alone"), "count"),
        column("neither", phrase("Neither"), "count"),
        column("correlation", phrase("Rank correlation"), "number"),
        column("correlation_low", phrase("95 % interval"), "number", to="correlation_high"),
        column("gates", phrase("Its gates")),
    ]
    return [
        heading(phrase("With other methods")),
        table(
            "agreement",
            phrase("Would other methods queue the same errors?"),
            _reasoned(columns, rows),
            rows,
            note=phrase(
                "κ is 0 where both agree as chance would, 1 where they agree on every error. The "
                "rank correlation is that of margin maps, a mean over errors. A method that does "
                "not pass its gates agrees or disagrees to no purpose, and a view is no evidence "
                "whatever it agrees with."
            ),
        ),
        findings("agreement.told", told),
    ]


def faithfulness(source: Source) -> list[Block]:
    """Whether cells that maps point at matter, of the finding `faithfulness`."""
    told = source.findings("faithfulness")
    if not told:
        return []
    rows = [_measured(row) for found in told for row in found["table"] or []]
    columns = [
        column("title", phrase("Method")),
        column("deletion", phrase("Deletion, lower is more faithful"), "number"),
        column("deletion_low", phrase("95 % interval"), "number", to="deletion_high"),
        column("insertion", phrase("Insertion, higher is more faithful"), "number"),
        column("insertion_low", phrase("95 % interval"), "number", to="insertion_high"),
        column("occlusion", phrase("Occlusion, higher is more faithful"), "number"),
        column("occlusion_low", phrase("95 % interval"), "number", to="occlusion_high"),
        column("deletion_n", phrase("Cases"), "count"),
    ]
    return [
        heading(phrase("Do the cells matter to the model?")),
        table(
            "faithfulness",
            phrase("What taking cells away does, beside maps that know nothing"),
            _reasoned(columns, rows),
            rows,
            note=sentences(
                phrase(
                    "Deletion and insertion: the mean probability of the predicted class while "
                    "cells go, and while they come back, those first that the map points at. "
                    "Occlusion: the rank correlation of the map with what painting over each patch "
                    "takes from the logit; a map that is the same everywhere has none. "
                    "The appendix has the mean differences to random maps of the same cases, with "
                    "their intervals."
                ),
                _UNLIKE,
            ),
        ),
    ]


def by_measure(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The table of `faithfulness` with a row a method and measure, which is narrow."""
    names = ("deletion", "insertion", "occlusion", "deletion_gain", "insertion_gain")
    return [
        {
            "method": row["method"],
            "measure": name,
            "value": row[name],
            "value_low": row[f"{name}_low"],
            "value_high": row[f"{name}_high"],
            "n": row[f"{name}_n"],
            "problem": row["problem"],
        }
        for row in rows
        for name in names
    ]


def _lifts(rows: Sequence[Row], cues: Sequence[str]) -> list[dict[str, Any]]:
    """A row a region and layer, both outcomes in it; the subject first, then the cues."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(
            (row["region"], row["place"]),
            {
                "layer": row["layer"],
                "place": row["place"],
                "height": row["height"],
                "width": row["width"],
                "own": row["own"],
                "region": row["region"],
                "cue": row["region"] in cues,
                "problem": row["problem"],
            },
        )
        of = row["outcome"]
        one |= {of: row["lift"], f"{of}_low": row["lift_low"], f"{of}_high": row["lift_high"]}
        one[f"{of}_n"] = row["n"]
    order = [SUBJECT, *cues]
    return sorted(found.values(), key=lambda one: (order.index(one["region"]), one["place"]))


def _compared(row: Row) -> dict[str, Any]:
    return {**row, "title": _title(row), "gates": _gates(row), "reason": row["problem"]}


def _measured(row: Row) -> dict[str, Any]:
    return {**row, "title": _title(row), "reason": row["problem"]}


def _title(row: Row) -> Words:
    """A method by its name, and whether it is no more than a view."""
    if row.get("chance"):
        random = row["method"] == "random"
        return phrase("Chance: random map") if random else phrase("Chance: uniform map")
    title = str(row["title"])
    return title if row["evidence"] else phrase("{method} (view)", method=title)


def _gates(row: Row) -> Words | None:
    """What the gates say of a method's maps; None where they could not be run."""
    failed = [told for gate, told in _GATES.items() if row.get(gate) == "not passed"]
    if failed:
        return phrase("not passed: {gates}", gates=listed(failed))
    undecided = [told for gate, told in _GATES.items() if row.get(gate) == "undecided"]
    if undecided:
        return phrase("not decided: {gates}", gates=listed(undecided))
    return phrase("passed") if any(row.get(gate) for gate in _GATES) else None


def _reasoned(columns: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The columns, and why a method could not be had where one could not."""
    if all(row["reason"] is None for row in rows):
        return columns
    return [*columns, column("reason", phrase("Why not"))]
