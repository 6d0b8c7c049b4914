"""Predicted, contrast and margin maps of a batch, from one forward pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.cam.look import Look, ToLogits
from auditor.cam.methods import Method
from auditor.cam.place import Layer


class Explanation(NamedTuple):
    """One batch, explained; everything detached, on the model's device."""

    logits: Tensor
    """[batch, classes]; the largest is the decision."""
    predicted: Tensor
    """[batch] positions of the largest logit."""
    contrast: Tensor
    """[batch] positions of the label for an error, of the runner-up for a correct case."""
    maps: Tensor
    """[batch, 3, h, w] at the layer's grid, raw and signed, in the order of
    `auditor.types.MAPS`: of the predicted class, of the contrast class, and of the margin
    (their difference)."""


def explain(
    module: nn.Module,
    to_logits: ToLogits,
    layer: Layer,
    images: Tensor,
    labels: Tensor,
    method: Method,
) -> Explanation:
    """Explain a batch of an `inspected` module, with one forward pass and the method's own.

    `images` is [batch, channels, height, width] and `labels` [batch] class positions; a
    list of another length raises `ValueError`. A case with logits that are not finite gets
    meaningless maps, which the caller leaves out.
    """
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{len(images)} images come with labels of shape {tuple(labels.shape)}; give one each"
        )
    # The caller may be in inference mode, in which no tensor could carry a gradient.
    with torch.inference_mode(False), torch.enable_grad():
        look = Look.at(module, to_logits, layer, images)
        predicted, contrast = compared(look.logits.detach(), labels)
        maps = [method.maps(look, targets) for targets in (predicted, contrast)]
        return Explanation(
            look.logits.detach(), predicted, contrast, torch.stack([*maps, maps[0] - maps[1]], 1)
        )


def view(
    module: nn.Module,
    to_logits: ToLogits,
    layer: Layer,
    images: Tensor,
    targets: Tensor,
    method: Method,
) -> Tensor:
    """Maps to be looked at, of an `inspected` module: raw, signed, detached.

    `targets` is [batch] class positions. [batch, h, w] at the method's own resolution, which is
    the model's input for some; `explain` gives those at the layer's grid, where they are
    measured.
    """
    with torch.inference_mode(False), torch.enable_grad():
        return method.native(Look.at(module, to_logits, layer, images), targets).detach()


def compared(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The two classes of each margin, [batch] positions: the predicted one and its contrast.

    `logits` is [batch, classes], NaN counting as least; the contrast is the label of an error, the
    runner-up of a correct case.
    """
    scores = logits.nan_to_num(nan=-torch.inf)
    predicted = scores.argmax(1)
    runner_up = scores.scatter(1, predicted[:, None], -torch.inf).argmax(1)
    return predicted, torch.where(predicted == labels, runner_up, labels)
