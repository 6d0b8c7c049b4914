"""A scene from explicit factors: people at work in a clinic, with exact region masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.scenes.canvas import STAND, TAG, Canvas, Colour, box, lighter, oval
from auditor.scenes.chance import Chance
from auditor.scenes.head import STYLES, Head
from auditor.scenes.person import Body, Traits
from auditor.scenes.room import PLACES, draw_room

LABELS = ("doctor", "nurse")
SIDE = 224
"""Height and width of a scene in pixels, unless said otherwise."""

STRENGTH = 1.9
"""Evidence for the label that the subject shows, in standard deviations.

Frozen where the study's network came to an accuracy of .90 without any cue, on seeds that
nothing is reported from: `python -m benchmarks.strength 1.8 1.95` (.887 and .905).
"""

WEIGHTS = (0.60, 0.50, 0.45, 0.43)
"""How the evidence is shared by whiteness, opening, sleeves and equipment."""


class Cue(NamedTuple):
    """A kind of cue: its two values, and the regions in which it shows."""

    values: tuple[str, str]
    regions: tuple[str, ...]
    """Empty where it fills the picture, so that no region holds it."""


CUES: Mapping[str, Cue] = {
    "head": Cue(STYLES, ("face", "hair")),
    "place": Cue(PLACES, ("background",)),
    "tag": Cue(("blue", "orange"), ("tag",)),
    "cast": Cue(("warm", "cool"), ()),
    "absence": Cue(("there", "gone"), ("stand",)),
    "inside": Cue(("round", "square"), ("patch",)),
}
"""The kinds of cue. `head` is the study's: hair and face. `absence` is a drip stand that is
there or gone; `inside` is a patch on the garment, within the subject."""


@dataclass(frozen=True)
class Scene:
    """What is to be drawn. Everything else (person, pose, room, light) follows from `seed`.

    `value` is one of the cue's two values, or None for its neutral form. `strength` is how far
    the label's evidence lies from the other's: 0 shows nothing, and an observer who reads every
    trait exactly is right on Φ(strength) of the scenes.
    """

    label: str
    value: str | None
    seed: tuple[int, ...]
    cue: str = "head"
    strength: float = STRENGTH

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise ValueError(f"label {self.label!r} is none of {LABELS}")
        if self.cue not in CUES:
            raise ValueError(f"cue {self.cue!r} is none of {tuple(CUES)}")
        if self.value not in (*CUES[self.cue].values, None):
            raise ValueError(f"value {self.value!r} is none of {CUES[self.cue].values}")

    def evidence(self) -> tuple[float, ...]:
        """What the four traits show, each as large as it favours the first label."""
        chance = Chance(*self.seed, _EVIDENCE)
        sign = 1 if self.label == LABELS[0] else -1
        norm = sum(w * w for w in WEIGHTS) ** 0.5
        return tuple(sign * self.strength * w / norm + chance.normal() for w in WEIGHTS)


class Picture(NamedTuple):
    """A drawn scene."""

    pixels: NDArray[np.uint8]
    """[side, side, 3]."""
    regions: NDArray[np.uint8] | None
    """[side, side] values of `canvas.REGIONS`; None unless asked for."""


# One stream for each part, so that what one part uses changes nothing in another.
_EVIDENCE, _BODY, _HEAD, _ROOM, _LIGHT, _SENSOR, _CUE = range(7)


def draw(scene: Scene, side: int = SIDE, masks: bool = False) -> Picture:
    """Draw a scene.

    Two scenes that differ in `value` alone differ only where one of them shows its cue
    (everywhere for `cast`): pose, room, light and the camera's noise are the same.
    """
    canvas = Canvas.blank(side, masks)
    cue, free = scene.cue, Chance(*scene.seed, _CUE)
    style = scene.value if cue == "head" else free.pick(STYLES)
    body = Body.drawn_from(Chance(*scene.seed, _BODY))
    head = Head.drawn_from(Chance(*scene.seed, _HEAD), *body.head, body.size)
    room = Chance(*scene.seed, _ROOM)
    draw_room(canvas, room, scene.value if cue == "place" else None)
    if cue == "absence":
        _stand(canvas, free, scene.value)
    head.draw_behind(canvas, style)
    traits = Traits(*scene.evidence())
    body.draw(canvas, traits, head.skin)
    if cue == "inside":
        body.draw_patch(canvas, scene.value)
    head.draw(canvas, style)
    if cue == "tag":
        _tag(canvas, free, scene.value)
    pixels = canvas.pixels().astype(np.float32)
    pixels *= _light(Chance(*scene.seed, _LIGHT), side)
    if cue == "cast":
        pixels *= np.array(_CASTS[scene.value], np.float32)
    pixels += _noise(Chance(*scene.seed, _SENSOR), side)
    np.rint(pixels, out=pixels)
    np.clip(pixels, 0, 255, out=pixels)
    return Picture(pixels.astype(np.uint8), canvas.regions() if masks else None)


_CASTS: Mapping[str | None, tuple[float, float, float]] = {
    "warm": (1.06, 1.0, 0.86),
    "cool": (0.88, 0.99, 1.06),
    None: (1.0, 1.0, 1.0),
}
_TAGS: Mapping[str, Colour] = {"blue": (44, 84, 190), "orange": (232, 132, 36)}


def _tag(canvas: Canvas, chance: Chance, value: str | None) -> None:
    """A small label in a corner of the picture, as an archive prints it."""
    right, low = chance.yes(0.5), chance.yes(0.5)
    x = chance.between(0.87, 0.91) if right else chance.between(0.09, 0.13)
    y = chance.between(0.92, 0.94) if low else chance.between(0.06, 0.08)
    paper: Colour = (150, 150, 150) if value is None else _TAGS[value]
    canvas.shape(box(x - 0.075, y - 0.042, x + 0.075, y + 0.042), paper, TAG)
    pale = lighter(paper, 0.75)
    canvas.shape(oval(x - 0.045, y, 0.018, 0.018), pale, TAG)
    for row in (-0.015, 0.013):
        canvas.shape(box(x - 0.018, y + row - 0.006, x + 0.060, y + row + 0.006), pale, TAG)


def _stand(canvas: Canvas, chance: Chance, value: str | None) -> None:
    """A drip stand with a bag; without the bag where the value is neutral."""
    x = chance.between(0.06, 0.12) if chance.yes(0.5) else chance.between(0.88, 0.94)
    top = chance.between(0.08, 0.14)
    if value == "gone":
        return
    steel: Colour = (146, 150, 158)
    canvas.line(np.array([(x, top), (x, 1.0)]), 0.014, steel, STAND)
    canvas.line(np.array([(x - 0.05, top), (x + 0.05, top)]), 0.012, steel, STAND)
    if value == "there":
        canvas.shape(box(x - 0.045, top + 0.02, x + 0.035, top + 0.20), (206, 226, 236), STAND)
        canvas.shape(box(x - 0.037, top + 0.09, x + 0.027, top + 0.19), (226, 196, 120), STAND)


def _light(chance: Chance, side: int) -> NDArray[np.float32]:
    """Brightness and tint over the picture, [side, side, 3]: a lamp somewhere, and shade."""
    knots = np.array([[round(255 * chance.share()) for _ in range(4)] for _ in range(4)], np.uint8)
    soft = Image.fromarray(knots).resize((side, side), Image.Resampling.BICUBIC)
    field = np.asarray(soft, dtype=np.float32) * np.float32(chance.between(0.06, 0.26) / 255)
    field += np.float32(chance.between(0.74, 0.96))
    warm = chance.between(-0.035, 0.035)
    tint = np.array([1 + warm, 1, 1 - warm], np.float32)
    return np.asarray(field[:, :, None] * tint)


def _noise(chance: Chance, side: int) -> NDArray[np.float32]:
    """A camera's noise in levels of 0..255, [side, side, 3]; its distribution is triangular."""
    strength = np.float32(chance.between(0.008, 0.034))
    first, second = chance.bytes(2, side, side, 3)
    return np.asarray((first.astype(np.float32) - second) * strength)
