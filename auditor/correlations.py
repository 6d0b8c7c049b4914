"""How alike two maps of one image are, whatever their scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from auditor.types import Floats

_EVEN = 1e-5  # a map that varies by less, as a share of its size, is rounding error


def rank_correlation(some: Floats, others: Floats) -> NDArray[np.float64]:
    """Spearman's rank correlation over the cells of each pair of maps; ties share ranks.

    [images, h, w] twice to [images]; NaN where a map of the pair is not finite, or is the same
    in every cell (up to rounding error).
    """
    a, b = cell_ranks(some), cell_ranks(others)
    a, b = (ranks - ranks.mean(1, keepdims=True) for ranks in (a, b))
    return np.asarray((a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1)))


def cell_ranks(maps: Floats) -> NDArray[np.float64]:
    """[images, h, w] to [images, cells] ranks; rows of NaN for maps that have no order."""
    cells = np.asarray(maps, dtype=np.float64).reshape(len(maps), np.prod(maps.shape[1:]))
    finite = np.isfinite(cells).all(axis=1, keepdims=True)
    cells = np.where(finite, cells, 0)
    spread = cells.max(axis=1, keepdims=True) - cells.min(axis=1, keepdims=True)
    ordered = spread > _EVEN * np.abs(cells).max(axis=1, keepdims=True)
    return np.where(ordered, rankdata(cells, axis=1), np.nan)
