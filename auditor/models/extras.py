"""Packages that only some models need."""

from __future__ import annotations

import importlib
from importlib import metadata
from types import ModuleType

from auditor.errors import ModelError
from auditor.models.operators import torchvision


def extra(package: str, name: str) -> ModuleType:
    """A package of the optional extra `name`, imported.

    Raises `ModelError` with the command that installs it.
    """
    torchvision()  # which these packages import without knowing about missing operators
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ModelError(
            f"{package.partition('.')[0]} cannot be imported ({error}); install it: "
            f"pip install 'auditor[{name}]'."
        ) from None


def version_of(distribution: str) -> str:
    """A distribution's name and version, as a run records them."""
    return f"{distribution} {metadata.version(distribution)}"


def reason(error: BaseException) -> str:
    """The first line that a library says about a failure, or the kind of the failure."""
    told = str(error).strip()
    return told.splitlines()[0].rstrip(".") if told else type(error).__name__
