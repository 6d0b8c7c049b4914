"""Layers spread over the depth of a model, at which maps can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from auditor.cam.layers import candidates, followed, reached, stimuli
from auditor.cam.leaf import inspected, run_hooked
from auditor.cam.look import Look, ToLogits
from auditor.cam.place import Layer

DEEP = 8
"""Layers that show what depth does; more only cost more."""


def layers_over_depth(
    module: nn.Module,
    to_logits: ToLogits,
    shape: tuple[int, int, int],
    own: Layer,
    most: int = DEEP,
) -> tuple[Layer, ...]:
    """At most so many layers in the order in which the model runs them, `own` among them.

    Of the distinct outputs that lie in space and carry a gradient from the logits, evenly over
    their number, the first and the last among them; of those alone that no path leads around,
    if there are such, since a map at one branch of many knows only what passes there. What gives
    the tensor of `own` under another name is no other layer. `follows` of each is the correlation
    of its map with a moved stimulus, as for the layer that an audit chooses. `shape` is the
    input's (channels, height, width). Costs four forward passes of 2 images for each distinct
    output, and one of 10 with four gradients for each layer taken.
    """
    if most < 1:
        raise ValueError(f"{most} layers; give 1 or more")
    # The caller may be in inference mode, in which no tensor could carry a gradient.
    with torch.inference_mode(False), inspected(module):
        images, places = stimuli(shape, _device(module))
        found = list(candidates(module, images[:2], "auto", None))[::-1]
        # What follows the last attention reaches the logits by its class token alone.
        while found and not reached(module, to_logits, found[-1], images[:2]):
            found.pop()
        with torch.enable_grad():
            whole = [
                layer for layer in found if Look.at(module, to_logits, layer, images[:2]).closes()
            ]
        found = whole or found
        ran = _ran(module, images[:1])
        mine = ran[own.name]
        others = [layer for layer in found if not ran[layer.name].same(mine)]
        place = sum(ran[layer.name].place < mine.place for layer in others)
        line = [*others[:place], own, *others[place:]]
        chosen = [line[at] for at in _spread(len(line), place, most)]
        return tuple(
            own if layer is own else followed(module, to_logits, layer, images, places)
            for layer in chosen
            if layer is own or reached(module, to_logits, layer, images[:2])
        )


def _spread(count: int, kept: int, most: int) -> Sequence[int]:
    """At most so many of the places 0 to count - 1, evenly, `kept` among them."""
    if count <= most:
        return range(count)
    if most == 1:
        return [kept]
    places = [round(step * (count - 1) / (most - 1)) for step in range(most)]
    nearest = min(range(most), key=lambda step: abs(places[step] - kept))
    places[nearest] = kept
    return places


class _Ran(NamedTuple):
    """A module's last run."""

    place: int
    """In the order in which modules were through."""
    output: Any
    version: int
    """How often the output had been written into by then."""

    def same(self, other: _Ran) -> bool:
        """Whether both gave one tensor, and nothing was written into it in between."""
        return self.output is other.output and self.version == other.version


def _ran(module: nn.Module, images: Tensor) -> dict[str, _Ran]:
    """The last run of each module by its name."""
    found: dict[str, _Ran] = {}
    clock = count()

    def noting(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(_part: nn.Module, _inputs: Any, output: Any) -> None:
            version = output._version if isinstance(output, Tensor) else 0
            found[name] = _Ran(next(clock), output, version)

        return note

    hooks = [part.register_forward_hook(noting(name)) for name, part in module.named_modules()]
    run_hooked(module, images, hooks)
    return found


def _device(module: nn.Module) -> torch.device:
    parameter = next(module.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
