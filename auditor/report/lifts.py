"""The chart of lift by layer: a strip for each region, layers from the input on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, isfinite
from typing import Any

from auditor.language import Language, Phrase, phrase
from auditor.report import drawing
from auditor.report.drawing import WIDTH, Element
from auditor.report.wording import one_line, written

Row = Mapping[str, Any]

_LEFT = 138  # where the strips begin
_RIGHT = WIDTH - 4
_HIGH, _GAP = 100, 20  # of a strip, and between two
_HEAD = 34  # above the first, for the legend
_SMALL = 5.9  # pixels of a character below the strips
_LETTER = 7.4  # pixels of a character of the legend
_MOST_LINES = 4  # of a layer's name
_STEPS = (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000)


def lifts(rows: Sequence[Row], language: Language) -> tuple[list[Element], int]:
    """Of each `region` and `layer` the lifts `errors` and `correct` with `_low`, `_high`, `_n`.

    Rows of one region lie together, in the order of `place`. A null is left out, and so is the
    line through it. All strips have one scale; an interval that goes beyond it ends in an arrow.
    """
    regions = list(dict.fromkeys(row["region"] for row in rows))
    layers = list(
        {row["place"]: row for row in sorted(rows, key=lambda row: row["place"])}.values()
    )
    if not layers:
        return [], _HEAD
    top, step = _scale(rows)
    slot = (_RIGHT - _LEFT) / len(layers)
    middles = {row["place"]: _LEFT + slot * (n + 0.5) for n, row in enumerate(layers)}
    bottom = _HEAD + len(regions) * (_HIGH + _GAP) - _GAP
    drawn = [
        drawing.box(middles[row["place"]] - slot / 2, _HEAD - 4, slot, bottom - _HEAD + 8, "own")
        for row in layers
        if row["own"]
    ]
    drawn += _legend(language)
    for number, region in enumerate(regions):
        own = [row for row in rows if row["region"] == region]
        drawn += _strip(own, _HEAD + number * (_HIGH + _GAP), top, step, middles, language)
    names, height = _names(layers, middles, slot, bottom)
    return drawn + names, height


def figure_of_lifts(row: Row) -> Phrase:
    """The figures of a layer and region in words."""
    return phrase(
        "{region} at {layer}: {errors}, {correct}",
        region=row["region"],
        layer=row["layer"],
        errors=_told("errors", row),
        correct=_told("correct", row),
    )


def _told(outcome: str, row: Row) -> Phrase:
    """The lift of errors or of correct cases, in words."""
    values = {name: written(row[f"{outcome}{name}"], "number") for name in ("", "_low", "_high")}
    known = {"lift": values[""], "low": values["_low"], "high": values["_high"]}
    n = row[f"{outcome}_n"]
    if outcome == "errors":
        if row["errors"] is None:
            return phrase("errors not measured")
        return phrase("errors {lift}, interval {low} to {high}, n = {n}", **known, n=n)
    if row["correct"] is None:
        return phrase("correct cases not measured")
    return phrase("correct cases {lift}, interval {low} to {high}, n = {n}", **known, n=n)


def _scale(rows: Sequence[Row]) -> tuple[float, float]:
    """Where the scale ends, and the distance of its marks; wide intervals do not stretch it."""
    means = [row[name] for row in rows for name in ("errors", "correct")]
    ends = [row[f"{name}_high"] for row in rows for name in ("errors", "correct")]
    largest = max((v for v in means if v is not None and isfinite(v)), default=1.0)
    highest = max((v for v in ends if v is not None and isfinite(v)), default=largest)
    wanted = max(1.5, 1.05 * largest, min(highest, 1.8 * largest))
    step = next((step for step in _STEPS if wanted / step <= 4), wanted / 4)
    return step * ceil(wanted / step), step


def _strip(
    rows: Sequence[Row],
    above: float,
    top: float,
    step: float,
    middles: Mapping[int, float],
    language: Language,
) -> Iterator[Element]:
    """One region: its name, its scale, and both outcomes."""
    below = above + _HIGH

    def at(lift: float) -> float:
        return below - _HIGH * min(lift, top) / top

    region = rows[0]["region"]
    named = phrase("{region} (cue)", region=region).written(language) if rows[0]["cue"] else region
    for line, words in enumerate(_wrapped(one_line(named), 14, 3)):
        name = drawing.text(0, above + _HIGH / 2 - 8 + 16 * line, words, "region")
        drawing.add(name, "title", one_line(named))
        yield name
    for mark in range(round(top / step) + 1):
        y = at(mark * step)
        yield drawing.line(_LEFT, y, _RIGHT, y, "grid")
        yield drawing.text(_LEFT - 7, y, f"{mark * step:g}", "scale")
    yield drawing.line(_LEFT, at(1), _RIGHT, at(1), "overall")
    for outcome, aside in (("correct", 5), ("errors", -5)):
        run: list[tuple[float, float]] = []
        marks: list[Element] = []
        for row in rows:
            lift = row[outcome]
            if lift is None:
                yield from _joined(run, outcome)
                run = []
                continue
            x, y = middles[row["place"]] + aside, at(lift)
            run.append((x, y))
            low, high = row[f"{outcome}_low"], row[f"{outcome}_high"]
            if low is not None and high is not None:
                marks += _interval(x, at(low), at(high), high > top, outcome)
            marks.append(_mark(x, y, outcome))
            told = phrase("{layer}: {lift}", layer=row["layer"], lift=_told(outcome, row))
            drawing.add(marks[-1], "title", one_line(told.written(language)))
        yield from _joined(run, outcome)
        yield from marks


def _joined(points: Sequence[tuple[float, float]], outcome: str) -> Iterator[Element]:
    if len(points) > 1:
        yield drawing.polyline(points, f"path {outcome}")


def _interval(x: float, low: float, high: float, beyond: bool, outcome: str) -> Iterator[Element]:
    kind = f"bounds {outcome}"
    yield drawing.line(x, low, x, high, kind)
    yield drawing.line(x - 3, low, x + 3, low, kind)
    if beyond:
        yield drawing.polyline([(x - 4, high + 5), (x, high), (x + 4, high + 5)], kind)
    else:
        yield drawing.line(x - 3, high, x + 3, high, kind)


def _mark(x: float, y: float, outcome: str) -> Element:
    """A filled diamond for errors, an open circle for correct cases."""
    if outcome == "errors":
        corners = [(x, y - 5.5), (x + 5.5, y), (x, y + 5.5), (x - 5.5, y)]
        return drawing.polygon(corners, "mark errors")
    return drawing.circle(x, y, 4.2, "mark correct")


def _legend(language: Language) -> Iterator[Element]:
    """What marks and lines mean, from left to right above the strips."""
    x, y = float(_LEFT), 10.0
    for kind, words in (
        ("errors", phrase("errors")),
        ("correct", phrase("correct cases")),
        ("overall", phrase("1 is chance")),
        ("own", phrase("layer of this audit's maps")),
    ):
        if kind in ("errors", "correct"):
            yield drawing.line(x, y, x + 22, y, f"path {kind}")
            yield _mark(x + 11, y, kind)
        elif kind == "overall":
            yield drawing.line(x, y, x + 22, y, "overall")
        else:
            yield drawing.box(x + 2, y - 7, 18, 14, "own")
        told = words.written(language)
        yield drawing.text(x + 28, y, told, "value")
        x += 28 + _LETTER * drawing.width(told) + 18


def _names(
    layers: Sequence[Row], middles: Mapping[int, float], slot: float, below: float
) -> tuple[list[Element], int]:
    """The layers' names and grids below the strips, and where all of it ends."""
    drawn: list[Element] = []
    most = max(4, int((slot - 4) / _SMALL))
    lines = 1
    for row in layers:
        name = one_line(row["layer"])
        parts = _wrapped(name, most, _MOST_LINES)
        lines = max(lines, len(parts))
        kind = "tick here" if row["own"] else "tick"
        x = middles[row["place"]]
        for number, part in enumerate(parts):
            drawn.append(drawing.text(x, below + 18 + 14 * number, part, kind))
            drawing.add(drawn[-1], "title", _whole(row))
    y = below + 18 + 14 * lines
    for row in layers:
        grid = f"{row['height']} × {row['width']}"
        drawn.append(drawing.text(middles[row["place"]], y, grid, "tick"))
    return drawn, round(y + 14)


def _whole(row: Row) -> str:
    """A layer's name, and why there is no map of it where there is none."""
    return one_line(f"{row['layer']}: {row['problem']}" if row["problem"] else row["layer"])


def _wrapped(name: str, most: int, lines: int) -> list[str]:
    """A name in lines of so many characters, broken at its dots and spaces where it can be.

    Of a name that is longer, the end is kept, which tells layers apart.
    """
    parts = [""]
    for piece in _pieces(name, most):
        if parts[-1] and drawing.width(parts[-1] + piece.rstrip()) > most:
            parts.append("")
        parts[-1] += piece.lstrip() if not parts[-1] else piece
    found = [part.strip() for part in parts if part.strip()]
    return found if len(found) <= lines else ["…", *found[len(found) - lines + 1 :]]


def _pieces(name: str, most: int) -> list[str]:
    """A name before each dot and behind each space, and where a piece gets longer than a line."""
    found = [""]
    for char in name:
        ends = (char in ".(（" and found[-1].strip()) or found[-1].endswith(" ")
        if ends or drawing.width(found[-1] + char) > most:
            found.append("")
        found[-1] += char
    return found
