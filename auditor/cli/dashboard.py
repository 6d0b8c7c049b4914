"""`auditor dashboard`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from threading import Timer

import click

from auditor.cli.text import printable
from auditor.errors import AuditorError

PORT = 8501


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
def dashboard(runs: Path, port: int, no_browser: bool) -> None:
    """Look at the runs in the folder RUNS, review their cases, and start audits.

    RUNS is a folder of runs or a run itself; by default `runs`. The dashboard is served on this
    machine alone, until Ctrl-C. Example:

    \b
    auditor dashboard runs
    """
    show(runs, port, not no_browser)


def show(runs: Path, port: int, browser: bool) -> None:
    """Serve a folder of runs, or the folder of a run, until interrupted."""
    from auditor.dashboard.server import ADDRESS, serve

    focus = None
    if (runs / "run.json").is_file():
        focus, runs = runs.resolve().name, runs.resolve().parent
    if runs.exists() and not runs.is_dir():
        raise AuditorError(f"{runs}: is a file; give a folder of runs, or a run.")
    address = f"http://{ADDRESS}:{port}"
    click.echo(f"{printable(str(runs))} at {address} (Ctrl-C ends it)")
    if browser:
        # Once the server listens; a machine without a browser just does nothing.
        timer = Timer(1.5, webbrowser.open, [address])
        timer.daemon = True
        timer.start()
    serve(runs, port, focus)
