"""How much of the maps lies on a region, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from auditor.figures.intervals import OUTCOMES
from auditor.figures.style import LINE, framed, interval_words, percent, short

_HEIGHT = 380
_TITLES = {
    "mass": "mean share of the predicted class's map",
    "lift": "lift (mean share ÷ mean area)",
}


def depth_curve(table: pd.DataFrame, measure: str = "lift") -> go.Figure:
    """Mean share or lift of one region by layer, errors beside correct cases, with intervals.

    `table` holds the rows of that region of `auditor.dashboard.attention.by_depth`; `measure` is
    "mass" (a dashed line marks chance, the mean area) or "lift" (chance is 1). The dotted line
    marks the layer of the audit's own maps; what lies before it is a view.
    """
    layers = table.drop_duplicates("place").sort_values("place")
    figure = go.Figure()
    for outcome, (colour, symbol) in OUTCOMES.items():
        some = table[(table["outcome"] == outcome) & table[measure].notna()]
        if some.empty:
            continue
        records = some.sort_values("place").to_dict("records")
        figure.add_scatter(
            x=[row["place"] for row in records],
            y=[row[measure] for row in records],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [_beyond(row[f"{measure}_high"], row[measure]) for row in records],
                "arrayminus": [_beyond(row[measure], row[f"{measure}_low"]) for row in records],
                "color": colour,
                "thickness": 1.5,
            },
            mode="lines+markers",
            name=outcome,
            line={"color": colour, "width": 2, "dash": "solid" if outcome == "errors" else "dot"},
            marker={"symbol": symbol, "size": 8},
            hovertext=[_words(row) for row in records],
            hoverinfo="text",
        )
    framed(figure, "layer, from the input on", _HEIGHT, _TITLES[measure], legend=True)
    if measure == "lift":
        figure.add_hline(1, line={"color": LINE, "width": 1.5, "dash": "dash"})
    else:
        area = table.dropna(subset="area").groupby("place")["area"].mean()
        figure.add_scatter(
            x=area.index.tolist(),
            y=area.tolist(),
            mode="lines",
            name="chance (mean area)",
            line={"color": LINE, "width": 1.5, "dash": "dash"},
            hoverinfo="skip",
        )
    for place in layers.loc[layers["own"], "place"].tolist():
        figure.add_vline(
            place,
            line={"color": LINE, "width": 1.5, "dash": "dot"},
            annotation={
                "text": "this run's maps",
                "yref": "paper",
                "y": 0.99,
                "xanchor": "right",
                "font": {"size": 12},
            },
        )
    figure.update_xaxes(
        tickvals=layers["place"].tolist(),
        ticktext=[
            f"{short(row['layer'], 20)}<br>{row['height']} × {row['width']}"
            for row in layers.to_dict("records")
        ],
        fixedrange=True,
    )
    figure.update_yaxes(rangemode="tozero", fixedrange=True)
    if measure == "mass":
        figure.update_yaxes(tickformat=".0%")
    return figure


def _beyond(high: float, low: float) -> float:
    """The length of one side of an interval; 0 where there is none."""
    return 0.0 if pd.isna(high) or pd.isna(low) else max(high - low, 0.0)


def _words(row: Mapping[str, Any]) -> str:
    return (
        f"{short(row['layer'], 60)}: lift {row['lift']:.2f}, "
        f"{interval_words(row['lift_low'], row['lift_high'], share=False)}"
        f"<br>share {percent(row['mass'])}, area {percent(row['area'])}, "
        f"{row['n']:,} {row['outcome']}"
    )
