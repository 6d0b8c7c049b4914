"""One batch as one forward pass left it: what an explanation method may ask of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from auditor.cam.leaf import Pass, forward, resumed
from auditor.cam.place import Layer
from auditor.errors import AuditorError

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
    """-1 where every logit counts with its sign turned, as in the gates."""
    kept: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)
    """What `once` has computed, of the sign 1; shared with the look `turned`."""

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
        return self.layer.spatial(self.run.gradient(of_targets(self.logits, targets).sum()))

    def answers(self, images: Tensor) -> Tensor:
        """The logits of other images, [images, classes], without a graph; one forward pass."""
        with torch.no_grad():
            return self.sign * self.to_logits(self.module(images)).detach()

    def from_images(self) -> tuple[Tensor, Any]:
        """The images as the leaf of another graph, and the module's output in it.

        Costs a forward pass that keeps what a gradient through the whole network needs. The
        output's sign is not turned.
        """
        leaf = self.images.clone().requires_grad_()  # a clone is no inference tensor
        return leaf, self.module(leaf.clone())  # a following in-place operation may not have a leaf

    def resumed(self, output: Tensor, images: Tensor) -> Tensor:
        """The logits [n, classes] where the layer puts out `output`, without a graph.

        `output` is shaped as the layer's own but for its batch of n. Where `closes`, any
        `images` will do, one being enough, else they are the n that belong to it.
        """
        found = resumed(self.module, self.layer.name, images, output)
        return self.sign * self.to_logits(found).detach()

    @property
    def stranger(self) -> Tensor:
        """One image unlike those of the batch, [1, channels, height, width]."""
        return 1 - self.images[:1].flip(-1)

    def closes(self) -> bool:
        """Whether the logits hang on the layer's output alone, no path leading around it.

        Found by giving another image the batch's output of the layer: costs a forward pass of
        one image, and one of the batch through what follows the layer.
        """
        try:
            logits = self.resumed(self.run.leaf.detach(), self.stranger)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, IndexError, AuditorError):
            return False  # two batches of other sizes met
        ours = self.logits.detach()
        near = 1e-5 * float(ours.nan_to_num(0, 0, 0).abs().max())
        return logits.shape == ours.shape and torch.allclose(logits, ours, 1e-4, near, True)

    def once(self, name: str, compute: Callable[[Look], Tensor]) -> Tensor:
        """What turns with the sign of the logits and hangs on no class; computed once a look."""
        if name not in self.kept:
            self.kept[name] = self.sign * compute(self)
        return self.sign * self.kept[name]

    def turned(self) -> Look:
        """The same pass, the sign of every logit turned."""
        return replace(self, logits=-self.logits, sign=-self.sign)


def of_targets(logits: Tensor, targets: Tensor) -> Tensor:
    """[batch, …, classes] at each image's target class, `targets` [batch]: [batch, …]."""
    shape = (len(logits), *(1 for _ in logits.shape[1:]))
    places = targets.to(logits.device).view(shape).expand(*logits.shape[:-1], 1)
    return logits.gather(-1, places).squeeze(-1)
