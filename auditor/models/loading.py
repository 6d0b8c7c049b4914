"""From a configuration to a classifier."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

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
from auditor.models.assembling import assembled, class_names, load_state, origin_of
from auditor.models.checkpoints import Checkpoint, read_checkpoint, unwrapped
from auditor.models.classifier import Classifier
from auditor.models.exports import read_export
from auditor.models.libraries import LIBRARIES, library_of
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
        classifier = _from_export(model, model.file, config.path)
    elif (library := library_of(model, config.path)) is not None:
        classifier = LIBRARIES[library](model, checkpoint, config.path)
    else:
        classifier = _from_torchvision(model, checkpoint, config.path)
    classifier.module.eval()
    _try(classifier, config.path)
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
        classes = class_names(model, checkpoint, path)
        module = _with_state(architecture, classes, checkpoint, model.checkpoint)
        default = checkpoint.preprocess or preset(architecture)
    elif model.weights is not None:
        module, weights = load_pretrained(architecture, model.weights)
        classes = model.classes or tuple(weights.meta["categories"])
        default = preset(architecture, weights)
    else:
        raise ModelError(
            f"{path}: [model] gives neither checkpoint nor weights, so {architecture} would be "
            'untrained; add checkpoint = "file.pt" or weights = "IMAGENET1K_V1".'
        )
    origin = origin_of(
        model, architecture=architecture, training=checkpoint and checkpoint.training
    )
    return assembled(module, classes, model, default, origin, path)


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
    load_state(module, state, path, architecture)
    for name, value in checkpoint.options.items():
        setattr(module, name, value)
    return module


def _from_factory(model: ModelConfig, checkpoint: Checkpoint | None, path: Path) -> Classifier:
    assert model.factory is not None
    module_name, _, function_name = model.factory.partition(":")
    if not module_name or not function_name:
        raise ModelError(
            f'{path}: model.factory is {model.factory!r}; write "package.module:function".'
        )
    with _importing_from(path.parent):
        factory = _found(module_name, function_name, model.factory, path)
        try:
            module = factory()
        except Exception as error:
            raise _failed(path, model.factory, error) from error
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"{path}: model.factory {model.factory!r} returned a {type(module).__name__}; it "
            "must return a torch.nn.Module."
        )
    if checkpoint is not None:
        load_state(module, checkpoint.state, model.checkpoint, model.factory)
    source = _source(factory, module_name)
    origin = origin_of(
        model,
        factory=model.factory,
        factory_sha256=file_sha256(source) if source else None,
        training=checkpoint and checkpoint.training,
    )
    default = (checkpoint and checkpoint.preprocess) or Preprocess()
    classes = class_names(model, checkpoint, path)
    return assembled(module, classes, model, default, origin, path)


def _found(module_name: str, function_name: str, factory: str, path: Path) -> Callable[[], object]:
    """The function that builds the model, imported."""
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelError(
            f"{path}: model.factory {factory!r} cannot be imported ({error}); put "
            f"{module_name} beside the configuration or install it."
        ) from None
    except Exception as error:
        raise _failed(path, factory, error) from error
    file = getattr(module, "__file__", None)
    beside = path.parent / (module_name.replace(".", "/") + ".py")
    if beside.is_file() and not (file and beside.samefile(file)):
        raise ModelError(
            f"{path}: model.factory {factory!r}: another module called {module_name} is in use "
            f"already ({file or 'built into Python'}); rename {beside.name} and the factory."
        )
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(
            f"{path}: model.factory {factory!r}: {file or module_name} has no function "
            f"{function_name!r}."
        )
    found: Callable[[], object] = function
    return found


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """The configuration's folder is where a user keeps the file that builds the model."""
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _failed(path: Path, factory: str, error: Exception) -> ModelError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return ModelError(
        f"{path}: model.factory {factory!r} fails with {type(error).__name__}: {error} "
        f"({last.filename}, line {last.lineno}); mend it, and call it by itself to see more."
    )


def _source(factory: object, module_name: str) -> Path | None:
    """The file that a factory is written in; None for one that is built in."""
    try:
        file = inspect.getsourcefile(factory)  # type: ignore[arg-type] # what it raises for
    except TypeError:  # a partial, say
        file = getattr(sys.modules[module_name], "__file__", None)
    return Path(file) if file else None


def _from_export(model: ModelConfig, file: Path, path: Path) -> Classifier:
    module = read_export(file)
    origin = origin_of(model, file=file.name, file_sha256=file_sha256(file))
    return assembled(module, class_names(model, None, path), model, Preprocess(), origin, path)


def _try(classifier: Classifier, path: Path) -> None:
    # An exported program may have its batch fixed to the size that it was traced with.
    for batch in (1, 2):
        shape = (batch, classifier.channels, *classifier.input_size)
        try:
            with torch.no_grad():
                output = classifier.module(torch.zeros(shape, device=classifier.device))
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(
                f"{path}: the model does not accept an input of {shape} (batch, channels, "
                f"height, width): {reason}. Correct [model.preprocess], or export the model "
                "with a dynamic batch."
            ) from error
        try:
            classifier.logits(output)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None


def describe(classifier: Classifier) -> dict[str, Any]:
    """The classifier as JSON-ready provenance."""
    described = {
        **classifier.origin,
        "classes": list(classifier.classes),
        "preprocess": asdict(classifier.preprocess),
        "threshold": classifier.threshold,
    }
    return dict(json.loads(json.dumps(described)))
