"""Cascading randomisation of a network's weights, from its output down to its input.

Adebayo et al. 2018 (Sanity Checks for Saliency Maps, arXiv 1810.03292): a map that speaks for
what a network has learned has to change when what it has learned is taken away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from auditor.cam.leaf import run_hooked
from auditor.errors import ModelError

STAGES = 5
"""Stages of the cascade, at most: the last module with weights alone, then the others in as
many parts of about equal numbers of modules as are left."""

Stage = tuple[str, ...]
"""Names of modules that are randomised together, the nearest to the output first."""


def stages_of(module: nn.Module, images: Tensor, most: int = STAGES) -> tuple[Stage, ...]:
    """The modules that hold weights of their own, in stages from the output to the input.

    The order is that in which the modules begin to run for `images` [batch, channels, height,
    width] in an `inspected` module, the last time where one runs more than once; one that is
    never called, since its parent reads its weights (the projection of an attention), stands
    where the parent does. The first stage is the last of them alone, the head. Empty where
    no module has a floating-point parameter.
    """
    if most < 1:
        raise ValueError(f"{most} stages; give 1 or more")
    started = _started(module, images)
    holders = [name for name, part in module.named_modules() if any(True for _ in _weights(part))]
    # A stable sort: what starts together keeps the order in which the model lists it.
    ordered = sorted(holders, key=lambda name: _start(name, started))[::-1]
    if not ordered:
        return ()
    rest = ordered[1:]
    parts = min(most - 1, len(rest))
    cuts = [round(part * len(rest) / parts) for part in range(parts + 1)] if parts else []
    others = [tuple(rest[a:b]) for a, b in pairwise(cuts)]
    return (tuple(ordered[:1]), *others)


@contextmanager
def randomisable(module: nn.Module) -> Iterator[Callable[[Sequence[str], int], None]]:
    """Give a function that randomises modules in place; put every tensor back at the end.

    The function takes names of modules and a seed. Parameters and floating-point buffers are
    put back bit for bit, also after an exception. Nothing draws from a global random state, and
    the same seed draws the same weights on every device. Raises `ModelError` before anything is
    changed if a weight cannot be written to.

    Weights of two or more axes are drawn from a normal distribution as He et al. 2015 start
    networks, biases are 0, running means 0 and running variances 1, so that signals neither
    die nor grow with depth. All else (scales of normalisations, tokens, position embeddings)
    is drawn from a normal distribution with its own mean and standard deviation.
    """
    kept = {id(tensor): (tensor, tensor.detach().clone()) for tensor in _all(module)}
    named = dict(module.named_modules())

    def randomise(names: Sequence[str], seed: int) -> None:
        # On the CPU, since the generators of other devices draw other numbers.
        generator = torch.Generator().manual_seed(seed)
        done: set[int] = set()
        with torch.no_grad():
            for name in names:
                for own, tensor in _tensors(named[name]):
                    if id(tensor) not in done:  # shared by two modules
                        done.add(id(tensor))
                        # From what was trained, so that no draw hangs on the one before it.
                        tensor.copy_(_drawn(own, kept[id(tensor)][1], generator))

    _put_back(kept.values())  # before anything is changed: whether it can be
    try:
        yield randomise
    finally:
        _put_back(kept.values())


def _all(module: nn.Module) -> Iterator[Tensor]:
    return (tensor for part in module.modules() for _, tensor in _tensors(part))


def _put_back(kept: Iterable[tuple[Tensor, Tensor]]) -> None:
    try:
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)
    except RuntimeError as error:
        raise ModelError(f"the model's weights cannot be replaced: {error}") from error


def _started(module: nn.Module, images: Tensor) -> dict[str, int]:
    """When each module began to run for the last time."""
    started: dict[str, int] = {}
    clock = count(1)

    def noting(name: str) -> Callable[[nn.Module, Any], None]:
        def note(_part: nn.Module, _inputs: Any) -> None:
            started[name] = next(clock)

        return note

    hooks = [part.register_forward_pre_hook(noting(name)) for name, part in module.named_modules()]
    run_hooked(module, images, hooks)
    return started


def _start(name: str, started: dict[str, int]) -> int:
    """When a module, or the nearest around it that was called, began to run."""
    while name and name not in started:
        name = name.rpartition(".")[0]
    return started.get(name, 0)


def _weights(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A module's own floating-point parameters."""
    for name, parameter in part.named_parameters(recurse=False):
        if parameter.is_floating_point():
            yield name, parameter


def _tensors(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A module's own floating-point parameters, and the statistics that it keeps beside them."""
    yield from _weights(part)
    for name, buffer in part.named_buffers(recurse=False):
        if buffer.is_floating_point() and name.startswith("running_"):
            yield name, buffer


def _drawn(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Values to put in a tensor's place; float32, on the CPU."""
    if name == "running_var":
        return torch.ones(tensor.shape)
    if name == "running_mean" or (name.endswith("bias") and tensor.ndim < 2):
        return torch.zeros(tensor.shape)
    noise = torch.randn(tensor.shape, generator=generator)
    if name.endswith("weight") and tensor.ndim > 1:
        return noise * math.sqrt(2 / tensor[0].numel())
    values = tensor.detach().float().cpu()
    spread = values.std() if values.numel() > 1 else torch.tensor(0.0)
    return values.mean() + spread * noise
