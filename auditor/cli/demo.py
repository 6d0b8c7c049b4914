"""`auditor demo`."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.audit import audited
from auditor.cli.compare import print_comparison
from auditor.cli.dashboard import PORT, show
from auditor.cli.language import in_language
from auditor.cli.show import print_summary
from auditor.cli.text import printable
from auditor.errors import RunError
from auditor.language import Language
from auditor.store import Run
from auditor.store.run import PART

if TYPE_CHECKING:
    from auditor.findings import Comparison

_RUNS = ("skewed", "rebalanced")
_BESIDE = {"reviews.sqlite", "reviews.sqlite-wal", "reviews.sqlite-shm", ".launches"}
"""What a dashboard leaves beside the runs."""


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("auditor-demo"),
    show_default=True,
    help="Folder for the two runs.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option("--no-dashboard", is_flag=True, help="Stop before the dashboard.")
@in_language
def demo(out: Path, port: int, no_dashboard: bool, language: Language) -> None:
    """Audit the doctor/nurse sample that comes with Auditor, offline, and look at it.

    The sample has 320 rendered people at work in a clinic and two classifiers of doctors and
    nurses. One was trained where hair and face nearly gave the answer away, the other on a
    rebalanced set of the same size, as in the Grad-CAM paper. Example:

    \b
    auditor demo --out runs/demo
    """
    from auditor.findings import compare
    from auditor.sample import sample_folder

    folder = sample_folder()
    _check(out)
    _say(
        "Two classifiers tell doctors from nurses in rendered clinic scenes. What should decide "
        "is garment and equipment. In the training set of the first, 78 % of the doctors and 7 % "
        "of the nurses were drawn with short hair and a broad jaw (drawn_as = man), the others "
        "with long hair (drawn_as = woman); for the second, images were exchanged until it was "
        "half and half. The 320 test images are balanced. drawn_as is a way of drawing: it "
        "stands for any annotated property and says nothing about people."
    )
    runs = {name: _audited(folder / f"{name}.toml", out / name) for name in _RUNS}
    print_summary(runs["skewed"], language=language)
    _say("And the same with the classifier whose training set was rebalanced (B):")
    click.echo()
    comparison = compare(runs["skewed"], runs["rebalanced"])
    print_comparison(comparison, language)
    _say(_reading(runs["skewed"], comparison))
    click.echo("\n" + _next_steps(out, folder))
    if not no_dashboard:
        click.echo()
        show(out / "skewed", port, browser=True)


def _check(out: Path) -> None:
    """Raise `RunError` where `out` is somebody's own folder or file."""
    ours = {f"{name}{ending}" for name in _RUNS for ending in ("", PART)} | _BESIDE
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= ours):
        raise RunError(f"{out}: exists and holds more than this demo's runs; give another --out.")


def _audited(config: Path, out: Path) -> Run:
    import auditor

    if out.exists():
        click.echo(f"\n{printable(str(out))} is there already.")
    return audited(auditor.read_config(config), out, f"Auditing {config.stem}")


def _reading(skewed: Run, comparison: Comparison) -> str:
    """What the two runs show, in a few sentences with their own numbers."""
    groups = comparison.groups[comparison.groups["attribute"] == "drawn_as"]
    worst = groups.loc[groups["accuracy_a"].idxmin()]
    cost = groups.loc[groups["difference"].idxmin()]
    validation = skewed.info["model"]["training"]["validation_accuracy"]
    paired = comparison.accuracy
    lowest, losing = (f"{row['label']} · {row['value']}" for row in (worst, cost))
    few = (
        ", a gain too small to be told from chance on so few images"
        if paired.p is not None and paired.p > 0.05
        else ""
    )
    return (
        f"How to read this: on its own, equally skewed validation set the first classifier was "
        f"right on {validation:.1%} of the images; on the balanced test it is right on "
        f"{paired.accuracy_a:.1%}, and least on the group {lowest}, with "
        f"{worst['accuracy_a']:.1%}. The second is right on {paired.accuracy_b:.1%}{few}; on "
        f"{worst['accuracy_b']:.1%} of that group, and on {cost['accuracy_b']:.1%} of "
        f"{losing} instead of {cost['accuracy_a']:.1%}, where the cue had helped. "
        f"{_maps(skewed)} {_evidence(skewed)} What the cue truly does is measured by drawing the "
        "same scenes again with the cue swapped: auditor study, docs/study.md."
    )


def _maps(run: Run) -> str:
    """What the maps of the errors say about face and hair, and what that is worth."""
    found = next(finding for finding in run.findings if finding["kind"] == "attention")
    queued = round((found["value"] or 0) * found["n"])
    counted = f"on {queued} of {found['n']} testable errors they lie on face or hair more"
    if found["severity"] == "notice":
        return (
            f"The first one's maps say where to look for the reason: {counted} than chance "
            "explains. That is suspicion, not proof."
        )
    return (
        f"The first one's maps do not give the reason away: {counted} than regions of other images "
        "would explain, about as many as by chance."
    )


def _evidence(run: Run) -> str:
    """What exchanging face and hair for those of other images showed."""
    verdict = run.info["verdict"]
    cases = run.read_cases(["correct", "evidence", "passes"])
    errors = cases[(cases["correct"] == False) & cases["passes"].notna()]  # noqa: E712 - nulls
    confirmed = int((errors["evidence"] == "confirmed").sum())
    if verdict["level"] < 3:
        return "Exchanging face and hair did not show that it relies on them."
    return (
        "Changing the pixels does: with face and hair exchanged for those of images drawn the "
        f"other way, {confirmed} of {len(errors)} errors come right, and over all images they move "
        f"the decision by {abs(verdict['effect']):.2f} logits on average (verdict: level "
        f"{verdict['level']} of 4)."
    )


def _next_steps(out: Path, folder: Path) -> str:
    auditor = _command()
    first = shlex.quote(str(out / "skewed"))
    second = shlex.quote(str(out / "rebalanced"))
    steps = (
        (f"{auditor} dashboard {shlex.quote(str(out))}", "look at both, and review the cases"),
        (f"{auditor} show {first}", "the findings again; --json for programs"),
        (f"{auditor} compare {first} {second}", "what rebalancing changed"),
        (f"{auditor} study --quick", "the experiment over seeds, some minutes"),
        (shlex.quote(str(folder / "skewed.toml")), "a commented configuration to start from"),
    )
    width = max(len(what) for what, _ in steps)
    return "\n".join(["Next:", *(f"   {printable(what):{width}}   {why}" for what, why in steps)])


def _command() -> str:
    """How a person calls this very console script from here."""
    if shutil.which("auditor"):
        return "auditor"
    script = Path(sys.executable).with_name("auditor")
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))


def _say(text: str) -> None:
    click.echo("\n" + click.wrap_text(text, width=96))
