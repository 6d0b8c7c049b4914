"""Classifiers of timm (PyTorch Image Models): `architecture = "timm/<name>"`."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from auditor.configuration import ModelConfig
from auditor.errors import ModelError
from auditor.geometry import INTERPOLATIONS, Preprocess
from auditor.models.assembling import assembled, class_names, load_state, origin_of
from auditor.models.checkpoints import Checkpoint, unwrapped
from auditor.models.classifier import Classifier
from auditor.models.downloads import downloading
from auditor.models.extras import extra, reason, version_of


def load_timm(model: ModelConfig, checkpoint: Checkpoint | None, path: Path) -> Classifier:
    """The timm model of a configuration: from a local state dict, or by timm's own download.

    Classes default to what the published weights' configuration names (ImageNet: the synsets),
    preprocessing to timm's `resolve_model_data_config`. `path` is the configuration. Raises
    `ModelError`.
    """
    timm = extra("timm", "timm")
    assert model.architecture is not None
    name = model.architecture.partition("/")[2]
    _check_name(timm, name, path)
    if checkpoint is not None:
        classes = class_names(model, checkpoint, path)
        module = _with_state(timm, name, classes, checkpoint, model.checkpoint)
    elif model.weights is not None:
        module = _pretrained(timm, name, model.weights, path)
        classes = model.classes or class_names(model, _carried(timm, module), path)
    else:
        raise ModelError(
            f"{path}: [model] gives neither checkpoint nor weights, so timm/{name} would be "
            'untrained; add checkpoint = "file.pt" (or .safetensors) or weights = "default".'
        )
    default = Preprocess() if model.preprocess.whole else _preprocess(timm, module, path)
    origin = origin_of(
        model,
        architecture=model.architecture,
        library=version_of("timm"),
        training=checkpoint and checkpoint.training,
    )
    return assembled(module, classes, model, default, origin, path)


def _check_name(timm: ModuleType, name: str, path: Path) -> None:
    if ":" in name or not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise ModelError(
            f"{path}: model.architecture 'timm/{name}': timm has no model {name!r}; "
            + (
                f"did you mean timm/{' or timm/'.join(near)}?"
                if near
                else "see timm.list_models()."
            )
        )


def _with_state(
    timm: ModuleType,
    name: str,
    classes: tuple[str, ...],
    checkpoint: Checkpoint,
    path: Path | None,
) -> nn.Module:
    state = unwrapped(checkpoint.state, ())
    try:
        module = timm.create_model(name, pretrained=False, num_classes=len(classes))
        width = _head_width(module, state)
        if width == 1 and len(classes) == 2:
            module = timm.create_model(name, pretrained=False, num_classes=1)
        elif width not in (None, len(classes)):
            raise ModelError(
                f"{path}: its head has {width} classes, but {len(classes)} are named: "
                f"{', '.join(classes[:8])}{' …' if len(classes) > 8 else ''}. Give model.classes "
                "all of them, in the order of the outputs."
            )
    except (RuntimeError, ValueError) as error:  # an unknown tag, say
        raise ModelError(f"timm/{name} cannot be built: {reason(error)}.") from None
    assert isinstance(module, nn.Module)
    load_state(module, state, path, f"timm/{name}")
    return module


def _head_width(module: Any, state: Mapping[str, Tensor]) -> int | None:
    """How many classes the head in a state dict has; None if it has no head's tensor."""
    heads = module.pretrained_cfg.get("classifier") or ()
    for head in (heads,) if isinstance(heads, str) else heads:
        if (tensor := state.get(f"{head}.weight")) is not None:
            return int(tensor.shape[0])
    return None


def _pretrained(timm: ModuleType, name: str, weights: str, path: Path) -> nn.Module:
    """The model with published weights: those of a tag, or timm's default ones."""
    tagged = name if weights == "default" else f"{name.partition('.')[0]}.{weights}"
    with downloading(wanted=True) as hub:
        try:
            module = timm.create_model(tagged, pretrained=True)
        except Exception as error:  # noqa: BLE001 - the hub's client and timm raise of every kind
            known = timm.list_pretrained(f"{name.partition('.')[0]}.*")
            tags = ", ".join(filter(None, (full.partition(".")[2] for full in known)))
            raise ModelError(
                f"{path}: model.weights {weights!r} of timm/{name} could not be loaded: "
                f"{hub.cause(error)}. Its tags are: {tags or 'none'}. On a machine without a "
                "connection, give a local file instead: model.checkpoint (a state dict or "
                f".safetensors) with model.classes.{hub.remedy}"
            ) from None
    assert isinstance(module, nn.Module)
    return module


def _carried(timm: ModuleType, module: Any) -> Checkpoint:
    """The names of the classes of published weights, if timm knows them."""
    config = module.pretrained_cfg
    names = list(config.get("label_names") or ())
    subset = None if names else timm.data.infer_imagenet_subset(module)
    if subset:
        names = timm.data.ImageNetInfo(subset).label_names()
    return Checkpoint({}, classes=tuple(names))


def _preprocess(timm: ModuleType, module: nn.Module, path: Path) -> Preprocess:
    """What timm evaluates the model with, as far as Auditor's steps can do the same."""
    data = timm.data.resolve_model_data_config(module)
    _, height, width = data["input_size"]
    scaled = tuple(math.floor(side / data["crop_pct"]) for side in (height, width))
    mode = data["crop_mode"]
    wrong = None
    if data["interpolation"] not in INTERPOLATIONS:
        wrong = f"interpolates {data['interpolation']!r}"
    elif mode not in ("center", "squash"):
        wrong = f"crops by {mode!r}"
    elif mode == "center" and height != width:
        wrong = f"crops to {height}×{width}, which is not square, keeping proportions"
    if wrong:
        raise ModelError(
            f"{path}: timm's own preprocessing of the model {wrong}, which [model.preprocess] "
            "cannot express; give resize, crop, mean and std there."
        )
    return Preprocess(
        resize=scaled[0] if mode == "center" else (scaled[0], scaled[1]),
        crop=height if height == width else (height, width),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"],
    )
