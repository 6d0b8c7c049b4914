"""Locks between processes: advisory, given back by the system however their holder ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]

PATIENCE = 0.2
"""Seconds: `held` has the lock shared for a moment, and nobody may lose a run over that."""


def take(path: Path, patience: float = PATIENCE) -> IO[str] | None:
    """The opened file of a lock, held until the file is closed; None where another holds it.

    `patience` is how long to wait for the other, in seconds. On Windows everybody gets it.
    """
    file = path.open("a+")
    deadline = time.monotonic() + patience
    while fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                file.close()
                return None
            time.sleep(0.01)
        except BaseException:
            file.close()
            raise
        else:
            break
    return file


def held(path: Path) -> bool:
    """Whether a process holds the lock, without taking it from anybody.

    False without the file, where it cannot be opened, and always on Windows.
    """
    try:
        with path.open("rb") as file:
            if fcntl is not None:
                # Shared, so that two who ask do not take each other for the holder.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
