"""`auditor study`."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pandas as pd

from auditor.cli.progress import progress_bar
from auditor.cli.tables import print_table, wrapped
from auditor.cli.text import printable

_QUICK_SEEDS, _FULL_SEEDS = 2, 10
_COLOURS = {"yes": "green", "no": "red"}


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write, or to go on with.  [default: auditor-study, with -quick after it]",
)
@click.option(
    "--quick", is_flag=True, help="Skewed, rebalanced, 50/50 and placebo alone, over two seeds."
)
@click.option(
    "--seeds", type=click.IntRange(1), help="Over so many seeds.  [default: 10, with --quick 2]"
)
@click.option(
    "--jobs", type=click.IntRange(1), help="Seeds that run at a time.  [default: one a core]"
)
def study(out: Path | None, quick: bool, seeds: int | None, jobs: int | None) -> None:
    """Repeat the doctor/nurse study of the Grad-CAM paper on rendered scenes.

    Trains a small network for every arm (skewed, rebalanced, 50/50, …) and seed, measures it
    on a balanced test in which every scene is drawn with the cue swapped as well, and writes
    study.md, study.json and study.svg. Interrupted, the same command goes on. Examples:

    \b
    auditor study --quick
    auditor study --out study --seeds 20
    """
    from auditor.study.arms import ARMS, QUICK
    from auditor.study.plan import Plan
    from auditor.study.running import REPORTING, run_study
    from auditor.study.summary import per_seed
    from auditor.study.writing import write_results

    out = out or Path("auditor-study-quick" if quick else "auditor-study")
    count = seeds or (_QUICK_SEEDS if quick else _FULL_SEEDS)
    plan, arms = Plan(), QUICK if quick else tuple(ARMS)
    cells = len(arms) * count
    click.echo(
        f"{cells} networks to train ({len(arms)} arms × {count} seed{'s' * (count > 1)}), "
        f"about {_minutes(cells, jobs)} on an idle machine like this one. Each is kept when it is "
        "finished; the first takes a minute or two."
    )
    with progress_bar("Studying", "networks") as progress:
        results = run_study(out, plan, range(REPORTING, REPORTING + count), arms, jobs, progress)
    page = write_results(out, plan, results)
    _print(per_seed(results))
    click.echo(f"\nWrote {printable(str(page))}, with study.json and study.svg beside it")


def _print(table: pd.DataFrame) -> None:
    from auditor.study import writing

    parts = (
        ("Accuracy on the balanced test, in %", writing.accuracy_rows),
        ("By group and with the cue swapped, in %; [ideal observer]", writing.cue_rows),
        ("Paired differences", writing.difference_rows),
    )
    for title, rows in parts:
        click.secho(f"\n{title}", bold=True)
        head, *body = rows(table)
        print_table(head, body)
    click.secho("\nWhat it was to show", bold=True)
    for told, seen, met in writing.condition_rows(table)[1:]:
        click.echo(f"   {wrapped(f'{told}: {seen}')}")
        click.secho(f"      {met}", fg=_COLOURS.get(met), bold=met in _COLOURS)


def _minutes(cells: int, jobs: int | None) -> str:
    """A rough time, at one core's minute and a bit for every network."""
    minutes = 1.3 * cells / (jobs or os.cpu_count() or 1)
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
