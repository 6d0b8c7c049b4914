"""FullGrad: the logit, divided among the image's pixels and every bias of the network."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from auditor.cam.area import spread
from auditor.cam.look import Look, of_targets
from auditor.errors import ModelError

MISSING = 0.01
"""The share of the terms' size by which they may miss the logit before the model is refused."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d)


class Terms(NamedTuple):
    """The full-gradient decomposition of each image's logit; all sums of it are exact."""

    logits: Tensor
    """[batch] logits of the target classes"""
    image: Tensor
    """[batch, channels, H, W] image times gradient"""
    biases: list[Tensor]
    """[batch, channels, h, w] of each layer that has a grid: bias times gradient"""
    ceilings: list[Tensor]
    """[batch, channels, h, w] of each ReLU6: where it is cut off, times gradient"""
    unplaced: Tensor
    """[batch] of all biases without a place: of linear layers and of the decision rule"""

    @property
    def placed(self) -> list[Tensor]:
        """The terms of layers that have a grid."""
        return [*self.biases, *self.ceilings]

    @property
    def parts(self) -> Tensor:
        """[parts, batch]: what the image, each layer and the rest add to the logit."""
        sums = [term.flatten(1).sum(1) for term in (self.image, *self.placed)]
        return torch.stack([*sums, self.unplaced])


def fullgrad(look: Look, targets: Tensor) -> Tensor:
    """FullGrad, signed: all terms that have a place, at the place that they have, [batch, H, W].

    Srinivas & Fleuret 2019, arXiv 1905.00780, proposition 1, without the post-processing ψ of its
    saliency map: absolute values would count evidence against a class as evidence for it, and
    scaling each layer from its minimum to its maximum would give layers that say nothing the
    weight of the others. A layer's cells are spread evenly over the pixels that they cover, not
    interpolated, so that the map's sum and the unplaced terms are the logit. Raises `ModelError`
    where they are not, since the model is no piecewise linear one.
    """
    terms = decomposed(look, targets)
    _check(terms)
    height, width = look.images.shape[2:]
    maps = terms.image.sum(1)
    for term in terms.placed:
        maps = maps + spread(term.sum(1), (height, width))
    return maps


def decomposed(look: Look, targets: Tensor) -> Terms:
    """The decomposition of proposition 1, implicit biases included.

    These are what a batch normalisation subtracts, and 6 where a ReLU6 is cut off: what an
    operation f adds to its slope times its input, f(z) − f′(z) z.
    """
    noted: list[tuple[nn.Module, Tensor, Tensor]] = []  # layer, output, bias that fits it

    def note(part: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        bias = _bias(part, output)
        if bias is None:
            return output
        noted.append((part, output, bias))
        return output.clone()  # so that a following in-place operation leaves the output be

    kinds = (*_CONVOLUTIONS, *_NORMALISATIONS, nn.Linear, nn.Hardtanh)
    parts = [part for part in look.module.modules() if isinstance(part, kinds)]
    hooks = [part.register_forward_hook(note) for part in parts]
    try:
        images, output = look.from_images()
    finally:
        for hook in hooks:
            hook.remove()
    answer = getattr(output, "logits", output)  # Hugging Face
    logits = of_targets(look.sign * look.to_logits(output), targets)
    leaves = [images, *(made for _, made, _ in noted), answer]
    at_images, *at_layers, at_answer = _gradients(logits.sum(), leaves)
    # The decision rule is linear in the model's answer but for a constant.
    unplaced = (logits - (at_answer * answer).flatten(1).sum(1)).detach()
    biases: list[Tensor] = []
    ceilings: list[Tensor] = []
    for (part, made, bias), gradient in zip(noted, at_layers, strict=True):
        term = (gradient * bias).detach()
        if made.ndim == 4 and not isinstance(part, nn.Linear):
            (ceilings if isinstance(part, nn.Hardtanh) else biases).append(term)
            continue
        tokens = isinstance(part, nn.Linear) and made.ndim == 3
        if look.layer.layout == "LND" and tokens and made.shape[1] == len(unplaced):
            term = term.transpose(0, 1)  # tokens are first
        if len(term) == len(unplaced):
            unplaced = unplaced + term.flatten(1).sum(1)
    return Terms(logits.detach(), (images * at_images).detach(), biases, ceilings, unplaced)


def _bias(part: nn.Module, output: Tensor) -> Tensor | None:
    """What a layer adds beside what is linear in its input, to fit its output; None for nothing."""
    if isinstance(part, nn.Hardtanh):  # nn.ReLU6 is one
        values = output.detach()
        low, high = (torch.where(values == v, v, 0) for v in (part.min_val, part.max_val))
        return low + high
    bias = _shift(part) if isinstance(part, _NORMALISATIONS) else part.bias
    if bias is None:
        return None
    assert isinstance(bias, Tensor)
    shape = [1] * output.ndim
    shape[-1 if isinstance(part, nn.Linear) else 1] = -1
    return bias.view(shape)


def _shift(part: nn.BatchNorm1d | nn.BatchNorm2d) -> Tensor | None:
    """What a batch normalisation adds, [channels]."""
    if part.running_mean is None or part.running_var is None:
        return None  # it normalises by the batch, which is not linear
    shift = -part.running_mean / torch.sqrt(part.running_var + part.eps)
    shift = shift if part.weight is None else shift * part.weight
    return shift if part.bias is None else shift + part.bias


def _gradients(scalar: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """The gradient at each leaf; 0 where the scalar does not hang on it."""
    if not scalar.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    places = [place for place, leaf in enumerate(leaves) if leaf.requires_grad]
    found = torch.autograd.grad(scalar, [leaves[place] for place in places], allow_unused=True)
    known = dict(zip(places, found, strict=True))
    return [
        torch.zeros_like(leaf) if (gradient := known.get(place)) is None else gradient
        for place, leaf in enumerate(leaves)
    ]


def _check(terms: Terms) -> None:
    parts = terms.parts
    missing = (terms.logits - parts.sum(0)).abs()
    size = parts.abs().sum(0) + terms.logits.abs()
    if bool((missing > MISSING * size).any()):
        share = float((missing / size).nan_to_num(0, 0, 0).max())
        raise ModelError(
            f"FullGrad's terms miss {share:.0%} of this model's logits: it holds for networks of "
            "convolutions, linear layers, batch normalisations, ReLUs and pooling alone. Choose "
            "another method."
        )
