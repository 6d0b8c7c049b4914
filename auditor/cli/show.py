"""`auditor show`, and the summary that `auditor audit` ends with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from auditor.cli.text import json_text, printable
from auditor.store import Run, open_run

_MARKS = {"warning": ("!", "red"), "notice": ("•", "yellow"), "info": (" ", "white")}
_MOST_GROUPS = 12
_MOST_CASES = 10


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print counts and findings as JSON.")
def show(run: Path, as_json: bool) -> None:
    """Show the findings of a finished RUN.

    \b
    auditor show runs/first
    auditor show runs/first --json | jq '.findings[].text'
    """
    opened = open_run(run)
    if as_json:
        content = {"run": str(run), "counts": opened.info["counts"], "findings": opened.findings}
        click.echo(json_text(content))
    else:
        print_summary(opened)


def print_summary(run: Run) -> None:
    """Print findings, groups and the queue for a person."""
    counts, layer = run.info["counts"], run.info["layer"]
    click.secho(f"\n{printable(str(run.path))}", bold=True)
    click.echo(
        f"{counts['cases']:,} cases, {counts['judged']:,} judged, {counts['errors']:,} wrong"
        f" · {run.info['method']} at {printable(layer['name'])} "
        f"({layer['grid'][0]}×{layer['grid'][1]})"
    )
    click.secho("\nFindings", bold=True)
    for finding in run.findings:
        mark, colour = _MARKS[finding["severity"]]
        click.echo(click.style(f" {mark} ", fg=colour, bold=True) + _wrapped(finding["text"]))
    attributes = run.info["attributes"]
    for by in [["label", name] for name in attributes] or [["label"]]:
        _print_groups(run, by)
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
    _print_table(("group", "right", "accuracy", "95 % interval", ""), rows)
    if len(table) > _MOST_GROUPS:
        click.echo(f"   and {len(table) - _MOST_GROUPS} more groups: Run.by_group({by})")


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
    _print_table(
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


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [
        min(44, max(len(text) for text in column)) for column in zip(head, *rows, strict=True)
    ]
    for number, row in enumerate([head, *rows]):
        cells = (
            _shortened(text, width).ljust(width) for text, width in zip(row, widths, strict=True)
        )
        click.echo("   " + click.style("  ".join(cells).rstrip(), dim=number == 0))


def _shortened(text: str, width: int) -> str:
    text = printable(text)
    return text if len(text) <= width else "…" + text[1 - width :]


def _wrapped(text: str) -> str:
    return click.wrap_text(printable(text), width=96, initial_indent="", subsequent_indent="   ")
