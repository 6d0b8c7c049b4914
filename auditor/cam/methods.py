"""Explanation methods: how activations and gradients at a layer become a map.

A new method is one function and one line in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Method = Callable[[Tensor, Tensor], Tensor]
"""(activations, gradients), both [batch, channels, h, w], to raw signed maps [batch, h, w]."""


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM before its ReLU: Σ_k α_k A_k with α_k the spatial mean of ∂y/∂A_k.

    Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2; y is the logit.
    """
    weights = gradients.mean(dim=(2, 3))
    return torch.einsum("bk,bkhw->bhw", weights, activations)


METHODS: Mapping[str, Method] = {
    "gradcam": gradcam,
}
