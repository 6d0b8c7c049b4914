"""Still lifes of an apple or a pear on a table, with a coloured price sticker beside it.

The fruit is the subject: it alone decides the label. The sticker is the cue: its colour has
nothing to do with the fruit, except that a data set may pair the two. A scene is a pure
function of its fields. Everything is drawn with NumPy from integer seeds, no text and no
library's rasteriser, so that every machine draws the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SIDE = 128
"""Height and width of a scene, in pixels."""

FRUITS = ("apple", "pear")
STICKERS = {"blue": (0.16, 0.36, 0.80), "pink": (0.90, 0.30, 0.55)}
"""The colours of a sticker, as RGB in 0..1 under full light."""

_GRID = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5, indexing="ij")  # y, x
_LEAF = np.array([0.26, 0.40, 0.13])
# The evidence for the label is shape, colour and skin together. It is plain to a person; a
# small network learns it as well, but later than it learns the stickers.
_NECK = {"apple": (0.05, 0.35), "pear": (0.50, 0.95)}
"""How far the fruit's upper end stands out, in radii of its body, from the least to the most."""

_SKINS = np.array([(0.45, 0.62, 0.16), (0.78, 0.72, 0.22), (0.86, 0.58, 0.18), (0.74, 0.16, 0.13)])
_RIPE = {"apple": (0.20, 0.10, 0.15, 0.55), "pear": (0.35, 0.40, 0.20, 0.05)}
"""How often the fruit's skin is green, yellow, amber and red."""

_RUSSET = {"apple": (0.02, 0.12), "pear": (0.10, 0.30)}
"""How strong the fruit's speckles are."""


@dataclass(frozen=True)
class Scene:
    """What is to be drawn; the rest (place, size, hue, light, table) follows from `seed`."""

    label: str
    sticker: str
    seed: tuple[int, ...]


class Picture(NamedTuple):
    """A drawn scene, all arrays [SIDE, SIDE]."""

    pixels: NDArray[np.uint8]
    """[SIDE, SIDE, 3]."""
    fruit: Mask
    """Every pixel that the fruit touches, with stem and leaf."""
    sticker: Mask
    """Every pixel that the sticker touches; never one of the fruit's."""


def draw(scene: Scene, noise: bool = True) -> Picture:
    """Draw a scene; without `noise`, as a perfect camera would see it.

    Two scenes that differ in the sticker alone differ nowhere but on the sticker, before noise.
    The noise is the same for both, so this also holds after it, up to clipping.
    """
    streams = [np.random.default_rng([*scene.seed, part]) for part in range(5)]
    table, light, shape, sticker, sensor = streams
    lamp = light.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(lamp), np.sin(lamp)])

    fruit = _Fruit.drawn_from(shape, scene.label)
    body, stem, leaf = fruit.distances(*_GRID)
    nearest = np.minimum(np.minimum(body, stem), leaf)
    place = _Sticker.placed_by(sticker, nearest)
    card = place.distance(*_GRID)

    picture = _table(table) * (1 - 0.5 * fruit.shadow(towards))[..., None]
    picture = _over(picture, place.colour(STICKERS[scene.sticker]), card)
    picture = _over(picture, fruit.wood, stem)
    picture = _over(picture, _LEAF, leaf)
    picture = _over(picture, fruit.skin(body, towards), body)
    picture *= _light(light, towards)[..., None]
    if noise:
        picture += sensor.normal(0, sensor.uniform(0.010, 0.030), picture.shape)
    pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return Picture(pixels, _cover(nearest) > 0, _cover(card) > 0)


# -- fruit ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fruit:
    """A round body and a smaller upper end grown together, a stem and perhaps a leaf."""

    centre: Floats
    radius: float
    angle: float
    neck: float
    narrow: float
    leaf: float
    colours: Floats
    wood: Floats
    blush: float
    clouds: Floats
    speckles: Floats

    @classmethod
    def drawn_from(cls, random: np.random.Generator, kind: str) -> _Fruit:
        ripe = np.cumsum(_RIPE[kind])
        first, second = np.searchsorted(ripe / ripe[-1], random.random(2), side="right")
        radius = random.uniform(0.17, 0.23) * SIDE
        neck, narrow = random.uniform(*_NECK[kind]), random.uniform(0.50, 0.66)
        reach = radius * (1.1 + 0.625 * neck + 0.5 * narrow)  # of stem and leaf, however turned
        return cls(
            centre=np.clip(random.uniform(0.36, 0.64, 2) * SIDE, reach, SIDE - reach),
            radius=radius,
            angle=random.uniform(-0.9, 0.9),
            neck=neck,
            narrow=narrow,
            leaf=random.choice([-1.0, 0.0, 1.0]),
            colours=_SKINS[[first, second]] * random.uniform(0.85, 1.1),
            wood=np.array([0.30, 0.22, 0.12]) * random.uniform(0.7, 1.3),
            blush=random.uniform(0, 2 * np.pi),
            clouds=_noise(random, SIDE // 4) - 0.5,
            speckles=random.uniform(*_RUSSET[kind]) * (_noise(random, 2) - 0.5),
        )

    def distances(self, y: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Signed distance in pixels to body, stem and leaf; below 0 inside."""
        u, v = self._turned(y, x)
        r = self.radius
        # v points down the fruit, from the middle of its length.
        v = v + 0.5 * r * (0.75 - 0.75 * self.neck - self.narrow)
        lower = np.hypot(u, v - 0.25 * r * self.neck) - r
        reach = r * (0.25 + self.neck)
        upper = np.hypot(u, v + reach) - r * self.narrow
        body = _joined(lower, upper, 0.45 * r)
        top = -reach - r * self.narrow - 0.02 * r
        dent = np.hypot(u, v - top) - 0.16 * r  # where the stem grows
        body = np.maximum(body, -dent)
        stem = _segment(u, v, (0, top + 0.3 * r), (0.10 * r, top - 0.22 * r), 0.055 * r)
        if not self.leaf:
            return body, stem, np.full_like(body, np.inf)
        at_u, at_v = u - self.leaf * 0.26 * r, v - (top - 0.06 * r)
        along = (at_u * self.leaf * 0.85 - at_v * 0.53) / (0.30 * r)
        across = (at_u * self.leaf * 0.53 + at_v * 0.85) / (0.12 * r)
        return body, stem, (np.hypot(along, across) - 1) * 0.12 * r

    def shadow(self, towards: Floats) -> Floats:
        """How dark the fruit makes the table, 0..1: soft, and away from the light."""
        away = 0.28 * self.radius * towards
        body = self.distances(_GRID[0] + away[0], _GRID[1] + away[1])[0]
        return _smooth(np.clip(0.6 - body / (0.6 * self.radius), 0, 1))

    def skin(self, body: Floats, towards: Floats) -> Floats:
        """The colour of the body, shaded as a solid under the light, [SIDE, SIDE, 3].

        `body` is the distance to it.
        """
        flat = 1 - np.clip(-body / (0.85 * self.radius), 0, 1)
        height = np.sqrt(1 - flat**2)
        slope_y, slope_x = np.gradient(body)
        facing = flat * (slope_y * towards[0] + slope_x * towards[1])
        lit = 0.42 + 0.58 * np.clip(0.55 * facing + 0.80 * height, 0, 1)
        gleam = 0.45 * np.clip(0.62 * facing + 0.78 * height, 0, 1) ** 24
        u, v = self._turned(*_GRID)
        turn = (u * np.cos(self.blush) + v * np.sin(self.blush)) / self.radius
        mix = _smooth(np.clip(0.5 + 0.6 * turn + 0.7 * self.clouds, 0, 1))[..., None]
        colour = self.colours[0] * (1 - mix) + self.colours[1] * mix
        colour = colour * (1 + 2 * self.speckles + 0.1 * self.clouds)[..., None]
        return colour * lit[..., None] + gleam[..., None]

    def _turned(self, y: Floats, x: Floats) -> tuple[Floats, Floats]:
        y, x = y - self.centre[0], x - self.centre[1]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return cos * x + sin * y, cos * y - sin * x


# -- sticker --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sticker:
    """A square of card with rounded corners and a few printed lines."""

    centre: Floats
    half: float
    angle: float
    lines: Floats

    @classmethod
    def placed_by(cls, random: np.random.Generator, taken: Floats) -> _Sticker:
        """Put a sticker anywhere on the table where it fits, every such place as likely.

        `taken` is the distance to what already lies there.
        """
        half = random.uniform(0.105, 0.125) * SIDE
        need = half * np.sqrt(2) * 0.93
        free = taken > need + 2
        edge = int(np.ceil(need)) + 1
        inside = np.zeros_like(free)
        inside[edge:-edge, edge:-edge] = True
        places = np.argwhere(free & inside)
        if not len(places):
            raise AssertionError("a fruit leaves no place for its sticker; draw it smaller")
        centre = places[random.integers(len(places))] + 0.5
        return cls(centre, half, random.uniform(-0.6, 0.6), random.uniform(0.35, 1.0, 3))

    def distance(self, y: Floats, x: Floats) -> Floats:
        """Signed distance in pixels; below 0 inside."""
        u, v = self._turned(y, x)
        corner = 0.25 * self.half
        u, v = np.abs(u) - self.half + corner, np.abs(v) - self.half + corner
        outside = np.hypot(np.maximum(u, 0), np.maximum(v, 0))
        return outside + np.minimum(np.maximum(u, v), 0) - corner

    def colour(self, card: tuple[float, float, float]) -> Floats:
        """The card with lines of print, darker but of the same hue, [SIDE, SIDE, 3]."""
        u, v = (axis / self.half for axis in self._turned(*_GRID))
        bright = np.ones_like(u)
        for row, length in zip((-0.35, 0.05, 0.45), self.lines, strict=True):
            line = (np.abs(v - row) < 0.10) & (u > -0.6) & (u < 1.2 * length - 0.6)
            bright[line] = 0.72
        return np.array(card) * bright[..., None]

    def _turned(self, y: Floats, x: Floats) -> tuple[Floats, Floats]:
        y, x = y - self.centre[0], x - self.centre[1]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return cos * x + sin * y, cos * y - sin * x


# -- table and light ------------------------------------------------------------------------


def _table(random: np.random.Generator) -> Floats:
    """Wood, checked cloth or stone, [SIDE, SIDE, 3]."""
    return (_wood, _cloth, _stone)[random.integers(3)](random)


def _wood(random: np.random.Generator) -> Floats:
    angle = random.uniform(-0.25, 0.25) + (np.pi / 2) * random.integers(2)
    y, x = _GRID
    across = (np.cos(angle) * y + np.sin(angle) * x) / SIDE
    waves = _noise(random, 48) + 0.5 * _noise(random, 20)
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * (random.uniform(5, 9) * across + 1.3 * waves))
    planks = across * random.uniform(2.5, 4.0) + random.uniform(0, 1)
    seam = np.abs(planks - np.rint(planks)) < 0.012
    tone = 0.55 * grain + 0.45 * _noise(random, 6)
    dark = np.array([0.42, 0.30, 0.20]) * random.uniform(0.8, 1.3)
    light = np.array([0.70, 0.55, 0.38]) * random.uniform(0.85, 1.15)
    wood = dark + (light - dark) * tone[..., None]
    return wood * np.where(seam, 0.6, 1.0)[..., None]


def _cloth(random: np.random.Generator) -> Floats:
    angle = random.uniform(-0.5, 0.5)
    y, x = _GRID
    width = random.uniform(9, 16)
    first = np.mod((np.cos(angle) * x + np.sin(angle) * y) / width, 2) < 1
    second = np.mod((np.cos(angle) * y - np.sin(angle) * x) / width, 2) < 1
    checks = (first.astype(float) + second) / 2
    dyes = np.array([(0.55, 0.60, 0.50), (0.66, 0.50, 0.42), (0.50, 0.52, 0.55)])
    dye = dyes[random.integers(3)] * random.uniform(0.9, 1.1)
    linen = np.array([0.86, 0.83, 0.77])
    cloth = linen + (dye - linen) * (0.75 * checks)[..., None]
    return cloth * (0.82 + 0.24 * _noise(random, 40) + 0.10 * _noise(random, 2))[..., None]


def _stone(random: np.random.Generator) -> Floats:
    tone = sum(_noise(random, cell) / 2**n for n, cell in enumerate((40, 18, 8, 3))) / 1.875
    warm = random.uniform(-0.03, 0.03)
    base = np.array([0.58 + warm, 0.57, 0.55 - warm]) * random.uniform(0.75, 1.25)
    veins = np.exp(-((_noise(random, 36) - 0.5) ** 2) / 0.0003)
    return base * (0.70 + 0.55 * tone + 0.07 * veins)[..., None]


def _light(random: np.random.Generator, towards: Floats) -> Floats:
    """Brightness of the lamp over the table, [SIDE, SIDE]."""
    y, x = _GRID
    along = ((y / SIDE - 0.5) * towards[0] + (x / SIDE - 0.5) * towards[1]) * 2
    return random.uniform(0.72, 1.0) * (1 + random.uniform(0.05, 0.28) * along)


# -- drawing --------------------------------------------------------------------------------


def _cover(distance: Floats) -> Floats:
    """Share of each pixel that lies inside, from the distance of its centre."""
    return np.clip(0.5 - distance, 0, 1)


def _over(below: Floats, colour: Floats, distance: Floats) -> Floats:
    return below + (colour - below) * _cover(distance)[..., None]


def _joined(a: Floats, b: Floats, soft: float) -> Floats:
    """Two distances as one, with a rounded seam of width `soft`."""
    near = np.clip(soft - np.abs(a - b), 0, None) / soft
    return np.minimum(a, b) - near**2 * soft / 4


def _segment(
    u: Floats, v: Floats, start: tuple[float, float], end: tuple[float, float], thick: float
) -> Floats:
    du, dv = end[0] - start[0], end[1] - start[1]
    along = np.clip(((u - start[0]) * du + (v - start[1]) * dv) / (du * du + dv * dv), 0, 1)
    return np.hypot(u - start[0] - along * du, v - start[1] - along * dv) - thick


def _smooth(t: Floats) -> Floats:
    return t * t * (3 - 2 * t)


def _noise(random: np.random.Generator, cell: int) -> Floats:
    """Smooth random values in 0..1 that change over about `cell` pixels, [SIDE, SIDE]."""
    knots = random.random((SIDE // cell + 2, SIDE // cell + 2))
    at = np.arange(SIDE) / cell
    low = at.astype(int)
    part = _smooth(at - low)
    rows = knots[low] * (1 - part)[:, None] + knots[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part
