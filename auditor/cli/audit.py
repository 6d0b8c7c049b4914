"""`auditor audit`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from auditor.cli.language import in_language
from auditor.cli.progress import progress_bar
from auditor.cli.show import print_summary
from auditor.cli.text import printable
from auditor.language import Language, phrase, spoken
from auditor.values import Unusable, evidence_cases

if TYPE_CHECKING:
    from auditor.configuration import Config
    from auditor.pipeline import Settings, Stage
    from auditor.store import Run


class Cases(click.ParamType):  # type: ignore[type-arg]  # no generic at run time
    """The word "suspects" or "all", or a number of cases."""

    name = "cases"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As the configuration's `evidence.cases` is read."""
        try:
            return evidence_cases(int(value) if str(value).isdigit() else value)
        except Unusable as unusable:
            self.fail(f"{value!r} is not {unusable}.", param, ctx)


class Names(click.ParamType):  # type: ignore[type-arg]  # no generic at run time
    """Names with commas between."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Each name once, in order; none of an empty text."""
        names = value.split(",") if isinstance(value, str) else value
        return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory of the run.")
@click.option("--limit", type=click.IntRange(1), help="Audit a random sample of so many cases.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    help="Threads that decode images; 0 for one a core, at most 8.",
)
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True)
@click.option("--fresh", is_flag=True, help="Throw an unfinished run of this name away.")
@click.option(
    "--evidence",
    type=Cases(),
    metavar="N|all|suspects",
    help="Cases whose pixels are changed; by default what the configuration says.",
)
@click.option(
    "--methods",
    type=Names(),
    help="Further explanation methods that errors are judged with, by commas; no flag rests on "
    "them.",
)
@click.option(
    "--layers/--no-layers",
    default=None,
    help="Also make maps at layers over the depth of the model.",
)
@click.option(
    "--faithfulness",
    type=click.IntRange(0),
    metavar="N",
    help="On N cases, measure whether maps foretell what taking pixels away does.",
)
@click.option("--strict", is_flag=True, help="Stop at the first unreadable or mismatched case.")
@in_language
def audit(
    config: Path,
    out: Path,
    limit: int | None,
    device: str,
    workers: int,
    batch_size: int,
    fresh: bool,
    evidence: Literal["suspects", "all"] | int | None,
    methods: tuple[str, ...] | None,
    layers: bool | None,
    faithfulness: int | None,
    strict: bool,
    language: Language,
) -> None:
    """Audit the classifier and dataset that CONFIG names, and write a run.

    Interrupted, it is continued by the same command. What is looked at beside the audit's own
    maps (docs/views.md) costs time and changes no flag. Examples:

    \b
    auditor audit audit.toml --out runs/first --limit 500
    auditor audit audit.toml --out runs/first --methods layercam,gradcam++
    auditor audit audit.toml --out runs/first --layers --faithfulness 16
    """
    import auditor

    read = auditor.read_config(config)
    settings = auditor.Settings(
        limit,
        device,
        workers,
        batch_size,
        fresh,
        strict,
        evidence,
        methods,
        layers,
        faithfulness,
    )
    finished = out.exists()
    run = audited(read, out, "Auditing", settings)
    if finished:
        told = phrase(
            "{run} was finished before, with these very inputs; nothing was computed.", run=str(out)
        )
        click.echo(printable(spoken(told, language)))
    print_summary(run, language=language)


def audited(config: Config, out: Path, label: str, settings: Settings | None = None) -> Run:
    """The run of a configuration, with progress bars, the first called `label`."""
    import auditor

    dataset = auditor.open_dataset(config)
    classifier = auditor.load_classifier(config)
    bars: dict[Stage, tuple[str, str]] = {
        "maps": (label, "images"),
        "references": ("Reading back", "images"),
        "checks": ("Checking the maps", "images"),
        "changes": ("Changing pixels", "cases"),
        "probes": ("Probing regions", "images"),
        "judging": ("Judging", "images"),
        "agreement": ("Other methods", "images"),
        "layers": ("Other layers", "images"),
        "faithfulness": ("Taking pixels away", "cases"),
    }
    with ExitStack() as stack:
        updates = {stage: stack.enter_context(progress_bar(*told)) for stage, told in bars.items()}

        def progress(stage: Stage, done: int, total: int) -> None:
            if total:
                updates[stage](done, total)

        return auditor.audit(
            classifier,
            dataset,
            out,
            config=config,
            settings=settings or auditor.Settings(),
            progress=progress,
        )
