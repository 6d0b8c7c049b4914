"""Where a fine-tuning starts: random weights, published ones, or a local file's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from auditor.configuration import Config
from auditor.errors import ConfigurationError, ModelError
from auditor.hashing import file_sha256
from auditor.models import Classifier
from auditor.models.architectures import (
    build,
    check_architecture,
    head_parameters,
    load_pretrained,
    preset,
)
from auditor.models.checkpoints import Checkpoint, read_checkpoint, unwrapped
from auditor.pipeline.augmentation import check_augmentations


@dataclass(frozen=True)
class Start:
    """The network before training, its head new."""

    classifier: Classifier
    architecture: str
    head: frozenset[str]
    """The names of the head's parameters."""
    options: Mapping[str, Any]
    """Attributes set on the module."""
    origin: Mapping[str, str | None]
    """Where the weights come from, for the provenance."""


def start_from(config: Config, classes: tuple[str, ...]) -> Start:
    """The network that `[model]` and `[finetune]` describe, with a head for `classes`.

    Raises `AuditorError`, for instance for weights of another architecture.
    """
    architecture, settings = config.model.architecture, config.finetune
    if architecture is None:
        raise ModelError(f"{config.path}: [model] architecture is missing; fine-tuning needs it.")
    if settings.start is not None and config.model.weights is not None:
        raise ConfigurationError(
            f"{config.path}: gives both finetune.start and model.weights; keep one of them."
        )
    _check_names(architecture, settings.augment, config.path)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        module = build(architecture, len(classes))
    head = head_parameters(architecture, module)
    options: Mapping[str, Any] = {}
    preprocess = preset(architecture)
    origin: dict[str, str | None] = {"start": None, "start_sha256": None}
    if settings.start is not None:
        given = _read_start(settings.start)
        options, preprocess = given.options, given.preprocess or preprocess
        origin = {"start": settings.start.name, "start_sha256": file_sha256(settings.start)}
        _load(module, head, unwrapped(given.state, ()), settings.start, architecture)
    elif config.model.weights is not None:
        pretrained, weights = load_pretrained(architecture, config.model.weights)
        if getattr(pretrained, "transform_input", False):
            options = {"transform_input": True}
        preprocess = preset(architecture, weights)
        origin |= {"start": config.model.weights}
        _load(module, head, pretrained.state_dict(), config.path, architecture)
    for name, value in options.items():
        setattr(module, name, value)
    try:
        classifier = Classifier(module, classes, config.model.preprocess.over(preprocess))
    except (ConfigurationError, ModelError) as error:
        raise type(error)(f"{config.path}: {error}") from None
    return Start(classifier, architecture, head, options, origin)


def _check_names(architecture: str, augment: tuple[str, ...], path: Path) -> None:
    """Raise `AuditorError`, naming the file, for what torchvision or we do not have."""
    try:
        check_architecture(architecture)
        check_augmentations(augment)
    except (ConfigurationError, ModelError) as error:
        raise type(error)(f"{path}: {error}") from None


def _read_start(path: Path) -> Checkpoint:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; correct finetune.start.")
    return read_checkpoint(path)


def _load(
    module: nn.Module,
    head: frozenset[str],
    state: Mapping[str, Tensor],
    path: Path,
    architecture: str,
) -> None:
    """Load all but the head. Raises `ModelError` for another architecture's weights."""
    own = module.state_dict()
    trunk = [key for key in own if key not in head]
    # Batch counters came with PyTorch 0.4.1.
    foreign = [
        key
        for key in trunk
        if not (key in state and state[key].shape == own[key].shape)
        and not key.endswith("num_batches_tracked")
    ]
    if foreign:
        raise ModelError(
            f"{path}: is not a checkpoint of {architecture}: {len(foreign)} tensors do not fit, "
            f"such as {foreign[0]!r}. Correct finetune.start or model.architecture."
        )
    module.load_state_dict({key: state[key] for key in trunk if key in state}, strict=False)
