"""`auditor demo`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.compare import print_comparison
from auditor.cli.progress import progress_bar
from auditor.cli.show import print_summary
from auditor.cli.text import printable

if TYPE_CHECKING:
    from auditor.store import Run

_RUNS = ("skewed", "rebalanced")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("auditor-demo"),
    show_default=True,
    help="Folder for the two runs.",
)
def demo(out: Path) -> None:
    """Audit the doctor/nurse sample that comes with Auditor, offline.

    The sample has 320 rendered people at work in a clinic and two classifiers of doctors and
    nurses. One was trained where hair and face nearly gave the answer away, the other on a
    rebalanced set of the same size, as in the Grad-CAM paper. Example:

    \b
    auditor demo --out runs/demo
    """
    from auditor.findings import compare
    from auditor.sample import sample_folder

    folder = sample_folder()
    _say(
        "Two classifiers tell doctors from nurses in rendered clinic scenes. What should decide "
        "is garment and equipment. In the training set of the first, 78 % of the doctors and 7 % "
        "of the nurses were drawn with short hair and a broad jaw (drawn_as = man), the others "
        "with long hair (drawn_as = woman); for the second, images were exchanged until it was "
        "half and half. The 320 test images are balanced. drawn_as is a way of drawing: it "
        "stands for any annotated property and says nothing about people."
    )
    runs = {name: _audited(folder / f"{name}.toml", out / name) for name in _RUNS}
    print_summary(runs["skewed"])
    _say("And the same with the classifier whose training set was rebalanced (B):")
    click.echo()
    print_comparison(compare(runs["skewed"], runs["rebalanced"]))
    _say(_reading(runs["skewed"], runs["rebalanced"]))
    click.echo("\n" + _next_steps(out, folder))


def _audited(config: Path, out: Path) -> Run:
    import auditor

    if out.exists():
        click.echo(f"\n{printable(str(out))} is there already.")
    read = auditor.read_config(config)
    with (
        progress_bar(f"Auditing {config.stem}", "images") as progress,
        progress_bar("Judging", "images") as judging,
    ):
        return auditor.audit(
            auditor.load_classifier(read),
            auditor.open_dataset(read),
            out,
            config=read,
            progress=progress,
            judging=judging,
        )


def _reading(skewed: Run, rebalanced: Run) -> str:
    """What the two runs show, in a few sentences with their own numbers."""
    before, after = (
        run.by_group(["label", "drawn_as"]).set_index(["label", "attribute.drawn_as"])["accuracy"]
        for run in (skewed, rebalanced)
    )
    worst = before.idxmin()
    validation = skewed.info["model"]["training"]["validation_accuracy"]
    return (
        f"How to read this: on its own, equally skewed validation set the first classifier was "
        f"right on {validation:.0%} of the images; on the balanced test it is on "
        f"{_accuracy(skewed):.0%}, and least on the group {' · '.join(worst)}, with "
        f"{before[worst]:.0%}. The second is right on {_accuracy(rebalanced):.0%}, and on "
        f"{after[worst]:.0%} of that group. "
        f"{_maps(skewed)} What the cue truly does is measured by drawing the same scenes again "
        "with the cue swapped: auditor study, docs/study.md."
    )


def _maps(run: Run) -> str:
    """What the maps of the errors say about face and hair, and what that is worth."""
    found = next(finding for finding in run.findings if finding["kind"] == "attention")
    queued = round((found["value"] or 0) * found["n"])
    counted = f"on {queued} of {found['n']} testable errors they lie on face or hair more"
    if found["severity"] == "notice":
        return (
            f"Its maps say where to look for the reason: {counted} than chance explains. That is "
            "suspicion, not proof."
        )
    return (
        f"Its maps do not give the reason away: {counted} than regions of other images "
        "would explain, about as many as by chance. A cue that maps do not show may still decide."
    )


def _accuracy(run: Run) -> float:
    return float(run.read_cases(["correct"])["correct"].dropna().astype(bool).mean())


def _next_steps(out: Path, folder: Path) -> str:
    first = shlex.quote(str(out / "skewed"))
    second = shlex.quote(str(out / "rebalanced"))
    steps = (
        (f"auditor show {first}", "the findings again; --json for programs"),
        (f"auditor compare {first} {second}", "what rebalancing changed"),
        ("auditor study --quick", "the experiment over seeds, some minutes"),
        (shlex.quote(str(folder / "skewed.toml")), "a commented configuration to start from"),
    )
    width = max(len(what) for what, _ in steps)
    return "\n".join(["Next:", *(f"   {printable(what):{width}}   {why}" for what, why in steps)])


def _say(text: str) -> None:
    click.echo("\n" + click.wrap_text(text, width=96))
