"""Everything in full, as far as a page can hold it; what is left out is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.language import Phrase, Words, phrase, told
from auditor.reasons import UNMEASURED
from auditor.report.blocks import MOST_ROWS, Block, column, finding, plain, table, text
from auditor.report.crosswalk import crosswalk
from auditor.report.examples import flagged
from auditor.report.outcomes import GROUP_COLUMNS, accuracy_by
from auditor.report.source import Source, in_words
from auditor.report.views import by_measure
from auditor.report.wording import EVIDENCE
from auditor.types import PADDING

_MEASURED = {"ok": phrase("measured"), **UNMEASURED}
_ALL_ROWS = 3_000  # of the tables of findings and groups together, so that a page stays small
_FEWEST_ROWS = 10

_UNITS = {
    **dict.fromkeys(("n", "judged", "right", "target", "collect", "surplus", "stage"), "count"),
    **dict.fromkeys(("rate", "low", "high", "accuracy"), "share"),
    **dict.fromkeys(("difference", "difference_low", "difference_high"), "points"),
    **dict.fromkeys(("p", "q"), "p"),
}
"""Of the columns of findings' tables; others are numbers or texts, as they come."""

_TITLES: Mapping[str, Phrase] = {
    "label": phrase("label"),
    "value": phrase("value"),
    "n": phrase("n"),
    "judged": phrase("judged"),
    "right": phrase("right"),
    "rate": phrase("rate"),
    "precision": phrase("precision"),
    "difference": phrase("difference"),
    "p": phrase("p"),
    "q": phrase("q"),
    "ratio": phrase("ratio"),
    "against": phrase("against"),
    "screen": phrase("screen"),
    "reason": phrase("reason"),
    "target": phrase("target"),
    "collect": phrase("collect"),
    "surplus": phrase("surplus"),
    "attribute_1": phrase("attribute 1"),
    "value_1": phrase("value 1"),
    "attribute_2": phrase("attribute 2"),
    "value_2": phrase("value 2"),
    "stage": phrase("stage"),
    "random_from": phrase("random from"),
    "signed": phrase("signed"),
    "up_to_sign": phrase("up to sign"),
    "output": phrase("output"),
    "name": phrase("name"),
}
"""Of the columns of findings' tables; others have their name."""


def appendix(source: Source) -> list[Block]:
    """Findings, tables, groups, thresholds, statuses of regions, flagged cases, the crosswalk."""
    found = source.run.findings
    tables = sum(bool(one.get("table")) for one in found) + 1 + len(source.groups)
    most = most_rows(tables)
    blocks = [
        text(
            phrase(
                "The run's own files hold all of it: findings.json, cases.parquet, "
                "interventions.parquet and run.json (docs/run-format.md says what each column "
                "is). Tables of findings and groups stop at {most} rows here, others at {others}.",
                most=most,
                others=MOST_ROWS,
            ),
            "note",
        ),
        table(
            "findings",
            phrase("All findings"),
            [
                column("kind", phrase("Kind")),
                column("severity", phrase("Severity")),
                column("text", phrase("Finding")),
                column("value", phrase("Value"), "number"),
                column("low", phrase("95 % interval"), "number", to="high"),
                column("threshold", phrase("Held against"), "number"),
                column("n", phrase("n"), "count"),
            ],
            [finding(one) for one in found],
        ),
    ]
    for number, one in enumerate(found):
        rows = [in_words(row) for row in one.get("table") or []]
        if one["kind"] == "faithfulness":
            rows = by_measure(rows)  # as wide as no page is, else
        if rows:
            blocks.append(
                table(
                    f"findings.{number}.{one['kind']}",
                    phrase(
                        "Table of finding {number}, {kind}", number=number + 1, kind=one["kind"]
                    ),
                    _columns(rows),
                    rows,
                    note=phrase("{number}: {finding}", number=number + 1, finding=told(one)),
                    most=most,
                )
            )
    for name, rows in [("label", source.labels), *source.groups.items()]:
        blocks.append(
            table(
                f"groups.{name}",
                accuracy_by(name),
                GROUP_COLUMNS,
                [in_words(row) for row in rows],
                most=most,
            )
        )
    blocks += [_regions(source), _flagged(source), _thresholds(source), *crosswalk()]
    return blocks


def most_rows(tables: int) -> int:
    """How many rows each of so many tables may have, that all stay within a page's size."""
    return max(_FEWEST_ROWS, min(MOST_ROWS, _ALL_ROWS // tables))


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The columns of a finding's table; those that bound an interval become one."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        end = f"{name.removesuffix('low')}high"
        if name.endswith("low") and end in names:
            of = name.removesuffix("low").strip("_")
            title = phrase("95 % interval")
            if of:
                title = phrase("{column} 95 % interval", column=_title(of))
            columns.append(column(name, title, _unit(name, rows), to=end))
        elif not (name.endswith("high") and f"{name.removesuffix('high')}low" in names):
            columns.append(column(name, _title(name), _unit(name, rows)))
    return columns


def _title(name: str) -> Words:
    return _TITLES.get(name, name.replace("_", " "))


def _unit(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    if name in _UNITS:
        return _UNITS[name]
    values = [row.get(name) for row in rows if row.get(name) is not None]
    if values and all(isinstance(value, int) for value in values):
        return "count"
    return "number" if values and all(isinstance(value, float) for value in values) else "text"


def _regions(source: Source) -> Block:
    """How often each region could be measured, and why not."""
    rows = []
    for region in source.info["regions"]["names"]:
        if region == PADDING:
            continue
        statuses = source.run.read_cases([f"status.{region}"])[f"status.{region}"]
        counts = statuses.value_counts(dropna=False)
        rows += [
            {
                "region": region,
                "status": plain(status),
                "means": _MEASURED.get(plain(status), phrase("not looked for")),
                "n": int(n),
            }
            for status, n in counts.items()
            if n
        ]
    return table(
        "regions",
        phrase("Regions by what became of them"),
        [
            column("region", phrase("Region")),
            column("status", phrase("Status")),
            column("means", phrase("What it means")),
            column("n", phrase("Cases"), "count"),
        ],
        rows,
    )


def _flagged(source: Source) -> Block:
    """The flagged cases, gravest first, the queue for a person after them."""
    order = flagged(source.run)
    where = order[:MOST_ROWS]
    names = ("id", "label", "predicted", "confidence", "flag", "cue", "evidence", "severity")
    values = {name: source.run.read_cases([name])[name].to_numpy()[where] for name in names}
    return table(
        "flagged",
        phrase("Flagged cases, the gravest first"),
        [
            column("number", phrase("Number"), "count"),
            column("id", phrase("Case")),
            column("label", phrase("Label")),
            column("predicted", phrase("Predicted")),
            column("confidence", phrase("Confidence"), "number"),
            column("flag", phrase("Flag")),
            column("cue", phrase("Cue")),
            column("evidence", phrase("Evidence")),
            column("severity", phrase("Severity"), "number"),
        ],
        [
            {
                "number": i + 1,
                **{name: plain(values[name][i]) for name in names},
                "evidence": EVIDENCE[values["evidence"][i]],
            }
            for i in range(len(where))
        ],
        total=len(order),
        note=phrase(
            "Severity is null for cases in the queue (attention): it needs an intervention."
        ),
    )


def _thresholds(source: Source) -> Block:
    rows = [
        {
            "name": name,
            "value": ", ".join(map(str, value)) if isinstance(value, list) else f"{value:g}",
        }
        for name, value in source.info["thresholds"].items()
    ]
    return table(
        "thresholds",
        phrase("Thresholds in force"),
        [column("name", phrase("Threshold")), column("value", phrase("Value"))],
        rows,
        note=phrase("docs/method.md and auditor/thresholds.py say what each holds against what."),
    )
