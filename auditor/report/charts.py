"""Charts of a report as SVG: drawn here, without script, each with its text alternative.

Colours are Okabe and Ito's, and nothing is told by colour alone. They come from the classes that
the page's style sheet defines, so that a chart follows a light or a dark page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any
from unicodedata import east_asian_width
from xml.etree import ElementTree

from auditor.language import Language, Phrase, Words, clauses, phrase, sentences, spoken
from auditor.report.source import UNANNOTATED, group_name
from auditor.report.wording import one_line, written

Row = Mapping[str, Any]
Element = ElementTree.Element

_WIDTH = 760
_NAMES = 210  # where the names end
_PLOT = 330  # how wide the plot is
_TOP, _ROW = 14, 26
_CHARACTERS = 32  # of a name that fit


def svg(block: Mapping[str, Any], number: int, language: Language) -> str:
    """A block of the kind `chart` as an SVG element, its words in that language.

    `number` makes its ids unique in a page.
    """
    drawn, height = CHARTS[block["chart"]](block["rows"], language)
    root = ElementTree.Element(
        "svg",
        {
            "viewBox": f"0 0 {_WIDTH} {height}",
            "width": str(_WIDTH),
            "height": str(height),
            "role": "img",
            "aria-labelledby": f"chart{number}-title chart{number}-desc",
            "class": "chart",
        },
    )
    _add(root, "title", one_line(block["title"]), id=f"chart{number}-title")
    figures = phrase("{sentence}.", sentence=clauses(_figures(block)))
    told = sentences(block["description"], figures).written(language)
    _add(root, "desc", one_line(told), id=f"chart{number}-desc")
    root.extend(drawn)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def forest(rows: Sequence[Row], language: Language) -> tuple[list[Element], int]:
    """Groups with `group`, `accuracy`, `low`, `high`, `correct`, `judged`, and `overall`."""
    drawn = _axis(len(rows))
    bottom = _TOP + len(rows) * _ROW
    overall = rows[0].get("overall") if rows else None
    if overall is not None:
        x = _at(overall)
        drawn.append(_line(x, _TOP - 6, x, bottom, "overall"))
    for number, row in enumerate(rows):
        y = _TOP + number * _ROW + _ROW / 2
        drawn.append(_name(row["group"], y))
        counts = phrase("{correct:,} of {judged:,}", correct=row["correct"], judged=row["judged"])
        if row["accuracy"] is None:
            told = clauses([counts, row["reason"] or phrase("no rate")]).written(language)
            drawn.append(_text(_NAMES + 12, y, told, "faint"))
            continue
        low, high = _at(row["low"]), _at(row["high"])
        kind = "interval" if row["precision"] == "ok" else "interval imprecise"
        drawn.append(_line(low, y, high, y, kind))
        drawn += [_line(x, y - 4, x, y + 4, kind) for x in (low, high)]
        point = ElementTree.Element(
            "circle", {"cx": f"{_at(row['accuracy']):.1f}", "cy": f"{y:.1f}", "r": "5"}
        )
        point.set("class", "point" if row["precision"] == "ok" else "point imprecise")
        drawn.append(point)
        told = f"{written(row['accuracy'], 'share')} · {counts.written(language)}"
        drawn.append(_text(_NAMES + _PLOT + 16, y, told, "value"))
    return drawn, bottom + 26


def counts(rows: Sequence[Row], language: Language) -> tuple[list[Element], int]:
    """Bars of `n` for `label` and `value`; values have colours, and are named beside the bars."""
    drawn: list[Element] = []
    values = list(dict.fromkeys(row["value"] for row in rows))
    most = max((row["n"] for row in rows), default=0) or 1
    for number, row in enumerate(rows):
        y = _TOP + number * _ROW + _ROW / 2
        first = number == 0 or rows[number - 1]["label"] != row["label"]
        if first and number:
            drawn.append(_line(0, y - _ROW / 2, _WIDTH, y - _ROW / 2, "grid"))
        drawn.append(_name(spoken(group_name(row["label"], row["value"]), language), y))
        wide = max(1.0, _PLOT * row["n"] / most)
        colour = f"c{values.index(row['value']) % 6}" if row["value"] else "unknown"
        drawn.append(_box(_NAMES + 12, y - 8, wide, 16, f"bar {colour}"))
        drawn.append(_text(_NAMES + 20 + wide, y, written(row["n"], "count"), "value"))
    return drawn, _TOP + len(rows) * _ROW + 6


def shares(rows: Sequence[Row], language: Language) -> tuple[list[Element], int]:
    """Of each `region` the shares `errors` and `correct`, with `errors_area`, `correct_area`."""
    drawn = _axis(2 * len(rows))
    lines = 0
    for row in rows:
        top = _TOP + lines * _ROW
        if lines:
            drawn.append(_line(0, top, _WIDTH, top, "grid"))
        for what, name, colour in (
            ("errors", _of_errors(row), "c1"),
            ("correct", _of_correct(row), "c0"),
        ):
            y = _TOP + lines * _ROW + _ROW / 2
            lines += 1
            drawn.append(_name(name.written(language), y))
            if row[what] is None:
                none = phrase("none measured").written(language)
                drawn.append(_text(_NAMES + 12, y, none, "faint"))
                continue
            wide = _at(row[what]) - _at(0)
            drawn.append(_box(_at(0), y - 7, max(wide, 1), 14, f"bar {colour}"))
            x = _at(row[f"{what}_area"])
            drawn.append(_line(x, y - 11, x, y + 11, "chance"))
            share, area = (written(row[key], "share") for key in (what, f"{what}_area"))
            told = phrase("{share}, chance {area}", share=share, area=area).written(language)
            drawn.append(_text(_NAMES + _PLOT + 16, y, told, "value"))
    return drawn, _TOP + lines * _ROW + 26


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
    "shares": shares,
}
"""What draws a chart: from its rows to SVG elements and the height that they take."""


def _figures(block: Mapping[str, Any]) -> list[Words]:
    """The figures of a chart in words."""
    told = {"counts": _figure_of_counts, "forest": _figure_of_forest, "shares": _figure_of_shares}
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
    bottom = _TOP + lines * _ROW
    drawn = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawn.append(_line(_at(tick), _TOP - 6, _at(tick), bottom, "grid"))
        drawn.append(_text(_at(tick), bottom + 14, f"{tick:.0%}", "tick"))
    return drawn


def _at(share: float) -> float:
    return _NAMES + 12 + _PLOT * share - 12 * share


def _name(text: str, y: float) -> Element:
    """A name left of the plot; one that is too long is cut, and whole in its tooltip."""
    text = one_line(text)
    short = _short(text)
    element = _text(_NAMES, y, short, "name")
    if short != text:
        _add(element, "title", text)
    return element


def _short(text: str) -> str:
    """As much of a name as fits; Chinese and Japanese characters are twice as wide."""
    ends = list(accumulate(2 if east_asian_width(char) in "WF" else 1 for char in text))
    if not ends or ends[-1] <= _CHARACTERS:
        return text
    return text[: sum(end < _CHARACTERS for end in ends)] + "…"


def _text(x: float, y: float, text: str, kind: str) -> Element:
    element = ElementTree.Element(
        "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "dy": "0.32em", "class": kind}
    )
    element.text = one_line(text)
    return element


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return ElementTree.Element(
        "line", {**{key: f"{value:.1f}" for key, value in ends.items()}, "class": kind}
    )


def _box(x: float, y: float, width: float, height: float, kind: str) -> Element:
    sides = {"x": x, "y": y, "width": width, "height": height}
    return ElementTree.Element(
        "rect", {**{key: f"{value:.1f}" for key, value in sides.items()}, "rx": "2", "class": kind}
    )


def _add(parent: Element, tag: str, text: str, **attributes: str) -> None:
    child = ElementTree.SubElement(parent, tag, attributes)
    child.text = text
