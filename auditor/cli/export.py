"""`auditor export`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

import click

from auditor.cli.progress import progress_bar
from auditor.cli.text import printable
from auditor.exports import FORMATS, write_export
from auditor.exports.request import MaskForm
from auditor.store import open_run

_PATIENCE = 2.0  # seconds without a progress bar


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "name",
    required=True,
    type=click.Choice(list(FORMATS)),
    help="; ".join(f"{name} ({made.suffix}): {made.about}" for name, made in FORMATS.items()) + ".",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
@click.option("--flagged", is_flag=True, help="coco: only cases with a flag.")
@click.option(
    "--masks",
    type=click.Choice(get_args(MaskForm)),
    default="compressed",
    show_default=True,
    help="coco: masks as COCO's strings, as lists of numbers, or as polygons around the same "
    "pixels, for tools that read these alone.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def export(
    run: Path,
    name: str,
    out: Path,
    flagged: bool,
    masks: MaskForm,
    overwrite: bool,
) -> None:
    """Write a finished RUN for other tools.

    Only coco reads the dataset; masks are those that lie there now.

    \b
    auditor export runs/first --format csv --out cases.csv
    auditor export runs/first --format coco --out flagged.json --flagged
    auditor export runs/first --format modelcard --out README.md
    """
    opened = open_run(run)
    begun = time.monotonic()
    with progress_bar("Exporting", "rows") as bar:

        def update(done: int, total: int) -> None:
            if time.monotonic() - begun > _PATIENCE:
                bar(done, total)

        made = write_export(
            opened, name, out, flagged=flagged, masks=masks, overwrite=overwrite, progress=update
        )
    size = made.path.stat().st_size
    large = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    told = f"{made.written.rows:,} {made.written.what}"
    click.echo(f"Wrote {printable(str(made.path))} ({told}, {large})")
    for note in made.written.notes:
        click.echo(f"  {printable(note)}")
