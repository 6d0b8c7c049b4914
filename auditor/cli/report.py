"""`auditor report`."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.text import printable
from auditor.language import LANGUAGES, Language
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
    "--blur",
    metavar="REGION",
    multiple=True,
    help="Make this annotated region unrecognisable in every picture; may be given again.",
)
@click.option(
    "--assets",
    metavar="ZIP",
    type=click.Path(path_type=Path),
    help="Also write the pictures of the flagged cases that the report has no room for.",
)
@click.option(
    "--sections",
    metavar="NAMES",
    help=f"Only these, by comma, in this order; of {', '.join(SECTIONS)}.",
)
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=ReportOptions.language,
    show_default=True,
    help="Language of every fixed sentence; names, labels and notes stay as they are.",
)
@click.option("--no-reviews", is_flag=True, help="Without the verdicts of reviewers.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def report(
    run: Path,
    out: Path,
    examples: int,
    no_images: bool,
    blur: tuple[str, ...],
    assets: Path | None,
    sections: str | None,
    language: Language,
    no_reviews: bool,
    overwrite: bool,
) -> None:
    """Write a report of a finished RUN that others can read without Auditor.

    It holds pictures of cases, and the verdicts, names and notes of reviewers kept beside the
    run, unless --no-images and --no-reviews are given. A PDF is printed by a Chromium of this
    machine.

    \b
    auditor report runs/first --out first.html
    auditor report runs/first --out first.md --sections verdict,disparities,limits
    auditor report runs/first --out first.pdf --blur face --assets first-pictures.zip
    auditor report runs/first --out first.html --language ja
    """
    names = tuple(SECTIONS) if sections is None else _names(sections)
    hidden = tuple(dict.fromkeys(blur))
    options = ReportOptions(names, examples, not no_images, hidden, language=language)
    opened = open_run(run)
    kept = Reviews.beside(opened)
    reviews = None if no_reviews or not kept.path.exists() else kept.current(opened.key)
    written = write_report(opened, out, options, reviews, overwrite=overwrite, assets=assets)
    for file in (written, assets):
        if file is not None:
            click.echo(f"Wrote {printable(str(file))} ({file.stat().st_size / 1e6:.1f} MB)")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)
