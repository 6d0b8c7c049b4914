"""`auditor compare`."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from auditor.cli.tables import print_table, wrapped
from auditor.cli.text import json_text, printable
from auditor.findings import Comparison, Paired
from auditor.findings import compare as compared
from auditor.findings.finding import p_equation, written_p
from auditor.store import open_run

_MOST_GROUPS = 12
_MOST_IDS = 5


@click.command()
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def compare(run_a: Path, run_b: Path, as_json: bool) -> None:
    """Show what changed from RUN_A to RUN_B, two runs over the same cases.

    \b
    auditor compare runs/first runs/balanced
    auditor compare runs/first runs/balanced --json | jq -r '.fixed[]'
    """
    comparison = compared(open_run(run_a), open_run(run_b))
    if as_json:
        click.echo(json_text(comparison.described()))
    else:
        print_comparison(comparison)


def print_comparison(comparison: Comparison) -> None:
    """Print accuracies, cases, groups and shares of the map, A beside B."""
    paired = comparison.accuracy
    for name, path in (("A", comparison.a), ("B", comparison.b)):
        click.secho(f"{name}  {printable(str(path))}", bold=True)
    click.echo(f"{len(comparison.cases):,} cases paired, {paired.n:,} judged in both")
    click.secho("\nAccuracy", bold=True)
    _print_accuracy(paired)
    click.secho("\nCases", bold=True)
    _print_cases(comparison)
    attributes = comparison.groups["attribute"]
    named = attributes.dropna().unique()
    for attribute in named if len(named) else [None]:
        chosen = attributes.isna() if attribute is None else attributes == attribute
        _print_groups(comparison.groups[chosen], attribute)
        _print_worst(comparison.worst, attribute)
    _print_reliance(comparison.reliance)
    _print_shares(comparison.shares)
    _print_evidence(comparison.evidence)
    if comparison.notes:
        click.secho("\nTo be read with it", bold=True)
    for note in comparison.notes:
        click.echo(click.style(" • ", fg="yellow", bold=True) + wrapped(str(note)))
    click.echo()


def _print_accuracy(paired: Paired) -> None:
    if paired.accuracy_a is None or paired.accuracy_b is None:
        click.echo(f"   not known: {paired.reason}")
        return
    low, high = paired.low, paired.high
    assert paired.difference is not None
    told = f"   {paired.accuracy_a:.1%} → {paired.accuracy_b:.1%}   "
    told += click.style(f"{_points(paired.difference)} points", fg=_colour(low, high), bold=True)
    if low is not None and high is not None:
        told += f" (95 % interval {_points(low)} to {_points(high)})"
    click.echo(told + (f", {paired.reason}" if paired.p is None else f", {p_equation(paired.p)}"))


def _print_cases(comparison: Comparison) -> None:
    paired = comparison.accuracy
    told = {
        "fixed": (paired.fixed, "wrong in A, right in B"),
        "broken": (paired.broken, "right in A, wrong in B"),
        "still_wrong": (paired.still_wrong, "wrong in both"),
        "still_right": (paired.still_right, "right in both"),
    }
    rows = []
    for change, (count, meaning) in told.items():
        some = comparison.changed(change)[:_MOST_IDS] if change != "still_right" else []
        more = f", and {count - len(some)} more" if some and count > len(some) else ""
        rows.append((meaning, f"{count}", ", ".join(some) + more))
    missing = comparison.unjudged
    if any(missing.values()):
        runs = {"a": "A", "b": "B", "both": "both"}
        where = [f"{count} in {runs[run]}" for run, count in missing.items() if count]
        rows.append(("not judged", f"{sum(missing.values())}", ", ".join(where)))
    width = max(len(count) for _, count, _ in rows)
    for meaning, number, ids in rows:
        text = f"   {meaning:<22}  {number:>{width}}"
        click.echo(text + (click.style(f"  {printable(ids)}", dim=True) if ids else ""))


def _print_groups(groups: pd.DataFrame, attribute: str | None) -> None:
    by = "label" if attribute is None else f"label × {attribute}"
    click.secho(f"\nAccuracy by {printable(by)}", bold=True)
    ordered = groups.sort_values(["accuracy_a", "n"], na_position="last", kind="stable")
    rows = [
        (
            group_text(row["label"], row["value"]),
            f"{row['n']}",
            f"{row['fixed']}",
            f"{row['broken']}",
            *(_share(row[f"accuracy_{run}"]) for run in ("a", "b")),
            *_difference(row),
            "" if pd.isna(row["holm"]) else written_p(row["holm"]),
            "" if row["precision"] == "ok" else row["precision"],
        )
        for _, row in ordered.head(_MOST_GROUPS).iterrows()
    ]
    head = ("group", "n", "fixed", "broken", "A", "B", "points", "95 % interval", "p (Holm)", "")
    print_table(head, rows)
    if len(groups) > _MOST_GROUPS:
        click.echo(f"   and {len(groups) - _MOST_GROUPS} more groups: auditor.compare(…).groups")


def _print_worst(worst: pd.DataFrame, attribute: str | None) -> None:
    of = worst["attribute"].isna() if attribute is None else worst["attribute"] == attribute
    for _, row in worst[of].iterrows():
        in_a, in_b = (group_text(row[f"label_{run}"], row[f"value_{run}"]) for run in ("a", "b"))
        same = in_a == in_b
        click.echo(
            "   Lowest: "
            + wrapped(
                f"{in_a} {_share(row['accuracy_a'])} in A → "
                + ("" if same else f"{in_b} ")
                + f"{_share(row['accuracy_b'])} in B"
                + ("" if same else f" ({in_a} is {_share(row['in_b'])} there)")
                + f", {' points, 95 % interval '.join(filter(None, _difference(row)))}."
            )
        )


def _print_reliance(reliance: pd.DataFrame) -> None:
    if reliance.empty:
        return
    click.secho("\nReliance: a cue's average effect, as a share of the median margin", bold=True)
    known = reliance[reliance["reason"].isna()]
    rows = [
        (
            row["cue"],
            *(f"{row[name]}" for name in ("n_a", "n_b", "n")),
            *(_share(row[name]).replace("-", "−") for name in ("a", "b")),
            *_difference(row),
        )
        for _, row in known.iterrows()
    ]
    head = ("cue", "tested, A", "tested, B", "in both", "A", "B", "points", "95 % interval")
    if rows:
        print_table(head, rows)
    for _, row in reliance[reliance["reason"].notna()].iterrows():
        click.echo("   " + wrapped(f"{row['cue']}: {row['reason']}"))


def _print_shares(shares: pd.DataFrame) -> None:
    measured = shares[shares["n"] > 0]
    if measured.empty:
        return
    click.secho("\nMean share of the predicted class's map", bold=True)
    rows = [
        (
            row["region"],
            f"{row['n']}",
            _share(row["chance"]),
            _share(row["a"]),
            _share(row["b"]),
            *_difference(row),
        )
        for _, row in measured.iterrows()
    ]
    print_table(("region", "n", "chance", "A", "B", "points", "95 % interval"), rows)


def _print_evidence(evidence: pd.DataFrame) -> None:
    if evidence.empty:
        return
    click.secho("\nEvidence: errors and correct cases at each level", bold=True)
    rows = [tuple(str(cell) for cell in row) for row in evidence.itertuples(index=False)]
    print_table(("level", "A", "B", "in both", "only A", "only B"), rows)


def _difference(row: pd.Series) -> tuple[str, str]:
    if pd.isna(row["difference"]):
        return "", ""
    if pd.isna(row["low"]):
        return _points(row["difference"]), ""
    return _points(row["difference"]), f"{_points(row['low'])} to {_points(row['high'])}"


def group_text(*names: str | None) -> str:
    """A group as tables and sentences call it; a name that is null is left out."""
    shown = [name for name in names if name is not None and not pd.isna(name)]
    return " · ".join(name or "unannotated" for name in shown)


def _share(share: float) -> str:
    return "" if pd.isna(share) else f"{share:.1%}"


def _points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}".replace("-", "−")


def _colour(low: float | None, high: float | None) -> str | None:
    """Green or red where the interval lies on one side of 0."""
    if low is not None and low > 0:
        return "green"
    return "red" if high is not None and high < 0 else None
