"""`auditor finetune`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.progress import progress_bar
from auditor.cli.text import printable

if TYPE_CHECKING:
    from auditor.pipeline.training import Epoch


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Checkpoint file to write."
)
@click.option(
    "--balance",
    metavar="ATTRIBUTE",
    help="Train as if label and ATTRIBUTE had nothing to do with each other "
    "([finetune] balance_by says how).",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option("--fresh", is_flag=True, help="Throw an interrupted training of this name away.")
def finetune(config: Path, out: Path, balance: str | None, device: str, fresh: bool) -> None:
    """Fine-tune a torchvision classifier on CONFIG's dataset, as [finetune] says.

    The checkpoint carries its classes and preprocessing, so `audit` takes it as it is.
    Interrupted, the training is continued by the same command. Examples:

    \b
    auditor finetune train.toml --out clinic.pt
    auditor finetune train.toml --out balanced.pt --balance gender
    """
    import auditor
    from auditor.pipeline.finetuning import balanced_over
    from auditor.pipeline.finetuning import finetune as train

    read = balanced_over(auditor.read_config(config), balance)
    dataset = auditor.open_dataset(read)
    over = f" (mean over label × {read.finetune.balance})" if read.finetune.balance else ""

    def say(text: str) -> None:
        # On its own line below the bar, where a terminal shows one.
        click.echo(f"{chr(10) if sys.stderr.isatty() else ''}{printable(text)}")

    def tell(epoch: Epoch) -> None:
        say(
            f"epoch {epoch.number}/{epoch.of}  loss {epoch.loss:.3f}  "
            f"validation accuracy {epoch.accuracy:.1%}{over}"
        )

    with progress_bar("Training", "images") as progress:
        kept = train(read, dataset, out, tell, progress, device=device, fresh=fresh, note=say)
    name = printable(shlex.quote(str(out)))
    click.echo(
        f"Wrote {name}, as it was after epoch {kept.number} (validation accuracy "
        f"{kept.accuracy:.1%}{over})\n"
        f'To audit it, set [model] checkpoint = "{printable(out.name)}" in a configuration beside '
        "it, and call auditor audit"
    )
