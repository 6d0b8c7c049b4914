"""`auditor check`."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from auditor.cli.language import Speaker, in_language
from auditor.cli.text import json_text, printable
from auditor.files import whole
from auditor.language import Language, phrase
from auditor.policies import Checked, junit, read_policy, summary, table_rows
from auditor.policies import check as checked_against
from auditor.policies import github as github_lines
from auditor.policies.writing import HEAD
from auditor.store import open_run

_COLOURS = {"pass": "green", "fail": "red", "insufficient": "yellow"}
_MARKS = {"fail": "!", "insufficient": "?"}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--policy", required=True, type=click.Path(path_type=Path), help="TOML file: docs/check.md."
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="A run over the same dataset, for the conditions in [baseline].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcomes as JSON.")
@click.option(
    "--junit", "junit_file", type=click.Path(path_type=Path), help="Also write JUnit XML here."
)
@click.option("--github", is_flag=True, help="Also print annotations for GitHub Actions.")
@in_language
def check(
    run: Path,
    policy: Path,
    baseline: Path | None,
    as_json: bool,
    junit_file: Path | None,
    github: bool,
    language: Language,
) -> int:
    """Hold a finished RUN against a policy, as a gate for CI.

    Exit status: 0 every condition passed; 1 one failed; 2 unusable input; 3 none failed, and
    there is too little evidence to say of one.

    \b
    auditor check runs/first --policy policy.toml
    auditor check runs/new --policy policy.toml --baseline runs/first --junit check.xml
    auditor check runs/first --policy policy.toml --language ja
    """
    if as_json and github:
        raise click.UsageError("--json and --github both write to the output; give one of them.")
    held = read_policy(policy)
    checked = checked_against(open_run(run), held, None if baseline is None else open_run(baseline))
    if as_json:
        click.echo(json_text(checked.described()))
    elif github:
        # Names from the dataset must not be read as commands where they begin a line.
        token = secrets.token_hex(16)
        click.echo(f"::stop-commands::{token}")
        print_checked(checked, language)
        click.echo(f"::{token}::")
        for line in github_lines(checked, language):
            click.echo(printable(line))
    else:
        print_checked(checked, language)
    if junit_file is not None:  # last, so that a file that cannot be written hides no outcome
        with whole(junit_file) as part:
            part.write_bytes(junit(checked, language))
    return checked.exit_status


def print_checked(checked: Checked, language: Language = "en") -> None:
    """Print a row a condition, then what is to be said of those that did not pass."""
    speaker = Speaker(language)
    click.secho(f"\n{printable(str(checked.run))}", bold=True)
    policy = str(checked.policy.path)
    against = (
        phrase("held against {policy}", policy=policy)
        if checked.baseline is None
        else phrase(
            "held against {policy}, against {baseline}",
            policy=policy,
            baseline=str(checked.baseline),
        )
    )
    click.echo(f"{speaker.said(against)}\n")
    speaker.table(HEAD, table_rows(checked, language))
    for status, mark in _MARKS.items():
        for outcome in checked.outcomes:
            if outcome.status == status:
                told = phrase("{condition}: {text}", condition=outcome.name, text=outcome.message)
                click.echo()
                speaker.paragraph(told, mark, _COLOURS[status])
    click.secho(
        f"\n{speaker.said(summary(checked, language))}", fg=_COLOURS[checked.status], bold=True
    )
