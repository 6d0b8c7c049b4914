"""Lets torchvision be imported beside a CPU-only torch.

torchvision's wheels on PyPI are compiled against a CUDA build of torch. Beside a CPU-only
torch their library of compiled operators cannot be loaded, and `import torchvision` then
fails, because it describes the shapes of operators that nobody has declared ("operator
torchvision::nms does not exist", and in later releases `qnms`). Classification needs none
of these operators: they serve detection. So where the import fails in that way, this module
declares the missing names without an implementation (calling one still raises) and imports
again. Where the compiled library loads, nothing is declared: declaring beside it would end
the process.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType

import torch

from auditor.errors import ModelError

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_SYMPTOM = "operator torchvision::"


@cache
def torchvision() -> ModuleType:
    """The torchvision package, imported so that it works beside any build of torch.

    Every import of torchvision in Auditor comes through here. Raises `ModelError` if it is
    not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except ImportError as error:
        raise ModelError(
            f"torchvision cannot be imported ({error}); install torchvision."
        ) from None
    except RuntimeError as error:
        # Tried first, and not decided by looking for the library: its file was called `_C`
        # up to 0.29.0 and `_C_stable` since.
        if _SYMPTOM not in str(error):
            raise
    declare_operators()
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # what the failed import has left behind
    return importlib.import_module("torchvision")


@cache
def declare_operators() -> torch.library.Library:
    """Declare the operators that torchvision's compiled library would bring.

    Returns what holds the declarations alive; the cache keeps it.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    return library
