"""Where a map's evidence lies, in the pixels of the image itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from auditor.exports.outlines import corners
from auditor.geometry import Placement
from auditor.types import Floats, Mask

HALF = 0.5
"""Cells count as covered from this share of the map's maximum on."""


def covered(share: Floats) -> Mask:
    """The cells [h, w] of a map that hold at least half of its maximum, which is positive."""
    return np.asarray(share >= HALF * share.max(), dtype=np.bool_)


def polygons_of(cells: Mask, placement: Placement) -> list[list[float]]:
    """The outline of each connected part of `cells`, as COCO writes polygons: [x, y, x, y, …].

    In pixels of the image as displayed, x to the right and y down from its corner, through the
    inverse of its preprocessing; cut off at its border. Holes are filled, and a part that lies
    in the padding alone is left out.
    """
    parts, count = ndimage.label(cells)
    edges = [_edges(placement, cells.shape[axis], axis) for axis in (0, 1)]
    found = []
    for number in range(1, count + 1):
        around = corners(ndimage.binary_fill_holes(parts == number))
        y, x = edges[0][around[:, 0]], edges[1][around[:, 1]]
        if np.ptp(x) > 0 and np.ptp(y) > 0:
            found.append(np.round(np.stack([x, y], 1), 2).ravel().tolist())
    return found


def _edges(placement: Placement, cells: int, axis: int) -> NDArray[np.float64]:
    """Where the borders of the cells lie along an axis of the source, [cells + 1]."""
    borders = np.arange(cells + 1) * (placement.input[axis] / cells) + placement.crop_at[axis]
    scale = placement.padded[axis] / placement.resized[axis]
    at = borders * scale - placement.pad_at[axis]
    return np.clip(at, 0, placement.source[axis])
