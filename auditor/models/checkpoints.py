"""Reading and writing checkpoints without ever unpickling code.

Auditor's own checkpoint is a dict that `torch.load(weights_only=True)` reads:
`auditor_checkpoint` (format version, 1), `architecture`, `classes`, `preprocess` (the
fields of `Preprocess`), `options` (attributes set on the model, such as Inception's
`transform_input`), `training` (provenance, strings and numbers) and `state_dict`.
"""

from __future__ import annotations

import dataclasses
import pickle
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from auditor.errors import ModelError
from auditor.files import whole
from auditor.geometry import Preprocess
from auditor.models.extras import extra

VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds; a plain state dict fills only `state`."""

    state: Mapping[str, Tensor]
    architecture: str | None = None
    classes: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a state dict, alone or wrapped as `state_dict` or `model`, or Auditor's own.

    A file whose name ends in `.safetensors` is read as such. Raises `ModelError`, also for
    anything that would have to be unpickled.
    """
    content = _load(path)
    if isinstance(content, Mapping) and "auditor_checkpoint" in content:
        return _own(path, content)
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(
            f"{path}: holds {_kind(content)}, not a state dict; save model.state_dict()."
        )
    foreign = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if foreign:
        raise ModelError(
            f"{path}: is no state dict, since {foreign[0]!r} is {_kind(content[foreign[0]])}; "
            "save model.state_dict(), alone or under the key 'state_dict'."
        )
    return Checkpoint(dict(content))


def unwrapped(state: Mapping[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    """A state dict without the prefix that a wrapper put before every key.

    `module.` comes from DataParallel, `_orig_mod.` from torch.compile, `model.` from
    Lightning. A prefix that `expected` keys have too is the model's own, and stays.
    """
    for prefix in ("module.", "_orig_mod.", "model."):
        own = any(key.startswith(prefix) for key in expected)
        if not own and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write Auditor's own checkpoint; an existing file is refused (`ModelError`).

    So is a place that cannot be written (`AuditorError`).
    """
    if path.exists():
        raise ModelError(f"{path}: exists; choose another path or remove it.")
    if checkpoint.preprocess is None:
        raise ValueError("a checkpoint carries the preprocessing that it was trained with")
    content = {
        "auditor_checkpoint": VERSION,
        "architecture": checkpoint.architecture,
        "classes": list(checkpoint.classes),
        "preprocess": dataclasses.asdict(checkpoint.preprocess),
        "options": dict(checkpoint.options),
        "training": dict(checkpoint.training),
        "state_dict": dict(checkpoint.state),
    }
    # An open file, whose errors, a full disk's say, are OSErrors.
    with whole(path) as part, part.open("wb") as file:
        torch.save(content, file)


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    if _is_torchscript(path):
        raise ModelError(
            f"{path}: is a TorchScript program, not a checkpoint, and reading it would run its "
            "code. Save model.state_dict() with torch.save."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; correct model.checkpoint.") from None
    except pickle.UnpicklingError:
        # weights_only refuses everything but tensors and plain containers.
        raise ModelError(
            f"{path}: is refused, because it holds pickled Python objects (a whole module, "
            "say) and reading those would run code from the file, or it is no checkpoint at "
            "all. Where the model is defined, save only its weights: "
            "torch.save(model.state_dict(), path)."
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged file raises almost anything
        told = isinstance(error, OSError | RuntimeError | EOFError) and str(error)
        reason = told.splitlines()[0] if told else type(error).__name__
        raise ModelError(
            f"{path}: cannot be read as a checkpoint ({reason}); it may be damaged or of "
            "another program. Save model.state_dict() with torch.save."
        ) from None


def _load_safetensors(path: Path) -> Any:
    # Both extras bring it; the format itself can hold nothing but tensors.
    reader = extra("safetensors.torch", "timm")
    try:
        return reader.load_file(path)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; correct model.checkpoint.") from None
    except Exception as error:  # noqa: BLE001 - its own exception type is no public name
        raise ModelError(
            f"{path}: cannot be read as safetensors ({error}); it may be damaged. Save "
            "model.state_dict() with safetensors.torch.save_file."
        ) from None


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False  # what it is instead, `torch.load` will say


def _own(path: Path, content: Mapping[str, Any]) -> Checkpoint:
    version = content["auditor_checkpoint"]
    if version != VERSION:
        raise ModelError(
            f"{path}: is an Auditor checkpoint of version {version!r}; this Auditor reads "
            f"version {VERSION}. Update Auditor, or train the checkpoint again."
        )
    try:
        preprocess = Preprocess.read(content["preprocess"])
        state = dict(content["state_dict"])
        if not all(isinstance(value, Tensor) for value in state.values()):
            raise TypeError("its state_dict holds more than tensors")
        return Checkpoint(
            state=state,
            architecture=content["architecture"],
            classes=tuple(content["classes"]),
            preprocess=preprocess,
            options=dict(content["options"]),
            training=dict(content["training"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: is a damaged Auditor checkpoint ({type(error).__name__}: {error}); "
            "train it again."
        ) from None


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"
