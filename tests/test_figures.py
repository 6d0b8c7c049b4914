"""Charts: what they draw, that nothing is left out, and that text from data stays text."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from auditor.figures.bars import coverage_bars, share_bars
from auditor.figures.curves import level_curve, lift_curve
from auditor.figures.intervals import association_dots, forest, mass_dots, probe_dots
from auditor.figures.spreads import spread_boxes
from auditor.figures.style import COLOURS, PATTERNS, SYMBOLS, interval_words, plain, short, wrapped

EVIL = "<a href='javascript:alert(1)'><b>Ärztin</b></a> $x^2$ %{x}\nnext"


def shares(label: str = "doctor", value: str | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": [label, label, "nurse", "nurse"],
            "value": ["man", value, "man", value],
            "n": [3, 1, 0, 4],
            "share": [0.75, 0.25, 0.0, 1.0],
        }
    )


def statements(name: str = "sex") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "among": ["audited images", "training images"],
            "name": [name, None],
            "value": [0.5, np.nan],
            "low": [0.4, np.nan],
            "high": [0.6, np.nan],
            "n": pd.array([9, None], dtype="Int64"),
            "threshold": [0.1, np.nan],
            "notable": [True, False],
            "reason": [None, f"It cannot be said, since {name}."],
            "text": [f"They go together: {name}.", f"It cannot be said, since {name}."],
        }
    )


def cells(group: str = "doctor · man") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "group": [group, "doctor · woman", "nurse · man"],
            "label": ["doctor", "doctor", "nurse"],
            "n": [40, 12, 3],
            "judged": [40, 12, 3],
            "correct": [36, 6, 1],
            "errors": [4, 6, 2],
            "accuracy": [0.9, 0.5, np.nan],
            "low": [0.8, 0.3, np.nan],
            "high": [0.95, 0.7, np.nan],
            "precision": ["ok", "imprecise", "counts only"],
            "reason": [None, None, "3 judged cases, fewer than 10"],
        }
    )


def masses(region: str = "face") -> pd.DataFrame:
    row = {
        "region": region, "group": None, "n": 50, "missing": 2, "mass": 0.3, "mass_low": 0.2,
        "mass_high": 0.4, "chance": 0.1, "lift": 3.0, "lift_low": 2.0, "lift_high": 4.0,
        "precision": "ok",
    }  # fmt: skip
    undefined = {**row, "n": 0, "mass": np.nan, "mass_low": np.nan, "mass_high": np.nan,
                 "chance": np.nan, "lift": np.nan, "lift_low": np.nan, "lift_high": np.nan,
                 "precision": "counts only"}  # fmt: skip
    return pd.DataFrame([{**row, "outcome": "errors"}, {**undefined, "outcome": "correct cases"}])


def spreads(region: str = "face") -> pd.DataFrame:
    return pd.DataFrame(
        [{"region": region, "outcome": "errors", "n": 9, "mean": 0.1, "q5": -0.1, "q25": 0.0,
          "q50": 0.1, "q75": 0.2, "q95": 0.3}]
    )  # fmt: skip


LEVELS = pd.DataFrame(
    {
        "alpha": [0.01, 0.05],
        "testable": [0, 10],
        "flagged": [0, 2],
        "share": [np.nan, 0.2],
        "low": [np.nan, 0.05],
        "high": [np.nan, 0.5],
        "expected": [0.0, 0.5],
    }
)
LIFTS = pd.DataFrame(
    {
        "lift": [1.0, 1.0],
        "outcome": ["errors", "correct cases"],
        "n": [4, 0],
        "marked": [2, 0],
        "share": [0.5, np.nan],
    }
)


def figures(text: str = "plain") -> list[go.Figure]:
    """One of each kind, with that text from data in it."""
    coverage = pd.DataFrame(
        {
            "what": ["attribute", "region"],
            "name": [text, text],
            "status": ["annotated", "something new"],
            "n": [1, 2],
            "share": [1.0, 1.0],
        }
    )
    return [
        share_bars(shares(text, text), text),
        coverage_bars(coverage),
        association_dots(statements(text)),
        probe_dots(statements(text)),
        forest(cells(text), 0.7),
        mass_dots(masses(text)),
        mass_dots(masses(text), "lift"),
        spread_boxes(spreads(text)),
        level_curve(LEVELS, 0.05),
        lift_curve(LIFTS),
    ]


def test_every_colour_has_its_own_mark_and_pattern():
    assert len(set(COLOURS)) == len(set(SYMBOLS)) == len(set(PATTERNS)) == len(COLOURS)


def test_text_from_data_is_text():
    assert plain("<b>a</b> & b\nc") == "&lt;b&gt;a&lt;/b&gt; &amp; b c"
    assert "$" not in plain("$x^2$")
    assert short("x" * 50 + "y" * 50, 10) == "xxxxx…yyyy"
    assert short("<" * 10, 10) == "&lt;" * 10
    assert wrapped("a " * 60, 40).count("<br>") == 2
    assert interval_words(0.1, np.nan) == "without an interval"
    assert interval_words(0.1, 0.25) == "95 % interval 10.0 % to 25.0 %"


def test_markup_in_names_reaches_no_figure():
    for figure in figures(EVIL):
        written = json.dumps(json.loads(figure.to_json()), ensure_ascii=False)
        # The default template is plotly's, and so are the line breaks of hover boxes.
        assert "<a " not in written
        assert "<b>" not in written
        assert "$x" not in written
        assert "hovertemplate" not in written


@pytest.mark.parametrize("number", range(10))
def test_a_figure_takes_its_colours_of_text_and_ground_from_the_page(number):
    figure = figures()[number]
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert figure.layout.font.color is None
    assert figure.layout.xaxis.title.text


def test_shares_of_a_label_fill_its_bar():
    figure = share_bars(shares(), "sex")
    assert [trace.name for trace in figure.data] == ["man", "not annotated"]
    assert [sum(at) for at in zip(*(trace.x for trace in figure.data), strict=True)] == [1, 1]
    assert figure.layout.yaxis.ticktext == ("doctor  (n = 4)", "nurse  (n = 4)")
    assert figure.data[0].hovertext[0] == "doctor, sex man<br>3 of 4 images of the label: 75.0 %"


def test_what_is_shown_together_has_no_colour_of_a_value():
    table = pd.DataFrame({"label": "a", "value": [*"12345678", "others", None]})
    table["n"], table["share"] = 1, 0.1
    *values, others, missing = share_bars(table, "sex").data
    assert [trace.marker.color for trace in values] == list(COLOURS)
    assert others.marker.color == missing.marker.color
    assert others.marker.pattern.shape != missing.marker.pattern.shape


def test_an_undefined_association_says_why():
    figure = association_dots(statements())
    dots = next(trace for trace in figure.data if trace.mode == "markers")
    assert list(dots.x) == [0.5]
    assert list(dots.error_x.array) == pytest.approx([0.1])
    words = next(trace for trace in figure.data if trace.mode == "text")
    assert words.text == ("It cannot be said, since sex.",)
    assert figure.layout.yaxis.ticktext[1] == "?  (training images)  (n = ?)"


def test_every_group_has_its_row_in_the_forest():
    figure = forest(cells(), 0.7)
    drawn = {place for trace in figure.data for place in trace.y}
    assert drawn == {0, 1, 2}
    symbols = {trace.marker.symbol for trace in figure.data if trace.mode == "markers"}
    assert symbols == {"circle", "circle-open"}
    words = next(trace for trace in figure.data if trace.mode == "text")
    assert words.text == ("1 of 3 right: too few for a rate",)
    hollow = next(t for t in figure.data if t.marker.symbol == "circle-open")
    assert hollow.hovertext[0].endswith("imprecise: few cases")
    (line,) = (shape for shape in figure.layout.shapes if shape.x0 == shape.x1)
    assert (line.x0, line.line.dash) == (0.7, "dash")


def test_a_long_forest_shows_the_lowest_and_says_so():
    table = pd.concat([cells()] * 40, ignore_index=True)
    table["accuracy"] = np.linspace(1, 0, len(table))
    table[["low", "high"]], table["precision"] = 0.5, "ok"
    figure = forest(table, None, most=50)
    assert figure.layout.title.text == (
        "50 of 120 groups, those of the lowest accuracy; the table has all"
    )
    shown = [value for trace in figure.data for value in (trace.x or ()) if trace.mode == "markers"]
    assert len(shown) == 50
    assert max(shown) == pytest.approx(table["accuracy"].nsmallest(50).max())


def test_what_is_undefined_is_not_drawn():
    figure = mass_dots(masses())
    assert [trace.name for trace in figure.data] == ["errors", "chance (mean area)"]
    assert "not measured in 2 more" in figure.data[0].hovertext[0]
    assert list(level_curve(LEVELS, 0.05).data[1].x) == [0.05]
    assert [trace.name for trace in lift_curve(LIFTS).data] == ["errors"]


def test_a_spread_is_a_few_numbers():
    box, _ = spread_boxes(spreads()).data
    assert (box.q1, box.median, box.q3) == ((0.0,), (0.1,), (0.2,))
    assert (box.lowerfence, box.upperfence) == ((-0.1,), (0.3,))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: share_bars(shares()[:0], "sex"),
        lambda: coverage_bars(pd.DataFrame(columns=["what", "name", "status", "n", "share"])),
        lambda: association_dots(statements()[:0]),
        lambda: probe_dots(statements()[:0]),
        lambda: forest(cells()[:0], None),
        lambda: mass_dots(masses()[:0]),
        lambda: spread_boxes(spreads()[:0]),
        lambda: level_curve(LEVELS[:0], 0.05),
        lambda: lift_curve(LIFTS[:0]),
    ],
)
def test_an_empty_table_is_an_empty_figure(draw):
    assert isinstance(draw(), go.Figure)
