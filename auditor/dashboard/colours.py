"""Colours that people who see few colours can tell apart, in pictures and on pages.

Regions take them from Okabe and Ito's set (https://jfly.uni-koeln.de/color/), maps from one hue
that rises in opacity and falls in lightness together, so that either tells as much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SUBJECT_COLOUR = (0, 158, 115)
"""Bluish green."""
CUE_COLOURS = ((213, 94, 0), (86, 180, 233), (204, 121, 167), (240, 228, 66), (0, 114, 178))
"""Vermilion, sky blue, reddish purple, yellow, blue; in the order of the cues, then again."""

_STOPS = np.array([0.0, 0.35, 0.7, 1.0])
_RAMP = np.array(
    [[255, 214, 92, 0], [252, 141, 60, 110], [215, 48, 70, 180], [110, 0, 90, 215]], dtype=float
)


def region_colours(cues: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """The colour of the subject and of every cue, 0..255."""
    colours = {"subject": SUBJECT_COLOUR}
    return colours | {cue: CUE_COLOURS[n % len(CUE_COLOURS)] for n, cue in enumerate(cues)}


def hexadecimal(colour: tuple[int, int, int]) -> str:
    """As CSS writes it."""
    return "#" + "".join(f"{part:02x}" for part in colour)


def heat(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[height, width, 4] red, green, blue, opacity of values 0..1 [height, width]."""
    clipped = np.clip(values, 0, 1)
    channels = [np.interp(clipped, _STOPS, _RAMP[:, channel]) for channel in range(4)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def heat_gradient() -> str:
    """The same as a CSS gradient, for a legend."""
    stops = (
        f"rgba({r:.0f},{g:.0f},{b:.0f},{a / 255:.2f}) {at:.0%}"
        for at, (r, g, b, a) in zip(_STOPS, _RAMP, strict=True)
    )
    return f"linear-gradient(to right, {', '.join(stops)})"
