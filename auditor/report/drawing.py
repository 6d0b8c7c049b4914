"""Pieces of a chart: SVG elements whose looks the page's style sheet defines by their class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from unicodedata import east_asian_width
from xml.etree import ElementTree

from auditor.report.wording import one_line

Element = ElementTree.Element

WIDTH = 760
"""Of every chart."""
NAMES = 210
"""Where the names left of a plot end."""
TOP, ROW = 14, 26
"""Where rows begin, and how high each is."""
CHARACTERS = 32
"""Of a name that fit; Chinese and Japanese characters are twice as wide."""


def name(words: str, y: float) -> Element:
    """A name left of the plot; one that is too long is cut, and whole in its tooltip."""
    whole = one_line(words)
    shown = short(whole, CHARACTERS)
    element = text(NAMES, y, shown, "name")
    if shown != whole:
        add(element, "title", whole)
    return element


def width(words: str) -> int:
    """Of a text in characters; Chinese and Japanese ones are twice as wide."""
    return sum(_widths(words))


def short(words: str, most: int) -> str:
    """As much of a name as fits into so many characters."""
    ends = list(accumulate(_widths(words)))
    if not ends or ends[-1] <= most:
        return words
    return words[: sum(end < most for end in ends)] + "…"


def text(x: float, y: float, words: str, kind: str) -> Element:
    """One line of words at a height of its middle."""
    element = ElementTree.Element(
        "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "dy": "0.32em", "class": kind}
    )
    element.text = one_line(words)
    return element


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    """A straight line."""
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return ElementTree.Element(
        "line", {**{key: f"{value:.1f}" for key, value in ends.items()}, "class": kind}
    )


def polyline(points: Sequence[tuple[float, float]], kind: str) -> Element:
    """A line through points."""
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return ElementTree.Element("polyline", {"points": through, "class": kind})


def polygon(points: Sequence[tuple[float, float]], kind: str) -> Element:
    """A closed shape with these corners."""
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return ElementTree.Element("polygon", {"points": corners, "class": kind})


def circle(x: float, y: float, radius: float, kind: str) -> Element:
    """A circle about a point."""
    sides = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": f"{radius:g}"}
    return ElementTree.Element("circle", {**sides, "class": kind})


def box(x: float, y: float, wide: float, height: float, kind: str) -> Element:
    """A rectangle by its upper left corner."""
    sides = {"x": x, "y": y, "width": wide, "height": height}
    return ElementTree.Element(
        "rect", {**{key: f"{value:.1f}" for key, value in sides.items()}, "rx": "2", "class": kind}
    )


def add(parent: Element, tag: str, words: str, **attributes: str) -> None:
    """An element of text inside of another, such as a tooltip."""
    child = ElementTree.SubElement(parent, tag, attributes)
    child.text = words


def _widths(words: str) -> list[int]:
    return [2 if east_asian_width(char) in "WF" else 1 for char in words]
