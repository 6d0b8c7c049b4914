"""Masks other than those that were drawn: what an audit makes of worse annotation.

Each takes [side, side] region values, the values of the cue, and the scene's number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Regions = NDArray[np.uint8]
Variant = Callable[[Regions, Sequence[int], int], Regions]

CELL = 8
"""Pixels in a cell of the small networks' maps."""
RIM = 2
"""Pixels by which a careful annotator may err, at a side of 96."""


def as_drawn(regions: Regions, _cue: Sequence[int], _number: int) -> Regions:
    """The exact masks."""
    return regions


def _shifted(pixels: int) -> Variant:
    """All masks moved by so much, each image's another way."""

    def shifted(regions: Regions, _cue: Sequence[int], number: int) -> Regions:
        step = [(0, pixels), (pixels, 0), (0, -pixels), (-pixels, 0)][number % 4]
        return np.asarray(ndimage.shift(regions, step, order=0, mode="nearest"), dtype=np.uint8)

    return shifted


def eroded(regions: Regions, cue: Sequence[int], _number: int) -> Regions:
    """The cue without a rim; where nothing would be left, as drawn."""
    for value in cue:
        mask = regions == value
        inner = ndimage.binary_erosion(mask, iterations=RIM)
        if inner.any():
            regions = np.where(mask & ~inner, 0, regions).astype(np.uint8)
    return regions


def dilated(regions: Regions, cue: Sequence[int], _number: int) -> Regions:
    """The cue with a rim, taken from whatever lies there but another cue."""
    free = ~np.isin(regions, cue)
    for value in cue:
        outer = ndimage.binary_dilation(regions == value, iterations=RIM)
        regions = np.where(outer & free, value, regions).astype(np.uint8)
    return regions


def misplaced(regions: Regions, cue: Sequence[int], _number: int) -> Regions:
    """The cue's mask half a picture to the side; none of the true cue is within it."""
    true = np.isin(regions, cue)
    beside = np.roll(np.where(true, regions, 0), regions.shape[1] // 2, axis=1)
    without = np.where(true, 0, regions)
    return np.where((beside > 0) & ~true, beside, without).astype(np.uint8)


def blob(regions: Regions, cue: Sequence[int], number: int) -> Regions:
    """A smooth blotch over a third of the picture for a mask, which knows nothing of the cue."""
    noise = np.random.default_rng(number).normal(size=regions.shape)
    smooth = ndimage.gaussian_filter(noise, 1.5 * CELL)
    inside = smooth > np.quantile(smooth, 2 / 3)
    without = np.where(np.isin(regions, cue), 0, regions)
    return np.where(inside, cue[0], without).astype(np.uint8)


AS_DRAWN = "as drawn"
VARIANTS: Mapping[str, Variant] = {
    AS_DRAWN: as_drawn,
    "shifted by 2 pixels": _shifted(RIM),
    "shifted by a cell": _shifted(CELL),
    "eroded by 2 pixels": eroded,
    "dilated by 2 pixels": dilated,
    "misplaced": misplaced,
    "diffuse blob": blob,
}
