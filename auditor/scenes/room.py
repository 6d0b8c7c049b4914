"""The room behind a person: a wall and a few things on and before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from auditor.scenes.canvas import Canvas, Colour, box, darker, lighter, mixed, oval, smooth
from auditor.scenes.chance import Chance

PLACES = ("ward", "office")

_WALLS: tuple[Colour, ...] = (
    (206, 212, 208),
    (196, 208, 218),
    (220, 212, 196),
    (202, 196, 204),
    (188, 200, 188),
    (214, 206, 206),
)


def draw_room(canvas: Canvas, chance: Chance, place: str | None) -> None:
    """A wall and what stands there; a `place` decides what, None leaves it to chance."""
    wall = mixed(chance.pick(_WALLS), (168, 172, 176), chance.between(0, 0.35))
    canvas.shape(box(0, 0, 1, 1), wall)
    _finish(canvas, chance, wall)
    left, right = chance.between(0.10, 0.20), chance.between(0.80, 0.90)
    things: list[Thing]
    if place is None:
        first = chance.pick(tuple(_THINGS))
        second = chance.pick([name for name in _THINGS if name != first])
        things = [_THINGS[first], _THINGS[second]]
    else:
        things = list(_PLACES[place])
        if chance.yes(0.5):
            things.reverse()
    for thing, x in zip(things, (left, right), strict=True):
        thing(canvas, chance, x)


def _finish(canvas: Canvas, chance: Chance, wall: Colour) -> None:
    """Tiles, a rail, or plain paint."""
    kind = chance.share()
    line = darker(wall, 0.10)
    if kind < 0.30:
        step = chance.between(0.09, 0.14)
        for n in range(1, int(1 / step) + 1):
            canvas.line(np.array([(n * step, 0), (n * step, 1)]), 0.003, line)
            canvas.line(np.array([(0, n * step), (1, n * step)]), 0.003, line)
    elif kind < 0.65:
        y = chance.between(0.55, 0.72)
        canvas.shape(box(0, y, 1, 1), darker(wall, chance.between(0.08, 0.20)))
        canvas.shape(box(0, y - 0.012, 1, y + 0.012), lighter(wall, 0.35))
    else:
        x = chance.between(0.3, 0.7)
        canvas.shape(box(x, 0, 1, 1), darker(wall, chance.between(0.03, 0.09)))


Thing = Callable[[Canvas, Chance, float], None]


def _window(canvas: Canvas, chance: Chance, x: float) -> None:
    half, top, bottom = (
        chance.between(0.10, 0.15),
        chance.between(0.04, 0.12),
        chance.between(0.46, 0.56),
    )
    sky = mixed((178, 206, 232), (232, 226, 214), chance.share())
    canvas.shape(
        box(x - half - 0.014, top - 0.014, x + half + 0.014, bottom + 0.014), (236, 236, 234)
    )
    canvas.shape(box(x - half, top, x + half, bottom), sky)
    hill = [
        (x - half, bottom),
        (x - half, bottom - 0.08),
        (x, bottom - 0.13),
        (x + half, bottom - 0.06),
        (x + half, bottom),
    ]
    canvas.shape(np.array(hill), mixed((120, 150, 110), sky, 0.45))
    canvas.line(np.array([(x, top), (x, bottom)]), 0.010, (236, 236, 234))
    if chance.yes(0.5):
        for n in range(9):
            y = top + n * (bottom - top) / 14
            canvas.shape(box(x - half, y, x + half, y + 0.010), (222, 222, 218))


def _curtain(canvas: Canvas, chance: Chance, x: float) -> None:
    cloth = mixed(chance.pick(_WALLS), (120, 168, 176), chance.between(0.3, 0.8))
    half = chance.between(0.13, 0.19)
    canvas.shape(box(x - half, 0.045, x + half, 1), cloth)
    for n in range(7):
        at = x - half + (n + 0.5) * half / 3.5
        canvas.shape(box(at, 0.045, at + half / 9, 1), darker(cloth, 0.4), alpha=42)
    canvas.line(np.array([(0, 0.04), (1, 0.04)]), 0.012, (150, 154, 160))


def _cabinet(canvas: Canvas, chance: Chance, x: float) -> None:
    half, top = chance.between(0.11, 0.15), chance.between(0.10, 0.20)
    frame = mixed((226, 228, 230), (170, 140, 110), chance.between(0, 0.8))
    canvas.shape(box(x - half, top, x + half, top + 0.48), frame)
    canvas.shape(
        box(x - half + 0.015, top + 0.015, x + half - 0.015, top + 0.465), darker(frame, 0.28)
    )
    for shelf in range(3):
        y = top + 0.15 + 0.15 * shelf
        canvas.shape(box(x - half + 0.012, y, x + half - 0.012, y + 0.012), frame)
        for n in range(4):
            at = x - half + 0.03 + n * (2 * half - 0.05) / 4
            tall = chance.between(0.04, 0.10)
            ink = mixed((200, 120, 70), (90, 150, 180), chance.share())
            canvas.shape(box(at, y - tall, at + 0.034, y), ink)
            canvas.shape(box(at, y - tall * 0.6, at + 0.034, y - tall * 0.25), (240, 240, 236))


def _poster(canvas: Canvas, chance: Chance, x: float) -> None:
    half, top = chance.between(0.075, 0.11), chance.between(0.08, 0.20)
    canvas.shape(box(x - half, top, x + half, top + 0.32), (246, 244, 238))
    ink = mixed((60, 66, 76), (150, 70, 70), chance.share())
    for row in range(5):
        count, height = row + 1, 0.040 - 0.006 * row
        y = top + 0.03 + 0.055 * row
        for n in range(count):
            at = x + (n - (count - 1) / 2) * height * 1.3
            canvas.shape(box(at - height / 2.6, y, at + height / 2.6, y + height), ink)


def _monitor(canvas: Canvas, chance: Chance, x: float) -> None:
    y, half = chance.between(0.16, 0.32), chance.between(0.09, 0.12)
    canvas.line(np.array([(x, y), (x, 1)]), 0.022, (128, 132, 138))
    canvas.shape(box(x - half, y - 0.08, x + half, y + 0.08), (206, 208, 210))
    canvas.shape(box(x - half + 0.014, y - 0.066, x + half - 0.014, y + 0.052), (24, 34, 40))
    for row, ink in enumerate(((90, 214, 130), (230, 200, 80))):
        level = y - 0.035 + 0.055 * row
        beat = [
            (x - half + 0.02 + n * (2 * half - 0.04) / 12, level - (0.028 if n % 4 == 2 else 0))
            for n in range(13)
        ]
        canvas.line(np.array(beat), 0.005, ink)


def _plant(canvas: Canvas, chance: Chance, x: float) -> None:
    base = chance.between(0.66, 0.80)
    leaf = mixed((70, 120, 66), (120, 150, 80), chance.share())
    for n in range(9):
        lean = (n - 4) * 0.036 + chance.between(-0.01, 0.01)
        high = chance.between(0.20, 0.34)
        blade = [
            (x - 0.006, base),
            (x + lean * 0.6 - 0.020, base - high * 0.6),
            (x + lean, base - high),
            (x + lean * 0.6 + 0.020, base - high * 0.55),
            (x + 0.006, base),
        ]
        canvas.shape(smooth(blade), darker(leaf, 0.06 * (n % 3)))
    pot = np.array(
        [(x - 0.075, base - 0.01), (x + 0.075, base - 0.01), (x + 0.055, 1), (x - 0.055, 1)]
    )
    canvas.shape(pot, mixed((176, 108, 80), (220, 220, 216), chance.share()))


def _books(canvas: Canvas, chance: Chance, x: float) -> None:
    half, top = chance.between(0.12, 0.17), chance.between(0.06, 0.14)
    wood = mixed((134, 96, 64), (190, 160, 124), chance.share())
    canvas.shape(box(x - half, top, x + half, 1), darker(wood, 0.35))
    for shelf in range(5):
        y = top + 0.17 + 0.18 * shelf
        at = x - half + 0.015
        while at < x + half - 0.035:
            wide = chance.between(0.016, 0.034)
            spine = mixed((130, 56, 56), (60, 92, 120), chance.share())
            canvas.shape(box(at, y - chance.between(0.09, 0.14), at + wide, y), spine)
            at += wide + 0.003
        canvas.shape(box(x - half, y, x + half, y + 0.015), wood)
    for side in (-1, 1):
        canvas.line(np.array([(x + side * half, top), (x + side * half, 1)]), 0.016, wood)


def _clock(canvas: Canvas, chance: Chance, x: float) -> None:
    y, r = chance.between(0.14, 0.26), chance.between(0.055, 0.075)
    canvas.shape(oval(x, y, r + 0.010, r + 0.010), (70, 74, 80))
    canvas.shape(oval(x, y, r, r), (246, 246, 242))
    for reach in (0.5, 0.8):
        turn = chance.between(0, 6.28)
        hand = (x + reach * r * float(np.cos(turn)), y + reach * r * float(np.sin(turn)))
        canvas.line(np.array([(x, y), hand]), 0.007, (40, 42, 46))


_THINGS: Mapping[str, Thing] = {
    "window": _window,
    "curtain": _curtain,
    "cabinet": _cabinet,
    "poster": _poster,
    "monitor": _monitor,
    "plant": _plant,
    "books": _books,
    "clock": _clock,
}
_PLACES: Mapping[str, tuple[Thing, Thing]] = {
    "ward": (_curtain, _monitor),
    "office": (_books, _plant),
}
