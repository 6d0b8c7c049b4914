"""Eigen-CAM: what most of a layer's activity has in common."""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.cam.look import Look


def eigencam(look: Look, _targets: Tensor) -> Tensor:
    """Eigen-CAM: the activations O [h·w, channels] projected on their first right singular vector.

    Muhammad & Yeasin 2020, arXiv 2008.00299: L = O V₁, O not centred. It asks neither
    for a class nor for the head, so that the maps of all classes are the same and their margin is
    0. A singular vector's sign is free: the one is taken with which the map's sum is not below
    0 (behind a ReLU no cell is then), and if the sum is 0, its largest cell is above.
    """
    activations = look.activations
    finite = torch.isfinite(activations).flatten(1).all(1)[:, None]
    cells = activations.flatten(2).transpose(1, 2)  # [batch, h·w, channels]
    # One image that is not finite may not stop the others.
    left, values, _ = torch.linalg.svd(torch.where(finite[:, None], cells, 0), full_matrices=False)
    maps = left[:, :, 0] * values[:, :1]  # O V₁ = σ₁ U₁
    total, size = maps.sum(1, keepdim=True), maps.abs()
    largest = maps.gather(1, size.argmax(1, keepdim=True))
    even = total.abs() <= 1e-6 * size.sum(1, keepdim=True)
    maps = maps * torch.where(torch.where(even, largest, total) < 0, -1, 1)
    return torch.where(finite, maps, torch.nan).view(-1, *look.layer.grid)
