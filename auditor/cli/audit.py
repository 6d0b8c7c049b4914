"""`auditor audit`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from auditor.cli.progress import progress_bar
from auditor.cli.show import print_summary
from auditor.cli.text import printable
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
@click.option("--strict", is_flag=True, help="Stop at the first unreadable or mismatched case.")
def audit(
    config: Path,
    out: Path,
    limit: int | None,
    device: str,
    workers: int,
    batch_size: int,
    fresh: bool,
    evidence: Literal["suspects", "all"] | int | None,
    strict: bool,
) -> None:
    """Audit the classifier and dataset that CONFIG names, and write a run.

    Interrupted, it is continued by the same command. Example:

    \b
    auditor audit audit.toml --out runs/first --limit 500
    """
    import auditor

    read = auditor.read_config(config)
    settings = auditor.Settings(limit, device, workers, batch_size, fresh, strict, evidence)
    finished = out.exists()
    run = audited(read, out, "Auditing", settings)
    if finished:
        name = printable(str(out))
        click.echo(f"{name} was finished before, with these very inputs; nothing was computed.")
    print_summary(run)


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
