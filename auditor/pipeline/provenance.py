"""What a run has to say about where it comes from."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import torch
from torch import nn

_PACKAGES = ("auditor", "numpy", "pandas", "pillow", "pyarrow", "scipy", "torch", "torchvision")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            found[name] = "not installed"
    return found


def hardware(device: torch.device) -> dict[str, Any]:
    """The device that the model ran on, and the machine around it."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": device.type,
        "name": name,
        "system": platform.system(),
        "torch_threads": torch.get_num_threads(),
    }


def weights_sha256(module: nn.Module) -> str:
    """SHA-256 over the names, shapes and bytes of a module's state, for weights in memory."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{tuple(values.shape)}{values.dtype}".encode())
        # A view as bytes: NumPy has no bfloat16.
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def provenance(device: torch.device, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Versions, hardware, time (UTC), command line and the hashes of the inputs."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv if sys.argv and sys.argv[0] else None,
        "versions": versions(),
        "hardware": hardware(device),
        "inputs": dict(inputs),
    }
