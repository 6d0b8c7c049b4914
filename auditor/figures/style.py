"""What all charts share: colours, marks, and how text from data is made harmless."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#8C8C8C",
)  # fmt: skip
"""Okabe & Ito's palette, told apart by the colour-blind too; grey for black, which a dark page
would swallow."""
BRIGHT = frozenset({"#E69F00", "#CC79A7", "#56B4E9", "#F0E442"})
"""Colours on which dark text is read better than white."""
SYMBOLS = (
    "circle", "diamond", "square", "triangle-up", "triangle-down", "cross", "x", "star",
)  # fmt: skip
"""A mark for each colour, so that colour is never all that tells two things apart."""
PATTERNS = ("", "/", "x", "\\", ".", "-", "+", "|")
"""A pattern of bars for each colour."""
FAINT = "rgba(128, 128, 128, 0.45)"
"""Of fillings that stand for nothing known, on any background."""
LINE = "rgba(128, 128, 128, 0.9)"
"""Of reference lines, on any background."""

_CLEAR = "rgba(0, 0, 0, 0)"
_GRID = "rgba(128, 128, 128, 0.22)"


def plain(text: object) -> str:
    """Text from data, so that plotly takes nothing in it for markup, formulas or new lines."""
    escaped = html.escape(" ".join(str(text).split()), quote=False)
    return escaped.replace("$", "&#36;")


def short(text: object, most: int = 36) -> str:
    """The same for the side of an axis; what is too long loses its middle, and keeps its end."""
    words = " ".join(str(text).split())
    if len(words) > most:
        words = f"{words[: most // 2].rstrip()}…{words[len(words) - (most - most // 2 - 1) :]}"
    return plain(words)


def wrapped(text: object, width: int = 70) -> str:
    """The same for a hover box, in lines."""
    lines = textwrap.wrap(str(text), width) or [""]
    return "<br>".join(plain(line) for line in lines)


def percent(value: float, digits: int = 1) -> str:
    """A share in words: 0.775 is "77.5 %"."""
    return f"{100 * value:.{digits}f} %"


def interval_words(low: float, high: float, share: bool = True) -> str:
    """A 95 % interval in words; that there is none, where a bound is null."""
    if pd.isna(low) or pd.isna(high):
        return "without an interval"
    if share:
        return f"95 % interval {percent(low)} to {percent(high)}"
    return f"95 % interval {low:.2f} to {high:.2f}"


def framed(
    figure: go.Figure, x_title: str, height: int, y_title: str | None = None, legend: bool = False
) -> go.Figure:
    """Give a figure its frame: no background, small margins, a quiet grid."""
    figure.update_layout(
        height=height,
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        margin={"l": 8, "r": 30, "t": 36 if legend else 12, "b": 8},
        showlegend=legend,
        legend={
            "orientation": "h",
            "traceorder": "normal",
            "x": 0,
            "y": 1,
            "xanchor": "left",
            "yanchor": "bottom",
        },
        hoverlabel={"align": "left"},
        hovermode="closest",
        dragmode=False,
    )
    axis = {"gridcolor": _GRID, "zeroline": False, "automargin": True, "linecolor": _GRID}
    figure.update_xaxes(title={"text": x_title, "standoff": 8}, **axis)
    figure.update_yaxes(title={"text": y_title, "standoff": 8} if y_title else None, **axis)
    return figure


def rows(figure: go.Figure, names: Sequence[str], apart: Sequence[int] = ()) -> None:
    """Name the rows 0, 1, … of a chart, from the top; a thin line above each of `apart`."""
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=list(names),
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        fixedrange=True,
    )
    for place in apart:
        figure.add_hline(place - 0.5, line={"color": _GRID, "width": 1})


def row_height(count: int, each: int = 28, legend: bool = False) -> int:
    """Pixels for so many rows, axis and title included."""
    return 70 + 30 * legend + each * max(count, 1)
