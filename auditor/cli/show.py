"""`auditor show`, and the summary that `auditor audit` ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pandas as pd

from auditor.cli.tables import print_table, wrapped
from auditor.cli.text import json_text, printable
from auditor.store import Run, open_run

_MARKS = {"warning": ("!", "red"), "notice": ("•", "yellow"), "info": (" ", "white")}
_COLLECTED = {
    "collect": "What to collect, at constant class size",
    "presence_collect": "What to collect, so that label and a cue's presence are independent",
    "training_collect": "What to collect for training, at constant class size",
}
_ALWAYS = frozenset(
    {"verdict", "accuracy", "effect", "spurious_error", "wrong_reason", "attention"}
)
"""Kinds of findings that are shown whatever they say."""
_MOST_GROUPS = 12
_MOST_CASES = 10
_MOST_CELLS = 12


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Also what is without remark.")
@click.option("--json", "as_json", is_flag=True, help="Print counts and findings as JSON.")
def show(run: Path, everything: bool, as_json: bool) -> None:
    """Show the findings of a finished RUN.

    \b
    auditor show runs/first --all
    auditor show runs/first --json | jq '.findings[].text'
    """
    opened = open_run(run)
    if as_json:
        content = {"run": str(run), "counts": opened.info["counts"], "findings": opened.findings}
        click.echo(json_text(content))
    else:
        print_summary(opened, everything)


def print_summary(run: Run, everything: bool = False) -> None:
    """Print findings, groups, flagged errors and the queue for a person.

    Of what is without remark only the kinds in `_ALWAYS`, unless `everything` is asked for.
    """
    counts, layer = run.info["counts"], run.info["layer"]
    click.secho(f"\n{printable(str(run.path))}", bold=True)
    click.echo(
        f"{counts['cases']:,} cases, {counts['judged']:,} judged, {counts['errors']:,} wrong"
        f" · {run.info['method']} at {printable(layer['name'])} "
        f"({layer['grid'][0]}×{layer['grid'][1]})"
    )
    click.secho("\nFindings", bold=True)
    shown = [
        finding
        for finding in run.findings
        if everything or finding["severity"] != "info" or finding["kind"] in _ALWAYS
    ]
    for finding in shown:
        mark, colour = _MARKS[finding["severity"]]
        click.echo(click.style(f" {mark} ", fg=colour, bold=True) + wrapped(finding["text"]))
    if len(shown) < len(run.findings):
        click.echo(
            f"   and {len(run.findings) - len(shown)} findings without remark: "
            f"auditor show {printable(str(run.path))} --all"
        )
    attributes = run.info["attributes"]
    for by in [["label", name] for name in attributes] or [["label"]]:
        _print_groups(run, by)
    for finding in run.findings:
        if finding["kind"] in _COLLECTED:
            _print_collection(finding)
    _print_flagged(run)
    _print_queue(run)
    click.echo()


def _print_groups(run: Run, by: list[str]) -> None:
    table = run.by_group(by)
    click.secho(f"\nAccuracy by {printable(' × '.join(by))}", bold=True)
    ordered = table.sort_values(["accuracy", "n"], na_position="last")
    rows = [
        (
            " · ".join(str(value) for value in row[: len(by)]),
            f"{row.correct}/{row.judged}",
            "" if pd.isna(row.accuracy) else f"{row.accuracy:.1%}",
            "" if pd.isna(row.accuracy) else f"{row.low:.1%}–{row.high:.1%}",
            "" if row.precision == "ok" else row.precision,
        )
        for row in ordered.head(_MOST_GROUPS).itertuples(index=False)
    ]
    print_table(("group", "right", "accuracy", "95 % interval", ""), rows)
    if len(table) > _MOST_GROUPS:
        click.echo(f"   and {len(table) - _MOST_GROUPS} more groups: Run.by_group({by})")


def _print_collection(finding: dict[str, Any]) -> None:
    changed = [row for row in finding["table"] if row["collect"] or row["surplus"]]
    changed.sort(key=lambda row: -row["collect"])
    click.secho(f"\n{_COLLECTED[finding['kind']]}", bold=True)
    print_table(
        ("label", "annotated as", "has", "would need", "collect", "leave out"),
        [
            (
                row["label"],
                row["value"],
                f"{row['n']}",
                f"{row['target']}",
                f"+{row['collect']}" if row["collect"] else "",
                f"{row['surplus']}" if row["surplus"] else "",
            )
            for row in changed[:_MOST_CELLS]
        ],
    )
    if len(changed) > _MOST_CELLS:
        click.echo(
            f"   and {len(changed) - _MOST_CELLS} more: the table of the finding "
            f"{finding['kind']!r} in findings.json"
        )


def _print_flagged(run: Run) -> None:
    """Errors that a cue caused or contributed to, the gravest first."""
    columns = ["id", "label", "predicted", "confidence", "flag", "cue", "evidence", "severity"]
    columns += [
        f"{measure}.{cues['name']}"
        for cues in run.info["cue_sets"]
        for measure in ("reliance", "reliance_se")
    ]
    cases = run.read_cases(columns)
    flagged = cases[(cases["flag"] == "spurious_error") & cases["severity"].notna()]
    if flagged.empty:
        return
    flagged = flagged.sort_values("severity", ascending=False, kind="stable")
    click.secho("\nErrors that a cue caused (confirmed) or had a part in (probable)", bold=True)
    print_table(
        ("case", "label → predicted", "conf.", "cue", "evidence", "reliance", "severity"),
        [_flagged_row(case) for _, case in flagged.head(_MOST_CASES).iterrows()],
    )
    if len(flagged) > _MOST_CASES:
        click.echo(
            f"   and {len(flagged) - _MOST_CASES} more: "
            "Run.cases.query(\"flag == 'spurious_error' and severity.notna()\")"
        )


def _flagged_row(case: pd.Series) -> tuple[str, ...]:
    reliance, error = case[f"reliance.{case['cue']}"], case[f"reliance_se.{case['cue']}"]
    return (
        str(case["id"]),
        f"{case['label']} → {case['predicted']}",
        f"{case['confidence']:.2f}",
        case["cue"],
        case["evidence"],
        f"{reliance:.2f}" + ("" if pd.isna(error) else f" ± {error:.2f}"),
        f"{case['severity']:.2f}",
    )


def _print_queue(run: Run) -> None:
    columns = ["id", "label", "predicted", "confidence", "cue", "evidence", "stability"]
    cues = run.info["regions"]["cues"]
    columns += [f"{m}.{cue}" for cue in cues for m in ("margin_mass", "area", "margin_excess", "p")]
    cases = run.read_cases(columns)
    queue = cases[cases["evidence"] == "attention"]
    if queue.empty:
        return
    click.secho("\nQueue for a person: errors whose margin map lies on a cue", bold=True)
    rows = [_queue_row(case) for _, case in queue.iterrows()]
    rows.sort(key=lambda row: -row[0])
    print_table(
        ("case", "label → predicted", "conf.", "cue", "mass", "chance", "p", "outline"),
        [row[1:] for row in rows[:_MOST_CASES]],
    )
    if len(rows) > _MOST_CASES:
        click.echo(
            f"   and {len(rows) - _MOST_CASES} more: Run.cases.query(\"evidence == 'attention'\")"
        )


def _queue_row(case: pd.Series) -> tuple[float, str, str, str, str, str, str, str, str]:
    cue = case["cue"]
    stability = case["stability"]
    return (
        case[f"margin_excess.{cue}"],
        str(case["id"]),
        f"{case['label']} → {case['predicted']}",
        f"{case['confidence']:.2f}",
        cue,
        f"{case[f'margin_mass.{cue}']:.0%}",
        f"{case[f'area.{cue}']:.0%}",
        f"{case[f'p.{cue}']:.3f}",
        "–" if pd.isna(stability) else f"holds {stability:.0%}",
    )
