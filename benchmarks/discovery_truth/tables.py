"""The figures as Markdown, and their place in docs/discovery.md."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from auditor.discovery.options import FEWEST
from benchmarks.pages import with_tables
from benchmarks.truth.grid import UNBIASED

BEGIN = "<!-- python -m benchmarks.discovery_truth --write: begin -->"
END = "<!-- python -m benchmarks.discovery_truth --write: end -->"
TOTALS = (
    "| trained at | by | models clustered | structure beyond chance | **found** | "
    "found in random clusters | told apart | found, largest first | found by sorting alone | "
    "shown by the off-subject sheet | all errors show it |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)
HEAD = (
    "| trained at | cue, seed, network | errors | with the cue | caused | lift | maps | p | "
    "random | features | p | random |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
)


def markdown(found: pd.DataFrame) -> str:
    """The tables: totals, and each biased model."""
    parts = found.groupby(["condition", "by"], sort=False)
    totals = [_total(condition, by, some) for (condition, by), some in parts]
    biased = found[found["condition"] != UNBIASED].groupby(["condition", "cue", "seed"], sort=False)
    lines = [_line(some) for _, some in biased]
    return "\n\n".join(
        (
            "\n".join((*TOTALS, *totals)),
            "Each model: its errors, the shares of them that have the cue and that it causes, and "
            "the lift on the cue in all that have it; the first cluster that shows the cue, of how "
            "many, with its size, share caused, lift on cue / subject; p of the structure; and how "
            "often random clusters would find the cue.",
            "\n".join((*HEAD, *lines)),
        )
    )


def written(page: str, tables: str, file: Path) -> str:
    """The page with its tables between the two marks exchanged."""
    return with_tables(page, BEGIN, END, tables, file)


def _total(condition: str, by: str, some: pd.DataFrame) -> str:
    of = len(some)
    structure, found, apart, sized, cut, sheet, whole = (
        sum(value is True or value == 1 for value in some[name])
        for name in (
            "structure",
            "found",
            "told_apart",
            "found_by_size",
            "found_sorted",
            "on_sheet",
            "whole",
        )
    )
    clustered = int((some["clusters"] > 0).sum())
    return (
        f"| {condition} | {by} | {clustered} of {of} | {structure} | "
        f"**{found} of {of}** | {some['random'].fillna(0).sum():.1f} | "
        f"{apart} | {sized} | {cut} | {sheet} | {whole} |"
    )


def _line(rows: pd.DataFrame) -> str:
    """One model, by each kind of clustering."""
    told = []
    row = rows.iloc[0]
    lift = "–" if pd.isna(row["base_lift"]) else f"{row['base_lift']:.1f}"
    for _, one in rows.iterrows():
        if not one["clusters"]:
            told.append(f"under {FEWEST} errors | – | –")
        elif pd.isna(one["rank"]):
            told.append(f"none of {one['clusters']:.0f} | {one['p']:.2f} | {one['random']:.2f}")
        else:
            told.append(
                f"{one['rank']:.0f} of {one['clusters']:.0f}: {one['n']:.0f}, "
                f"{_percent(one['caused'])}, {one['lift']:.1f} / {one['subject_lift']:.1f} | "
                f"{one['p']:.2f} | {one['random']:.2f}"
            )
    parts = (
        row["condition"],
        f"{row['cue']}, {row['seed']}, {row['network']}",
        f"{row['errors']}",
        _percent(row["base_has"]),
        _percent(row["base"]),
        lift,
        *told,
    )
    return f"| {' | '.join(parts)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
