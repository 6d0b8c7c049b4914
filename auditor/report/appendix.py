"""Everything in full, as far as a page can hold it; what is left out is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.report.blocks import MOST_ROWS, Block, column, plain, table, text
from auditor.report.crosswalk import crosswalk
from auditor.report.examples import flagged
from auditor.report.outcomes import GROUP_COLUMNS
from auditor.report.source import Source
from auditor.types import PADDING

_ALL_ROWS = 3_000  # of the tables of findings and groups together, so that a page stays small
_FEWEST_ROWS = 10

_UNITS = {
    **dict.fromkeys(("n", "judged", "right", "target", "collect", "surplus", "stage"), "count"),
    **dict.fromkeys(("rate", "low", "high", "accuracy"), "share"),
    **dict.fromkeys(("difference", "difference_low", "difference_high"), "points"),
    **dict.fromkeys(("p", "q"), "p"),
}
"""Of the columns of findings' tables; others are numbers or texts, as they come."""


def appendix(source: Source) -> list[Block]:
    """Findings, tables, groups, thresholds, statuses of regions, flagged cases, the crosswalk."""
    found = source.run.findings
    tables = sum(bool(one.get("table")) for one in found) + 1 + len(source.groups)
    most = most_rows(tables)
    blocks = [
        text(
            "The run's own files hold all of it: findings.json, cases.parquet, "
            "interventions.parquet and run.json (docs/run-format.md says what each column is). "
            f"Tables of findings and groups stop at {most} rows here, others at {MOST_ROWS}.",
            "note",
        ),
        table(
            "findings",
            "All findings",
            [
                column("kind", "Kind"),
                column("severity", "Severity"),
                column("text", "Finding"),
                column("value", "Value", "number"),
                column("low", "95 % interval", "number", to="high"),
                column("threshold", "Held against", "number"),
                column("n", "n", "count"),
            ],
            [{key: value for key, value in one.items() if key != "table"} for one in found],
        ),
    ]
    for number, one in enumerate(found):
        rows = one.get("table")
        if rows:
            blocks.append(
                table(
                    f"findings.{number}.{one['kind']}",
                    f"Table of finding {number + 1}, {one['kind']}",
                    _columns(rows),
                    rows,
                    note=f"{number + 1}: {one['text']}",
                    most=most,
                )
            )
    for name, rows in [("label", source.labels), *source.groups.items()]:
        blocks.append(
            table(
                f"groups.{name}",
                f"Accuracy by {'label' if name == 'label' else f'label and {name}'}",
                GROUP_COLUMNS,
                rows,
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
            title = f"{of} 95 % interval".strip()
            columns.append(column(name, title, _unit(name, rows), to=end))
        elif not (name.endswith("high") and f"{name.removesuffix('high')}low" in names):
            columns.append(column(name, name.replace("_", " "), _unit(name, rows)))
    return columns


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
            {"region": region, "status": plain(status) or "not looked for", "n": int(n)}
            for status, n in counts.items()
            if n
        ]
    return table(
        "regions",
        "Regions by what became of them",
        [column("region", "Region"), column("status", "Status"), column("n", "Cases", "count")],
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
        "Flagged cases, the gravest first",
        [
            column("number", "Number", "count"),
            column("id", "Case"),
            column("label", "Label"),
            column("predicted", "Predicted"),
            column("confidence", "Confidence", "number"),
            column("flag", "Flag"),
            column("cue", "Cue"),
            column("evidence", "Evidence"),
            column("severity", "Severity", "number"),
        ],
        [
            {"number": i + 1, **{name: plain(values[name][i]) for name in names}}
            for i in range(len(where))
        ],
        total=len(order),
        note="Severity is null for cases in the queue (attention): it needs an intervention.",
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
        "Thresholds in force",
        [column("name", "Threshold"), column("value", "Value")],
        rows,
        note="docs/method.md and auditor/thresholds.py say what each holds against what.",
    )
