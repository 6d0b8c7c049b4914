"""Outlines of masks as COCO's polygons, for tools that read no run-length codes.

Along the borders of pixels, so that whoever fills them gets the mask back, pixel by pixel.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from auditor.types import Mask


def extent(mask: Mask) -> dict[str, Any]:
    """COCO's area in pixels and box [x, y, width, height] of a mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "iscrowd": 0,
    }


def outlines(mask: Mask) -> list[list[int]]:
    """Polygons [x, y, x, y, …] whose union is a mask [height, width]; none of an empty one.

    x to the right and y down, in pixels from the image's corner. One for each part that hangs
    together by edges of pixels. A polygon cannot have a hole, so that a part with holes is cut
    from top to bottom once at each of them.
    """
    found = []
    labelled, _ = ndimage.label(mask)
    for number, window in enumerate(ndimage.find_objects(labelled), start=1):
        part = labelled[window] == number
        top, left = window[0].start, window[1].start
        cuts = [0, *_through_holes(part), part.shape[1]]
        for start, end in pairwise(cuts):
            pieces, _ = ndimage.label(part[:, start:end])
            for piece, (down, right) in enumerate(ndimage.find_objects(pieces), start=1):
                corner = np.array([top + down.start, left + start + right.start])
                around = corners(pieces[down, right] == piece) + corner
                found.append(around[:, ::-1].ravel().tolist())
    return found


def _through_holes(part: Mask) -> list[int]:
    """Columns to cut before, ascending, after which no piece encloses anything.

    A hole is opened by a cut behind the first column that it has.
    """
    holes, _ = ndimage.label(ndimage.binary_fill_holes(part) & ~part)
    return sorted({window[1].start + 1 for window in ndimage.find_objects(holes)})


def corners(piece: Mask) -> NDArray[np.intp]:
    """The corners [corners, 2] (row, column) around one piece without holes, clockwise.

    The topmost first, of these the leftmost. Pixel (r, c) lies between (r, c) and (r + 1, c + 1).
    Where pixels meet, a corner has one or three of the four in the piece: never two that touch
    at that point alone, since such a piece would enclose one of the two others. So along every
    line the corners are the ends of edges, by twos.
    """
    held = np.pad(piece, 1)
    turns = held[:-1, :-1] ^ held[:-1, 1:] ^ held[1:, :-1] ^ held[1:, 1:]
    rows, columns = np.nonzero(turns)  # row by row, so that 0 and 1, 2 and 3, … share an edge
    by_column = np.lexsort((rows, columns))
    across = np.empty(len(rows), dtype=np.intp)
    across[by_column[0::2]], across[by_column[1::2]] = by_column[1::2], by_column[0::2]
    path, at = [0, 1], int(across[1])
    while at != 0:
        path += [at, at ^ 1]
        at = int(across[at ^ 1])
    return np.stack([rows[path], columns[path]], axis=1)
