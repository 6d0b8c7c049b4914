"""Head, face and hair: the cue of the doctor/nurse study.

`style` is a rendered attribute with two values, a way of drawing and nothing else: "man" has
short hair, strong brows and a broad jaw, "woman" has long hair, fine brows and coloured lips.
The third, None, wears a cap and a mask, and shows neither. The drawing says nothing about
people; it stands for a property of images that a data set is annotated with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.scenes.canvas import (
    FACE,
    HAIR,
    Canvas,
    Colour,
    Points,
    darker,
    lighter,
    mixed,
    smooth,
)
from auditor.scenes.chance import Chance

STYLES = ("man", "woman")

_SKINS: tuple[Colour, ...] = (
    (246, 218, 198),
    (233, 194, 166),
    (214, 168, 134),
    (186, 136, 100),
    (146, 98, 68),
    (100, 66, 46),
)
_DARK_HAIR: tuple[Colour, ...] = ((32, 26, 24), (58, 40, 28), (84, 56, 36), (120, 118, 118))
_LIGHT_HAIR: tuple[Colour, ...] = (*_DARK_HAIR, (196, 156, 92), (140, 74, 40), (188, 184, 178))
_CAPS: tuple[Colour, ...] = ((96, 140, 170), (110, 160, 140), (150, 150, 165), (170, 140, 120))
_EYES: tuple[Colour, ...] = ((70, 48, 34), (56, 76, 92), (72, 88, 56))


@dataclass(frozen=True)
class Head:
    """A head at a place; all its looks that do not depend on the style are drawn once."""

    x: float
    y: float
    width: float
    """Half of it, as a share of the picture's side; so is `height`."""
    height: float
    roll: float
    yaw: float
    skin: Colour
    hair: Colour
    cap: Colour
    eye: Colour
    variant: tuple[float, ...]
    """Numbers in 0..1 that every style interprets in its own way."""

    @classmethod
    def drawn_from(cls, chance: Chance, x: float, y: float, size: float) -> Head:
        """Looks by chance, the same whichever the style."""
        tone = chance.between(0, len(_SKINS) - 1.001)
        skin = mixed(_SKINS[int(tone)], _SKINS[int(tone) + 1], tone - int(tone))
        hair = chance.pick(_LIGHT_HAIR if tone < 2.5 else _DARK_HAIR)
        return cls(
            x=x,
            y=y,
            width=size * chance.between(0.099, 0.108),
            height=size * chance.between(0.130, 0.141),
            roll=chance.between(-0.13, 0.13),
            yaw=chance.between(-0.30, 0.30),
            skin=skin,
            hair=mixed(hair, (128, 110, 96), chance.between(0, 0.15)),
            cap=chance.pick(_CAPS),
            eye=chance.pick(_EYES),
            variant=tuple(chance.share() for _ in range(12)),
        )

    def at(self, points: list[tuple[float, float]] | Points) -> Points:
        """From head units (half widths and half heights from its centre) to the picture."""
        p = np.asarray(points, dtype=np.float64) * (self.width, self.height)
        sin, cos = float(np.sin(self.roll)), float(np.cos(self.roll))
        turned = np.stack([p[:, 0] * cos - p[:, 1] * sin, p[:, 0] * sin + p[:, 1] * cos], 1)
        return np.asarray(turned + np.array([self.x, self.y]))

    def draw_behind(self, canvas: Canvas, style: str | None) -> None:
        """What of the hair lies behind the shoulders."""
        if style == "woman":
            _Long(self).behind(canvas)

    def draw(self, canvas: Canvas, style: str | None) -> None:
        """Face and hair, over neck and garment."""
        jaw = {"man": 0.80, "woman": 0.64, None: 0.72}[style]
        for side in (-1, 1):
            ear = [
                (side * 1.0, -0.12),
                (side * 1.14, -0.05),
                (side * 1.10, 0.20),
                (side * 0.96, 0.26),
            ]
            canvas.shape(smooth(self.at(ear)), darker(self.skin, 0.10), FACE)
        outline = [
            (-0.98, -0.30),
            (-0.99, 0.20),
            (-jaw, 0.66),
            (-0.36, 0.98),
            (0, 1.05),
            (0.36, 0.98),
            (jaw, 0.66),
            (0.99, 0.20),
            (0.98, -0.30),
            (0.62, -0.92),
            (0, -1.08),
            (-0.62, -0.92),
        ]
        face = smooth(self.at(outline))
        canvas.shape(face, self.skin, FACE)
        # The shaded side shares the outline's corners, so that no shade falls beside the face.
        inner = smooth(
            self.at([(0.62, -0.92), (0.60, -0.3), (0.66, 0.3), (0.42, 0.8), (0, 1.05)]), False
        )
        canvas.shape(np.concatenate([face[24:55], inner]), darker(self.skin, 0.5), FACE, alpha=38)
        self._eyes(canvas, style)
        if style is None:
            self._covered(canvas)
            return
        self._nose_and_mouth(canvas, style)
        (_Short if style == "man" else _Long)(self).over(canvas)

    def _eyes(self, canvas: Canvas, style: str | None) -> None:
        turn = self.yaw * 0.5
        brow = darker(mixed(self.hair, self.skin, 0.15), 0.25)
        thick = {"man": 0.013, "woman": 0.007, None: 0.010}[style] * self.width / 0.09
        for side in (-1, 1):
            x = side * 0.42 + turn
            canvas.shape(
                smooth(self.at([(x - 0.21, -0.03), (x, -0.13), (x + 0.21, -0.03), (x, 0.05)])),
                (240, 238, 236),
                FACE,
            )
            gaze = x + (self.variant[0] - 0.5) * 0.12
            iris = [(gaze - 0.09, -0.04), (gaze, -0.11), (gaze + 0.09, -0.04), (gaze, 0.03)]
            canvas.shape(smooth(self.at(iris)), self.eye, FACE)
            canvas.line(self.at([(gaze, -0.04), (gaze + 0.01, -0.04)]), 0.008, (14, 12, 12), FACE)
            lid = [(x - 0.23, -0.03), (x - 0.05, -0.13), (x + 0.10, -0.12), (x + 0.23, -0.03)]
            weight = 0.009 if style == "woman" else 0.004
            canvas.line(smooth(self.at(lid), False), weight, darker(self.skin, 0.75), FACE)
            rise = -0.31 if style == "woman" else -0.25
            arch = [
                (x - side * 0.22, rise + 0.01),
                (x + side * 0.06, rise - 0.05),
                (x + side * 0.27, rise + 0.05),
            ]
            canvas.line(smooth(self.at(arch), False), thick, brow, FACE)

    def _nose_and_mouth(self, canvas: Canvas, style: str) -> None:
        turn = self.yaw * 0.6
        dark = darker(self.skin, 0.35)
        nose = [
            (turn * 0.8 + 0.03, -0.08),
            (turn + 0.12, 0.28),
            (turn + 0.02, 0.34),
            (turn - 0.10, 0.31),
        ]
        canvas.line(smooth(self.at(nose), False), 0.005, dark, FACE)
        smile = (self.variant[1] - 0.3) * 0.10
        y = 0.62
        if style == "woman":
            lips = mixed(self.skin, (186, 52, 70), 0.72)
            canvas.shape(
                smooth(
                    self.at(
                        [
                            (turn - 0.30, y - smile),
                            (turn - 0.08, y - 0.08),
                            (turn, y - 0.05),
                            (turn + 0.08, y - 0.08),
                            (turn + 0.30, y - smile),
                            (turn, y + 0.13),
                        ]
                    )
                ),
                lips,
                FACE,
            )
        elif self.variant[2] < 0.45:
            beard = mixed(self.skin, self.hair, 0.35 + 0.5 * self.variant[3])
            chin = [
                (-0.97, 0.10),
                (-0.82, 0.64),
                (-0.36, 0.97),
                (0, 1.06),
                (0.36, 0.97),
                (0.82, 0.64),
                (0.97, 0.10),
                (0.66, 0.40),
                (0.3 + turn, 0.46),
                (turn, 0.42),
                (-0.3 + turn, 0.46),
                (-0.66, 0.40),
            ]
            canvas.shape(smooth(self.at(chin)), beard, FACE)
            mouth = [(turn - 0.22, y), (turn, y + 0.05 + smile), (turn + 0.22, y)]
            canvas.line(
                smooth(self.at(mouth), False), 0.012, mixed(self.skin, (150, 70, 64), 0.5), FACE
            )
        line = [(turn - 0.29, y - smile), (turn, y + 0.03 + smile), (turn + 0.29, y - smile)]
        canvas.line(smooth(self.at(line), False), 0.005, darker(self.skin, 0.55), FACE)

    def _covered(self, canvas: Canvas) -> None:
        """A cap over the hair and a mask over mouth and nose."""
        mask = mixed(self.cap, (235, 240, 244), 0.6)
        for side in (-1, 1):
            canvas.line(
                self.at([(side * 1.02, -0.02), (side * 0.7, 0.2)]), 0.005, darker(mask, 0.1), FACE
            )
        cloth = [
            (-0.90, 0.16),
            (0, 0.02),
            (0.90, 0.16),
            (0.76, 0.68),
            (0.36, 1.02),
            (0, 1.10),
            (-0.36, 1.02),
            (-0.76, 0.68),
        ]
        canvas.shape(smooth(self.at(cloth)), mask, FACE)
        for y in (0.35, 0.55, 0.75):
            fold = [(-0.74, y), (0, y + 0.06), (0.74, y)]
            canvas.line(smooth(self.at(fold), False), 0.004, darker(mask, 0.15), FACE)
        cap = [
            (-1.10, -0.20),
            (-1.12, -0.70),
            (-0.70, -1.28),
            (0, -1.42),
            (0.70, -1.28),
            (1.12, -0.70),
            (1.10, -0.20),
            (0.6, -0.44),
            (0, -0.52),
            (-0.6, -0.44),
        ]
        canvas.shape(smooth(self.at(cap)), self.cap, HAIR)
        band = [(-1.08, -0.24), (-0.6, -0.47), (0, -0.55), (0.6, -0.47), (1.08, -0.24)]
        canvas.line(smooth(self.at(band), False), 0.010, darker(self.cap, 0.2), HAIR)


@dataclass(frozen=True)
class _Short:
    """Short hair: cropped, parted, receding or curly."""

    head: Head

    def over(self, canvas: Canvas) -> None:
        head, variant = self.head, self.head.variant
        height = 1.18 + 0.16 * variant[4]
        low = -0.20 + 0.16 * variant[5]
        hairline = -0.44 - 0.22 * variant[6]
        part = (variant[7] - 0.5) * 0.9
        outer = [
            (-1.06, low),
            (-1.10, -0.55),
            (-0.78, -1.04 * height + 0.05),
            (-0.3, -1.12 * height),
            (0.3, -1.12 * height),
            (0.78, -1.04 * height + 0.05),
            (1.10, -0.55),
            (1.06, low),
        ]
        inner = [
            (0.93, -0.34),
            (0.74, hairline + 0.06),
            (part + 0.2, hairline - 0.10),
            (part - 0.16, hairline + 0.02),
            (-0.74, hairline + 0.06),
            (-0.93, -0.34),
        ]
        points = smooth(head.at(outer + inner))
        if variant[8] < 0.3:
            points = _curls(points, head, 0.05)
        canvas.shape(points, head.hair, HAIR)
        light = lighter(head.hair, 0.10)
        for n in range(4):
            x = -0.6 + 0.36 * n
            lock = [(part, hairline - 0.14), (0.5 * (x + part), -0.98 * height), (x * 1.3, -0.72)]
            canvas.line(smooth(head.at(lock), False), 0.004, light, HAIR)


@dataclass(frozen=True)
class _Long:
    """Long hair: straight, wavy, or a bob, behind the shoulders and partly before them."""

    head: Head

    @property
    def _reach(self) -> float:
        """How far down it falls, in half heights of the head."""
        return 1.45 + 1.25 * self.head.variant[4]

    @property
    def _spread(self) -> float:
        return 1.34 + 0.34 * self.head.variant[5]

    def behind(self, canvas: Canvas) -> None:
        head, wide, low = self.head, self._spread, self._reach
        points = [
            (-1.04, -0.55),
            (-0.66, -1.14),
            (0, -1.28),
            (0.66, -1.14),
            (1.04, -0.55),
            (wide * 0.97, 0.3),
            (wide * 1.04, low * 0.72),
            (wide * 0.72, low),
            (0, low * 0.94),
            (-wide * 0.72, low),
            (-wide * 1.04, low * 0.72),
            (-wide * 0.97, 0.3),
        ]
        canvas.shape(self._outline(points), darker(head.hair, 0.18), HAIR)

    def over(self, canvas: Canvas) -> None:
        head, wide, low = self.head, self._spread, self._reach
        part = (head.variant[7] - 0.5) * 0.8
        fringe = -0.66 + 0.30 * head.variant[6]
        front = 0.80 + 0.20 * head.variant[9]
        for side in (-1, 1):
            strand = [
                (part, -1.00),
                (part + side * 0.30, fringe - 0.16),
                (side * 0.84, fringe + 0.24),
                (side * 0.99, 0.20),
                (side * 0.98, 0.80),
                (side * (wide - 0.42), low * front),
                (side * wide, low * front * 0.96),
                (side * (wide + 0.06), 0.60),
                (side * 1.20, -0.40),
                (side * 0.84, -1.10),
                (part, -1.28),
            ]
            canvas.shape(self._outline(strand), head.hair, HAIR)
            light = lighter(head.hair, 0.10)
            for n in range(3):
                x = side * (1.06 + 0.13 * n)
                lock = [
                    (part + side * 0.2, -1.12),
                    (side * (0.86 + 0.08 * n), -0.6),
                    (x, 0.2),
                    (x * (wide - 0.1) / 1.3, low * front * 0.85),
                ]
                canvas.line(smooth(head.at(lock), False), 0.004, light, HAIR)
        if head.variant[10] < 0.5:
            for side in (-1, 1):
                drop = head.at([(side * 1.02, 0.34), (side * 1.02, 0.42)])
                canvas.line(drop, 0.012, (228, 196, 110), FACE)

    def _outline(self, points: list[tuple[float, float]]) -> Points:
        outline = smooth(self.head.at(points))
        return _curls(outline, self.head, 0.07) if self.head.variant[8] < 0.35 else outline


def _curls(points: Points, head: Head, depth: float) -> Points:
    """The outline with waves along it, outwards from the head's centre and back."""
    centre = np.array([head.x, head.y])
    waves = 1 + depth * np.sin(np.arange(len(points)) * 1.7)[:, None]
    return np.asarray(centre + (points - centre) * waves)
