"""Processes by more than their number, which the system gives to another one day.

For POSIX systems; elsewhere no process is ever found.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def birth(pid: int) -> str | None:
    """When a process began, in the system's own words; null where none runs under that number.

    A number and a birth belong to one process alone, so a pair that was kept is good for ever.
    One that has ended and waits to be noticed runs no more.
    """
    if pid <= 1 or os.name != "posix":  # 0 and -1 would mean whole groups of processes
        return None
    if _BOOT.exists():
        return _birth_of_linux(pid)
    told = subprocess.run(  # noqa: S603 - a list with a number
        ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)],  # noqa: S607
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C", "TZ": "UTC"},
    ).stdout.split(maxsplit=1)
    return None if len(told) < 2 or told[0].startswith("Z") else told[1].strip()


def _birth_of_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The name, in parentheses, may hold anything; the 20th word after it is the start in
        # ticks since the machine was.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{_BOOT.read_text().strip()} {fields[19]}"
    except (OSError, IndexError):
        return None


def interrupt(pid: int, born: str) -> bool:
    """Send SIGINT to the process that was born then; False where it is gone.

    Raises PermissionError where it is another user's.
    """
    handle = _handle(pid)
    try:
        if birth(pid) != born:
            return False
        if handle is None:
            os.kill(pid, signal.SIGINT)
        else:
            # Opened before the birth was compared, so it cannot be a successor that is hit.
            signal.pidfd_send_signal(handle, signal.SIGINT)
    except ProcessLookupError:
        return False
    finally:
        if handle is not None:
            os.close(handle)
    return True


def _handle(pid: int) -> int | None:
    """A descriptor that stands for the process; null where the system has none such."""
    if pid <= 1 or not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
