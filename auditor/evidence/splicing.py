"""Putting another image's cue into an image.

In three steps, the first of which is done once for all donors of an image:

1. `clear`: the target's own region, grown by a margin, is painted over by the smoothest
   continuation of its surroundings, so that no outline of it is left.
2. The donor's region is laid over the target's by a similarity that is found on the anchors
   (for hair: the face), and fetched by linear interpolation from the region's own pixels
   alone; nothing of the donor's subject or surroundings is mixed in.
3. It is made brighter or darker by one factor, the ratio of the surroundings' brightness, and
   pasted with the region's own coverage as its opacity. Pixels of the target's subject that
   the target's own cue does not hold stay as they are.

Chosen by what came closest to clinic scenes drawn again with only the head changed, and to what
that does to the margin of a network. Alignment by a steady anchor and clearing the target first
decide; softer edges, other margins, Poisson blending (Pérez et al. 2003) and matching colours a
channel were no better, and of equals the simplest was taken. One factor for all channels, since
colour itself may be the cue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from auditor.evidence.fills import Pixels, harmonic
from auditor.evidence.shapes import Alignment, align, align_frames, near, shape_of
from auditor.types import Mask

F64 = NDArray[np.float64]

MARGIN = 3.0
"""How far beyond the region the target is cleared, in pixels: where masks end at an edge, its
softened pixels still draw it. Larger where masks are loose; one cell of the map at most."""

BRIGHTER = 1.25
"""A donor is made at most so many times as bright, or as dark."""

_RING = (2.0, 12.0)
"""Distances from the region between which the surroundings' brightness is read, in pixels."""
_FEWEST_PIXELS = 20


@dataclass(frozen=True)
class Piece:
    """An image and what of it is changed, lent or kept; all of one [height, width]."""

    pixels: Pixels
    region: Mask
    """The cue: the union of the regions that are changed together. Empty where it is absent."""
    anchor: Mask
    """What cues are aligned by; empty where the image has none, or the region itself."""
    subject: Mask
    """Never carried along and never overwritten, except where it is the cue's as well. Empty
    for a cue that lies inside the subject: else a donor's could not reach beyond the target's."""

    def __post_init__(self) -> None:
        size = self.pixels.shape[:2]
        for name in ("region", "anchor", "subject"):
            if getattr(self, name).shape != size:
                raise ValueError(
                    f"{name} is {getattr(self, name).shape}, the image {size}; bring both "
                    "through the same preprocessing"
                )


@dataclass(frozen=True)
class Target:
    """An image whose cue is about to be changed, as far as no donor is needed."""

    piece: Piece
    cleared: F64
    """[height, width, channels]: the image with its cue painted over."""
    brightness: float | None
    """Mean brightness around the cue, 0..255; None where there are too few pixels."""


def prepare(piece: Piece, margin: float = MARGIN) -> Target:
    """Clear the cue of an image. Raises `ValueError` where nothing of the image would be left."""
    # Subject beside the cue is not the cue's outline, and stays.
    kept = piece.subject & ~piece.region
    return Target(
        piece,
        harmonic(piece.pixels, near(piece.region, margin) & ~kept),
        surrounding_brightness(piece),
    )


def splice(target: Target, donor: Piece) -> Pixels:
    """The target with the donor's cue in the place of its own.

    Where the donor has no region, the target's is only cleared. Where the target has none,
    the donor's goes to where the anchors say, or, without both anchors, to where the donor
    has it in its own frame. [height, width, channels] of the target's size.
    """
    lent = donor.region
    result = target.cleared
    if lent.any():
        size = target.piece.region.shape
        placed = _alignment(target.piece, donor)
        opacity = placed.warp(lent.astype(np.float64), size)
        coloured = placed.warp(donor.pixels.astype(np.float64) * lent[:, :, None], size)
        # Divided by its own coverage: at the edge too, only the region's pixels count.
        coloured /= np.maximum(opacity, 1e-6)[:, :, None]
        coloured *= _factor(target, donor)
        opacity[target.piece.subject & ~target.piece.region] = 0
        result = result + opacity[:, :, None] * (coloured - result)
    return np.asarray(np.clip(np.rint(result), 0, 255), dtype=np.uint8)


def surrounding_brightness(piece: Piece) -> float | None:
    """Mean over channels and pixels near the region, without the subject, 0..255.

    None where there are fewer than 20 such pixels, as around a region that fills the image.
    """
    if not piece.region.any():
        return None
    distance = ndimage.distance_transform_edt(~piece.region)
    around = (distance > _RING[0]) & (distance <= _RING[1]) & ~piece.subject
    if int(around.sum()) < _FEWEST_PIXELS:
        return None
    return float(piece.pixels[around].mean())


def _alignment(target: Piece, donor: Piece) -> Alignment:
    anchors = shape_of(target.anchor), shape_of(donor.anchor)
    if anchors[0] is not None and anchors[1] is not None:
        return align(anchors[0], anchors[1])
    own, lent = shape_of(target.region), shape_of(donor.region)
    assert lent is not None  # the donor has a region
    if own is not None:
        return align(own, lent)
    height, width = target.region.shape
    return align_frames((height, width), (donor.region.shape[0], donor.region.shape[1]), lent)


def _factor(target: Target, donor: Piece) -> float:
    lent = surrounding_brightness(donor)
    if target.brightness is None or lent is None:
        return 1.0
    # Both a level up: black surroundings divide no one.
    return min(max((target.brightness + 1) / (lent + 1), 1 / BRIGHTER), BRIGHTER)
