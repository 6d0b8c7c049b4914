"""Reading programs that `torch.export.save` wrote (.pt2).

An exported program is a program: it decides what is computed. What it cannot do here is
bring Python objects or compiled libraries along, which `torch.export.load` would unpickle
or run. Still, audit only files from people you would run code from.
"""

from __future__ import annotations

import logging
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from auditor.errors import ModelError

_CODE = ("custom_obj", "opaque_obj")
_COMPILED = "data/aotinductor/"
_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def read_export(path: Path) -> nn.Module:
    """The program as a module whose sub-modules can be hooked.

    Raises `ModelError` for anything else, and for a program that brings code along.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file; correct model.file.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise _unreadable(path, str(error)) from None
    if any("/code/" in name for name in names):
        raise _unreadable(path, "it is TorchScript")
    if not any(name.rpartition("/")[2] == "archive_format" for name in names):
        # Older layouts keep pickles elsewhere, where nobody looks for code.
        raise _unreadable(path, "a torch older than 2.8 wrote it, or it is no such program")
    brought = [n for n in names if n.rpartition("/")[2].startswith(_CODE) or _COMPILED in n]
    if brought:
        raise ModelError(
            f"{path}: is refused, because {brought[0]} in it is code that reading would run. "
            "Export the model with plain tensors only."
        )
    try:
        with _quietly():
            module: nn.Module = torch.export.unflatten(torch.export.load(path))
    except Exception as error:  # noqa: BLE001 - any failure in a file from outside is the same
        raise _unreadable(path, str(error).strip() or type(error).__name__) from None
    return module


def _unreadable(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"{path}: cannot be read as a torch.export program ({reason.splitlines()[0]}). Save it "
        "with torch.export.save (.pt2). TorchScript is not supported: its modules have no "
        "hooks, so no map can be made."
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Let `torch.export.load` unpickle tensors only, and log no traceback of its own."""
    before = os.environ.get(_WEIGHTS_ONLY)
    os.environ[_WEIGHTS_ONLY] = "1"
    logger = logging.getLogger("torch.export")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
        if before is None:
            del os.environ[_WEIGHTS_ONLY]
        else:
            os.environ[_WEIGHTS_ONLY] = before
