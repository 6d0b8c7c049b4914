"""How a measure spreads, from its quantiles alone."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from auditor.figures.intervals import OUTCOMES
from auditor.figures.style import LINE, framed, percent, plain, row_height, rows, short

_APART = 0.19


def spread_boxes(table: pd.DataFrame) -> go.Figure:
    """How mass minus area spreads over errors and over correct cases, a pair of boxes a region.

    `table` is `auditor.dashboard.attention.distributions`: `region`, `outcome`, `n`, `q5`,
    `q25`, `q50`, `q75`, `q95`. A box holds the middle half, its whiskers nine cases of ten.
    """
    names = list(dict.fromkeys(table["region"]))
    figure = go.Figure()
    for outcome, (colour, symbol) in OUTCOMES.items():
        some = table[table["outcome"] == outcome]
        if some.empty:
            continue
        side = -_APART if outcome == "errors" else _APART
        places = [names.index(region) + side for region in some["region"]]
        figure.add_box(
            orientation="h",
            name=outcome,
            y=places,
            q1=some["q25"].tolist(),
            median=some["q50"].tolist(),
            q3=some["q75"].tolist(),
            lowerfence=some["q5"].tolist(),
            upperfence=some["q95"].tolist(),
            marker={"color": colour},
            line={"width": 1.5},
            width=0.3,
            hoverinfo="skip",
            showlegend=False,
        )
        # A box computed beforehand has no words of its own: its median says them.
        figure.add_scatter(
            mode="markers",
            name=outcome,
            x=some["q50"].tolist(),
            y=places,
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertext=[
                f"{plain(row['region'])}, {row['n']:,} {outcome}: share of the map less the "
                f"region's area<br>median {percent(row['q50'])}, middle half {percent(row['q25'])}"
                f" to {percent(row['q75'])}<br>nine of ten cases {percent(row['q5'])} to "
                f"{percent(row['q95'])}"
                for row in some.to_dict("records")
            ],
            hoverinfo="text",
        )
    title = "share of the map less the region's area, in points (0 is chance)"
    framed(figure, title, row_height(len(names), 52, True), legend=True)
    apart = range(1, len(names))
    rows(figure, [short(name) for name in names], list(apart))
    figure.add_vline(0, line={"color": LINE, "width": 1.5, "dash": "dash"})
    figure.update_xaxes(tickformat=".0%", fixedrange=True)
    return figure
