"""The device that a person asks for by name."""

from __future__ import annotations

import torch

from auditor.errors import AuditorError


def find_device(name: str) -> torch.device:
    """The device of `--device`; "auto" is CUDA where there is one, else the CPU.

    Raises `AuditorError` for one that cannot be used.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta", say, holds no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise AuditorError(
            f"--device {name!r} cannot be used here ({reason}); give cpu, cuda or cuda:1."
        ) from None
    return device
