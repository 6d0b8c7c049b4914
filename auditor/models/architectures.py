"""torchvision's classification architectures: building, heads, presets."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from auditor.errors import ModelError
from auditor.geometry import Preprocess
from auditor.models.downloads import unreachable
from auditor.models.operators import torchvision

_AUXILIARY = {"inception_v3": "AuxLogits.", "googlenet": "aux1."}
"""Architectures with auxiliary heads, and how a state dict shows that it has them."""


def check_architecture(name: str) -> None:
    """Raise `ModelError` unless torchvision has a classification model of this name."""
    models = torchvision().models
    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3)
        raise ModelError(
            f"model.architecture {name!r} is no torchvision classification model; "
            + (f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}.")
        )


def build(architecture: str, outputs: int, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    """An architecture with a head of `outputs` classes, randomly initialised.

    `state`, if it is to be loaded, decides whether auxiliary heads are built.
    """
    options: dict[str, Any] = {}
    if architecture in _AUXILIARY:
        prefix = _AUXILIARY[architecture]
        has = state is not None and any(key.startswith(prefix) for key in state)
        options = {"aux_logits": has, "init_weights": state is None}
    model = torchvision().models.get_model(
        architecture, weights=None, num_classes=outputs, **options
    )
    assert isinstance(model, nn.Module)
    return model


def head_parameters(architecture: str, state: Mapping[str, Tensor] | nn.Module) -> frozenset[str]:
    """The names of the tensors whose shape depends on the number of classes.

    `state` (or a module's own) decides whether auxiliary heads are there.
    """
    given = state.state_dict() if isinstance(state, nn.Module) else state
    with _ShapesOnly():
        a, b = (build(architecture, outputs, given).state_dict() for outputs in (7, 11))
    return frozenset(key for key in a if a[key].shape != b[key].shape)


class _ShapesOnly(TorchFunctionMode):
    """Builds networks whose weights have shapes and no values, in no memory.

    Not the whole meta device: RegNet and others compute their widths with tensors.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = {"device": "meta"} if func is torch.empty else {}
        return func(*args, **{**(kwargs or {}), **shapes})


def head_width(architecture: str, state: Mapping[str, Tensor]) -> int | None:
    """How many classes the head in a state dict has; None if it has no head's tensor."""
    # Auxiliary heads may have kept ImageNet's classes; the main one stands last.
    head = head_parameters(architecture, state)
    widths = [tensor.shape[0] for key, tensor in state.items() if key in head and tensor.ndim]
    return int(widths[-1]) if widths else None


def load_pretrained(architecture: str, weights: str) -> tuple[nn.Module, Any]:
    """An architecture with torchvision's published weights, and their enum member.

    torchvision downloads them unless its cache has them. Raises `ModelError`.
    """
    models = torchvision().models
    try:
        chosen = models.get_model_weights(architecture)[weights]
    except KeyError:
        known = ", ".join(member.name for member in models.get_model_weights(architecture))
        raise ModelError(
            f"model.weights {weights!r} does not exist for {architecture}; it has {known}."
        ) from None
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(chosen.url).name
    try:
        if not file.exists() and (trouble := unreachable(chosen.url)) is not None:
            raise trouble
        model = models.get_model(architecture, weights=chosen)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a bad hash RuntimeError
        raise ModelError(
            f"model.weights {weights!r} of {architecture} could not be downloaded ({error}). "
            f"On a machine without a connection, copy the file to {file}, or give a local "
            "state dict: to audit as model.checkpoint with model.classes, to fine-tune as "
            "finetune.start."
        ) from None
    assert isinstance(model, nn.Module)
    return model, chosen


def preset(architecture: str, weights: Any = None) -> Preprocess:
    """The preprocessing that torchvision publishes with an architecture's ImageNet weights.

    Of IMAGENET1K_V1, on which most fine-tuning starts, unless `weights` says otherwise.
    """
    if weights is None:
        known = torchvision().models.get_model_weights(architecture)
        weights = next((w for w in known if w.name == "IMAGENET1K_V1"), known.DEFAULT)
    transform = weights.transforms()
    return Preprocess(
        resize=transform.resize_size[0],
        crop=transform.crop_size[0],
        mean=tuple(transform.mean),
        std=tuple(transform.std),
        interpolation=transform.interpolation.value,
    )
