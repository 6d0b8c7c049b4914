"""A colour cast: a cue that fills the picture, so that no region holds it.

A cast multiplies the channels, as a lamp or a camera's white balance does. So an image takes on a
donor's by one factor a channel, and keeps its own brightness, since only the ratio of the channels
is a cast. What an image's cast is, is told from the mean logarithms of its channels, best over the
background: what a person wears is no cast. The walls that donors stand before differ too, and more
than casts do; so donors have to be chosen by `tone` as their likeness (`DonorPool.of`), which is
compared within a value of the attribute and so leaves the difference between values as it is.
Without that choice the AUROC among errors was .96 in place of 1.00 (78/93), .80 in place of .99
(50/50) on rendered scenes.

The rest is as with spliced donors: same-value donors are the control, then `estimate_donors`,
`learn_splicing`, `adjust` and `decide_by_donors`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.evidence.fills import Pixels
from auditor.types import Mask

F64 = NDArray[np.float64]

FEWEST_PIXELS = 20


def tone(pixels: Pixels, where: Mask) -> F64:
    """Mean logarithm of each channel, a level up, over `where`, [channels].

    `where` is the background, or all of the image without padding. NaN for fewer than
    `FEWEST_PIXELS` pixels.
    """
    if int(where.sum()) < FEWEST_PIXELS:
        return np.full(pixels.shape[2], np.nan)
    mean: F64 = np.log(pixels[where] + 1.0).mean(0)
    return mean


def toned(pixels: Pixels, own: F64, donor: F64) -> Pixels:
    """The image in the donor's colour cast, its brightness kept, the whole frame through.

    `own` and `donor` are the `tone` of either, both known; else `ValueError`.
    """
    apart = donor - own
    if not np.isfinite(apart).all():
        raise ValueError("a tone is unknown; such an image has no usable region and cannot donate")
    factors = np.exp(apart - apart.mean())
    return np.asarray(np.clip(np.rint(pixels * factors), 0, 255), dtype=np.uint8)
