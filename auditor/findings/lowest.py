"""The lowest accuracy among groups: by label, by label × attribute, and by two attributes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from auditor.findings.cells import annotated, cell_columns, selected, unit_words
from auditor.findings.finding import Finding, p_equation
from auditor.findings.intervals import plural, written_interval
from auditor.groups import COUNTS_ONLY, grouped, tells_groups
from auditor.thresholds import Thresholds

_MOST_CROSSED = 8  # attributes whose pairs are looked at: 28 pairs


def worst_groups(
    cases: pd.DataFrame, attributes: Sequence[str], seed: int, thresholds: Thresholds
) -> list[Finding]:
    """The group of the lowest accuracy, by label and by label × each attribute: `worst_group`.

    Its interval holds at once with those of all the groups it was picked from (Šidák's level
    of Wilson's interval; over clusters the studentised maximum), and its p-value, one-sided
    against the other groups together, is times their number. Nothing is found where fewer
    than two groups have a rate.
    """
    findings = []
    for by in (["label"], *(["label", f"attribute.{name}"] for name in attributes)):
        shown = cell_columns(cases, by)
        if not all(tells_groups(shown[name]) for name in by[1:]):
            continue
        table, rates = grouped(shown, by, seed)
        known = np.flatnonzero(table["accuracy"].notna()).tolist()
        if len(known) < 2:
            continue
        place = min(known, key=lambda group: table["accuracy"].iat[group])
        worst = table.iloc[place]
        low, high = rates.simultaneous(known)[known.index(place)]
        others = [group for group in known if group != place]
        p = rates.p([place], others, lower=True)
        # Any group may turn out the lowest: corrected for all of them (Bonferroni).
        p = None if p is None else min(1.0, p * len(known))
        notable = p is not None and p <= thresholds.alpha
        few = len(table) - len(known)
        corrected = f"corrected for {len(known)} groups"
        findings.append(
            Finding(
                "worst_group",
                "notice" if notable else "info",
                f"Lowest accuracy by {' × '.join(name.removeprefix('attribute.') for name in by)}"
                f": {_named(worst, by)}, {worst['correct']} of {worst['judged']} "
                f"({worst['accuracy']:.1%}, {written_interval((low, high), rates.clustered)} "
                "simultaneously with the others)"
                + (", imprecise" if worst["precision"] == "imprecise" else "")
                + f"; the other groups together {rates.rate(others) or 0:.1%} "
                + (f"({p_equation(p)}, {corrected})" if p is not None else "(p undefined)")
                + (
                    f"; groups under {COUNTS_ONLY} {unit_words(rates)}, without a rate: {few}."
                    if few
                    else "."
                ),
                value=float(worst["accuracy"]),
                low=low,
                high=high,
                n=int(worst["judged"]),
                threshold=rates.rate(others),
                query=" and ".join(selected(name, worst[name]) for name in by),
            )
        )
    return findings


def intersections(
    cases: pd.DataFrame, attributes: Sequence[str], seed: int, thresholds: Thresholds
) -> list[Finding]:
    """The lowest accuracy in the cells of label × two attributes: `intersection`.

    One finding over all pairs of attributes (the first eight), from cells of at least
    `thresholds.intersection` judged cases (or clusters); how many are below it is said. The
    table has those cells, lowest first, with intervals that hold at once over all pairs.
    Nothing is found with fewer than two attributes.
    """
    usable = [
        name
        for name in attributes[:_MOST_CROSSED]
        if tells_groups(annotated(cases[f"attribute.{name}"]))
    ]
    least = thresholds.intersection
    pairs, below, words = [], 0, "judged cases"
    for first, second in combinations(usable, 2):
        by = ["label", f"attribute.{first}", f"attribute.{second}"]
        shown = cell_columns(cases, by)
        table, rates = grouped(shown[shown[by[1:]].notna().all(axis=1)], by, seed)
        enough = np.flatnonzero(rates.units >= least).tolist()
        below += len(table) - len(enough)
        words = unit_words(rates)
        pairs.append((by, table, rates, enough))
    total = sum(len(enough) for *_, enough in pairs)
    if not pairs:
        return []
    few = f" Cells under {least} {words}, without a rate: {below}."
    left = len(attributes) - _MOST_CROSSED
    few += f" Pairs with {plural(left, 'further attribute')} were not looked at." * (left > 0)
    if not total:
        told = "Of label × two attributes, no cell has enough judged cases for a rate."
        return [Finding("intersection", "info", told + few, n=0)]
    rows: list[dict[str, Any]] = []
    for by, table, rates, enough in pairs:
        # Šidák over the cells of every pair, also where it is taken pair by pair.
        bounds = rates.simultaneous(enough, 0.95 ** (len(enough) / total))
        for group, (low, high) in zip(enough, bounds, strict=True):
            others = [other for other in enough if other != group]
            cell = table.iloc[group]
            rows.append(
                {
                    "label": str(cell["label"]),
                    "attribute_1": by[1].removeprefix("attribute."),
                    "value_1": str(cell[by[1]]),
                    "attribute_2": by[2].removeprefix("attribute."),
                    "value_2": str(cell[by[2]]),
                    "n": int(cell["n"]),
                    "judged": int(cell["judged"]),
                    "right": int(cell["correct"]),
                    "rate": rates.rate([group]),
                    "low": low,
                    "high": high,
                    "p": rates.p([group], others, lower=True) if others else None,
                    "clustered": rates.clustered,
                }
            )
    rows.sort(key=lambda row: row["rate"])
    worst = rows[0]
    p = None if worst["p"] is None else min(1.0, worst["p"] * total)
    notable = p is not None and p <= thresholds.alpha
    told = (
        f"Lowest accuracy by label × two attributes: label {worst['label']!r}, "
        f"{worst['attribute_1']} {worst['value_1']!r}, {worst['attribute_2']} "
        f"{worst['value_2']!r}, {worst['right']} of {worst['judged']} ({worst['rate']:.1%}, "
        f"{written_interval((worst['low'], worst['high']), worst.pop('clustered'))} "
        f"simultaneously over {plural(total, 'cell')}"
        + (f"; {p_equation(p)} that it is lower, corrected" if p is not None else "")
        + ")."
    )
    for row in rows[1:]:
        del row["clustered"]
    names = (f"attribute.{worst['attribute_1']}", f"attribute.{worst['attribute_2']}")
    values = (worst["value_1"], worst["value_2"])
    by_value = [("label", worst["label"]), *zip(names, values, strict=True)]
    return [
        Finding(
            "intersection",
            "notice" if notable else "info",
            told + few,
            value=worst["rate"],
            low=worst["low"],
            high=worst["high"],
            n=worst["judged"],
            query=" and ".join(selected(name, value) for name, value in by_value),
            table=tuple(rows),
        )
    ]


def _named(row: pd.Series, by: Sequence[str]) -> str:
    return ", ".join(
        f"{name.removeprefix('attribute.')} "
        + ("not annotated" if pd.isna(row[name]) else repr(row[name]))
        for name in by
    )
