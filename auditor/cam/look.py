"""One batch as one forward pass left it: what an explanation method may ask of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from auditor.cam.leaf import Pass, forward
from auditor.cam.place import Layer

ToLogits = Callable[[Any], Tensor]
"""A model's output to logits [batch, classes], differentiably."""


@dataclass(frozen=True)
class Look:
    """A batch in an `inspected` module, looked at through one layer."""

    module: nn.Module
    to_logits: ToLogits
    layer: Layer
    images: Tensor
    """[batch, channels, height, width], normalised, on the module's device."""
    run: Pass
    logits: Tensor
    """[batch, classes], in the graph that begins at the layer; times `sign`."""
    sign: int = 1
    """-1 where every logit counts with its sign turned, as in the gates and in counterfactual
    maps."""

    @classmethod
    def at(cls, module: nn.Module, to_logits: ToLogits, layer: Layer, images: Tensor) -> Look:
        """Run the module once. Call it with gradients enabled, out of inference mode."""
        run = forward(module, layer.name, images)
        return cls(module, to_logits, layer, images, run, to_logits(run.output))

    @property
    def activations(self) -> Tensor:
        """The layer's output without a graph, [batch, channels, h, w]."""
        return self.layer.spatial(self.run.leaf.detach())

    def gradients(self, targets: Tensor) -> Tensor:
        """∂ logit of each image's target class / ∂ activations, [batch, channels, h, w].

        `targets` is [batch] class positions. No image's gradient holds another's.
        """
        chosen = self.logits.gather(1, targets[:, None].to(self.logits.device)).sum()
        return self.layer.spatial(self.run.gradient(chosen))

    def answers(self, images: Tensor) -> Tensor:
        """The logits of other images, [images, classes], without a graph; one forward pass."""
        with torch.no_grad():
            return self.sign * self.to_logits(self.module(images)).detach()

    def turned(self) -> Look:
        """The same pass, the sign of every logit turned."""
        return replace(self, logits=-self.logits, sign=-self.sign)
