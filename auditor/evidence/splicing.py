"""Putting another image's cue into an image.

In three steps, the first of which is done once for all donors of an image:

1. `clear`: the target's own region, grown by a margin, is painted over by the smoothest
   continuation of its surroundings, so that no outline of it is left.
2. The donor's region is laid over the target's by a similarity that is found on the anchors
   (for hair: the face), and fetched by linear interpolation from the region's own pixels
   alone; nothing of the donor's subject or surroundings is mixed in.
3. It is pasted with the region's own coverage as its opacity. What a mask shows of a region lies
   before all else in the donor, so where anchors say how the region goes with the target, it
   is laid over the target's subject too (long hair falls over a coat). Where they do not, the
   target's subject stays as it is.

Chosen by what came closest to clinic scenes drawn again with only the cue changed, and to what
that does to the margin of networks. Alignment by a steady anchor, a narrow margin and donors that
look like the image (`likeness`) decide; softer edges, cubic interpolation, continuing each part
of the picture by itself under a cleared cue, Poisson blending (Pérez et al. 2003) and matching
brightness or colours to the surroundings were no better or worse, and of equals the simplest was
taken. How bright a donor is, is a matter of choosing it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.evidence.fills import Pixels, harmonic
from auditor.evidence.shapes import Alignment, align, align_frames, near, shape_of
from auditor.types import Mask, Size

F64 = NDArray[np.float64]

MARGIN = 3.0
"""How far beyond the region the target is cleared, in pixels of an image whose shorter side is
224, and in proportion else, but one pixel at least: where masks end at an edge, its softened
pixels still draw it. Larger where masks are loose; one cell of the map at most."""

_SIDE = 224


@dataclass(frozen=True)
class Piece:
    """An image and what of it is changed, lent or kept; all of one [height, width]."""

    pixels: Pixels
    region: Mask
    """The cue: the union of the regions that are changed together. Empty where it is absent."""
    anchor: Mask
    """What cues are aligned by; empty where the image has none, or the region itself."""
    subject: Mask
    """Never carried along, and never overwritten but by the region of a donor that is aligned by
    anchors, and where it is the cue's as well. Empty for a cue that lies inside the subject: else
    a donor's could not reach beyond the target's."""

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


def margin_of(size: Size) -> float:
    """How far beyond a region an image of (height, width) is cleared, in its pixels."""
    return max(1.0, MARGIN * min(size) / _SIDE)


def prepare(piece: Piece, margin: float | None = None) -> Target:
    """Clear the cue of an image. Raises `ValueError` where nothing of the image would be left.

    `margin` is in pixels of this image; by default `margin_of` its size.
    """
    if margin is None:
        height, width = piece.region.shape
        margin = margin_of((height, width))
    # Subject beside the cue is not the cue's outline, and stays.
    kept = piece.subject & ~piece.region
    return Target(piece, harmonic(piece.pixels, near(piece.region, margin) & ~kept))


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
        if not (target.piece.anchor.any() and donor.anchor.any()):
            opacity[target.piece.subject & ~target.piece.region] = 0
        result = result + opacity[:, :, None] * (coloured - result)
    return np.asarray(np.clip(np.rint(result), 0, 255), dtype=np.uint8)


def likeness(piece: Piece) -> F64:
    """What a donor should share with the image it lends to: [6], for `DonorPool.of`.

    The mean colours of the anchor and of the region beside it, 0..255: skin and hair. NaN for
    what the image does not show.
    """
    parts = piece.anchor, piece.region & ~piece.anchor
    unseen = np.full(piece.pixels.shape[2], np.nan)
    return np.concatenate([piece.pixels[m].mean(0) if m.any() else unseen for m in parts])


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
