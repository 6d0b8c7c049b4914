"""Finding the layer at which maps are made, and checking that its maps follow the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from auditor.cam.leaf import forward, inspected, layer_named, run_hooked
from auditor.cam.look import ToLogits
from auditor.cam.methods.gradients import gradcam
from auditor.cam.place import Layer
from auditor.errors import ModelError
from auditor.types import Size

FOLLOWS = 0.5
"""The correlation between stimulus and map, in the worse axis, from which a layer serves."""

_CANDIDATES = 24  # distinct outputs tried from the end of the model before giving up
_RESHAPING = re.compile(r"Pool|Flatten|Permute|Upsample")
_ATTENTION = re.compile(r"Att(ention|n)")
_PASSING = re.compile(r"Dropout|StochasticDepth|DropPath|Identity")  # in eval mode


def find_layer(
    module: nn.Module, to_logits: ToLogits, shape: tuple[int, int, int], name: str = "auto"
) -> Layer:
    """The layer to make maps at, verified with a moving stimulus.

    "auto" walks back from the end of the model, past pooling, dropout and reshaping, to the
    last output that still has a spatial extent over 1×1, through whose cells the logits
    have a gradient (so in a vision transformer it is the layer before the last attention,
    since after it only the class token counts), and whose map follows the stimulus. If none
    follows, the first with a gradient is taken, and `follows` says so. `shape` is the
    input's (channels, height, width). Raises `ModelError` where there is no such layer, or
    where a layer given by `name` has no spatial output or no gradient.
    """
    # The caller may be in inference mode, in which no tensor could carry a gradient.
    with torch.inference_mode(False), inspected(module):
        if name != "auto":
            layer_named(module, name)
        images, places = stimuli(shape, _device(module))
        rejected: list[str] = []
        fallback: Layer | None = None
        for candidate in candidates(module, images[:2], name):
            if not reached(module, to_logits, candidate, images[:2]):
                rejected.append(f"{candidate.name} (no gradient)")
                continue
            layer = followed(module, to_logits, candidate, images, places)
            if name != "auto" or (layer.follows is not None and layer.follows >= FOLLOWS):
                return layer
            fallback = fallback or layer
        if fallback is not None:
            return fallback
    if name != "auto":
        why = "no gradient reaches it from the logits" if rejected else "its output has no grid"
        raise ModelError(
            f"model.layer {name!r} cannot carry a map: {why}. Name a convolution or block "
            'before the global pooling, or "auto".'
        )
    if rejected and not _answers(module, to_logits, images):
        raise ModelError(
            "the model gives the same logits for every image (a head of zeros, say), so no map "
            "can be made; check model.checkpoint."
        )
    raise ModelError(
        "no layer of the model can carry a map: none gives an output with a spatial extent over "
        "1×1 through which the logits have a gradient"
        + (f" (tried {', '.join(rejected[:6])})" if rejected else "")
        + ". Name one as model.layer if you know it."
    )


def _answers(module: nn.Module, to_logits: ToLogits, images: Tensor) -> bool:
    """Whether the logits change with the image at all."""
    with inspected(module), torch.no_grad():
        logits = to_logits(module(images))
    return bool((logits != logits[:1]).any())


def _device(module: nn.Module) -> torch.device:
    parameter = next(module.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def candidates(
    module: nn.Module, images: Tensor, wanted: str, most: int | None = _CANDIDATES
) -> Iterator[Layer]:
    """Layers with a spatial output, the last one first; one name for each distinct tensor.

    Of an `inspected` module; `wanted` is one name or "auto", `most` ends the search (None: at
    the model's input).
    """
    names = {part: name for name, part in module.named_modules() if name}
    events: list[tuple[str, Tensor]] = []
    created: dict[int, str] = {}  # id of an output to the class of the module that made it
    runs: dict[str, int] = {}

    def note(part: nn.Module, _inputs: Any, output: Any) -> None:
        runs[names[part]] = runs.get(names[part], 0) + 1
        if isinstance(output, Tensor) and output.is_floating_point():
            # Holding the tensor keeps its id from being given to another one.
            events.append((names[part], output))
            if not _PASSING.search(type(part).__name__):
                created.setdefault(id(output), type(part).__name__)

    hooks = [part.register_forward_hook(note) for part in names]
    run_hooked(module, images, hooks)
    seen: set[int] = set()
    kinds = {name: type(part).__name__ for part, name in names.items()}
    for name, output in reversed(events):
        if wanted not in ("auto", name):
            continue
        if wanted == "auto" and (
            id(output) in seen
            or runs[name] > 1
            or _RESHAPING.search(kinds[name])
            or _PASSING.search(kinds[name])
            # An attention's own queries, keys or values: what goes into it stands before it.
            or (kinds[name] == "Linear" and _ATTENTION.search(kinds.get(_around(name), "")))
            # A container that ends in pooling hands on the pool's own output.
            or _RESHAPING.search(created[id(output)])
        ):
            continue
        layout = _layout(output, images)
        if layout is None:
            continue
        seen.add(id(output))
        yield Layer(name, *layout, chosen="auto" if wanted == "auto" else "named")
        if len(seen) == most or wanted != "auto":
            return


def _around(name: str) -> str:
    return name.rpartition(".")[0]


def _layout(
    output: Tensor, images: Tensor
) -> tuple[Literal["NCHW", "NHWC", "tokens", "LND"], Size, int] | None:
    """How an output lies in space: (layout, grid, prefix tokens); None if it does not."""
    batch, _, height, width = images.shape
    if output.ndim == 3 and output.shape[0] != batch == output.shape[1]:
        found = _layout(output.transpose(0, 1), images)
        return None if found is None else ("LND", *found[1:])
    if output.shape[0] != batch:
        return None
    if output.ndim == 4:
        _, a, b, c = output.shape
        # Strided convolutions keep the input's proportions up to rounding; channels do not.
        first, last = _unlike(b, c, height, width), _unlike(a, b, height, width)
        nhwc = last < first
        grid = (a, b) if nhwc else (b, c)
        return None if grid == (1, 1) else ("NHWC" if nhwc else "NCHW", grid, 0)
    if output.ndim == 3:
        tokens = output.shape[1]
        for prefix in range(9):
            patches = _grid_of(tokens - prefix, height, width)
            if patches is not None and patches != (1, 1):
                return "tokens", patches, prefix
    return None


def _unlike(rows: int, columns: int, height: int, width: int) -> float:
    return abs(float(np.log(rows / columns)) - float(np.log(height / width)))


def _grid_of(tokens: int, height: int, width: int) -> Size | None:
    """The (rows, columns) of square patches over height × width that make up `tokens`."""
    if tokens < 1:
        return None
    rows = round(float(np.sqrt(tokens * height / width)))
    if rows and tokens % rows == 0 and _unlike(rows, tokens // rows, height, width) < 0.1:
        return rows, tokens // rows
    return None


def stimuli(shape: tuple[int, int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """A quiet image and nine with a textured patch in turn, and the patches' places.

    [10, channels, height, width], in normalised units, and [9, 2] rows and columns, 0 to 2.
    """
    generator = torch.Generator().manual_seed(0)
    channels, height, width = shape
    images = torch.randn(1, *shape, generator=generator).mul(0.1).repeat(10, 1, 1, 1)
    tall, wide = height // 3, width // 3
    patch = torch.randn(channels, tall, wide, generator=generator) * 2
    places = torch.tensor([(row, column) for row in range(3) for column in range(3)])
    for image, (row, column) in zip(images[1:], places.tolist(), strict=True):
        top, left = row * (height - tall) // 2, column * (width - wide) // 2
        image[:, top : top + tall, left : left + wide] += patch
    return images.to(device), places


def reached(module: nn.Module, to_logits: ToLogits, layer: Layer, images: Tensor) -> bool:
    """Whether the logits have a gradient through the layer's cells."""
    gradients = _mixed_gradients(module, to_logits, layer, images)
    # NaN counts as a gradient: such cases are recorded one by one later.
    return any(bool(gradient.abs().sum() != 0) for _, gradient in gradients)


def followed(
    module: nn.Module, to_logits: ToLogits, layer: Layer, images: Tensor, places: Tensor
) -> Layer:
    """The layer with `follows` measured."""
    answer = torch.zeros(len(images), *layer.grid)
    for activations, gradient in _mixed_gradients(module, to_logits, layer, images):
        maps = gradcam(activations, gradient).cpu()
        answer += (maps - maps[:1]) ** 2
    return _with_follows(layer, answer[1:].double(), places.double())


def _mixed_gradients(
    module: nn.Module, to_logits: ToLogits, layer: Layer, images: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """(activations, gradient) for four random mixtures of the logits.

    Mixtures, since no single class, which may be dead, shall decide.
    """
    run = forward(module, layer.name, images)
    with torch.enable_grad():
        logits = to_logits(run.output)
    activations = layer.spatial(run.leaf.detach())
    generator = torch.Generator().manual_seed(1)
    mixes = torch.randn(4, logits.shape[1], generator=generator).to(logits)
    found = []
    for turn, mix in enumerate(mixes):
        with torch.enable_grad():
            mixed = (logits * mix).sum()
        found.append((activations, layer.spatial(run.gradient(mixed, last=turn == 3))))
    return found


def _with_follows(layer: Layer, answer: Tensor, places: Tensor) -> Layer:
    total = answer.sum((1, 2))
    if not bool(torch.isfinite(total).all()) or bool((total <= 0).any()):
        return layer
    axes = []
    for axis, cells in enumerate(layer.grid):
        if cells == 1:
            continue
        profile = answer.sum(2 - axis) / total[:, None]
        centre = (profile * torch.arange(cells)).sum(1)
        # A centre that never moves follows nothing: correlation 0, not undefined.
        spread = float(centre.std())
        pair = torch.stack([centre, places[:, axis]])
        axes.append(float(torch.corrcoef(pair)[0, 1]) if spread > 1e-9 else 0.0)
    if not axes:
        return layer
    return Layer(
        layer.name, layer.layout, layer.grid, layer.prefix, round(min(axes), 4), layer.chosen
    )
