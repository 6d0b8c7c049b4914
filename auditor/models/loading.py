"""From a configuration to a classifier."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from auditor.configuration import Config, ModelConfig, read_config
from auditor.errors import ModelError
from auditor.geometry import Preprocess
from auditor.hashing import file_sha256
from auditor.models.architectures import (
    build,
    check_architecture,
    head_width,
    load_pretrained,
    preset,
)
from auditor.models.checkpoints import Checkpoint, read_checkpoint, unwrapped
from auditor.models.classifier import Classifier
from auditor.models.operators import torchvision


def load_classifier(source: str | Path | Config) -> Classifier:
    """Load the classifier of a configuration, on the CPU, in eval mode.

    The model is run once on a blank image, so that a class list of the wrong length or an
    unfitting input size is found here. Raises `ConfigurationError` or `ModelError`.
    """
    config = source if isinstance(source, Config) else read_config(source)
    torchvision()  # a factory may import it without knowing about missing operators
    model = config.model
    checkpoint = read_checkpoint(model.checkpoint) if model.checkpoint else None
    if model.factory is not None:
        classifier = _from_factory(model, checkpoint, config.path)
    elif model.file is not None:
        classifier = _from_export(model, model.file)
    else:
        classifier = _from_torchvision(model, checkpoint, config.path)
    classifier.module.eval()
    _try(classifier)
    return classifier


def _from_torchvision(model: ModelConfig, checkpoint: Checkpoint | None, path: Path) -> Classifier:
    architecture = model.architecture or (checkpoint.architecture if checkpoint else None)
    if architecture is None:
        raise ModelError(
            f"{path}: [model] names no architecture, factory or file, and no checkpoint that "
            'carries one; add architecture = "resnet18", say.'
        )
    check_architecture(architecture)
    if checkpoint is not None:
        if checkpoint.architecture not in (None, architecture):
            raise ModelError(
                f"{model.checkpoint}: holds a {checkpoint.architecture}, but model.architecture "
                f"is {architecture!r}; leave the key out, or correct it."
            )
        classes = _classes(model, checkpoint)
        module = _with_state(architecture, classes, checkpoint, model.checkpoint)
        default = checkpoint.preprocess or preset(architecture)
    elif model.weights is not None:
        module, weights = load_pretrained(architecture, model.weights)
        classes = model.classes or tuple(weights.meta["categories"])
        default = preset(architecture, weights)
        # ImageNet has two cranes and two maillots; a class list names each class once.
        classes = _distinct(classes)
    else:
        raise ModelError(
            f"{path}: [model] gives neither checkpoint nor weights, so {architecture} would be "
            'untrained; add checkpoint = "file.pt" or weights = "IMAGENET1K_V1".'
        )
    origin = _origin(model, architecture=architecture, training=checkpoint and checkpoint.training)
    return _classifier(module, classes, model, default, origin)


def _with_state(
    architecture: str, classes: tuple[str, ...], checkpoint: Checkpoint, path: Path | None
) -> nn.Module:
    state = unwrapped(checkpoint.state, ())
    width = head_width(architecture, state)
    fits = {len(classes), 1} if len(classes) == 2 else {len(classes)}
    if width is not None and width not in fits:
        raise ModelError(
            f"{path}: its head has {width} classes, but {len(classes)} are named: "
            f"{', '.join(classes[:8])}{' …' if len(classes) > 8 else ''}. Give model.classes "
            "all of them, in the order of the outputs."
        )
    module = build(architecture, width or len(classes), state)
    _load_state(module, state, path, architecture)
    for name, value in checkpoint.options.items():
        setattr(module, name, value)
    return module


def _load_state(
    module: nn.Module, state: Mapping[str, Tensor], path: Path | None, name: str
) -> None:
    expected = module.state_dict()
    state = unwrapped(state, expected)
    missing = [key for key in expected if key not in state]
    extra = [key for key in state if key not in expected]
    wrong = [key for key in expected if key in state and expected[key].shape != state[key].shape]
    # Batch counters came with PyTorch 0.4.1, and evaluation does not read them.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or extra or wrong:
        told = [
            f"{len(keys)} tensors {what}, such as {keys[0]!r}"
            for what, keys in (
                ("missing", missing),
                ("unknown", extra),
                ("of another shape", wrong),
            )
            if keys
        ]
        if wrong:
            told[-1] += f" ({tuple(state[wrong[0]].shape)}, not {tuple(expected[wrong[0]].shape)})"
        raise ModelError(
            f"{path}: is not a checkpoint of {name}: {'; '.join(told)}. Correct "
            "model.architecture or model.checkpoint."
        )
    module.load_state_dict(state, strict=False)


def _from_factory(model: ModelConfig, checkpoint: Checkpoint | None, path: Path) -> Classifier:
    assert model.factory is not None
    module_name, _, function_name = model.factory.partition(":")
    if not module_name or not function_name:
        raise ModelError(
            f'{path}: model.factory is {model.factory!r}; write "package.module:function".'
        )
    # The configuration's folder is where a user keeps the file that builds the model.
    sys.path.insert(0, str(path.parent))
    try:
        found = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelError(
            f"{path}: model.factory {model.factory!r} cannot be imported ({error}); put "
            f"{module_name} beside the configuration or install it."
        ) from None
    finally:
        sys.path.remove(str(path.parent))
    factory = getattr(found, function_name, None)
    if not callable(factory):
        raise ModelError(
            f"{path}: model.factory {model.factory!r}: {found.__file__} has no function "
            f"{function_name!r}."
        )
    module = factory()
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"{path}: model.factory {model.factory!r} returned a {type(module).__name__}; it "
            "must return a torch.nn.Module."
        )
    if checkpoint is not None:
        _load_state(module, checkpoint.state, model.checkpoint, model.factory)
    source = inspect.getsourcefile(factory)
    origin = _origin(
        model,
        factory=model.factory,
        factory_sha256=file_sha256(Path(source)) if source else None,
        training=checkpoint and checkpoint.training,
    )
    default = (checkpoint and checkpoint.preprocess) or Preprocess()
    return _classifier(module, _classes(model, checkpoint), model, default, origin)


def _from_export(model: ModelConfig, file: Path) -> Classifier:
    if not file.exists():
        raise ModelError(f"{file}: no such file; correct model.file.")
    try:
        module = torch.export.unflatten(torch.export.load(file))
    except Exception as error:  # noqa: BLE001 - any failure in a file from outside is the same
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{file}: cannot be read as a torch.export program ({reason}). Save it with "
            "torch.export.save (.pt2). TorchScript is not supported: its modules have no "
            "hooks, so no map can be made."
        ) from None
    origin = _origin(model, file=file.name, file_sha256=file_sha256(file))
    return _classifier(module, _classes(model, None), model, Preprocess(), origin)


def _classes(model: ModelConfig, checkpoint: Checkpoint | None) -> tuple[str, ...]:
    carried = checkpoint.classes if checkpoint else ()
    if carried and model.classes and carried != model.classes:
        raise ModelError(
            f"{model.checkpoint}: was trained on the classes {list(carried)}, but model.classes "
            f"is {list(model.classes)}; leave the key out, or put it in that order."
        )
    classes = model.classes or carried
    if not classes:
        raise ModelError(
            "model.classes is missing, and the model does not carry the names of its classes; "
            "list them in the order of its outputs."
        )
    return classes


def _classifier(
    module: nn.Module,
    classes: tuple[str, ...],
    model: ModelConfig,
    default: Preprocess,
    origin: Mapping[str, Any],
) -> Classifier:
    return Classifier(
        module=module,
        classes=classes,
        preprocess=model.preprocess.over(default),
        layer=model.layer,
        threshold=model.threshold,
        origin=origin,
    )


def _origin(model: ModelConfig, **given: Any) -> dict[str, Any]:
    origin = {key: value for key, value in given.items() if value}
    if model.checkpoint is not None:
        origin["checkpoint"] = model.checkpoint.name
        origin["checkpoint_sha256"] = file_sha256(model.checkpoint)
    if model.weights is not None:
        origin["weights"] = model.weights
    return origin


def _distinct(classes: tuple[str, ...]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    names = []
    for name in classes:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)


def _try(classifier: Classifier) -> None:
    blank = torch.zeros(2, classifier.channels, *classifier.input_size, device=classifier.device)
    try:
        with torch.no_grad():
            output = classifier.module(blank)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"the model does not accept an input of {tuple(blank.shape)} (batch, channels, "
            f"height, width): {reason}. Correct [model.preprocess]."
        ) from None
    classifier.logits(output)


def describe(classifier: Classifier) -> dict[str, Any]:
    """The classifier as JSON-ready provenance."""
    described = {
        **classifier.origin,
        "classes": list(classifier.classes),
        "preprocess": asdict(classifier.preprocess),
        "threshold": classifier.threshold,
    }
    return dict(json.loads(json.dumps(described)))
