"""How much a count hangs on the threshold that was chosen."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from auditor.figures.intervals import OUTCOMES
from auditor.figures.style import COLOURS, LINE, framed, interval_words, percent

_HEIGHT = 320


def level_curve(table: pd.DataFrame, alpha: float) -> go.Figure:
    """Share of the testable errors that the maps queue, by the level of their test.

    `table` is that of `auditor.dashboard.attention.level_sensitivity`: `alpha`, `testable`,
    `flagged`, `share`, `low`, `high`, `expected`. The dashed line is the share that chance alone
    would give at most, the dotted one the run's own level `alpha`.
    """
    known = table[table["share"].notna()]
    figure = go.Figure()
    bounded = known[known["low"].notna()]
    figure.add_scatter(
        x=[*bounded["alpha"], *bounded["alpha"][::-1]],
        y=[*bounded["high"], *bounded["low"][::-1]],
        mode="lines",
        fill="toself",
        fillcolor="rgba(213, 94, 0, 0.15)",
        line={"width": 0},
        name="95 % interval",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=known["alpha"].tolist(),
        y=known["share"].tolist(),
        mode="lines+markers",
        name="queued errors",
        line={"color": COLOURS[5], "width": 2},
        marker={"symbol": "diamond", "size": 8},
        hovertext=[
            f"level {row['alpha']:g}: {row['flagged']:,} of {row['testable']:,} testable errors "
            f"queued, {percent(row['share'])}<br>{interval_words(row['low'], row['high'])}"
            f"<br>by chance at most about {row['expected']:.1f}"
            for row in known.to_dict("records")
        ],
        hoverinfo="text",
    )
    figure.add_scatter(
        x=known["alpha"].tolist(),
        y=known["alpha"].tolist(),
        mode="lines",
        name="chance alone, at most",
        line={"color": LINE, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
    )
    framed(figure, "level of the map test", _HEIGHT, "share of testable errors", legend=True)
    figure.add_vline(
        alpha,
        line={"color": LINE, "width": 1.5, "dash": "dot"},
        annotation={
            "text": f"this run: {alpha:g}",
            "yref": "paper",
            "y": 0.97,
            "xanchor": "left",
            "font": {"size": 12},
        },
    )
    figure.update_xaxes(rangemode="tozero", fixedrange=True)
    figure.update_yaxes(rangemode="tozero", tickformat=".0%", fixedrange=True)
    return figure


def lift_curve(table: pd.DataFrame) -> go.Figure:
    """Share of errors and of correct cases with a lift on some cue from each threshold up.

    `table` is `auditor.dashboard.attention.lift_sensitivity`: `lift`, `outcome`, `n`, `marked`,
    `share`. Where both curves run together, the threshold tells errors from nothing.
    """
    figure = go.Figure()
    for outcome, (colour, symbol) in OUTCOMES.items():
        some = table[(table["outcome"] == outcome) & table["share"].notna()]
        if some.empty:
            continue
        figure.add_scatter(
            x=some["lift"].tolist(),
            y=some["share"].tolist(),
            mode="lines+markers",
            name=outcome,
            line={"color": colour, "width": 2, "dash": "solid" if outcome == "errors" else "dot"},
            marker={"symbol": symbol, "size": 7},
            hovertext=[
                f"lift from {row['lift']:g}: {row['marked']:,} of {row['n']:,} {outcome}, "
                f"{percent(row['share'])}"
                for row in some.to_dict("records")
            ],
            hoverinfo="text",
        )
    title = "largest lift on a cue, from (1 is chance)"
    framed(figure, title, _HEIGHT, "share of the cases", legend=True)
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(rangemode="tozero", tickformat=".0%", fixedrange=True)
    return figure
