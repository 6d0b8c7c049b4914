"""`auditor finetune`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from auditor.cli.progress import progress_bar


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Checkpoint file to write."
)
def finetune(config: Path, out: Path) -> None:
    """Fine-tune a torchvision classifier on CONFIG's dataset, as [finetune] says.

    The checkpoint carries its classes and preprocessing, so `audit` takes it as it is:

    \b
    auditor finetune train.toml --out clinic.pt
    """
    import auditor
    from auditor.pipeline.finetuning import Epoch
    from auditor.pipeline.finetuning import finetune as train

    read = auditor.read_config(config)
    dataset = auditor.open_dataset(read)

    def tell(epoch: Epoch) -> None:
        # On its own line below the bar, where a terminal shows one.
        click.echo(
            f"{chr(10) if sys.stderr.isatty() else ''}epoch {epoch.number}/{epoch.of}  "
            f"loss {epoch.loss:.3f}  validation accuracy {epoch.accuracy:.1%}"
        )

    with progress_bar("Training", "images") as progress:
        best = train(read, dataset, out, tell, progress)
    click.echo(f"Wrote {out}, as it was after epoch {best.number}")
