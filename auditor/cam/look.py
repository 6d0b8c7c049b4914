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

AGAIN = 8
"""Roundings of the largest logit by which it may be missed when the same is computed again."""
FAR = 100
"""How many times a miss, and a rounding, two images' logits must differ to tell where from."""


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
        return 1 - self.images[:1].nan_to_num(0, 0, 0).flip(-1)

    def held(self, images: Tensor) -> Tensor | None:
        """The logits [batch, classes] where one other image gets the batch's output of the layer.

        `images` is that one, [1, channels, height, width]. None where the model cannot take it:
        a path leads around the layer, and two batches of other sizes meet.
        """
        try:
            logits = self.resumed(self.run.leaf.detach(), images)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, IndexError, AuditorError):
            return None
        return logits if logits.shape == self.logits.shape else None

    def closes(self) -> bool:
        """Whether the logits hang on the layer's output alone, no path leading around it.

        Found by giving two other images the batch's output of the layer: the logits must be the
        batch's, and the same for both but for rounding, as the same operations ran on the same
        numbers. False also where the two images' own logits are too alike to tell: whoever then
        takes no shortcut is right too. Costs forward passes of four images at most, and two of
        the batch through what follows the layer.
        """
        ours, one = self.logits.detach(), self.stranger
        held = self.held(one)
        # Not to the rounding: with a graph, other operations may have run.
        if held is None or not torch.allclose(held, ours, 1e-4, 1e-5 * _size(ours), True):
            return False
        noise = torch.randn(one.shape, generator=torch.Generator().manual_seed(0))
        other = noise.to(one)
        again = self.held(other)
        own = self.answers(torch.cat([one, other]))
        if again is None:
            return False
        missed, apart = _size(again - held), _size(own[0] - own[1])
        rounding = torch.finfo(ours.dtype).eps * _size(ours)
        return missed <= AGAIN * rounding and apart > FAR * max(missed, rounding)

    def once(self, name: str, compute: Callable[[Look], Tensor]) -> Tensor:
        """What turns with the sign of the logits and hangs on no class; computed once a look."""
        if name not in self.kept:
            self.kept[name] = self.sign * compute(self)
        return self.sign * self.kept[name]

    def turned(self) -> Look:
        """The same pass, the sign of every logit turned."""
        return replace(self, logits=-self.logits, sign=-self.sign)


def _size(values: Tensor) -> float:
    """The largest magnitude, of what is finite."""
    return float(values.nan_to_num(0, 0, 0).abs().max())


def of_targets(logits: Tensor, targets: Tensor) -> Tensor:
    """[batch, …, classes] at each image's target class, `targets` [batch]: [batch, …]."""
    shape = (len(logits), *(1 for _ in logits.shape[1:]))
    places = targets.to(logits.device).view(shape).expand(*logits.shape[:-1], 1)
    return logits.gather(-1, places).squeeze(-1)
