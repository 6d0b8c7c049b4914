"""Methods that are one formula on activations and gradients at a layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.cam.look import Look
from auditor.cam.methods.method import Maps

Formula = Callable[[Tensor, Tensor], Tensor]
"""(activations, gradients), both [batch, channels, h, w], to raw signed maps [batch, h, w]."""


def by_formula(formula: Formula) -> Maps:
    """The method that a formula is, at one gradient an image."""

    def maps(look: Look, targets: Tensor) -> Tensor:
        return formula(look.activations, look.gradients(targets))

    return maps


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM before its ReLU: Σ_k α_k A_k with α_k the spatial mean of ∂y/∂A_k.

    Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2; y is the logit.
    """
    weights = gradients.mean(dim=(2, 3))
    return torch.einsum("bk,bkhw->bhw", weights, activations)
