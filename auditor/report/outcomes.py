"""How the model does: accuracy of groups, disparities, maps against regions, and cues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.language import Phrase, Series, phrase, sentences
from auditor.report.blocks import Block, chart, column, findings, heading, plain, table, text
from auditor.report.options import SECTIONS
from auditor.report.source import Source, group_name, in_words
from auditor.report.views import agreement, faithfulness, layers
from auditor.types import PADDING, SUBJECT

GROUP_COLUMNS = (
    column("group", phrase("Group")),
    column("n", phrase("Cases"), "count"),
    column("judged", phrase("Judged"), "count"),
    column("correct", phrase("Right"), "count"),
    column("accuracy", phrase("Accuracy"), "share"),
    column("low", phrase("95 % interval"), "share", to="high"),
    column("precision", phrase("Precision")),
    column("reason", phrase("Why not")),
)
"""Of tables of groups; the rows are those of `Source.groups`, in words."""

_OUTCOMES: Mapping[str, Phrase] = {
    "fail": phrase("fail"),
    "pass": phrase("pass"),
    "insufficient-evidence": phrase("insufficient evidence"),
}
"""What a reader is told for the state of a comparison, in the order of their rows."""
_LEAST_ROWS = 12


def performance(source: Source) -> list[Block]:
    """Overall accuracy, the worst group, and every group with its interval."""
    kinds = ("accuracy", "expected_accuracy", "worst_group")
    overall = [found for kind in kinds for found in source.findings(kind)]
    blocks: list[Block] = [findings("overall", overall)]
    accuracy = next((found for found in overall if found["kind"] == "accuracy"), None)
    if accuracy is None:
        blocks.append(text(phrase("No case has a prediction, so there is no accuracy."), "warning"))
    for name, rows in [("label", source.labels), *source.groups.items()]:
        blocks.append(
            chart(
                f"groups.{name}",
                "forest",
                accuracy_by(name),
                _forest(name),
                [{**row, "overall": accuracy and accuracy["value"]} for row in rows],
            )
        )
        blocks.append(
            table(
                f"groups.{name}.table",
                accuracy_by(name),
                _used(GROUP_COLUMNS, rows),
                [in_words(row) for row in rows],
                most=_LEAST_ROWS if len(rows) > 2 * _LEAST_ROWS else len(rows),
                note=phrase("Lowest accuracy first; the appendix has more groups.")
                if len(rows) > 2 * _LEAST_ROWS
                else None,
            )
        )
    if not source.groups:
        blocks.append(text(phrase("No attribute that tells groups is annotated.")))
    return blocks


def accuracy_by(name: str) -> Phrase:
    """The title of a table of groups: of label × that attribute, or of the "label" alone."""
    if name == "label":
        return phrase("Accuracy by label")
    return phrase("Accuracy by label and {attribute}", attribute=name)


def disparities(source: Source) -> list[Block]:
    """Each comparison of groups: fail, pass, or too little evidence to say which."""
    found = source.findings("disparity")
    if not found:
        return [
            text(phrase("No attribute that tells groups is annotated, so no group was compared."))
        ]
    limits = source.info["thresholds"]
    compared = [row for one in found for row in _compared(one, limits)]
    blocks: list[Block] = [
        text(
            phrase(
                "Groups of one label are held against the others of that label. Fail: recognised "
                "less often, with q of at most {alpha:g} over all comparisons. Pass: not so, and "
                "the whole interval of the difference excludes a rate under {four_fifths:.0%} of "
                "the others'. Insufficient evidence: neither, so that a sample too small is not "
                "taken for equal treatment.",
                alpha=limits["alpha"],
                four_fifths=limits["four_fifths"],
            ),
            "note",
        ),
        findings("disparities", found),
        table(
            "comparisons",
            phrase("Comparisons within a label"),
            [
                column("group", phrase("Group")),
                column("outcome", phrase("Outcome")),
                column("right", phrase("Right"), "count"),
                column("judged", phrase("Of"), "count"),
                column("rate", phrase("Recognised"), "share"),
                column("difference", phrase("Points to the others"), "points"),
                column("difference_low", phrase("95 % interval"), "points", to="difference_high"),
                column("q", phrase("q"), "p"),
                column("ratio", phrase("Impact ratio"), "number"),
                column("screen", phrase("Four-fifths screen")),
                column("reason", phrase("Why not")),
            ],
            sorted(compared, key=lambda row: list(_OUTCOMES).index(row["state"])),
        ),
    ]
    screens = source.findings("impact_ratio", "intersection")
    if screens:
        blocks.append(heading(phrase("Four-fifths screen and intersections")))
        blocks.append(findings("screens", screens))
    return blocks


def attention(source: Source) -> list[Block]:
    """Where the maps' evidence lies, beside what chance would give, and whether maps count."""
    gates = source.findings("gate_randomisation", "gate_maps", "gate_noise")
    void = [gate for gate in gates if gate["severity"] != "info"]
    shares = _shares(source)
    blocks: list[Block] = []
    if void:
        blocks.append(
            text(
                phrase(
                    "A gate on the maps was not passed, or could not decide, so what follows about "
                    "maps is weak or no evidence:"
                ),
                "warning",
            )
        )
        blocks.append(findings("gates", void))
    else:
        passed = phrase("The maps passed their gates (see {section}).", section=SECTIONS["model"])
        blocks.append(text(passed, "note"))
    if shares:
        blocks.append(
            chart(
                "mass",
                "shares",
                phrase("Mass of the predicted class's map by region, against area"),
                phrase(
                    "For each region a bar for errors and one for correct cases: the mean share of "
                    "the map's positive evidence that lies in it. The upright mark is the region's "
                    "mean share of the area, which is what chance would give."
                ),
                shares,
            )
        )
        blocks.append(
            table(
                "mass.table",
                phrase("Mean mass and area by region"),
                [
                    column("region", phrase("Region")),
                    column("errors", phrase("Errors: mass"), "share"),
                    column("errors_area", phrase("chance (area)"), "share"),
                    column("errors_n", phrase("n"), "count"),
                    column("correct", phrase("Correct: mass"), "share"),
                    column("correct_area", phrase("chance (area)"), "share"),
                    column("correct_n", phrase("n"), "count"),
                ],
                shares,
                note=phrase(
                    "Cases in which the region could not be measured are in neither n. The "
                    "appendix has intervals (findings of the kind mass)."
                ),
            )
        )
    else:
        blocks.append(
            text(phrase("In no case could a map be measured against a region."), "warning")
        )
    told = source.findings("attention", "attention_cue", "mass_difference")
    if told:
        blocks.append(findings("told", told))
    blocks += [*layers(source), *agreement(source), *faithfulness(source)]
    blocks.append(
        text(
            phrase(
                "A map is not a cause: it says where evidence lies, not what would happen without "
                "it."
            ),
            "note",
        )
    )
    return blocks


def cues(source: Source) -> list[Block]:
    """What changing the cues' pixels showed, of cases and on average."""
    told = source.findings("effect", "spurious_error", "wrong_reason")
    if not told:
        untold = (
            phrase("No pixels were changed, so whether a cue decides was not shown.")
            if not source.info["counts"].get("tested")
            else phrase(
                "The interventions support no statement, so whether a cue decides was not shown."
            )
        )
        return [text(untold, "warning")]
    blocks: list[Block] = [
        text(
            phrase(
                "Confirmed: without the cue the decision is another. Probable: the cue takes at "
                "least half the margin. Queue: the map lies on a cue and no intervention settled "
                "it; a person has to look, and it is not counted. Unsupported: tested, and "
                "neither. Untestable: the test could not be made."
            ),
            "note",
        ),
        findings("told", told),
    ]
    rows = _evidence(source)
    if rows:
        blocks.append(
            table(
                "evidence",
                phrase("Tested cases by what the evidence amounts to"),
                [
                    column("cases", phrase("Cases")),
                    column("cue", phrase("Cue set")),
                    column("confirmed", phrase("Confirmed"), "count"),
                    column("probable", phrase("Probable"), "count"),
                    column("attention", phrase("Queue"), "count"),
                    column("unsupported", phrase("Unsupported"), "count"),
                    column("untestable", phrase("Untestable"), "count"),
                ],
                rows,
            )
        )
    return blocks


def _forest(name: str) -> Series:
    """What a chart of groups shows; `name` as for `accuracy_by`."""
    dashed = phrase("The dashed line is the accuracy of all cases.")
    if name == "label":
        lines = phrase(
            "Each line is a group by label, the lowest accuracy first: a mark at its accuracy, a "
            "bar for its 95 % interval."
        )
        return sentences(lines, dashed)
    lines = phrase(
        "Each line is a group by label and {attribute}, the lowest accuracy first: a mark at its "
        "accuracy, a bar for its 95 % interval.",
        attribute=name,
    )
    return sentences(lines, dashed, phrase("Groups that nobody annotated are shown too."))


def _compared(finding: Mapping[str, Any], limits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a `disparity`, each with its outcome and a name of its group."""
    rows = []
    for row in finding["table"] or []:
        state = outcome(row, limits["alpha"], limits["four_fifths"]).replace(" ", "-")
        group = group_name(row["label"], row["value"])
        rows.append({**in_words(row), "group": group, "state": state, "outcome": _OUTCOMES[state]})
    return rows


def outcome(row: Mapping[str, Any], alpha: float, four_fifths: float) -> str:
    """What a comparison of a group with the others of its label amounts to.

    "fail": recognised less often at q of at most `alpha`; "pass": the whole interval of the
    difference excludes a rate under `four_fifths` of the others'; "insufficient evidence":
    neither, or nothing to compare. `row` is one of the table of a `disparity`.
    """
    rate, difference, low, q = (row[key] for key in ("rate", "difference", "difference_low", "q"))
    if difference is not None and q is not None and difference < 0 and q <= alpha:
        return "fail"
    if rate is None or difference is None or low is None:
        return "insufficient evidence"
    others = rate - difference
    if low > 0 or (others > 0 and others + low >= four_fifths * others):
        return "pass"
    return "insufficient evidence"


def _shares(source: Source) -> list[dict[str, Any]]:
    """Mean mass and area of each region over errors and over correct cases, as `mass` has them."""
    regions = source.info["regions"]
    wanted = [SUBJECT, *regions["cues"], regions["rest"]]
    names = [name for name in dict.fromkeys(wanted) if name != PADDING]
    rows = []
    for region in names:
        mass, area = f"mass.{region}", f"area.{region}"
        cases = source.run.read_cases(["correct", mass, area])
        measured = cases[cases[mass].notna()]
        row: dict[str, Any] = {"region": region, "cue": region in regions["cues"]}
        for what, right in (("errors", False), ("correct", True)):
            own = measured[measured["correct"].eq(right).fillna(False).to_numpy(dtype=bool)]
            row[what] = float(own[mass].mean()) if len(own) else None
            row[f"{what}_area"] = float(own[area].mean()) if len(own) else None
            row[f"{what}_n"] = len(own)
        if len(measured):
            rows.append(row)
    return rows


def _evidence(source: Source) -> list[dict[str, Any]]:
    """Counts of tested cases by right or wrong and cue set, over the values of `evidence`."""
    cases = source.run.read_cases(["correct", "cue", "evidence", "passes"])
    tested = cases[cases["evidence"].notna() & cases["passes"].notna()]
    rows: list[dict[str, Any]] = []
    for told, right in ((phrase("errors"), False), (phrase("correct"), True)):
        own = tested[tested["correct"].eq(right).fillna(False).to_numpy(dtype=bool)]
        for cue, group in own.groupby("cue", dropna=False, observed=True):
            counts = group["evidence"].value_counts()
            rows.append(
                {
                    "cases": told,
                    "cue": plain(cue) or phrase("none singled out"),
                    **{str(name): int(n) for name, n in counts.items()},
                }
            )
    for row in rows:
        for name in ("confirmed", "probable", "attention", "unsupported", "untestable"):
            row.setdefault(name, 0)
    return rows


def _used(columns: tuple[dict[str, Any], ...], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The columns, without `reason` where every rate is known."""
    known = all(row["reason"] is None for row in rows)
    return [one for one in columns if one["name"] != "reason" or not known]
