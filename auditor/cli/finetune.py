"""`auditor finetune`."""

from __future__ import annotations

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
    epochs: list[Epoch] = []
    with progress_bar("Training", "images") as progress:
        best = train(read, dataset, out, epochs.append, progress)
    for epoch in epochs:
        kept = "  ← kept" if epoch == best else ""
        click.echo(
            f"epoch {epoch.number}/{epoch.of}  loss {epoch.loss:.3f}  "
            f"validation accuracy {epoch.accuracy:.1%}{kept}"
        )
    click.echo(f"Wrote {out}")
