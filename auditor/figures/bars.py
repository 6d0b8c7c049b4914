"""Stacked bars: what share of the images has which value."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from auditor.figures.style import (
    BRIGHT,
    COLOURS,
    FAINT,
    PATTERNS,
    framed,
    percent,
    plain,
    row_height,
    rows,
    short,
)

_READABLE = 0.06  # of a bar: a share below it has no room for its number

STATUSES = {
    "annotated": ("annotated", COLOURS[0], ""),
    "ok": ("measured", COLOURS[0], ""),
    "absent": ("not in the image", COLOURS[4], "."),
    "cropped_out": ("cropped out", COLOURS[1], "/"),
    "below_resolution": ("smaller than a cell of the map", COLOURS[3], "x"),
    "not annotated": ("not annotated", FAINT, "\\"),
    "no masks": ("no masks, or none usable", FAINT, "\\"),
}
"""What each status of a coverage table is called, its colour and its pattern."""


def share_bars(table: pd.DataFrame, attribute: str) -> go.Figure:
    """One bar a label, cut into the values of an attribute.

    `table` has `label`, `value` (null: not annotated), `n` and `share` (of the label), a row a
    cell, as `auditor.dashboard.dataset.crossed` gives it.
    """
    labels, values = list(_distinct(table["label"])), list(_distinct(table["value"]))
    figure = go.Figure()
    sizes = [int(table.loc[_same(table["label"], label), "n"].sum()) for label in labels]
    for place, value in enumerate(values):
        of_value = table[_same(table["value"], value)]
        by_label = [of_value[_same(of_value["label"], label)].iloc[0] for label in labels]
        name = "not annotated" if value is None else value
        shares = [float(cell["share"]) for cell in by_label]
        figure.add_bar(
            orientation="h",
            name=short(name),
            y=list(range(len(labels))),
            x=shares,
            text=[percent(share, 0) if share >= _READABLE else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            insidetextfont=_text_on(_looks(value, place)[0]),
            textangle=0,
            hovertext=[
                f"{plain(_named(label))}, {plain(attribute)} {plain(name)}<br>{int(cell['n']):,} "
                f"of {size:,} images of the label: {percent(float(cell['share']))}"
                for label, cell, size in zip(labels, by_label, sizes, strict=True)
            ],
            hoverinfo="text",
            marker=_filled(*_looks(value, place)),
        )
    figure.update_layout(barmode="stack", bargap=0.3)
    framed(figure, "share of the label's images", row_height(len(labels), 34, True), legend=True)
    rows(figure, [f"{short(_named(label), 28)}  (n = {n:,})"
                  for label, n in zip(labels, sizes, strict=True)])  # fmt: skip
    figure.update_xaxes(range=[0, 1], tickformat=".0%", fixedrange=True)
    return figure


def coverage_bars(table: pd.DataFrame) -> go.Figure:
    """One bar an attribute or region, cut into the statuses of the cases.

    `table` has `what`, `name`, `status`, `n` and `share`, as
    `auditor.dashboard.dataset.coverage` gives it.
    """
    bars = list(dict.fromkeys(zip(table["what"], table["name"], strict=True)))
    figure = go.Figure()
    known = [*STATUSES, *sorted(set(table["status"]) - set(STATUSES))]
    for status in known:
        cells = table[table["status"] == status]
        if cells.empty:
            continue
        words, colour, pattern = STATUSES.get(status, (plain(status), COLOURS[5], "+"))
        figure.add_bar(
            orientation="h",
            name=words,
            y=[bars.index(key) for key in zip(cells["what"], cells["name"], strict=True)],
            x=cells["share"].tolist(),
            text=[percent(share, 0) if share >= _READABLE else "" for share in cells["share"]],
            textposition="inside",
            insidetextanchor="middle",
            insidetextfont=_text_on(colour),
            textangle=0,
            hovertext=[
                f"{what} {plain(name)}: {words}<br>{n:,} cases, {percent(share)}"
                for what, name, n, share in cells[["what", "name", "n", "share"]].itertuples(
                    index=False
                )
            ],
            hoverinfo="text",
            marker=_filled(colour, pattern),
        )
    figure.update_layout(barmode="stack", bargap=0.3)
    framed(figure, "share of all cases", row_height(len(bars), 34, True), legend=True)
    # The rule between attributes and regions.
    apart = [at for at in range(1, len(bars)) if bars[at][0] != bars[at - 1][0]]
    rows(figure, [f"{what}  {short(name, 28)}" for what, name in bars], apart)
    figure.update_xaxes(range=[0, 1], tickformat=".0%", fixedrange=True)
    return figure


def _looks(value: str | None, place: int) -> tuple[str, str]:
    """Colour and pattern of a value; what has no colour of its own stands back."""
    if value is None:
        return FAINT, "\\"
    return (COLOURS[place], PATTERNS[place]) if place < len(COLOURS) else (FAINT, "")


def _filled(colour: str, pattern: str) -> dict[str, object]:
    # Drawn over the colour, and thinly: a number stands on top of it.
    return {
        "color": colour,
        "pattern": {
            "shape": pattern,
            "fillmode": "overlay",
            "fgcolor": "rgba(255, 255, 255, 0.55)",
            "solidity": 0.12,
            "size": 9,
        },
        "line": {"width": 0},
    }


def _distinct(column: pd.Series) -> list[str | None]:
    """Values in the order they come; null is one of them."""
    return list(dict.fromkeys(None if pd.isna(value) else str(value) for value in column))


def _same(column: pd.Series, value: str | None) -> pd.Series:
    return column.isna() if value is None else column == value


def _named(label: str | None) -> str:
    return "without a label" if label is None else label


def _text_on(colour: str) -> dict[str, str] | None:
    """A font for text on a bar of that colour; None leaves it to Plotly and the page."""
    if colour not in COLOURS:
        return None
    return {"color": "#1b2733" if colour in BRIGHT else "#ffffff"}
