"""`auditor hint`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.language import Speaker, in_language
from auditor.cli.progress import progress_bar
from auditor.cli.text import json_text, printable
from auditor.errors import AuditorError
from auditor.findings.finding import written_p
from auditor.findings.hints import NOTE, Hint
from auditor.language import Language, Phrase, clauses, phrase
from auditor.store import open_run
from auditor.thresholds import THRESHOLDS

if TYPE_CHECKING:
    from auditor.pipeline.hinting import Hinted


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="A CLIP model: open_clip/RN50, transformers/FOLDER, …")
@click.option(
    "--weights", help="Its local state dict, or a tag of published weights (open_clip only)."
)
@click.option(
    "--words",
    "words_file",
    type=click.Path(path_type=Path),
    help="Text file of candidate cues, one a line.",
)
@click.option("--word", "words", multiple=True, help="A candidate cue; give it repeatedly.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="Print the words as JSON.")
@in_language
def hint(
    run: Path,
    model: str,
    weights: str | None,
    words_file: Path | None,
    words: tuple[str, ...],
    device: str,
    batch_size: int,
    as_json: bool,
    language: Language,
) -> None:
    """Propose which candidate cues of a finished RUN are worth annotating.

    CLIP compares the images with each word: are errors nearer to it than correct cases of the
    same label? These are hints of what to annotate, never a flag or evidence, and nothing is
    written in the run.

    \b
    auditor hint runs/first --model open_clip/RN50 --weights RN50.pt --words words.txt
    auditor hint runs/first --model transformers/clip --word glasses --word snow --json
    auditor hint runs/first --model transformers/clip --word glasses --language ja
    """
    opened = open_run(run)
    given = [*_listed(words_file), *words]
    if not given:
        where = "give --words FILE, or --word" if words_file is None else f"{words_file} is empty"
        raise AuditorError(f"no word is given: {where}; list candidate cues, one a line.")
    from auditor.models import load_clip
    from auditor.pipeline.hinting import hint as hinted

    clip = load_clip(model, weights)
    with progress_bar("Looking", "images") as progress:
        found = hinted(opened, clip, given, device=device, batch_size=batch_size, progress=progress)
    if as_json:
        told = {"run": str(run), "model": dict(clip.origin), **found.described()}
        click.echo(json_text(told))
    else:
        _print(run, found, Speaker(language))


def _listed(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise AuditorError(f"{file}: is not UTF-8 text; save it as UTF-8.") from None
    return [line.strip() for line in lines if line.strip()]


def _print(run: Path, found: Hinted, speaker: Speaker) -> None:
    click.secho(f"\n{printable(str(run))}", bold=True)
    looked = [
        phrase(
            "{errors} errors against {correct} correct cases of the same labels",
            errors=found.errors,
            correct=found.correct,
        )
    ]
    if found.unreadable:
        looked.append(phrase("{n} images could not be read", n=found.unreadable))
    click.echo(speaker.said(clauses(looked)))
    speaker.heading(phrase("Hints"))
    speaker.paragraph(NOTE)
    click.echo()
    head = (
        phrase("word"),
        phrase("errors lie"),
        "AUROC",
        phrase("95 % interval"),
        phrase("p"),
        phrase("q"),
        "",
    )
    rows = [
        (
            one.word,
            _place(one),
            f"{one.auroc:.2f}",
            f"{one.low:.2f}–{one.high:.2f}",
            "–" if one.p is None else written_p(one.p),
            "–" if one.q is None else written_p(one.q),
            phrase("worth annotating") if one.q is not None and one.q <= THRESHOLDS.alpha else "",
        )
        for one in found.hints
    ]
    speaker.table(head, rows)
    click.echo()
    speaker.paragraph(
        phrase(
            "AUROC: the probability that an error lies nearer to the word than a correct case of "
            "its label. q: p corrected over the words (Benjamini-Hochberg)."
        )
    )


def _place(one: Hint) -> Phrase:
    """Where errors lie beside correct cases, as seen from the word."""
    if one.auroc == 0.5:
        return phrase("alike")
    return phrase("nearer") if one.auroc > 0.5 else phrase("further")
