"""Body, garment and equipment: what makes a doctor or a nurse in these scenes.

Four traits carry the evidence, none of them decisive alone: how white the garment is, how far
it opens over a shirt, how long its sleeves are, and what the person carries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.scenes.canvas import (
    BODY,
    EQUIPMENT,
    GARMENT,
    PATCH,
    Canvas,
    Colour,
    Points,
    box,
    darker,
    lighter,
    mixed,
    oval,
    smooth,
)
from auditor.scenes.chance import Chance

_WHITE: Colour = (240, 241, 243)
_SCRUBS: tuple[Colour, ...] = (
    (64, 148, 148),
    (74, 122, 178),
    (88, 150, 112),
    (134, 92, 142),
    (160, 78, 92),
    (52, 78, 124),
)
_SHIRTS: tuple[Colour, ...] = (
    (150, 178, 210),
    (196, 204, 216),
    (206, 178, 168),
    (132, 140, 156),
    (168, 190, 168),
)
_TIES: tuple[Colour, ...] = ((110, 38, 52), (38, 52, 96), (58, 84, 62), (84, 72, 88))
_PATCHES: dict[str, Colour] = {"round": (214, 70, 60), "square": (70, 110, 214)}


@dataclass(frozen=True)
class Traits:
    """The four pieces of evidence, each from far below 0 (a nurse) to far above (a doctor)."""

    white: float
    open: float
    sleeve: float
    kit: float


@dataclass(frozen=True)
class Body:
    """A person's build and pose; all lengths are shares of the picture's side."""

    x: float
    size: float
    shoulder_y: float
    shoulder: float
    """Half the width over the shoulders; so is `waist`."""
    waist: float
    tilt: float
    bend: tuple[float, float]
    """How far each forearm is raised before the body, 0..1."""
    scrub: Colour
    shirt: Colour
    tie: Colour
    has_tie: bool
    kit_choice: float
    fold: tuple[float, ...]

    @classmethod
    def drawn_from(cls, chance: Chance) -> Body:
        """Build and pose by chance."""
        size = chance.between(0.90, 1.12)
        shoulder = size * chance.between(0.205, 0.262)
        return cls(
            x=0.5 + chance.between(-0.14, 0.14),
            size=size,
            shoulder_y=chance.between(0.49, 0.60),
            shoulder=shoulder,
            waist=shoulder * chance.between(0.70, 0.92),
            tilt=chance.between(-0.035, 0.035),
            bend=(chance.share(), chance.share()),
            scrub=mixed(chance.pick(_SCRUBS), (120, 130, 140), chance.between(0, 0.25)),
            shirt=chance.pick(_SHIRTS),
            tie=chance.pick(_TIES),
            has_tie=chance.yes(0.5),
            kit_choice=chance.share(),
            fold=tuple(chance.share() for _ in range(6)),
        )

    @property
    def head(self) -> tuple[float, float]:
        """The centre of the head, by its usual distance from the shoulders."""
        return self.x + 0.4 * self.tilt, self.shoulder_y - 0.222 * self.size

    def draw(self, canvas: Canvas, traits: Traits, skin: Colour) -> None:
        """Everything below the head."""
        cloth = mixed(self.scrub, _WHITE, _share(traits.white))
        self._neck(canvas, skin)
        self._torso(canvas, cloth)
        self._front(canvas, cloth, _share(traits.open), skin)
        raised = self._raised(traits.kit)
        hands = [
            self._arm(canvas, side, bend, cloth, _share(traits.sleeve), skin)
            for side, bend in zip((-1, 1), raised, strict=True)
        ]
        self._worn(canvas, traits.kit)
        self._carried(canvas, traits.kit, hands, skin)

    def _at(self, u: float, v: float) -> tuple[float, float]:
        """From body units (u from the middle line, v below the shoulders) to the picture."""
        return self.x + u + self.tilt * (0.3 - v), self.shoulder_y + v + self.tilt * u

    def _points(self, *corners: tuple[float, float]) -> Points:
        return np.array([self._at(u, v) for u, v in corners])

    def _neck(self, canvas: Canvas, skin: Colour) -> None:
        w = 0.050 * self.size
        top = self.head[1] - self.shoulder_y
        neck = self._points((-w, top), (w, top), (w * 1.15, 0.02), (0, 0.11), (-w * 1.15, 0.02))
        canvas.shape(neck, darker(skin, 0.10), BODY)
        chin = self._points((-w, -0.105), (w, -0.105), (w * 0.7, -0.060), (-w * 0.7, -0.060))
        canvas.shape(chin, darker(skin, 0.6), BODY, alpha=60)

    def _torso(self, canvas: Canvas, cloth: Colour) -> None:
        s, w, n = self.shoulder, self.waist, 0.055 * self.size
        left = [
            (-n, -0.022),
            (-s * 0.72, 0.022),
            (-s, 0.085),
            (-s * 0.90, 0.24),
            (-w, 0.42),
            (-w * 1.06, 0.62),
        ]
        right = [(-u, v) for u, v in reversed(left)]
        body = self._points(*left, *right, (n * 0.8, 0.01), (0, 0.045), (-n * 0.8, 0.01))
        canvas.shape(body, cloth, GARMENT)
        dark = darker(cloth, 0.55)
        for side in (-1, 1):
            # Along the torso's own corners, so that no shade falls beside it.
            flank = [
                (side * u, v)
                for u, v in (
                    (s * 0.70, 0.16),
                    (s, 0.085),
                    (s * 0.90, 0.24),
                    (w, 0.42),
                    (w * 1.06, 0.62),
                    (w * 0.72, 0.62),
                )
            ]
            canvas.shape(self._points(*flank), dark, GARMENT, alpha=34)
        for n_fold in range(3):
            u = (self.fold[n_fold] - 0.5) * 1.4 * w
            drop = self._points(
                (u, 0.26 + 0.1 * self.fold[n_fold + 3]), (u * 1.06 + 0.01, 0.44), (u * 1.15, 0.60)
            )
            canvas.line(smooth(drop, False), 0.006, dark, GARMENT, alpha=46)

    def _front(self, canvas: Canvas, cloth: Colour, opening: float, skin: Colour) -> None:
        """From a closed tunic with a small neckline to a coat open over a shirt."""
        n = 0.055 * self.size
        depth, wide = 0.075 + 0.52 * opening, 0.004 + 0.088 * opening
        throat = self._points(
            (-n, -0.024), (n, -0.024), (n * 0.5, 0.05), (0, 0.085), (-n * 0.5, 0.05)
        )
        if opening > 0.30:
            inner = self._points(
                (-n, -0.022),
                (n, -0.022),
                (wide, 0.16),
                (wide * 0.85, depth),
                (-wide * 0.85, depth),
                (-wide, 0.16),
            )
            canvas.shape(inner, self.shirt, GARMENT)
            canvas.shape(throat, darker(skin, 0.06), BODY)
            collar = lighter(self.shirt, 0.35)
            for side in (-1, 1):
                flap = self._points(
                    (side * n, -0.03), (side * n * 0.25, 0.075), (side * n * 0.95, 0.095)
                )
                canvas.shape(flap, collar, GARMENT)
            if self.has_tie and opening > 0.45:
                tie = self._points(
                    (-0.013, 0.068),
                    (0.013, 0.068),
                    (0.020, depth * 0.8),
                    (0, depth * 0.8 + 0.03),
                    (-0.020, depth * 0.8),
                )
                canvas.shape(tie, self.tie, GARMENT)
            else:
                for step in range(4):
                    v = 0.12 + 0.11 * step
                    if v < depth - 0.02:
                        canvas.shape(
                            oval(*self._at(0, v), 0.005, 0.005), darker(self.shirt, 0.35), GARMENT
                        )
            edge = darker(cloth, 0.16)
            for side in (-1, 1):
                lapel = self._points(
                    (side * n, -0.035),
                    (side * wide, 0.17),
                    (side * (wide + 0.045), 0.15),
                    (side * (n + 0.050), 0.035),
                )
                canvas.shape(lapel, darker(cloth, 0.06), GARMENT)
                canvas.line(
                    self._points(
                        (side * n, -0.03), (side * wide, 0.17), (side * wide * 0.85, depth)
                    ),
                    0.005,
                    edge,
                    GARMENT,
                )
            canvas.line(self._points((0, depth), (0, 0.62)), 0.004, edge, GARMENT)
        else:
            canvas.shape(throat, darker(skin, 0.06), BODY)
            trim = darker(cloth, 0.22)
            canvas.line(
                self._points(
                    (-n, -0.028), (-n * 0.5, 0.05), (0, 0.088), (n * 0.5, 0.05), (n, -0.028)
                ),
                0.011,
                trim,
                GARMENT,
            )
            if opening > 0.12:
                canvas.line(self._points((0, 0.09), (0.004, depth + 0.1)), 0.004, trim, GARMENT)

    def _raised(self, kit: float) -> tuple[float, float]:
        """What is carried in the hands has them raised."""
        left, right = self.bend
        if kit > _CARRIED:
            return left, 0.80 + 0.15 * right
        if kit < -_CARRIED:
            return 0.72 + 0.1 * left, 0.72 + 0.1 * left
        return left, right

    def _arm(
        self,
        canvas: Canvas,
        side: int,
        bend: float,
        cloth: Colour,
        sleeve: float,
        skin: Colour,
    ) -> tuple[float, float]:
        """Draw an arm and return where its hand is."""
        s, k = self.shoulder, self.size
        shoulder = np.array(self._at(side * (s - 0.046 * k), 0.095 * k))
        elbow = np.array(self._at(side * (s + 0.030 * k + 0.01 * bend), 0.335 * k))
        if bend > 0.35:  # the forearm lies before the body
            reach = (bend - 0.35) / 0.65
            hand = np.array(self._at(side * s * (0.62 - 0.34 * reach), (0.42 - 0.11 * reach) * k))
        else:
            hand = np.array(self._at(side * (s + 0.010 * k), 0.60 * k))
        thick = 0.074 * k
        canvas.line(np.array([shoulder, elbow]), thick * 0.86, darker(skin, 0.05), BODY)
        canvas.line(np.array([elbow, hand]), thick * 0.72, skin, BODY)
        canvas.shape(oval(float(hand[0]), float(hand[1]), 0.032 * k, 0.030 * k), skin, BODY)
        # Short sleeves end above the elbow, long ones at the wrist.
        covered = 0.34 + 0.60 * sleeve
        upper = min(1.0, covered / 0.52)
        end = shoulder + (elbow - shoulder) * upper
        edge = darker(cloth, 0.20)
        canvas.line(np.array([shoulder, end]), thick * 1.16, edge, GARMENT)
        canvas.line(np.array([shoulder, end]), thick * 1.04, darker(cloth, 0.03), GARMENT)
        if covered > 0.52:
            lower = elbow + (hand - elbow) * ((covered - 0.52) / 0.48)
            canvas.line(np.array([elbow, lower]), thick * 1.08, edge, GARMENT)
            canvas.line(np.array([elbow, lower]), thick * 0.96, cloth, GARMENT)
            end = lower
        return float(hand[0]), float(hand[1])

    def _worn(self, canvas: Canvas, kit: float) -> None:
        """A stethoscope round the neck and pens, or a watch pinned to the chest."""
        s, k = self.shoulder, self.size
        if kit > 0.15:
            tube: Colour = mixed((42, 46, 54), (96, 40, 60), self.fold[0])
            for side in (-1, 1):
                hang = [
                    (side * 0.058 * k, -0.035),
                    (side * 0.080 * k, 0.05),
                    (side * 0.062 * k, 0.16 + 0.04 * side),
                    (side * 0.050 * k, 0.23 + 0.04 * side),
                ]
                canvas.line(smooth(self._points(*hang), False), 0.014, tube, EQUIPMENT)
            end = self._at(0.050 * k, 0.285)
            canvas.shape(oval(*end, 0.020 * k, 0.020 * k), (176, 180, 186), EQUIPMENT)
            canvas.shape(oval(*end, 0.012 * k, 0.012 * k), (92, 96, 104), EQUIPMENT)
            for side in (-1, 1):
                ear = self._at(-0.050 * k + side * 0.010, 0.205)
                canvas.shape(oval(*ear, 0.007, 0.010), (176, 180, 186), EQUIPMENT)
        if kit > 0.6:
            for n, ink in enumerate(((40, 60, 150), (150, 40, 40))):
                pen = self._points((-s * 0.52 + 0.022 * n, 0.145), (-s * 0.52 + 0.022 * n, 0.185))
                canvas.line(pen, 0.009, ink, EQUIPMENT)
        if kit < -0.15:
            pin = self._at(-s * 0.46, 0.135)
            canvas.line(np.array([pin, (pin[0], pin[1] + 0.034)]), 0.010, (170, 146, 80), EQUIPMENT)
            face = (pin[0], pin[1] + 0.052)
            canvas.shape(oval(*face, 0.022 * k, 0.022 * k), (206, 178, 96), EQUIPMENT)
            canvas.shape(oval(*face, 0.015 * k, 0.015 * k), (244, 244, 240), EQUIPMENT)
            canvas.line(
                np.array([face, (face[0] + 0.006, face[1] - 0.008)]), 0.004, (30, 30, 30), EQUIPMENT
            )
        if kit < -0.6:
            badge = self._points(
                (s * 0.36, 0.13),
                (s * 0.36 + 0.062 * k, 0.13),
                (s * 0.36 + 0.062 * k, 0.168),
                (s * 0.36, 0.168),
            )
            canvas.shape(badge, (250, 250, 250), EQUIPMENT)
            canvas.line(
                self._points((s * 0.36 + 0.01, 0.142), (s * 0.36 + 0.05 * k, 0.142)),
                0.006,
                (60, 90, 150),
                EQUIPMENT,
            )

    def _carried(
        self, canvas: Canvas, kit: float, hands: list[tuple[float, float]], skin: Colour
    ) -> None:
        k = self.size
        if kit > _CARRIED:  # a clipboard
            x, y = hands[1]
            lean = 0.03 * (self.kit_choice - 0.5)
            board = np.array(
                [
                    (x - 0.075 * k, y - 0.155 * k),
                    (x + 0.055 * k, y - 0.155 * k + lean),
                    (x + 0.055 * k - lean, y + 0.02 * k),
                    (x - 0.075 * k - lean, y + 0.02 * k),
                ]
            )
            canvas.shape(board, (112, 78, 50), EQUIPMENT)
            inset = board * 0.88 + board.mean(0) * 0.12
            canvas.shape(inset, (248, 247, 242), EQUIPMENT)
            for n in range(4):
                v = 0.2 + 0.18 * n
                row = np.array(
                    [inset[0] * (1 - v) + inset[3] * v, inset[1] * (1 - v) + inset[2] * v]
                )
                canvas.line(row * 0.8 + row.mean(0) * 0.2, 0.004, (150, 154, 162), EQUIPMENT)
            canvas.line(
                board[:2] * 0.3 + board[:2].mean(0) * 0.7, 0.018, (150, 152, 158), EQUIPMENT
            )
            canvas.shape(oval(x, y, 0.026 * k, 0.022 * k), darker(skin, 0.04), BODY)
        if kit < -_CARRIED:  # a tray with what is given out
            (left, y), (right, _) = hands
            y += 0.006
            tray = np.array(
                [
                    (left - 0.02, y - 0.02),
                    (right + 0.02, y - 0.02),
                    (right + 0.045, y + 0.028),
                    (left - 0.045, y + 0.028),
                ]
            )
            middle, span = (left + right) / 2, (right - left) / 2
            for n, drink in enumerate(((236, 236, 240), (226, 150, 70), (120, 170, 214))):
                x = middle + (n - 1) * span * 0.62
                canvas.shape(
                    box(x - 0.020, y - 0.070, x + 0.020, y - 0.006), lighter(drink, 0.15), EQUIPMENT
                )
                canvas.shape(oval(x, y - 0.070, 0.020, 0.007), drink, EQUIPMENT)
                canvas.shape(
                    box(x + 0.008, y - 0.068, x + 0.020, y - 0.006),
                    darker(drink, 0.5),
                    EQUIPMENT,
                    alpha=50,
                )
            canvas.shape(tray, (186, 190, 196), EQUIPMENT)
            canvas.line(tray[[3, 2]], 0.006, (128, 132, 140), EQUIPMENT)
            for x in (left - 0.02, right + 0.02):
                canvas.shape(oval(x, y + 0.014, 0.026 * k, 0.022 * k), skin, BODY)

    def draw_patch(self, canvas: Canvas, value: str | None) -> None:
        """A coloured patch on the sleeve side of the chest; blank where the value is neutral."""
        x, y = self._at(self.shoulder * 0.50, 0.240)
        r = 0.030 * self.size
        cloth: Colour = (200, 200, 204) if value is None else _PATCHES[value]
        shape = oval(x, y, r, r) if value != "square" else box(x - r, y - r, x + r, y + r)
        canvas.shape(shape, cloth, PATCH)
        canvas.line(
            np.array([(x - r * 0.5, y), (x + r * 0.5, y)]), 0.007, lighter(cloth, 0.7), PATCH
        )


_CARRIED = 0.95
"""Evidence beyond which something is carried in the hands."""


def _share(evidence: float) -> float:
    """Evidence as a share, 0..1."""
    return float(1 / (1 + np.exp(-1.3 * evidence)))
