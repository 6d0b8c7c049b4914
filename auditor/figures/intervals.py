"""Dots with their intervals: one row a statement, and a line for what it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from auditor.figures.style import (
    COLOURS,
    LINE,
    SYMBOLS,
    framed,
    interval_words,
    percent,
    plain,
    row_height,
    rows,
    short,
    wrapped,
)

MOST_ROWS = 60
"""Groups that a forest plot has room for; the lowest are shown."""

OUTCOMES = {"errors": (COLOURS[5], "diamond"), "correct cases": (COLOURS[0], "circle")}
"""Colour and mark of errors and of correct cases, in every chart that holds both."""

_APART = 0.17  # of a row: how far errors and correct cases stand from its middle


def association_dots(table: pd.DataFrame) -> go.Figure:
    """Cramér's V with its interval, one row an association; undefined ones say why.

    `table` is `auditor.dashboard.dataset.associations`: `among`, `name`, `value`, `low`, `high`,
    `n`, `threshold`, `notable`, `reason`.
    """
    names = [
        f"{short('?' if pd.isna(row['name']) else row['name'], 28)}  ({row['among']})"
        for row in table.to_dict("records")
    ]
    return _dots(table, names, "Cramér's V of the label with …", (0.0, 1.0), share=False)


def probe_dots(table: pd.DataFrame) -> go.Figure:
    """Balanced accuracy from each region alone, with its interval and chance.

    `table` is `auditor.dashboard.dataset.probes`: `name`, `value`, `low`, `high`, `n`,
    `threshold` (chance), `notable`, `reason`.
    """
    names = [f"{short('?' if pd.isna(name) else name, 28)} alone" for name in table["name"]]
    title = "balanced accuracy of telling the label"
    return _dots(table, names, title, (0.0, 1.0), share=True)


def forest(table: pd.DataFrame, accuracy: float | None, most: int = MOST_ROWS) -> go.Figure:
    """Accuracy of each group with its interval; a dashed line marks that of all cases.

    `table` is that of `auditor.dashboard.groups.grouped_accuracy`: `group`, `judged`, `correct`,
    `accuracy`, `low`, `high`, `precision`, `reason`, and "label" where groups have one. Hollow
    marks are imprecise; groups with counts only have a row that says so. Of more than `most`
    groups those with the lowest accuracy are shown, and the title says so.
    """
    total = len(table)
    if total > most:
        kept = table["accuracy"].sort_values(kind="stable").index[:most]
        table = table.loc[sorted(kept)]
    labels = list(table["label"]) if "label" in table else [None] * len(table)
    known = list(dict.fromkeys("" if pd.isna(label) else str(label) for label in labels))
    # Too many labels for colours to say anything.
    of_label = [known.index("" if pd.isna(at) else str(at)) if len(known) <= 8 else 0
                for at in labels]  # fmt: skip
    figure = go.Figure()
    records = table.to_dict("records")
    for precise in ("ok", "imprecise"):
        for style in sorted(set(of_label)):
            places = [
                place
                for place, row in enumerate(records)
                if row["precision"] == precise and of_label[place] == style
            ]
            if not places:
                continue
            some = [records[place] for place in places]
            hollow = precise == "imprecise"
            figure.add_scatter(
                mode="markers",
                cliponaxis=False,
                x=[row["accuracy"] for row in some],
                y=places,
                error_x=_bars(some, "accuracy", "low", "high", COLOURS[style]),
                marker=_marker(COLOURS[style], SYMBOLS[style], hollow),
                hovertext=[_group_words(row) for row in some],
                hoverinfo="text",
            )
    few = [place for place, row in enumerate(records) if row["precision"] == "counts only"]
    figure.add_scatter(
        mode="text",
        x=[0.01] * len(few),
        y=few,
        text=[
            f"{row['correct']:,} of {row['judged']:,} right: too few for a rate"
            for row in (records[place] for place in few)
        ],
        textposition="middle right",
        hovertext=[_group_words(records[place]) for place in few],
        hoverinfo="text",
    )
    apart = [at for at in range(1, len(labels)) if labels[at] != labels[at - 1]]
    framed(figure, "accuracy, with its 95 % interval", row_height(len(table)) + 22)
    rows(figure, [f"{short(row['group'])}  (n = {row['judged']:,})" for row in records], apart)
    figure.update_xaxes(range=[0, 1], tickformat=".0%", fixedrange=True)
    figure.update_layout(margin={"t": 34})
    if accuracy is not None:
        _line(figure, accuracy, f"all cases {percent(accuracy)}", "dash")
    if total > most:
        told = f"{most} of {total:,} groups, those of the lowest accuracy; the table has all"
        figure.update_layout(title={"text": told, "x": 0.01, "font": {"size": 13}})
        figure.update_layout(margin={"t": 62})
    return figure


def mass_dots(table: pd.DataFrame, measure: str = "mass") -> go.Figure:
    """Mean share of the map on each region, errors beside correct cases, with chance.

    `table` is that of `auditor.dashboard.attention.mean_masses`; `measure` is "mass" (a tick
    marks chance, the mean area) or "lift" (a line marks chance, 1).
    """
    records = table.to_dict("records")
    keys = list(dict.fromkeys((row["region"], _null(row["group"])) for row in records))
    figure = go.Figure()
    for outcome, (colour, symbol) in OUTCOMES.items():
        side = -_APART if outcome == "errors" else _APART
        for hollow in (False, True):
            some = [
                row
                for row in records
                if row["outcome"] == outcome
                and (row["precision"] != "ok") == hollow
                and not pd.isna(row[measure])
            ]
            if not some:
                continue
            figure.add_scatter(
                mode="markers",
                name=outcome + (", imprecise" if hollow else ""),
                x=[row[measure] for row in some],
                y=[keys.index((row["region"], _null(row["group"]))) + side for row in some],
                error_x=_bars(some, measure, f"{measure}_low", f"{measure}_high", colour),
                marker=_marker(colour, symbol, hollow),
                hovertext=[_mass_words(row) for row in some],
                hoverinfo="text",
            )
    if measure == "mass":
        marked = [row for row in records if not pd.isna(row["chance"])]
        figure.add_scatter(
            mode="markers",
            name="chance (mean area)",
            x=[row["chance"] for row in marked],
            y=[
                keys.index((row["region"], _null(row["group"])))
                + (-_APART if row["outcome"] == "errors" else _APART)
                for row in marked
            ],
            marker={"symbol": "line-ns-open", "size": 11, "color": LINE, "line": {"width": 2}},
            hovertext=[f"chance, the mean area: {percent(row['chance'])}" for row in marked],
            hoverinfo="text",
        )
    titles = {
        "mass": "mean share of the predicted class's map, with its 95 % interval",
        "lift": "lift (mean share ÷ mean area), with its 95 % interval",
    }
    framed(figure, titles[measure], row_height(len(keys), 38, True), legend=True)
    apart = [at for at in range(1, len(keys)) if keys[at][0] != keys[at - 1][0]]
    grouped = any(group is not None for _, group in keys)
    rows(
        figure,
        [short(region) + (f" · {short(group, 28)}" if grouped else "") for region, group in keys],
        apart,
    )
    figure.update_xaxes(rangemode="tozero", fixedrange=True)
    if measure == "mass":
        figure.update_xaxes(tickformat=".0%")
    else:
        figure.add_vline(1, line={"color": LINE, "width": 1.5, "dash": "dash"})
    return figure


def _dots(
    table: pd.DataFrame, names: Sequence[str], title: str, limits: tuple[float, float], share: bool
) -> go.Figure:
    figure = go.Figure()
    records = table.to_dict("records")
    for notable in (False, True):
        places = [
            place
            for place, row in enumerate(records)
            if row["notable"] == notable and not pd.isna(row["value"])
        ]
        if not places:
            continue
        some = [records[place] for place in places]
        colour, symbol = (COLOURS[5], "diamond") if notable else (COLOURS[0], "circle")
        figure.add_scatter(
            mode="markers",
            cliponaxis=False,  # a value of 0 stands on the axis
            name="notable" if notable else "not notable",
            x=[row["value"] for row in some],
            y=places,
            error_x=_bars(some, "value", "low", "high", colour),
            marker=_marker(colour, symbol),
            hovertext=[wrapped(row["text"]) for row in some],
            hoverinfo="text",
        )
    nothing = [place for place, row in enumerate(records) if pd.isna(row["value"])]
    figure.add_scatter(
        mode="text",
        x=[_beside(records[place]["threshold"], limits[0]) for place in nothing],
        y=nothing,
        text=[short(records[place]["reason"] or "undefined", 78) for place in nothing],
        textposition="middle right",
        hovertext=[wrapped(records[place]["reason"] or "undefined") for place in nothing],
        hoverinfo="text",
        showlegend=False,
    )
    framed(figure, title, row_height(len(names), legend=True) + 22, legend=True)
    rows(figure, [f"{name}  (n = {_count(row['n'])})"
                  for name, row in zip(names, records, strict=True)])  # fmt: skip
    figure.update_xaxes(range=list(limits), fixedrange=True)
    if share:
        figure.update_xaxes(tickformat=".0%")
    figure.update_layout(margin={"t": 54}, legend={"y": 1, "yref": "container", "yanchor": "top"})
    held = [(place, row["threshold"]) for place, row in enumerate(records)
            if not pd.isna(row["threshold"])]  # fmt: skip
    if len({round(value, 2) for _, value in held}) == 1:
        value = held[0][1]
        _line(figure, value, f"chance {percent(value)}" if share else f"threshold {value:.2g}")
    elif held:
        figure.add_scatter(
            mode="markers",
            name="chance" if share else "threshold",
            x=[value for _, value in held],
            y=[place for place, _ in held],
            marker={"symbol": "line-ns-open", "size": 16, "color": LINE, "line": {"width": 2}},
            hovertext=[percent(value) if share else f"{value:.2f}" for _, value in held],
            hoverinfo="text",
        )
    return figure


def _beside(threshold: float, low: float) -> float:
    """Where a text begins: right of a threshold that would else run through it."""
    near = not pd.isna(threshold) and low <= threshold < low + 0.3
    return (threshold if near else low) + 0.015


def _bars(
    records: Sequence[Mapping[str, Any]], value: str, low: str, high: str, colour: str
) -> dict[str, object]:
    """Error bars from the bounds; none where a bound is null."""

    def distance(row: Mapping[str, Any], bound: str) -> float:
        known = not (pd.isna(row[low]) or pd.isna(row[high]))
        return abs(float(row[bound]) - float(row[value])) if known else 0.0

    return {
        "type": "data",
        "symmetric": False,
        "array": [distance(row, high) for row in records],
        "arrayminus": [distance(row, low) for row in records],
        "color": colour,
        "thickness": 2,
        "width": 0,
    }


def _marker(colour: str, symbol: str, hollow: bool = False) -> dict[str, object]:
    return {
        "color": colour,
        "symbol": f"{symbol}-open" if hollow else symbol,
        "size": 10,
        "line": {"width": 2 if hollow else 0, "color": colour},
    }


def _line(figure: go.Figure, value: float, words: str, dash: str = "dot") -> None:
    figure.add_vline(
        value,
        line={"color": LINE, "width": 1.5, "dash": dash},
        annotation={
            "text": words,
            "yref": "paper",
            "y": 1,
            "yanchor": "bottom",
            # Inside the chart, on whichever side has room.
            "xanchor": "right" if value > 0.85 else "left" if value < 0.15 else "center",
            "font": {"size": 12},
        },
    )


def _group_words(row: Mapping[str, Any]) -> str:
    start = f"{plain(row['group'])}<br>{row['correct']:,} of {row['judged']:,} right"
    if pd.isna(row["accuracy"]):
        return f"{start}<br>no rate: {plain(row['reason'])}"
    imprecise = "<br>imprecise: few cases" if row["precision"] == "imprecise" else ""
    bounds = interval_words(row["low"], row["high"])
    return f"{start}: {percent(row['accuracy'])}<br>{bounds}{imprecise}"


def _mass_words(row: Mapping[str, Any]) -> str:
    group = "" if _null(row["group"]) is None else f", {plain(row['group'])}"
    imprecise = "<br>imprecise: few cases" if row["precision"] != "ok" else ""
    missing = f"<br>not measured in {row['missing']:,} more" if row["missing"] else ""
    lift = "" if pd.isna(row["lift"]) else (
        f"<br>lift {row['lift']:.2f}, "
        + interval_words(row["lift_low"], row["lift_high"], share=False)
    )  # fmt: skip
    return (
        f"{plain(row['region'])}{group}, {row['n']:,} {row['outcome']}<br>"
        f"{percent(row['mass'])} of the map, {interval_words(row['mass_low'], row['mass_high'])}"
        f"<br>chance, the mean area: {percent(row['chance'])}{lift}{missing}{imprecise}"
    )


def _null(value: object) -> str | None:
    return None if value is None or value != value else str(value)  # noqa: PLR0124 - NaN


def _count(value: object) -> str:
    return "?" if pd.isna(value) else f"{value:,}"
