"""Methods that are one formula on activations and gradients at a layer.

A ReLU over the whole map is left out everywhere: maps are raw and signed. ReLUs within the
weights belong to the method and stay.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.cam.look import Look
from auditor.cam.methods.method import Maps

Formula = Callable[[Tensor, Tensor], Tensor]
"""(activations, gradients), both [batch, channels, h, w], to raw signed maps [batch, h, w]."""

_CANCELLED = 1e-6  # of the sum of magnitudes: what is less is float32's rounding error


def by_formula(formula: Formula) -> Maps:
    """The method that a formula is, at one gradient an image."""

    def maps(look: Look, targets: Tensor) -> Tensor:
        return formula(look.activations, look.gradients(targets))

    return maps


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM before its ReLU: Σ_k α_k A_k with α_k the spatial mean of ∂y/∂A_k.

    Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2; y is the logit.
    """
    return weighted(activations, gradients.mean(dim=(2, 3)))


def counterfactual(activations: Tensor, gradients: Tensor) -> Tensor:
    """What argues against the class: Grad-CAM of the negated gradient, before its ReLU.

    Selvaraju et al. 2017, arXiv 1610.02391, section "Counterfactual Explanations", equation 3.
    """
    return gradcam(activations, -gradients)


def gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++ before its ReLU: Σ_k w_k A_k with w_k = Σ_ij α_kij ReLU(∂y/∂A_kij).

    Chattopadhay et al. 2018, arXiv 1710.11063, equations 7 and 19, for the score exp(y), of
    which α = g² / (2 g² + ΣA g³) = 1 / (2 + ΣA g) with g = ∂y/∂A. The factor exp(y), the same
    for every channel, is left out, so that maps of two classes stay comparable. Where the
    denominator is 0 the weight is 0, as in the paper.
    """
    positive = gradients.relu()
    denominator = 2 + activations.sum(dim=(2, 3), keepdim=True) * positive
    shares = torch.where(denominator == 0, 0, positive / denominator)
    return weighted(activations, shares.sum(dim=(2, 3)))


def xgradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """XGrad-CAM before its ReLU: Σ_k w_k A_k with w_k = Σ_ij (A_kij / ΣA_k) ∂y/∂A_kij.

    Fu et al. 2020, arXiv 2008.02312, definition of XGrad-CAM. A channel whose sum is 0 has weight
    0: behind a ReLU it is 0 everywhere.
    """
    total = activations.sum(dim=(2, 3))
    cancelled = total.abs() <= _CANCELLED * activations.abs().sum(dim=(2, 3))
    weights = (activations * gradients).sum(dim=(2, 3)) / total
    return weighted(activations, torch.where(cancelled, 0, weights))


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """HiResCAM before its ReLU: Σ_k A_k ∂y/∂A_k, cell by cell.

    Draelos & Carin 2020, arXiv 2011.08891, definition of HiResCAM. Where the head is linear from
    the layer on, its cells sum to the logit without its bias.
    """
    return (activations * gradients).sum(dim=1)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM before its ReLU: Σ_k A_k ReLU(∂y/∂A_k), cell by cell.

    Jiang et al. 2021, IEEE TIP 30 (doi 10.1109/TIP.2021.3089943), definition of LayerCAM.
    """
    return (activations * gradients.relu()).sum(dim=1)


def weighted(activations: Tensor, weights: Tensor) -> Tensor:
    """Σ_k w_k A_k: [batch, channels, h, w] and [batch, channels] to [batch, h, w]."""
    return torch.einsum("bk,bkhw->bhw", weights, activations)
