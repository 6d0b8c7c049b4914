"""`auditor report`."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.text import printable
from auditor.report import FORMATS, SECTIONS, ReportOptions, write_report
from auditor.reviews import Reviews
from auditor.store import open_run


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help=f"File to write; its suffix says the format: {', '.join('.' + name for name in FORMATS)}.",
)
@click.option(
    "--examples",
    default=ReportOptions.examples,
    show_default=True,
    help="Example cases to show, 0 to 60.",
)
@click.option("--no-images", is_flag=True, help="Without pictures of cases.")
@click.option(
    "--sections",
    metavar="NAMES",
    help=f"Only these, by comma, in this order; of {', '.join(SECTIONS)}.",
)
@click.option("--no-reviews", is_flag=True, help="Without the verdicts of reviewers.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def report(
    run: Path,
    out: Path,
    examples: int,
    no_images: bool,
    sections: str | None,
    no_reviews: bool,
    overwrite: bool,
) -> None:
    """Write a report of a finished RUN that others can read without Auditor.

    It holds pictures of cases, and the verdicts, names and notes of reviewers kept beside the
    run, unless --no-images and --no-reviews are given.

    \b
    auditor report runs/first --out first.html
    auditor report runs/first --out first.md --sections verdict,disparities,limits
    """
    names = tuple(SECTIONS) if sections is None else _names(sections)
    options = ReportOptions(names, examples, not no_images)
    opened = open_run(run)
    kept = Reviews.beside(opened)
    reviews = None if no_reviews or not kept.path.exists() else kept.current(opened.key)
    written = write_report(opened, out, options, reviews, overwrite=overwrite)
    click.echo(f"Wrote {printable(str(written))} ({written.stat().st_size / 1e6:.1f} MB)")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)
