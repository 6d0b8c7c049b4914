"""One forward pass whose graph begins at a layer.

The trunk up to the layer runs without gradients. The layer's output is detached and made
the only leaf; what goes on into the head is a clone of it, so that a following in-place
operation cannot change the activations that the map is made of. Gradients are taken by
`torch.autograd.grad` through the head alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from auditor.errors import ModelError


@dataclass(frozen=True)
class Pass:
    """What one forward pass leaves: the model's output and the leaf, both in one graph."""

    output: Any
    leaf: Tensor
    """The layer's output as the layer gave it, in any layout; requires gradients."""

    def gradient(self, scalar: Tensor, *, last: bool = False) -> Tensor:
        """The gradient of a scalar at the leaf, shaped like it.

        The graph is kept for further calls unless this is the `last` one. Zero where the
        scalar does not depend on the leaf.
        """
        if not scalar.requires_grad:
            return torch.zeros_like(self.leaf)
        (gradient,) = torch.autograd.grad(
            scalar, [self.leaf], retain_graph=not last, allow_unused=True
        )
        return torch.zeros_like(self.leaf) if gradient is None else gradient


@contextmanager
def inspected(module: nn.Module) -> Iterator[nn.Module]:
    """Hold a module in eval mode with frozen parameters; leave it exactly as it was found.

    Modes and `requires_grad` are restored one by one, also after an exception. `.grad` is
    never touched, since `torch.autograd.grad` does not accumulate.
    """
    modes = [(part, part.training) for part in module.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    try:
        module.eval()
        # Frozen parameters spare the head from keeping its inputs for weight gradients.
        for parameter, _ in wanted:
            parameter.requires_grad_(False)
        yield module
    finally:
        for parameter, required in wanted:
            parameter.requires_grad_(required)
        for part, training in modes:
            part.training = training


def forward(module: nn.Module, layer: str, images: Tensor) -> Pass:
    """Run an `inspected` module once, with the graph beginning at `layer`.

    Raises `ModelError` if the layer does not run exactly once or gives no float tensor.
    """
    target = layer_named(module, layer)
    leaves: list[Tensor] = []

    def begin(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise ModelError(
                f"model.layer {layer!r} returns a {type(output).__name__}, and a map needs a "
                'tensor of activations; name another layer, or "auto".'
            )
        leaf = output.detach().requires_grad_()
        leaves.append(leaf)
        # Undone by the no_grad block around the forward pass when it ends.
        torch.set_grad_enabled(True)
        return leaf.clone()

    hook = target.register_forward_hook(begin)
    try:
        with torch.no_grad():
            output = module(images)
    finally:
        hook.remove()
    if len(leaves) != 1:
        raise ModelError(
            f"model.layer {layer!r} runs {len(leaves)} times in one forward pass, so its map is "
            'not defined; name the block around it, or "auto".'
        )
    return Pass(output, leaves[0])


def resumed(module: nn.Module, layer: str, images: Tensor, output: Tensor) -> Any:
    """What an `inspected` module gives where `layer` puts out `output` in place of its own.

    Without gradients. `output` may be of another batch than `images`, if all that follows the
    layer takes it from there.
    """
    # A clone, since what follows may write into it.
    hook = layer_named(module, layer).register_forward_hook(lambda *_: output.clone())
    try:
        with torch.no_grad():
            return module(images)
    finally:
        hook.remove()


def run_hooked(module: nn.Module, images: Tensor, hooks: Iterable[RemovableHandle]) -> None:
    """Run a module for what its hooks see, without gradients; they are removed, come what may."""
    try:
        with torch.no_grad():
            module(images)
    finally:
        for hook in hooks:
            hook.remove()


def layer_named(module: nn.Module, layer: str) -> nn.Module:
    """The sub-module of that dotted name. Raises `ModelError` with near names."""
    named = dict(module.named_modules())
    if layer and layer in named:
        found: nn.Module = named[layer]
        return found
    prefix = Counter(name.split(".")[0] for name in named if name)
    inside = [name for name in named if name.startswith(layer.rpartition(".")[0] + ".")]
    raise ModelError(
        f"model.layer {layer!r} is no layer of the model; "
        + (
            f"beside it are {', '.join(inside[-6:])}."
            if inside
            else f"its outer parts are {', '.join(prefix)}."
        )
        + ' "auto" finds one.'
    )
