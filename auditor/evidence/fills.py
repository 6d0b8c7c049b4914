"""Ways to take a region's content away: what is painted over it.

Every fill is a function of the image, the region and a random generator, and knows the image
only from around the region, except for `blur`, which leaves the region's coarse colours. A
constant image comes out of every fill unchanged. One fill alone proves little, since each
shows the model something that it was not trained on: their disagreement is part of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from auditor.evidence.shapes import near
from auditor.types import Mask

Pixels: TypeAlias = NDArray[np.uint8]
"""[height, width, channels], 0..255."""
F64 = NDArray[np.float64]
Fill: TypeAlias = Callable[[Pixels, Mask, np.random.Generator], Pixels]
"""(image, region, generator) to the image with the region filled, everything else as it was.

The region is not empty and leaves some of the image; else `ValueError`.
"""

BORDER = 3.0
"""Width of the ring around a region that its colours are taken from, in pixels."""


def border_mean(image: Pixels, region: Mask, rng: np.random.Generator) -> Pixels:  # noqa: ARG001
    """The mean colour of the region's own border."""
    return _filled(image, region, image[_border(region)].mean(0))


def blur(image: Pixels, region: Mask, rng: np.random.Generator) -> Pixels:  # noqa: ARG001
    """The image blurred until a quarter of the region's own width is one colour."""
    _border(region)  # the same regions can be filled by every fill
    width = float(np.sqrt(region.sum())) / 4
    planes = [
        ndimage.gaussian_filter(image[:, :, channel].astype(np.float64), width, mode="nearest")
        for channel in range(image.shape[2])
    ]
    return _filled(image, region, np.stack(planes, axis=2)[region])


def noise(image: Pixels, region: Mask, rng: np.random.Generator) -> Pixels:
    """Each pixel the colour of one drawn from the region's border: its colours, no structure."""
    colours = image[_border(region)]
    return _filled(image, region, colours[rng.integers(len(colours), size=int(region.sum()))])


def inpaint(image: Pixels, region: Mask, rng: np.random.Generator) -> Pixels:  # noqa: ARG001
    """The smoothest continuation of what surrounds the region; see `harmonic`."""
    _border(region)
    return _filled(image, region, harmonic(image, region)[region])


FILLS: Mapping[str, Fill] = {
    "border_mean": border_mean,
    "blur": blur,
    "noise": noise,
    "inpaint": inpaint,
}
"""The fills that an intervention uses, all of them."""


def harmonic(image: NDArray[np.generic], region: Mask) -> F64:
    """The image with the region's pixels so that each is the mean of its four neighbours.

    Laplace's equation with the surroundings as the boundary and no flow over the image's
    edge, [height, width, channels] in and out, in float64; solved directly by sparse
    factorisation, once for all channels. An empty region changes nothing. Raises
    `ValueError` where the region leaves nothing to continue.
    """
    result = np.array(image, dtype=np.float64)
    rows, columns = np.nonzero(region)
    count, (height, width) = len(rows), region.shape
    if not count:
        return result
    if count == region.size:
        raise ValueError(f"the region covers the whole image of {height}×{width} pixels")
    number = np.full(region.shape, -1)
    number[rows, columns] = np.arange(count)
    neighbours = np.zeros(count)
    known = np.zeros((count, result.shape[2]))
    here: list[NDArray[np.intp]] = []
    there: list[NDArray[np.intp]] = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        r, c = rows + down, columns + right
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        neighbours += inside
        mine = np.flatnonzero(inside)
        other = number[r[mine], c[mine]]
        unknown = other >= 0
        here.append(mine[unknown])
        there.append(other[unknown])
        # A pixel is each of its neighbours' neighbour once in a direction: no index twice.
        edge = mine[~unknown]
        known[edge] += result[r[edge], c[edge]]
    i, j = np.concatenate(here), np.concatenate(there)
    links = sparse.csc_array((np.full(len(i), -1.0), (i, j)), shape=(count, count))
    system = (links + sparse.diags_array(neighbours)).tocsc()
    # Symmetric and diagonally dominant: no pivoting, and an ordering for symmetric patterns.
    solver = splu(
        system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True}
    )
    result[rows, columns] = solver.solve(known)
    return result


def _border(region: Mask) -> Mask:
    border: Mask = near(region, BORDER) & ~region
    if not border.any():
        what = "is empty" if not region.any() else "covers the whole image"
        raise ValueError(
            f"the region {what}; ask `region_problem` first, and call the case untestable"
        )
    return border


def _filled(image: Pixels, region: Mask, colours: NDArray[np.generic]) -> Pixels:
    result = image.copy()
    result[region] = np.clip(np.rint(colours), 0, 255)
    return result
