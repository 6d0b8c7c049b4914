"""What every way of loading a model ends in: weights, class names, a `Classifier`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from auditor.configuration import ModelConfig
from auditor.errors import ConfigurationError, ModelError
from auditor.geometry import Preprocess
from auditor.hashing import file_sha256
from auditor.models.checkpoints import Checkpoint, unwrapped
from auditor.models.classifier import Classifier


def load_state(
    module: nn.Module, state: Mapping[str, Tensor], path: Path | None, name: str
) -> None:
    """Load a state dict that fits a module tensor by tensor; a wrapper's prefix is taken off.

    `path` and `name`, the architecture, are for the message. Raises `ModelError`.
    """
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


def class_names(model: ModelConfig, checkpoint: Checkpoint | None, path: Path) -> tuple[str, ...]:
    """The classes of the configuration, or those that the checkpoint carries.

    Raises `ModelError` where they contradict each other or there are none.
    """
    carried = checkpoint.classes if checkpoint else ()
    if carried and model.classes and carried != model.classes:
        raise ModelError(
            f"{model.checkpoint}: was trained on the classes {list(carried)}, but model.classes "
            f"is {list(model.classes)}; leave the key out, or put it in that order."
        )
    classes = model.classes or carried
    if not classes:
        raise ModelError(
            f"{path}: model.classes is missing, and the model does not carry the names of its "
            "classes; list them in the order of its outputs."
        )
    return classes


def assembled(
    module: nn.Module,
    classes: tuple[str, ...],
    model: ModelConfig,
    default: Preprocess,
    origin: Mapping[str, Any],
    path: Path,
) -> Classifier:
    """The classifier, `default` being the preprocessing where the configuration is silent.

    Raises what `Classifier` raises, with the configuration's path before it.
    """
    try:
        return Classifier(
            module=module,
            classes=classes,
            preprocess=model.preprocess.over(default),
            layer=model.layer,
            threshold=model.threshold,
            origin=origin,
        )
    except (ConfigurationError, ModelError) as error:
        raise type(error)(f"{path}: {error}") from None


def origin_of(model: ModelConfig, **given: Any) -> dict[str, Any]:
    """What is `given` and not empty, with the name of the weights and the checkpoint's SHA-256."""
    origin = {key: value for key, value in given.items() if value}
    if model.checkpoint is not None:
        origin["checkpoint"] = model.checkpoint.name
        origin["checkpoint_sha256"] = file_sha256(model.checkpoint)
    if model.weights is not None:
        origin["weights"] = model.weights
    return origin
