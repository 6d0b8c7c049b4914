"""The console script `auditor`: one module a command, one table of them.

Exit status: 0 done; 1 a check failed; 2 unusable input, with one message and no traceback;
3 a check found too little evidence; 130 interrupted, everything finished so far kept.
"""

from __future__ import annotations

import io
import sys
from typing import NoReturn

import click

import auditor
from auditor.cli.audit import audit
from auditor.cli.check import check
from auditor.cli.compare import compare
from auditor.cli.dashboard import dashboard
from auditor.cli.demo import demo
from auditor.cli.discover import discover
from auditor.cli.export import export
from auditor.cli.finetune import finetune
from auditor.cli.hint import hint
from auditor.cli.report import report
from auditor.cli.reviews import reviews
from auditor.cli.show import show
from auditor.cli.study import study
from auditor.cli.text import printable
from auditor.cli.validate import validate
from auditor.errors import AuditorError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(auditor.__version__)
def commands() -> None:
    """Find out whether an image classifier decides by the subject or by a cue.

    \b
    auditor demo
    auditor validate audit.toml
    auditor audit audit.toml --out runs/first
    auditor show runs/first
    auditor report runs/first --out first.html
    auditor compare runs/first runs/balanced
    auditor check runs/first --policy policy.toml
    """


for command in (
    demo,
    validate,
    audit,
    show,
    dashboard,
    report,
    export,
    compare,
    check,
    discover,
    reviews,
    hint,
    finetune,
    study,
):
    commands.add_command(command)


def main() -> None:
    """Run the console script and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may have no × or →
    try:
        status = commands.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except AuditorError as error:
        _refuse(str(error))
    except OSError as error:  # a directory that cannot be written, a full disk
        where = f"{error.filename}: " if error.filename else ""
        _refuse(f"{where}{error.strerror or error}. Give a path that can be read and written.")
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "\nauditor: interrupted; what was finished is kept (an audit keeps every 256 cases, a "
            "training every epoch, a study every network), and the same command goes on from "
            "there.",
            err=True,
        )
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


def _refuse(message: str) -> NoReturn:
    click.echo(f"auditor: {printable(message)}", err=True)
    sys.exit(2)
