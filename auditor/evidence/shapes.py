"""Where a region lies, how large it is and how it is turned; and from one such place to another.

All points are (row, column) in pixels, pixel centres on whole numbers. Nothing here knows
whether an array is an image as stored or the model's input; regions of one image only have
to be of that image's size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from auditor.types import Floats, Mask, Size

F64 = NDArray[np.float64]

ELONGATED = 2.0
"""A region at least so many times as long as wide has an orientation. A face has 1.3 to 1.5,
and turning it by what a hairline does to its second moments would do harm."""

MOST_SCALING = 2.0
"""A donor's region is enlarged or shrunk by at most this: beyond, it would show its pixels."""

_WHOLE_FRAME = 0.9


@dataclass(frozen=True)
class Shape:
    """Centre, size and orientation of a region."""

    centre: tuple[float, float]
    spread: float
    """Root of the summed variances of rows and columns, in pixels, above 0; a pixel counts as
    the square that it is, so that doubling every pixel doubles it exactly."""
    angle: float | None
    """Direction of the long axis, radians in (-π/2, π/2] from the columns' axis towards the
    rows'; None where the region is not clearly elongated."""
    framed: bool
    """It reaches over at least nine tenths of both the frame's sides, as a background does."""


@dataclass(frozen=True)
class Alignment:
    """The similarity that takes a point of the target to the donor's point that belongs there.

    donor = donor_at + scale · R(turn) · (target - target_at).
    """

    target_at: tuple[float, float]
    donor_at: tuple[float, float]
    scale: float = 1.0
    turn: float = 0.0

    @property
    def matrix(self) -> F64:
        """scale · R(turn), [2, 2]."""
        sin, cos = math.sin(self.turn), math.cos(self.turn)
        return self.scale * np.array([[cos, sin], [-sin, cos]])

    def warp(self, donor: Floats, size: Size) -> F64:
        """Fetch the donor's [height, width] or [height, width, channels] array to the target.

        Linear interpolation, 0 from outside; a donor that shrinks is smoothed first, so that
        its detail does not turn into false edges. Returns float64 of (height, width) = `size`.
        """
        matrix = self.matrix
        offset = np.array(self.donor_at) - matrix @ np.array(self.target_at)
        blur = math.sqrt(max(self.scale**2 - 1, 0)) / 2
        planes = np.asarray(donor, dtype=np.float64)
        planes = planes[:, :, None] if planes.ndim == 2 else planes
        whole = self.scale == 1 and self.turn == 0 and bool((offset == np.rint(offset)).all())
        result = np.empty((*size, planes.shape[2]))
        for channel in range(planes.shape[2]):
            plane = planes[:, :, channel]
            if blur > 0:
                plane = ndimage.gaussian_filter(plane, blur, mode="constant")
            # Where points fall on points, nothing is to be interpolated, and no rounding done.
            result[:, :, channel] = ndimage.affine_transform(
                plane, matrix, offset, output_shape=size, order=0 if whole else 1, mode="constant"
            )
        return result[:, :, 0] if np.ndim(donor) == 2 else result


def dilated(mask: Mask, cell: tuple[float, float], cells: float = 1.0) -> Mask:
    """The region grown by at least `cells` cells of `cell` (height, width) pixels on each side.

    A rectangle, as a map's cells are. Silhouettes drawn tightly still show the cue.
    """
    rows, columns = (math.ceil(cells * side) for side in cell)
    grown: Mask = ndimage.maximum_filter(
        mask, size=(2 * rows + 1, 2 * columns + 1), mode="constant", cval=0
    )
    return grown


def near(mask: Mask, distance: float) -> Mask:
    """Pixels of the region and those within a Euclidean `distance` of it, in pixels."""
    if not mask.any():
        return mask.copy()
    grown: Mask = ndimage.distance_transform_edt(~mask) <= distance
    return grown


def box(mask: Mask) -> tuple[slice, slice] | None:
    """The smallest rectangle of rows and columns that holds the region; None for none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def shape_of(mask: Mask) -> Shape | None:
    """Where and how a region lies, from its first and second moments; None for an empty one."""
    points = np.argwhere(mask).astype(np.float64)
    if not len(points):
        return None
    centre = points.mean(0)
    # 1/12 is the variance of a pixel's own square.
    covariance = np.cov(points.T, bias=True).reshape(2, 2) + np.eye(2) / 12
    values, vectors = np.linalg.eigh(covariance)
    along = vectors[:, 1] if vectors[1, 1] >= 0 else -vectors[:, 1]
    long = math.sqrt(values[1] / values[0]) >= ELONGATED
    angle = math.atan2(along[0], along[1])
    within = box(mask)
    assert within is not None  # it has points
    covered = [(side.stop - side.start) / n for side, n in zip(within, mask.shape, strict=True)]
    return Shape(
        (float(centre[0]), float(centre[1])),
        math.sqrt(values.sum()),
        (math.pi / 2 if angle <= -math.pi / 2 else angle) if long else None,
        min(covered) >= _WHOLE_FRAME,
    )


def align(target: Shape, donor: Shape) -> Alignment:
    """Lay the donor's region over the target's: centre on centre, at its size and direction.

    Turned only where both are elongated, by at most a right angle (which end is up, moments
    do not say). Two regions that fill their frames stay where they are. The scale is kept
    within `MOST_SCALING`.
    """
    if target.framed and donor.framed:
        return Alignment((0.0, 0.0), (0.0, 0.0))
    scale = min(max(donor.spread / target.spread, 1 / MOST_SCALING), MOST_SCALING)
    turn = 0.0
    if target.angle is not None and donor.angle is not None:
        turn = donor.angle - target.angle
        turn -= math.pi * round(turn / math.pi)
    return Alignment(target.centre, donor.centre, scale, turn)


def align_frames(target: Size, donor: Size, at: Shape) -> Alignment:
    """Lay a donor's region where it lies in the donor's own frame, in relative coordinates.

    For a region that the target lacks. `target` and `donor` are the (height, width) of the
    images, `at` is the donor's region; its centre keeps its relative place, and it is scaled
    by the root of the images' areas.
    """
    shares = [(at.centre[axis] + 0.5) / donor[axis] for axis in (0, 1)]
    place = (shares[0] * target[0] - 0.5, shares[1] * target[1] - 0.5)
    scale = math.sqrt(donor[0] * donor[1] / (target[0] * target[1]))
    return Alignment(place, at.centre, min(max(scale, 1 / MOST_SCALING), MOST_SCALING))


def steadiest(shapes: Mapping[str, Sequence[Shape | None]]) -> str | None:
    """The region that varies least in size from image to image: the one to align cues by.

    Hair is long or short by the very attribute that is tested, so laying hair over hair would
    shrink long hair to the size of short hair; the face that goes with it stays. `shapes`
    maps each region of a cue set, or one that the images all have beside it, to its shapes in
    the same images, None where an image lacks it. Chosen is the least relative standard
    deviation of the spread among the regions that are present most often, the first listed of
    equals; None where no region occurs twice.
    """
    seen = {
        name: np.array([shape.spread for shape in found if shape]) for name, found in shapes.items()
    }
    most = max((len(spreads) for spreads in seen.values()), default=0)
    if most < 2:
        return None
    # Nearly as often is as often: one mask that was forgotten must not decide.
    common = [name for name, spreads in seen.items() if len(spreads) >= 0.9 * most]
    return min(common, key=lambda name: float(seen[name].std() / seen[name].mean()))
