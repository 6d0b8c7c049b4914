"""`auditor compare`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import pandas as pd

from auditor.cli.groups import MOST_GROUPS, PRECISION, group_name
from auditor.cli.language import Speaker, in_language
from auditor.cli.tables import display_width
from auditor.cli.text import json_text, printable
from auditor.findings import Comparison
from auditor.findings import compare as compared
from auditor.findings.cells import crossed
from auditor.findings.finding import p_equation, written_p
from auditor.findings.intervals import written_interval
from auditor.language import Language, Phrase, Words, listed, phrase
from auditor.store import open_run

_MOST_IDS = 5
_MEANINGS: Mapping[str, Phrase] = {
    "fixed": phrase("wrong in A, right in B"),
    "broken": phrase("right in A, wrong in B"),
    "still_wrong": phrase("wrong in both"),
    "still_right": phrase("right in both"),
}


@click.command()
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option(
    "--changed", is_flag=True, help="Compare although images or annotations were changed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@in_language
def compare(run_a: Path, run_b: Path, changed: bool, as_json: bool, language: Language) -> None:
    """Show what changed from RUN_A to RUN_B, two runs over the same cases.

    Runs over other cases, labels or annotations are refused; so are runs whose images or other
    data were changed in between, unless --changed.

    \b
    auditor compare runs/first runs/balanced
    auditor compare runs/first runs/balanced --language ja
    auditor compare runs/first runs/balanced --json | jq -r '.fixed[]'
    """
    comparison = compared(open_run(run_a), open_run(run_b), changed=changed)
    if as_json:
        click.echo(json_text(comparison.described()))
    else:
        print_comparison(comparison, language)


def print_comparison(comparison: Comparison, language: Language = "en") -> None:
    """Print accuracies, cases, groups and shares of the map, A beside B."""
    _Shown(comparison, Speaker(language)).print()


@dataclass(frozen=True)
class _Shown:
    comparison: Comparison
    speaker: Speaker

    def print(self) -> None:
        self._head()
        self._accuracy()
        self._cases()
        groups = self.comparison.groups
        named = groups["attribute"].dropna().unique()
        for attribute in named if len(named) else [None]:
            self._groups(attribute)
            self._worst(attribute)
        self._reliance()
        self._shares()
        self._evidence()
        self._notes()
        click.echo()

    def _head(self) -> None:
        for name, path in (("A", self.comparison.a), ("B", self.comparison.b)):
            click.secho(f"{name}  {printable(str(path))}", bold=True)
        paired = phrase(
            "{cases:,} cases paired, {judged:,} judged in both",
            cases=len(self.comparison.cases),
            judged=self.comparison.accuracy.n,
        )
        click.echo(self.speaker.said(paired))

    def _accuracy(self) -> None:
        self.speaker.heading(phrase("Accuracy"))
        paired = self.comparison.accuracy
        if paired.accuracy_a is None or paired.accuracy_b is None or paired.difference is None:
            self.speaker.line(phrase("not known: {reason}", reason=paired.reason))
            return
        moved: Phrase = _points(paired.difference)
        told = moved
        if paired.low is not None and paired.high is not None:
            interval = written_interval((paired.low, paired.high), write=_signed)
            told = phrase("{points} ({interval})", points=moved, interval=interval)
        sure = "" if paired.p is None else p_equation(paired.p)
        text = self.speaker.said(listed([told, paired.reason or sure]))
        plain = self.speaker.said(moved)
        coloured = click.style(plain, fg=_colour(paired.low, paired.high), bold=True)
        rates = f"{paired.accuracy_a:.1%} → {paired.accuracy_b:.1%}"
        click.echo(f"   {rates}   {text.replace(plain, coloured, 1)}")

    def _cases(self) -> None:
        self.speaker.heading(phrase("Cases"))
        counts = vars(self.comparison.accuracy)
        rows = [
            (self.speaker.said(meaning), f"{counts[change]}", self._some(change))
            for change, meaning in _MEANINGS.items()
        ]
        missing = self.comparison.unjudged
        if any(missing.values()):
            where = [
                phrase("{n} in A", n=missing["a"]) if missing["a"] else None,
                phrase("{n} in B", n=missing["b"]) if missing["b"] else None,
                phrase("{n} in both", n=missing["both"]) if missing["both"] else None,
            ]
            told = self.speaker.said(listed(one for one in where if one is not None))
            rows.append((self.speaker.said(phrase("not judged")), f"{sum(missing.values())}", told))
        widest = max(display_width(meaning) for meaning, _, _ in rows)
        width = max(len(number) for _, number, _ in rows)
        for meaning, number, told in rows:
            padding = " " * (widest - display_width(meaning))
            text = f"   {meaning}{padding}  {number:>{width}}"
            click.echo(text + (click.style(f"  {told}", dim=True) if told else ""))

    def _some(self, change: str) -> str:
        """The first ids of the cases with a change; none of those right in both."""
        ids = [] if change == "still_right" else self.comparison.changed(change)
        some, more = listed(ids[:_MOST_IDS]), len(ids) - _MOST_IDS
        return self.speaker.said(
            phrase("{shown}, and {n} more", shown=some, n=more) if more > 0 else some
        )

    def _groups(self, attribute: str | None) -> None:
        named = self.comparison.groups["attribute"]
        groups = self.comparison.groups[named.isna() if attribute is None else named == attribute]
        by = crossed([] if attribute is None else [attribute])
        self.speaker.heading(phrase("Accuracy by {groups}", groups=by))
        ordered = groups.sort_values(["accuracy_a", "n"], na_position="last", kind="stable")
        rows = [
            (
                group_name(row["label"], attribute, row["value"]),
                f"{row['n']}",
                f"{row['fixed']}",
                f"{row['broken']}",
                *(_share(row[f"accuracy_{run}"]) for run in ("a", "b")),
                *_difference(row),
                "" if pd.isna(row["holm"]) else written_p(row["holm"]),
                PRECISION[row["precision"]],
            )
            for _, row in ordered.head(MOST_GROUPS).iterrows()
        ]
        head = (
            phrase("group"),
            phrase("n"),
            phrase("fixed"),
            phrase("broken"),
            "A",
            "B",
            phrase("points"),
            phrase("95 % interval"),
            phrase("p (Holm)"),
            "",
        )
        self.speaker.table(head, rows)
        left = len(groups) - MOST_GROUPS
        if left > 0:
            code = "auditor.compare(…).groups"
            self.speaker.line(phrase("and {n} more groups: {code}", n=left, code=code))

    def _worst(self, attribute: str | None) -> None:
        worst = self.comparison.worst
        of = worst["attribute"].isna() if attribute is None else worst["attribute"] == attribute
        for _, row in worst[of].iterrows():
            self.speaker.paragraph(_lowest(row))

    def _reliance(self) -> None:
        reliance = self.comparison.reliance
        if reliance.empty:
            return
        self.speaker.heading(
            phrase("Reliance: a cue's average effect, as a share of the median margin")
        )
        rows = [
            (
                row["cue"],
                *(f"{row[name]}" for name in ("n_a", "n_b", "n")),
                *(_share(row[name]).replace("-", "−") for name in ("a", "b")),
                *_difference(row),
            )
            for _, row in reliance[reliance["reason"].isna()].iterrows()
        ]
        head = (
            phrase("cue"),
            phrase("tested, A"),
            phrase("tested, B"),
            phrase("in both"),
            "A",
            "B",
            phrase("points"),
            phrase("95 % interval"),
        )
        if rows:
            self.speaker.table(head, rows)
        for cue, why in zip(reliance["cue"], self.comparison.reliance_reasons, strict=True):
            if why is not None:
                self.speaker.paragraph(phrase("{cue}: {reason}", cue=cue, reason=why))

    def _shares(self) -> None:
        shares = self.comparison.shares
        measured = shares[shares["n"] > 0]
        if measured.empty:
            return
        self.speaker.heading(phrase("Mean share of the predicted class's map"))
        rows = [
            (
                row["region"],
                f"{row['n']}",
                *(_share(row[name]) for name in ("chance", "a", "b")),
                *_difference(row),
            )
            for _, row in measured.iterrows()
        ]
        head = (
            phrase("region"),
            phrase("n"),
            phrase("chance"),
            "A",
            "B",
            phrase("points"),
            phrase("95 % interval"),
        )
        self.speaker.table(head, rows)

    def _evidence(self) -> None:
        evidence = self.comparison.evidence
        if evidence.empty:
            return
        self.speaker.heading(phrase("Evidence: errors and correct cases at each level"))
        rows = [tuple(str(cell) for cell in row) for row in evidence.itertuples(index=False)]
        head = (
            phrase("level"),
            "A",
            "B",
            phrase("in both"),
            phrase("only A"),
            phrase("only B"),
        )
        self.speaker.table(head, rows)

    def _notes(self) -> None:
        if self.comparison.notes:
            self.speaker.heading(phrase("To be read with it"))
        for note in self.comparison.notes:
            self.speaker.paragraph(note, "•", "yellow")


def _lowest(row: pd.Series) -> Phrase:
    """A row of `Comparison.worst` in a sentence."""
    in_a, in_b = (
        group_name(row[f"label_{run}"], row["attribute"], row[f"value_{run}"]) for run in ("a", "b")
    )
    change: Words = _points(row["difference"])
    if not pd.isna(row["low"]):
        change = listed([change, written_interval((row["low"], row["high"]), write=_signed)])
    if in_a == in_b:
        return phrase(
            "Lowest: {group} {a:.1%} in A → {b:.1%} in B, {change}.",
            group=in_a,
            a=row["accuracy_a"],
            b=row["accuracy_b"],
            change=change,
        )
    return phrase(
        "Lowest: {group} {a:.1%} in A → {other} {b:.1%} in B ({group} is {there:.1%} there), "
        "{change}.",
        group=in_a,
        a=row["accuracy_a"],
        other=in_b,
        b=row["accuracy_b"],
        there=row["in_b"],
        change=change,
    )


def _difference(row: pd.Series) -> tuple[Words, Words]:
    """A difference in points and its 95 % interval, as cells; empty where there is none."""
    if pd.isna(row["difference"]):
        return "", ""
    if pd.isna(row["low"]):
        return _signed(row["difference"]), ""
    interval = phrase("{low} to {high}", low=_signed(row["low"]), high=_signed(row["high"]))
    return _signed(row["difference"]), interval


def _points(difference: float) -> Phrase:
    return phrase("{points} points", points=_signed(difference))


def _signed(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}".replace("-", "−")


def _share(share: float) -> str:
    return "" if pd.isna(share) else f"{share:.1%}"


def _colour(low: float | None, high: float | None) -> str | None:
    """Green or red where the interval lies on one side of 0."""
    if low is not None and low > 0:
        return "green"
    return "red" if high is not None and high < 0 else None
