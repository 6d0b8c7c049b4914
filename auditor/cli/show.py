"""`auditor show`, and the summary that `auditor audit` ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd

from auditor.cli.groups import MOST_GROUPS, PRECISION, group_name
from auditor.cli.language import Speaker, in_language
from auditor.cli.text import json_text, printable
from auditor.language import Language, Phrase, Words, phrase, told
from auditor.store import Run, open_run

_MARKS = {"warning": ("!", "red"), "notice": ("•", "yellow"), "info": (" ", "white")}
_COLLECTED: Mapping[str, Phrase] = {
    "collect": phrase("What to collect, at constant class size"),
    "presence_collect": phrase(
        "What to collect, so that label and a cue's presence are independent"
    ),
    "training_collect": phrase("What to collect for training, at constant class size"),
}
_ALWAYS = frozenset(
    {
        "verdict", "accuracy", "effect", "spurious_error", "wrong_reason", "attention",
        "method_agreement", "layers", "faithfulness",
    }
)  # fmt: skip
"""Kinds of findings that are shown whatever they say."""
_MOST_CASES = 10
_MOST_CELLS = 12


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Also what is without remark.")
@click.option("--json", "as_json", is_flag=True, help="Print counts and findings as JSON.")
@in_language
def show(run: Path, everything: bool, as_json: bool, language: Language) -> None:
    """Show the findings of a finished RUN.

    \b
    auditor show runs/first --all
    auditor show runs/first --language ja
    auditor show runs/first --json | jq '.findings[].text'
    """
    opened = open_run(run)
    if as_json:
        content = {"run": str(run), "counts": opened.info["counts"], "findings": opened.findings}
        click.echo(json_text(content))
    else:
        print_summary(opened, everything, language)


def print_summary(run: Run, everything: bool = False, language: Language = "en") -> None:
    """Print findings, groups, flagged errors and the queue for a person.

    Of what is without remark only the kinds in `_ALWAYS`, unless `everything` is asked for.
    """
    _Summary(run, Speaker(language)).print(everything)


@dataclass(frozen=True)
class _Summary:
    run: Run
    speaker: Speaker

    def print(self, everything: bool) -> None:
        self._head()
        self._findings(everything)
        attributes = self.run.info["attributes"]
        for attribute in attributes or [None]:
            self._groups(attribute)
        for finding in self.run.findings:
            if finding["kind"] in _COLLECTED:
                self._collection(finding)
        self._flagged()
        self._queue()
        click.echo()

    def _head(self) -> None:
        info = self.run.info
        counts, layer = info["counts"], info["layer"]
        click.secho(f"\n{printable(str(self.run.path))}", bold=True)
        audited = phrase(
            "{cases:,} cases, {judged:,} judged, {errors:,} wrong · {method} at {layer} "
            "({rows}×{columns})",
            cases=counts["cases"],
            judged=counts["judged"],
            errors=counts["errors"],
            method=info["method"],
            layer=layer["name"],
            rows=layer["grid"][0],
            columns=layer["grid"][1],
        )
        click.echo(self.speaker.said(audited))

    def _findings(self, everything: bool) -> None:
        self.speaker.heading(phrase("Findings"))
        shown = [
            finding
            for finding in self.run.findings
            if everything or finding["severity"] != "info" or finding["kind"] in _ALWAYS
        ]
        for finding in shown:
            mark, colour = _MARKS[finding["severity"]]
            self.speaker.paragraph(told(finding), mark, colour)
        left = len(self.run.findings) - len(shown)
        if left:
            command = f"auditor show {self.run.path} --all"
            if self.speaker.language != "en":
                command += f" --language {self.speaker.language}"
            self.speaker.line(
                phrase("and {n} findings without remark: {command}", n=left, command=command)
            )

    def _groups(self, attribute: str | None) -> None:
        by = ["label"] if attribute is None else ["label", attribute]
        table = self.run.by_group(by)
        crossed = (
            phrase("label")
            if attribute is None
            else phrase("label × {attributes}", attributes=attribute)
        )
        self.speaker.heading(phrase("Accuracy by {groups}", groups=crossed))
        ordered = table.sort_values(["accuracy", "n"], na_position="last")
        rows = [
            (
                group_name(row[0], attribute, row[len(by) - 1]),
                f"{row.correct}/{row.judged}",
                "" if pd.isna(row.accuracy) else f"{row.accuracy:.1%}",
                "" if pd.isna(row.accuracy) else f"{row.low:.1%}–{row.high:.1%}",
                PRECISION[str(row.precision)],
            )
            for row in ordered.head(MOST_GROUPS).itertuples(index=False)
        ]
        head = (
            phrase("group"),
            phrase("right"),
            phrase("accuracy"),
            phrase("95 % interval"),
            "",
        )
        self.speaker.table(head, rows)
        if len(table) > MOST_GROUPS:
            left, code = len(table) - MOST_GROUPS, f"Run.by_group({by})"
            self.speaker.line(phrase("and {n} more groups: {code}", n=left, code=code))

    def _collection(self, finding: Mapping[str, Any]) -> None:
        changed = [row for row in finding["table"] if row["collect"] or row["surplus"]]
        changed.sort(key=lambda row: -row["collect"])
        self.speaker.heading(_COLLECTED[finding["kind"]])
        self.speaker.table(
            (
                phrase("label"),
                phrase("annotated as"),
                phrase("has"),
                phrase("would need"),
                phrase("collect"),
                phrase("leave out"),
            ),
            [
                (
                    row["label"],
                    row["value"],
                    f"{row['n']}",
                    f"{row['target']}",
                    f"+{row['collect']}" if row["collect"] else "",
                    f"{row['surplus']}" if row["surplus"] else "",
                )
                for row in changed[:_MOST_CELLS]
            ],
        )
        if len(changed) > _MOST_CELLS:
            self.speaker.line(
                phrase(
                    "and {n} more: the table of the finding {kind!r} in findings.json",
                    n=len(changed) - _MOST_CELLS,
                    kind=finding["kind"],
                )
            )

    def _flagged(self) -> None:
        """Errors that a cue caused or contributed to, the gravest first."""
        columns = ["id", "label", "predicted", "confidence", "flag", "cue", "evidence", "severity"]
        columns += [
            f"{measure}.{cues['name']}"
            for cues in self.run.info["cue_sets"]
            for measure in ("reliance", "reliance_se")
        ]
        cases = self.run.read_cases(columns)
        flagged = cases[(cases["flag"] == "spurious_error") & cases["severity"].notna()]
        if flagged.empty:
            return
        flagged = flagged.sort_values("severity", ascending=False, kind="stable")
        self.speaker.heading(
            phrase("Errors that a cue caused (confirmed) or had a part in (probable)")
        )
        self.speaker.table(
            (
                phrase("case"),
                phrase("label → predicted"),
                phrase("conf."),
                phrase("cue"),
                phrase("evidence"),
                phrase("reliance"),
                phrase("severity"),
            ),
            [_flagged_row(case) for _, case in flagged.head(_MOST_CASES).iterrows()],
        )
        if len(flagged) > _MOST_CASES:
            code = "Run.cases.query(\"flag == 'spurious_error' and severity.notna()\")"
            self._more_cases(len(flagged) - _MOST_CASES, code)

    def _queue(self) -> None:
        """Errors whose maps lie on a cue, those furthest above chance first."""
        columns = ["id", "label", "predicted", "confidence", "cue", "evidence", "stability"]
        measures = ("margin_mass", "area", "margin_excess", "p")
        cues = self.run.info["regions"]["cues"]
        columns += [f"{measure}.{cue}" for cue in cues for measure in measures]
        cases = self.run.read_cases(columns)
        queue = cases[cases["evidence"] == "attention"]
        if queue.empty:
            return
        self.speaker.heading(phrase("Queue for a person: errors whose margin map lies on a cue"))
        rows = [_queue_row(case) for _, case in queue.iterrows()]
        rows.sort(key=lambda row: -row[0])
        self.speaker.table(
            (
                phrase("case"),
                phrase("label → predicted"),
                phrase("conf."),
                phrase("cue"),
                phrase("mass"),
                phrase("chance"),
                phrase("p"),
                phrase("outline"),
            ),
            [cells for _, cells in rows[:_MOST_CASES]],
        )
        if len(rows) > _MOST_CASES:
            code = "Run.cases.query(\"evidence == 'attention'\")"
            self._more_cases(len(rows) - _MOST_CASES, code)

    def _more_cases(self, left: int, code: str) -> None:
        self.speaker.line(phrase("and {n} more: {code}", n=left, code=code))


def _flagged_row(case: pd.Series) -> tuple[Words, ...]:
    reliance, error = case[f"reliance.{case['cue']}"], case[f"reliance_se.{case['cue']}"]
    return (
        str(case["id"]),
        f"{case['label']} → {case['predicted']}",
        f"{case['confidence']:.2f}",
        case["cue"],
        case["evidence"],
        f"{reliance:.2f}" + ("" if pd.isna(error) else f" ± {error:.2f}"),
        f"{case['severity']:.2f}",
    )


def _queue_row(case: pd.Series) -> tuple[float, tuple[Words, ...]]:
    """How far above chance the map lies on the cue, and the cells of the table."""
    cue = case["cue"]
    stability = case["stability"]
    return case[f"margin_excess.{cue}"], (
        str(case["id"]),
        f"{case['label']} → {case['predicted']}",
        f"{case['confidence']:.2f}",
        cue,
        f"{case[f'margin_mass.{cue}']:.0%}",
        f"{case[f'area.{cue}']:.0%}",
        f"{case[f'p.{cue}']:.3f}",
        "–" if pd.isna(stability) else phrase("holds {share:.0%}", share=stability),
    )
