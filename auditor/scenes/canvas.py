"""What scenes are drawn on: a picture and, beside it, which region each subpixel shows.

Everything is drawn at three times the final size and averaged, so edges are smooth. All
coordinates are shares of the picture's side, x to the right and y down, and are rounded to
whole subpixels: shapes are filled by integer arithmetic alone, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from auditor.types import Mask

Points: TypeAlias = NDArray[np.float64]
"""[n, 2]: x and y, as shares of the picture's side."""
Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0..255."""

OVERSAMPLING = 3
"""Subpixels along each side of a pixel."""

REGIONS = {"background": 0, "body": 1, "garment": 2, "equipment": 3}
REGIONS |= {"face": 4, "hair": 5, "tag": 6, "stand": 7, "patch": 8}
"""Names and index values of what a scene is made of. Where a pixel shows several, the highest
value counts: the cues before the subject, so that no pixel of a cue is left outside it."""

BACKGROUND, BODY, GARMENT, EQUIPMENT, FACE, HAIR, TAG, STAND, PATCH = REGIONS.values()


@dataclass(frozen=True)
class Canvas:
    """A picture of `side` pixels being drawn; `index` is None where no masks are wanted."""

    side: int
    picture: Image.Image
    index: Image.Image | None
    _draw: ImageDraw.ImageDraw
    _tint: ImageDraw.ImageDraw
    _mark: ImageDraw.ImageDraw | None

    @classmethod
    def blank(cls, side: int, masks: bool) -> Canvas:
        """An empty canvas; with `masks`, one that remembers what each subpixel shows."""
        size = (side * OVERSAMPLING, side * OVERSAMPLING)
        picture = Image.new("RGB", size)
        index = Image.new("L", size) if masks else None
        draw, mark = ImageDraw.Draw(picture), ImageDraw.Draw(index) if index else None
        # In this mode colours with an alpha are blended into the picture, which takes longer.
        return cls(side, picture, index, draw, ImageDraw.Draw(picture, "RGBA"), mark)

    def shape(
        self, points: Points, colour: Colour, region: int | None = None, alpha: int = 255
    ) -> None:
        """Fill a polygon. Without a `region` it is of the room, which nothing lies behind."""
        corners = np.rint(points * (self.side * OVERSAMPLING)).ravel().tolist()
        if alpha == 255:
            self._draw.polygon(corners, fill=colour)
        else:
            self._tint.polygon(corners, fill=(*colour, alpha))
        if self._mark is not None and region is not None:
            self._mark.polygon(corners, fill=region)

    def line(
        self,
        points: Points,
        width: float,
        colour: Colour,
        region: int | None = None,
        alpha: int = 255,
    ) -> None:
        """Draw a line of a `width`, with round ends and joints."""
        scale = self.side * OVERSAMPLING
        at = np.rint(points * scale).ravel().tolist()
        thick = max(1, round(width * scale))
        drawn = (self._draw, colour) if alpha == 255 else (self._tint, (*colour, alpha))
        for draw, fill in (drawn, (self._mark, region)):
            if draw is None or fill is None:
                continue
            draw.line(at, fill=fill, width=thick, joint="curve")
            if thick > 3 and alpha == 255:
                r = thick // 2
                for x, y in (at[:2], at[-2:]):
                    draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def pixels(self) -> NDArray[np.uint8]:
        """The picture at its final size, [side, side, 3]."""
        return np.asarray(self.picture.reduce(OVERSAMPLING))

    def regions(self) -> NDArray[np.uint8]:
        """[side, side]: the value of the highest region that any subpixel shows."""
        assert self.index is not None, "the canvas was made without masks"
        result = np.zeros((self.side, self.side), np.uint8)
        present = self.index.histogram()
        for value in range(1, len(REGIONS)):
            if present[value]:
                result[self._touched(value)] = value
        return result

    def _touched(self, value: int) -> Mask:
        assert self.index is not None
        only = [0] * 256
        only[value] = 255
        return np.asarray(self.index.point(only).reduce(OVERSAMPLING)) > 0


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """The corners of a rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def oval(x: float, y: float, half_width: float, half_height: float) -> Points:
    """An ellipse as a polygon."""
    return np.asarray(_CIRCLE * (half_width, half_height) + (x, y))


def smooth(points: Sequence[tuple[float, float]] | Points, closed: bool = True) -> Points:
    """A curve through the points: Catmull and Rom's spline, six steps from point to point."""
    p = np.asarray(points, dtype=np.float64)
    if closed:
        around = np.stack([np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0)])
        return np.asarray(np.einsum("tk,kpc->ptc", _SPLINE, around).reshape(-1, 2))
    ends = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    along = np.stack([ends[:-3], ends[1:-2], ends[2:-1], ends[3:]])
    return np.concatenate([np.einsum("tk,kpc->ptc", _SPLINE, along).reshape(-1, 2), p[-1:]])


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """A colour between two: `share` 0 is the first, 1 the second."""
    r, g, b = (
        min(255, max(0, round(a + (z - a) * share))) for a, z in zip(first, second, strict=True)
    )
    return r, g, b


def darker(colour: Colour, share: float) -> Colour:
    """The colour mixed with black, 0..1."""
    return mixed(colour, (0, 0, 0), share)


def lighter(colour: Colour, share: float) -> Colour:
    """The colour mixed with white, 0..1."""
    return mixed(colour, (255, 255, 255), share)


_ANGLES = np.arange(28) * (2 * np.pi / 28)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
_T = np.arange(6)[:, None] / 6
_SPLINE = np.hstack(
    [
        -0.5 * _T + _T**2 - 0.5 * _T**3,
        1 - 2.5 * _T**2 + 1.5 * _T**3,
        0.5 * _T + 2 * _T**2 - 1.5 * _T**3,
        -0.5 * _T**2 + 0.5 * _T**3,
    ]
)
