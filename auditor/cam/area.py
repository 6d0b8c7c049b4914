"""Maps from one grid to another by the area that their cells share.

Both grids are laid over the same rectangle. Nothing is interpolated: what a cell holds is spread
evenly over the cell, which is how regions are pooled too (`auditor.geometry`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.types import Size


def pooled(maps: Tensor, grid: Size) -> Tensor:
    """[batch, H, W] to [batch, h, w]: the mean over the area of each cell.

    The mean over all cells stays the same, for every pair of sizes; where they divide, this is
    adaptive average pooling, whose windows overlap where they do not.
    """
    rows, columns = _shares(maps, 1, grid[0]), _shares(maps, 2, grid[1])
    means = (rows / rows.sum(1, keepdim=True), columns / columns.sum(1, keepdim=True))
    return torch.einsum("iH,bHW,jW->bij", means[0], maps, means[1])


def spread(maps: Tensor, grid: Size) -> Tensor:
    """[batch, h, w] to [batch, H, W]: what each cell holds, divided over its area.

    The sum over all cells stays the same, for every pair of sizes.
    """
    rows, columns = _shares(maps, 1, grid[0]), _shares(maps, 2, grid[1])
    parts = (rows / rows.sum(0), columns / columns.sum(0))
    return torch.einsum("Ih,bhw,Jw->bIJ", parts[0], maps, parts[1])


def _shares(maps: Tensor, axis: int, cells: int) -> Tensor:
    """[cells, side]: the length that each new cell shares with each old one, along an axis."""
    side = maps.shape[axis]
    # In units in which both grids have whole edges, so that nothing is lost to rounding.
    old = torch.arange(side, device=maps.device) * cells
    new = torch.arange(cells, device=maps.device)[:, None] * side
    shared = torch.minimum(new + side, old + cells) - torch.maximum(new, old)
    return shared.clamp(min=0).to(maps.dtype)
