"""What all sessions of one server share: its folder of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auditor.dashboard.library import Library


@dataclass(frozen=True)
class Shared:
    """What a server was started with."""

    library: Library
    focus: str | None
    """The run that is shown first; None for the newest."""
    configurations: Path
    """The folder whose configurations may be run."""
    address: str
    """That the server is bound to."""


_shared: list[Shared] = []


def share(shared: Shared) -> None:
    """Say what this process serves."""
    _shared[:] = [shared]


def shared() -> Shared | None:
    """What this process serves; None where `auditor dashboard` did not start it."""
    return _shared[0] if _shared else None
