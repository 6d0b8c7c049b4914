"""COCO's run-length codes of masks, both kinds; `auditor.datasets.masks` reads them.

As in cocoapi's `maskApi.c`: runs outside and inside by turns, beginning outside, column by
column; and the string of them, which official annotation files and results hold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.types import Mask

_PLACES = 13  # of 5 bits each: 65 bits hold every 64-bit number with its sign


def runs_of(mask: Mask) -> NDArray[np.int64]:
    """The runs of a mask [height, width], column by column, the first one outside.

    That one is 0 where the first pixel is inside. They sum to height × width.
    """
    pixels = np.ascontiguousarray(mask.T).reshape(-1)
    turns = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    ends = np.concatenate([[0], turns, [pixels.size]]) if pixels.size else np.zeros(1, np.int64)
    runs = np.diff(ends)
    if pixels.size and pixels[0]:
        runs = np.concatenate([[0], runs])
    return np.asarray(runs, dtype=np.int64)


def compressed(runs: NDArray[np.int64]) -> str:
    """Runs as COCO's string.

    From the fourth on, each is written as its difference to the run two before it; 5 bits a
    character, the lowest first, from "0" up; 32 is added where more follow.
    """
    left = runs.copy()
    left[3:] -= runs[1:-2]
    characters = np.zeros((len(left), _PLACES), dtype=np.uint8)
    used = np.zeros((len(left), _PLACES), dtype=np.bool_)
    going = np.ones(len(left), dtype=np.bool_)
    for place in range(_PLACES):
        if not going.any():
            break
        low = left & 31
        left >>= 5  # keeps the sign
        # The highest bit of the last character says the sign.
        more = np.where(low & 16, left != -1, left != 0)
        characters[:, place] = (low | (more << 5)) + 48
        used[:, place] = going
        going = going & more
    return characters[used].tobytes().decode("ascii")
