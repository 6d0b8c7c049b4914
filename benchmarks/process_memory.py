"""Memory of the running process, in KB, as the kernel counts it."""

from __future__ import annotations

import resource
from pathlib import Path


def resident() -> float:
    """What is in memory now."""
    return _status("VmRSS")


def high_water() -> float:
    """The most that was, since the process began or the mark was reset."""
    try:
        return _status("VmHWM")
    except KeyError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(dict(line.split(":", 1) for line in lines)[key].split()[0])
