"""Lets torchvision be imported beside a CPU-only torch.

torchvision's wheels on PyPI are compiled against a CUDA build of torch. Beside a CPU-only
torch their library of compiled operators cannot be loaded, and `import torchvision` then
fails, because it describes the shapes of operators that nobody has declared ("operator
torchvision::nms does not exist", and in later releases `qnms`). Classification needs none
of these operators: they serve detection. So, before torchvision is first imported, this
module declares the missing names without an implementation; calling one still raises.
Where the compiled library loads, nothing is declared.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from functools import cache
from types import ModuleType

import torch

from auditor.errors import ModelError

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def torchvision() -> ModuleType:
    """The torchvision package, imported so that it works beside any build of torch.

    Every import of torchvision in Auditor comes through here. Raises `ModelError` if it is
    not installed.
    """
    if "torchvision" not in sys.modules:
        declare_missing()
    try:
        import torchvision  # noqa: PLC0415 - only now can it be imported
    except ImportError as error:
        raise ModelError(
            f"torchvision cannot be imported ({error}); install torchvision."
        ) from None
    found: ModuleType = torchvision
    return found


@cache
def declare_missing() -> torch.library.Library | None:
    """Declare the operators that torchvision's compiled library would bring.

    Returns what holds the declarations alive, or None where that library loads.
    """
    spec = importlib.util.find_spec("torchvision")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    loader = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)
    for folder in folders:
        compiled = importlib.machinery.FileFinder(folder, loader).find_spec("_C")
        if compiled is not None and compiled.origin is not None:
            try:
                torch.ops.load_library(compiled.origin)  # type: ignore[no-untyped-call]
            except (ImportError, OSError):
                continue
            return None
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    return library
