"""What people decided about the flagged cases, and what nobody settled yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from auditor.language import Phrase, Words, counted, phrase
from auditor.report.blocks import Block, column, fact, facts, table, text
from auditor.report.source import Source
from auditor.reviews import FLAGGED, QUEUED, coverage, flag_agreement

COLUMNS = ("case", "reviewer", "verdict", "tags", "note", "time")
"""Of the frame of reviews: one row a reviewer's current verdict on a case."""

_VERDICTS: Mapping[str, Phrase] = {
    "spurious_cue": phrase("Spurious cue"),
    "other_cause": phrase("Other cause"),
    "label_wrong": phrase("Label wrong"),
    "mask_wrong": phrase("Mask wrong"),
    "unclear": phrase("Unclear"),
}
"""What a reader is told for each of `auditor.reviews.VERDICTS`."""

_TITLES: Mapping[str, Phrase] = {
    "case": phrase("Case"),
    "reviewer": phrase("Reviewer"),
    "verdict": phrase("Verdict"),
    "tags": phrase("Tags"),
    "note": phrase("Note"),
    "time": phrase("Time"),
}
"""Of `COLUMNS`."""


def review(source: Source) -> list[Block]:
    """Coverage of the flagged cases, verdicts, and what is unresolved."""
    if source.reviews is None:
        return [
            text(
                phrase(
                    "No reviews were given to this report. Flags are what the audit computed; no "
                    "person's judgement stands behind them here."
                )
            )
        ]
    cases = source.run.read_cases(["id", "flag", "evidence"])
    given = source.reviews
    reviews = given[given["case"].isin(set(cases["id"]))]
    judged = reviews[reviews["verdict"].notna()]  # a note alone is no verdict
    flagged, queued = coverage(judged, cases, FLAGGED), coverage(judged, cases, QUEUED)
    agreement = flag_agreement(judged, cases)
    share = flagged.reviewed / flagged.flagged if flagged.flagged else None
    interval = None if agreement.precision is None else [agreement.low, agreement.high]
    none_flagged = phrase("no flagged case has a verdict that settles it")
    blocks: list[Block] = [
        facts(
            "coverage",
            phrase("Coverage"),
            [
                fact(
                    "flagged",
                    phrase("Flagged cases (confirmed, probable)"),
                    flagged.flagged,
                    "count",
                ),
                fact("reviewed_flagged", phrase("of them reviewed"), flagged.reviewed, "count"),
                fact("coverage", phrase("Coverage"), share, "share", phrase("no case is flagged")),
                fact("queued", phrase("Queue for a person (attention)"), queued.flagged, "count"),
                fact("reviewed_queued", phrase("of it reviewed"), queued.reviewed, "count"),
                fact(
                    "unresolved",
                    phrase("Reviewed and unresolved"),
                    flagged.unresolved + queued.unresolved,
                    "count",
                ),
                fact("reviewed", phrase("Cases reviewed"), judged["case"].nunique(), "count"),
                fact("reviewers", phrase("Reviewers"), judged["reviewer"].nunique(), "count"),
                fact(
                    "latest",
                    phrase("Latest verdict given"),
                    _latest(judged),
                    reason=phrase("no case of this run was reviewed"),
                ),
                fact(
                    "precision",
                    phrase("Flags that reviewers call a spurious cue"),
                    agreement.precision,
                    "share",
                    none_flagged,
                ),
                fact("interval", phrase("95 % interval"), interval, "share", none_flagged),
            ],
        )
    ]
    strangers = len(given) - len(reviews)
    if strangers:
        blocks.append(
            text(
                phrase(
                    "{verdicts} on cases that this run does not hold, left out.",
                    verdicts=counted(strangers, "verdict"),
                )
            )
        )
    if reviews.empty:
        return blocks
    on_flag = cases["flag"].notna() & cases["evidence"].isin([*FLAGGED, *QUEUED])
    waiting = cases.loc[on_flag, "id"]
    inside = judged["case"].isin(set(waiting))
    rows = [
        {
            "verdict": _VERDICTS.get(str(name), str(name)),
            "verdicts": len(group),
            "flagged": int(inside[group.index].sum()),
        }
        for name, group in judged.groupby("verdict", sort=True, observed=True)
    ]
    blocks.append(
        table(
            "verdicts",
            phrase("Verdicts"),
            [
                column("verdict", phrase("Verdict")),
                column("verdicts", phrase("Given"), "count"),
                column("flagged", phrase("On flagged or queued cases"), "count"),
            ],
            rows,
            note=phrase("A verdict of each reviewer on each case, the current one."),
        )
    )
    unresolved = _unresolved(judged, waiting)
    if unresolved:
        blocks.append(
            table(
                "unresolved",
                phrase("Unresolved"),
                [column("case", phrase("Case")), column("why", phrase("Why"))],
                unresolved,
                most=40,
            )
        )
    blocks.append(
        table(
            "reviews",
            phrase("What reviewers wrote"),
            [column(name, _TITLES[name]) for name in COLUMNS],
            [_row(row) for row in reviews.to_dict("records")],
        )
    )
    return blocks


def _unresolved(judged: pd.DataFrame, waiting: pd.Series) -> list[dict[str, Words]]:
    """Cases with differing verdicts or an unclear one, then flagged and queued ones without any."""
    rows: list[dict[str, Words]] = []
    for case, verdicts in judged.groupby("case", sort=False, observed=True)["verdict"]:
        if verdicts.nunique() > 1:
            rows.append({"case": str(case), "why": phrase("reviewers differ")})
        elif "unclear" in set(verdicts):
            rows.append({"case": str(case), "why": phrase("unclear to its reviewer")})
    seen = set(judged["case"])
    left = (str(case) for case in waiting if case not in seen)
    rows += [{"case": case, "why": phrase("nobody reviewed it")} for case in left]
    return rows


def settled(reviews: pd.DataFrame | None) -> set[str]:
    """The cases that reviewers gave one and the same verdict, other than "unclear"."""
    if reviews is None:
        return set()
    judged = reviews[reviews["verdict"].notna()]
    given = judged.groupby("case", observed=True)["verdict"].agg(set)
    return {str(case) for case, said in given.items() if len(said) == 1 and "unclear" not in said}


def of_case(reviews: pd.DataFrame | None, case: str) -> list[dict[str, Any]]:
    """The reviews of one case, JSON-ready but for the verdict, a text."""
    if reviews is None:
        return []
    return [_row(row) for row in reviews[reviews["case"] == case].to_dict("records")]


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    written = {name: _written(row[name]) for name in COLUMNS}
    return {**written, "verdict": _VERDICTS.get(str(row["verdict"]), written["verdict"])}


def _written(value: Any) -> str | None:
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(one) for one in sorted(value, key=str)) or None
    return None if value is None or pd.isna(value) or value == "" else str(value)


def _latest(reviews: pd.DataFrame) -> str | None:
    times = [_written(time) for time in reviews["time"]]
    return max((time for time in times if time), default=None)
