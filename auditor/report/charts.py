"""Charts of a report as SVG: drawn here, without script, each with its text alternative.

Colours are Okabe and Ito's, and nothing is told by colour alone. They come from the classes that
the page's style sheet defines, so that a chart follows a light or a dark page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from auditor.language import Language, Phrase, Words, clauses, phrase, sentences, spoken
from auditor.report import drawing
from auditor.report.drawing import NAMES, ROW, TOP, WIDTH, Element
from auditor.report.lifts import figure_of_lifts, lifts
from auditor.report.source import UNANNOTATED, group_name
from auditor.report.wording import one_line, written

Row = Mapping[str, Any]

_PLOT = 330  # how wide the plot is


def svg(block: Mapping[str, Any], number: int, language: Language) -> str:
    """A block of the kind `chart` as an SVG element, its words in that language.

    `number` makes its ids unique in a page.
    """
    drawn, height = CHARTS[block["chart"]](block["rows"], language)
    root = ElementTree.Element(
        "svg",
        {
            "viewBox": f"0 0 {WIDTH} {height}",
            "width": str(WIDTH),
            "height": str(height),
            "role": "img",
            "aria-labelledby": f"chart{number}-title chart{number}-desc",
            "class": "chart",
        },
    )
    drawing.add(root, "title", one_line(block["title"]), id=f"chart{number}-title")
    figures = phrase("{sentence}.", sentence=clauses(_figures(block)))
    told = sentences(block["description"], figures).written(language)
    drawing.add(root, "desc", one_line(told), id=f"chart{number}-desc")
    root.extend(drawn)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def forest(rows: Sequence[Row], language: Language) -> tuple[list[Element], int]:
    """Groups with `group`, `accuracy`, `low`, `high`, `correct`, `judged`, and `overall`."""
    drawn = _axis(len(rows))
    bottom = TOP + len(rows) * ROW
    overall = rows[0].get("overall") if rows else None
    if overall is not None:
        x = _at(overall)
        drawn.append(drawing.line(x, TOP - 6, x, bottom, "overall"))
    for number, row in enumerate(rows):
        y = TOP + number * ROW + ROW / 2
        drawn.append(drawing.name(row["group"], y))
        counts = phrase("{correct:,} of {judged:,}", correct=row["correct"], judged=row["judged"])
        if row["accuracy"] is None:
            told = clauses([counts, row["reason"] or phrase("no rate")]).written(language)
            drawn.append(drawing.text(NAMES + 12, y, told, "faint"))
            continue
        low, high = _at(row["low"]), _at(row["high"])
        kind = "interval" if row["precision"] == "ok" else "interval imprecise"
        drawn.append(drawing.line(low, y, high, y, kind))
        drawn += [drawing.line(x, y - 4, x, y + 4, kind) for x in (low, high)]
        point = ElementTree.Element(
            "circle", {"cx": f"{_at(row['accuracy']):.1f}", "cy": f"{y:.1f}", "r": "5"}
        )
        point.set("class", "point" if row["precision"] == "ok" else "point imprecise")
        drawn.append(point)
        told = f"{written(row['accuracy'], 'share')} · {counts.written(language)}"
        drawn.append(drawing.text(NAMES + _PLOT + 16, y, told, "value"))
    return drawn, bottom + 26


def counts(rows: Sequence[Row], language: Language) -> tuple[list[Element], int]:
    """Bars of `n` for `label` and `value`; values have colours, and are named beside the bars."""
    drawn: list[Element] = []
    values = list(dict.fromkeys(row["value"] for row in rows))
    most = max((row["n"] for row in rows), default=0) or 1
    for number, row in enumerate(rows):
        y = TOP + number * ROW + ROW / 2
        first = number == 0 or rows[number - 1]["label"] != row["label"]
        if first and number:
            drawn.append(drawing.line(0, y - ROW / 2, WIDTH, y - ROW / 2, "grid"))
        drawn.append(drawing.name(spoken(group_name(row["label"], row["value"]), language), y))
        wide = max(1.0, _PLOT * row["n"] / most)
        colour = f"c{values.index(row['value']) % 6}" if row["value"] else "unknown"
        drawn.append(drawing.box(NAMES + 12, y - 8, wide, 16, f"bar {colour}"))
        drawn.append(drawing.text(NAMES + 20 + wide, y, written(row["n"], "count"), "value"))
    return drawn, TOP + len(rows) * ROW + 6


def shares(rows: Sequence[Row], language: Language) -> tuple[list[Element], int]:
    """Of each `region` the shares `errors` and `correct`, with `errors_area`, `correct_area`."""
    drawn = _axis(2 * len(rows))
    lines = 0
    for row in rows:
        top = TOP + lines * ROW
        if lines:
            drawn.append(drawing.line(0, top, WIDTH, top, "grid"))
        for what, name, colour in (
            ("errors", _of_errors(row), "c1"),
            ("correct", _of_correct(row), "c0"),
        ):
            y = TOP + lines * ROW + ROW / 2
            lines += 1
            drawn.append(drawing.name(name.written(language), y))
            if row[what] is None:
                none = phrase("none measured").written(language)
                drawn.append(drawing.text(NAMES + 12, y, none, "faint"))
                continue
            wide = _at(row[what]) - _at(0)
            drawn.append(drawing.box(_at(0), y - 7, max(wide, 1), 14, f"bar {colour}"))
            x = _at(row[f"{what}_area"])
            drawn.append(drawing.line(x, y - 11, x, y + 11, "chance"))
            share, area = (written(row[key], "share") for key in (what, f"{what}_area"))
            told = phrase("{share}, chance {area}", share=share, area=area).written(language)
            drawn.append(drawing.text(NAMES + _PLOT + 16, y, told, "value"))
    return drawn, TOP + lines * ROW + 26


def _of_errors(row: Row) -> Phrase:
    if row["cue"]:
        return phrase("{region} (cue), errors", region=row["region"])
    return phrase("{region}, errors", region=row["region"])


def _of_correct(row: Row) -> Phrase:
    if row["cue"]:
        return phrase("{region} (cue), correct cases", region=row["region"])
    return phrase("{region}, correct cases", region=row["region"])


CHARTS: Mapping[str, Callable[[Sequence[Row], Language], tuple[list[Element], int]]] = {
    "counts": counts,
    "forest": forest,
    "lifts": lifts,
    "shares": shares,
}
"""What draws a chart: from its rows to SVG elements and the height that they take."""


def _figures(block: Mapping[str, Any]) -> list[Words]:
    """The figures of a chart in words."""
    told = {
        "counts": _figure_of_counts,
        "forest": _figure_of_forest,
        "lifts": figure_of_lifts,
        "shares": _figure_of_shares,
    }
    return [told[block["chart"]](row) for row in block["rows"]]


def _figure_of_counts(row: Row) -> Phrase:
    return phrase(
        "{label} {value}: {n}", label=row["label"], value=row["value"] or UNANNOTATED, n=row["n"]
    )


def _figure_of_forest(row: Row) -> Phrase:
    if row["accuracy"] is None:
        return phrase(
            "{group}: {correct} of {judged}, no rate",
            group=row["group"],
            correct=row["correct"],
            judged=row["judged"],
        )
    return phrase(
        "{group}: {accuracy}, interval {low} to {high}",
        group=row["group"],
        **{key: written(row[key], "share") for key in ("accuracy", "low", "high")},
    )


def _figure_of_shares(row: Row) -> Phrase:
    shares = ("errors", "errors_area", "correct", "correct_area")
    return phrase(
        "{region}: errors {errors} of area {errors_area}, correct cases {correct} of area "
        "{correct_area}",
        region=row["region"],
        **{key: written(row[key], "share") for key in shares},
    )


def _axis(lines: int) -> list[Element]:
    """An axis from 0 to 100 %, below so many lines."""
    bottom = TOP + lines * ROW
    drawn = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawn.append(drawing.line(_at(tick), TOP - 6, _at(tick), bottom, "grid"))
        drawn.append(drawing.text(_at(tick), bottom + 14, f"{tick:.0%}", "tick"))
    return drawn


def _at(share: float) -> float:
    return NAMES + 12 + _PLOT * share - 12 * share
