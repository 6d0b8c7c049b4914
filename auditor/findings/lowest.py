"""The lowest accuracy among groups: by label, by label × attribute, and by two attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from auditor.findings.cells import annotated, cell_columns, counted_units, crossed, selected
from auditor.findings.finding import Finding, p_equation
from auditor.findings.intervals import written_interval
from auditor.groups import COUNTS_ONLY, grouped, tells_groups
from auditor.language import Phrase, Series, clauses, counted, listed, phrase, sentences
from auditor.rates import Rates
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
    for attribute in (None, *attributes):
        by = ["label"] if attribute is None else ["label", f"attribute.{attribute}"]
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
        interval = written_interval((low, high), rates.clustered)
        told = [
            _lowest(worst, attribute, interval),
            _others(rates.rate(others) or 0.0, p, len(known)),
        ]
        if few := len(table) - len(known):
            told.append(
                phrase(
                    "groups under {least}, without a rate: {n}",
                    least=counted_units(COUNTS_ONLY, rates),
                    n=few,
                )
            )
        findings.append(
            Finding(
                "worst_group",
                "notice" if notable else "info",
                phrase(
                    "Lowest accuracy by {by}: {found}.",
                    by=crossed([] if attribute is None else [attribute]),
                    found=clauses(told),
                ),
                value=float(worst["accuracy"]),
                low=low,
                high=high,
                n=int(worst["judged"]),
                threshold=rates.rate(others),
                query=" and ".join(selected(name, worst[name]) for name in by),
                attribute=attribute,
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
    pairs, below = [], 0
    for first, second in combinations(usable, 2):
        by = ["label", f"attribute.{first}", f"attribute.{second}"]
        shown = cell_columns(cases, by)
        table, rates = grouped(shown[shown[by[1:]].notna().all(axis=1)], by, seed)
        enough = np.flatnonzero(rates.units >= least).tolist()
        below += len(table) - len(enough)
        pairs.append((by, table, rates, enough))
    total = sum(len(enough) for *_, enough in pairs)
    if not pairs:
        return []
    left_out = _left_out(least, pairs[-1][2], below, len(attributes) - _MOST_CROSSED)
    if not total:
        none = phrase("Of label × two attributes, no cell has enough judged cases for a rate.")
        return [Finding("intersection", "info", sentences(none, left_out), n=0)]
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
    interval = written_interval((worst["low"], worst["high"]), worst.pop("clustered"))
    told = _lowest_cell(worst, interval, p, total)
    for row in rows[1:]:
        del row["clustered"]
    names = (f"attribute.{worst['attribute_1']}", f"attribute.{worst['attribute_2']}")
    values = (worst["value_1"], worst["value_2"])
    by_value = [("label", worst["label"]), *zip(names, values, strict=True)]
    return [
        Finding(
            "intersection",
            "notice" if notable else "info",
            sentences(told, left_out),
            value=worst["rate"],
            low=worst["low"],
            high=worst["high"],
            n=worst["judged"],
            query=" and ".join(selected(name, value) for name, value in by_value),
            table=tuple(rows),
        )
    ]


def _left_out(least: int, rates: Rates, below: int, uncrossed: int) -> Series:
    """Which cells have no rate, and which pairs no cells."""
    cells = phrase(
        "Cells under {least}, without a rate: {n}.",
        least=counted_units(least, rates),
        n=below,
    )
    if uncrossed <= 0:
        return sentences(cells)
    more = counted(uncrossed, "further attribute")
    return sentences(cells, phrase("Pairs with {attributes} were not looked at.", attributes=more))


def _lowest(row: pd.Series, attribute: str | None, interval: Phrase) -> Phrase:
    """The lowest group with its accuracy."""
    group = [phrase("label {label!r}", label=str(row["label"]))]
    if attribute is not None:
        value = row[f"attribute.{attribute}"]
        if pd.isna(value):
            group.append(phrase("{attribute} not annotated", attribute=attribute))
        else:
            group.append(phrase("{attribute} {value!r}", attribute=attribute, value=str(value)))
    found = phrase(
        "{group}, {right} of {judged} ({rate:.1%}, {interval} simultaneously with the others)",
        group=listed(group),
        right=row["correct"],
        judged=row["judged"],
        rate=row["accuracy"],
        interval=interval,
    )
    return phrase("{found}, imprecise", found=found) if row["precision"] == "imprecise" else found


def _others(rate: float, p: float | None, groups: int) -> Phrase:
    """The other groups; `p` is corrected for all groups."""
    if p is None:
        return phrase("the other groups together {rate:.1%} (p undefined)", rate=rate)
    return phrase(
        "the other groups together {rate:.1%} ({p}, corrected for {n} groups)",
        rate=rate,
        p=p_equation(p),
        n=groups,
    )


def _lowest_cell(row: Mapping[str, Any], interval: Phrase, p: float | None, cells: int) -> Phrase:
    """The lowest cell with its accuracy; `p` is corrected for all cells."""
    sure = [
        phrase(
            "{interval} simultaneously over {cells}",
            interval=interval,
            cells=counted(cells, "cell"),
        )
    ]
    if p is not None:
        sure.append(phrase("{p} that it is lower, corrected", p=p_equation(p)))
    return phrase(
        "Lowest accuracy by label × two attributes: label {label!r}, {attribute_1} {value_1!r}, "
        "{attribute_2} {value_2!r}, {right} of {judged} ({rate:.1%}, {sure}).",
        label=row["label"],
        attribute_1=row["attribute_1"],
        value_1=row["value_1"],
        attribute_2=row["attribute_2"],
        value_2=row["value_2"],
        right=row["right"],
        judged=row["judged"],
        rate=row["rate"],
        sure=clauses(sure),
    )
