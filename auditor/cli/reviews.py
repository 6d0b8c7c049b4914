"""`auditor reviews export` and `auditor reviews import`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.tables import print_table, wrapped
from auditor.cli.text import json_text, printable
from auditor.store import Run, open_run

if TYPE_CHECKING:
    from auditor.reviews import Coverage, FlagAgreement, PairAgreement, Reviews

_MOST_PAIRS = 12


@click.group()
def reviews() -> None:
    """Bring the verdicts of reviewers out of Auditor, or into it, as CSV.

    \b
    auditor reviews export runs/first --out verdicts.csv
    auditor reviews import runs/first verdicts.csv
    """


@reviews.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The CSV to write.")
@click.option("--all-runs", is_flag=True, help="Also those of the runs beside, or once beside.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def export_reviews(run: Path, out: Path, all_runs: bool, overwrite: bool, as_json: bool) -> None:
    """Write the verdicts about RUN that stand to a CSV, for a spreadsheet or for pandas.

    \b
    auditor reviews export runs/first --out verdicts.csv
    auditor reviews export runs/first --out verdicts.csv --json | jq .coverage
    """
    from auditor.reviews import Reviews, export_csv

    opened = open_run(run)
    kept = Reviews.beside(opened)
    rows = export_csv(kept, out, None if all_runs else opened.key, overwrite=overwrite)
    done = f"{rows:,} verdict{'s' * (rows != 1)} written to {out}."
    _summarise(opened, kept, {"file": str(out), "exported": rows}, done, as_json)


@reviews.command("import")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def import_reviews(run: Path, file: Path, as_json: bool) -> None:
    """Add the verdicts of the CSV FILE to RUN and to the runs beside it that its rows name.

    Every row is checked first: all are imported, or none. Rows that say what stands already
    are left out, so a file may be imported again.

    \b
    auditor reviews import runs/first verdicts.csv
    """
    from auditor.reviews import Reviews, import_csv, runs_beside

    opened = open_run(run)
    kept = Reviews.beside(opened)
    found = import_csv(kept, file, runs_beside(opened))
    added = len(found.events)
    counts = {"imported": added, "replaced": found.replaced, "unchanged": found.unchanged}
    done = (
        f"{added:,} verdict{'s' * (added != 1)} imported from {file}, {found.replaced:,} of them "
        f"in the place of another; {found.unchanged:,} stood already."
    )
    _summarise(opened, kept, {"file": str(file), **counts}, done, as_json)


def _summarise(run: Run, kept: Reviews, what: dict[str, Any], done: str, as_json: bool) -> None:
    """Print what was done, and what the reviews of the run come to now."""
    from auditor.reviews import (
        FLAGGED,
        QUEUED,
        VERDICTS,
        coverage,
        flag_agreement,
        pair_agreement,
    )

    current, cases = kept.current(run.key), run.read_cases(["id", "flag", "evidence"])
    counts = {
        str(reviewer): {name: int((rows["verdict"] == name).sum()) for name in VERDICTS}
        | {"none": int(rows["verdict"].isna().sum())}
        for reviewer, rows in current.groupby("reviewer", sort=True)
    }
    seen = {
        name: coverage(current, cases, evidence)
        for name, evidence in (("flagged", FLAGGED), ("queued", QUEUED))
    }
    pairs, flags = pair_agreement(current), flag_agreement(current, cases)
    if as_json:
        content = {
            "run": str(run.path),
            "key": run.key,
            **what,
            "verdicts": counts,
            "coverage": {name: asdict(found) for name, found in seen.items()},
            "agreement": {"reviewers": [asdict(pair) for pair in pairs], "flag": asdict(flags)},
        }
        click.echo(json_text(content))
        return
    click.echo(printable(done))
    if not counts:
        return
    click.secho("\nVerdicts about this run", bold=True)
    names = [*VERDICTS.values(), "No verdict"]
    rows = [
        (reviewer, *(f"{count}" for count in given.values())) for reviewer, given in counts.items()
    ]
    print_table(("reviewer", *names), rows)
    _print_coverage(seen)
    if pairs:
        _print_pairs(pairs)
    _print_flags(flags)
    click.echo()


def _print_coverage(seen: dict[str, Coverage]) -> None:
    click.secho("\nReviewed", bold=True)
    meanings = {"flagged": "flagged, confirmed or probable", "queued": "queue for a person"}
    print_table(
        ("cases", "n", "reviewed", "unresolved"),
        [
            (meanings[name], f"{found.flagged}", f"{found.reviewed}", f"{found.unresolved}")
            for name, found in seen.items()
        ],
    )


def _print_pairs(pairs: list[PairAgreement]) -> None:
    click.secho("\nAgreement of reviewers", bold=True)
    rows = [
        (
            f"{pair.a} · {pair.b}",
            f"{pair.agreed}/{pair.n}",
            "" if pair.agreement is None else f"{pair.agreement:.0%}",
            "" if pair.kappa is None else f"{pair.kappa:.2f}",
            pair.reason or "",
        )
        for pair in pairs[:_MOST_PAIRS]
    ]
    print_table(("reviewers", "agreed", "", "kappa", ""), rows)
    if len(pairs) > _MOST_PAIRS:
        click.echo(f"   and {len(pairs) - _MOST_PAIRS} more pairs: --json")


def _print_flags(flags: FlagAgreement) -> None:
    click.secho("\nThe flag against the reviewers, in cases", bold=True)
    print_table(
        ("", "spurious cue", "otherwise"),
        [
            ("flagged", f"{flags.both}", f"{flags.machine_only}"),
            ("not flagged", f"{flags.human_only}", f"{flags.neither}"),
        ],
    )
    kappa = f"not known, {flags.reason}" if flags.kappa is None else f"{flags.kappa:.2f}"
    told = f"Kappa {kappa}"
    if flags.precision is not None:
        told += (
            f"; precision of the flag {flags.precision:.0%} "
            f"(95 % interval {flags.low:.0%} to {flags.high:.0%})"
        )
    told += f". Left out: {flags.unclear} unclear, {flags.disagreed} where reviewers disagree."
    click.echo("   " + wrapped(told))
