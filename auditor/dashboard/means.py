"""How sure means of many groups are, all at once and without resampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from auditor.types import Floats

_DENSE = 5_000_000  # cells of group × cluster that are counted without sorting


def half_widths(
    residual: Floats, group: NDArray[np.intp], count: int, clusters: NDArray[np.intp] | None
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Half the width of the 95 % interval of the mean of each of `count` groups.

    `residual` [cases] is what each case differs by from the mean of its group, `group` [cases]
    from 0, `clusters` [cases] from 0 or None for independent cases. Student's t; over clusters
    their summed residuals take the place of residuals (Cochran 1977, section 11.8). Returns the
    widths [groups], NaN with fewer than two cases (or clusters), and how many of these there are.
    """
    n = np.bincount(group, minlength=count)
    sums = np.asarray(residual, dtype=np.float64)
    if clusters is not None:
        width = int(clusters.max(initial=0)) + 1
        key = group * width + clusters
        if count * width <= _DENSE:
            held = np.flatnonzero(np.bincount(key, minlength=count * width))
            sums = np.bincount(key, sums, count * width)[held].astype(np.float64)
        else:
            held, place = np.unique(key, return_inverse=True)
            sums = np.bincount(place, sums, len(held)).astype(np.float64)
        group = held // width
    units = np.bincount(group, minlength=count)
    enough = units > 1
    freedom = np.where(enough, units - 1, 1)
    spread = np.bincount(group, np.square(sums), count) * units / freedom
    error = np.sqrt(spread) / np.where(n > 0, n, 1)
    return np.where(enough, stats.t.ppf(0.975, freedom) * error, np.nan), units
