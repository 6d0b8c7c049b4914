"""`auditor validate`."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.progress import progress_bar
from auditor.cli.text import json_text, printable


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def validate(config: Path, as_json: bool) -> int:
    """Read every label, image header and region of CONFIG's dataset, without a model.

    Lists every problem at once, and exits with 2 if there is one. Example:

    \b
    auditor validate audit.toml
    """
    from auditor.configuration import read_config
    from auditor.datasets import open_dataset
    from auditor.datasets.validation import validate as find_problems

    read = read_config(config)
    dataset = open_dataset(read)
    with progress_bar("Reading", "images") as progress:
        problems = find_problems(dataset, read.model.classes, progress)
    if as_json:
        found = [
            {"path": str(p.path), "id": p.id, "what": p.what, "fatal": p.fatal} for p in problems
        ]
        click.echo(json_text({"cases": len(dataset), "problems": found}))
        return 2 if problems else 0
    for problem in problems:
        mark = click.style("fatal  ", fg="red") if problem.fatal else "spoiled"
        case = f"{problem.id}: " if problem.id else ""
        click.echo(f"{mark} {printable(f'{problem.path}: {case}{problem.what}')}")
    if problems:
        fatal = sum(problem.fatal for problem in problems)
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        click.echo(
            f"{count} in {len(dataset)} cases; stopping an audit: {fatal}, spoiling a case or a "
            f"measure: {len(problems) - fatal}."
        )
        return 2
    click.echo(f"{len(dataset)} cases, {len(dataset.labels)} labels: no problem found.")
    return 0
