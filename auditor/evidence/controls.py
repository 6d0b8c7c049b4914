"""Where the same change could be made without touching what it is about.

A fill is out of distribution wherever it is put. So its effect on the cue counts only beside
its effect on regions of the very same shape that hold neither cue nor subject.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from auditor.evidence.shapes import box
from auditor.reasons import Reason
from auditor.types import Mask


class Controls(NamedTuple):
    """Regions of one shape, moved elsewhere."""

    regions: NDArray[np.bool_]
    """[found, height, width], found at most as many as were asked for."""
    places: int
    """In how many places the shape fits; those that are drawn are different ones, which may
    overlap each other."""
    problem: Reason | None
    """`no_place` where it fits nowhere, `no_region` for an empty shape; else None."""


def control_regions(
    shape: Mask, occupied: Mask, valid: Mask, count: int, rng: np.random.Generator
) -> Controls:
    """Draw up to `count` places for a shape, without overlap and without a pixel cut off.

    `shape`, `occupied` (cues and subject) and `valid` (the image without padding) are
    [height, width]. Exact: the overlap with what is forbidden is counted at every place, by a
    correlation, and only where it is 0 may the shape lie. All those places are equally likely.
    """
    within = box(shape)
    empty = np.zeros((0, *shape.shape), dtype=np.bool_)
    if within is None:
        return Controls(empty, 0, "no_region")
    outline = shape[within]
    forbidden = (occupied | ~valid).astype(np.float64)
    overlap = fftconvolve(forbidden, outline[::-1, ::-1].astype(np.float64), mode="valid")
    # Counts are whole numbers; the transform's rounding is far below a half.
    places = np.argwhere(overlap < 0.5)
    if not len(places):
        return Controls(empty, 0, "no_place")
    drawn = places[rng.choice(len(places), size=min(count, len(places)), replace=False)]
    regions = np.zeros((len(drawn), *shape.shape), dtype=np.bool_)
    for region, (top, left) in zip(regions, drawn, strict=True):
        region[top : top + outline.shape[0], left : left + outline.shape[1]] = outline
    return Controls(regions, len(places), None)
