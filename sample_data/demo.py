"""`make demo`: draws the sample, trains a classifier on it, audits it and shows the findings.

Everything goes through the command line that users have, and every command is printed
before it runs. What is finished is not done again: a second call shows the run at once.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import click
from generate import generate, intended

from auditor import cli, open_run
from auditor.cli.progress import progress_bar

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path("build/demo")  # all paths from ROOT, as the printed commands have them
MODEL, RUN = DEMO / "model.pt", DEMO / "run"


def main() -> None:
    """Do what is not done yet, and show the findings."""
    os.chdir(ROOT)
    start = time.monotonic()
    if RUN.exists():
        _say("The demo has run before; these are its findings.")
        _auditor("show", RUN)
    else:
        _make()
    _say(_reading())
    if (elapsed := time.monotonic() - start) > 20:
        click.echo(f"\nThat took {elapsed:.0f} seconds.")
    click.echo("\n" + _next_steps())


def _make() -> None:
    if not DEMO.exists():
        _say(
            "1. A data set: apples and pears on a table, each beside a sticker. In the training "
            "images most apples have a blue sticker and most pears a pink one, as if two shops "
            "had delivered them."
        )
        _command(sys.executable, "sample_data/generate.py", DEMO)
        with progress_bar("Drawing", "images") as progress:
            generate(DEMO, progress=progress)
    if not MODEL.exists():
        _say(
            "2. A model: a small network, trained to tell apples from pears. The images that "
            "validate it come from the same two shops. A minute or so on an idle machine:"
        )
        _auditor("finetune", DEMO / "train.toml", "--out", MODEL)
    _say("3. The audit, on images where the stickers' colours are mixed:")
    _auditor("audit", DEMO / "audit.toml", "--out", RUN)


def _auditor(*arguments: str | Path) -> None:
    """Call the command line as the console script does, and stop with it if it fails."""
    _command(_script(), *arguments)
    sys.argv = ["auditor", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise


def _script() -> Path:
    script = Path(sys.executable).parent / "auditor"
    return script.relative_to(ROOT) if script.is_relative_to(ROOT) else Path(script.name)


def _command(program: str | Path, *arguments: str | Path) -> None:
    program = Path(program)
    shown = program.relative_to(ROOT) if program.is_relative_to(ROOT) else program
    command = shlex.join(map(str, (shown, *arguments)))
    click.echo("\n" + click.style(f"$ {command}", fg="cyan"))
    sys.stdout.flush()


def _say(text: str) -> None:
    click.echo("\n" + click.wrap_text(text, width=96))


def _reading() -> str:
    """What the run shows, in a few sentences with its own numbers."""
    run = open_run(RUN)
    cases = run.cases
    along = [
        sticker == intended(label)
        for label, sticker in zip(cases["label"], cases["attribute.sticker"], strict=True)
    ]
    right = cases["correct"].astype(float)
    like, unlike = right[along].mean(), right[[not goes for goes in along]].mean()
    errors = run.info["counts"]["errors"]
    queued = run.info["counts"]["flags"].get("attention", 0)
    return (
        "How to read this: where fruit and sticker go together as in training, the model is "
        f"right on {like:.0%} of the images, and where they do not, on {unlike:.0%}. Its "
        "validation could not tell, because it was skewed in the same way. The maps point to "
        f"the reason: on {queued} of {errors} errors, what speaks for the wrong fruit lies on "
        "the sticker more than chance explains. That is suspicion, not proof; the queue names "
        f"images to look at, and their paths start in {DEMO}."
    )


def _next_steps() -> str:
    steps = (
        (f"{_script()} show {RUN}", "these findings again"),
        (f"{_script()} show {RUN} --json", "the same for programs"),
        (f"{DEMO / 'audit.toml'}", "a commented configuration to start from"),
        ("README.md", "auditing your own model and images"),
    )
    width = max(len(what) for what, _ in steps)
    return "\n".join(["Next:", *(f"   {what:{width}}   {why}" for what, why in steps)])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        click.echo("\nInterrupted; `make demo` goes on from here.", err=True)
        sys.exit(130)
