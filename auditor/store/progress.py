"""How far an audit is, in a file of the run being written, for whoever looks from outside."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

PROGRESS = "progress.json"
PAUSE = 0.5
"""Seconds between two writes within a stage."""


class ProgressFile:
    """Writes `progress.json`: when a stage begins and ends, and at most twice a second between.

    It lies beside the shards, so it goes with them when the run is finished. That it cannot be
    written stops no audit, and what it says is never read by one.
    """

    def __init__(self, part: Path, stages: Sequence[str]) -> None:
        """`part` is the folder of the unfinished run, `stages` their names in order."""
        self._path = part / PROGRESS
        self._temporary = part / f"{PROGRESS}.tmp"
        self._stages = list(stages)
        self._started = _now()
        self._last: tuple[str, int, int] | None = None
        self._due = 0.0

    def update(self, stage: str, done: int, total: int) -> None:
        """Note that `done` of `total` cases of a stage are done; mostly does nothing."""
        now, current = time.monotonic(), (stage, done, total)
        begins = self._last is None or self._last[0] != stage
        ends = done >= total and current != self._last
        if not (begins or ends or now >= self._due):
            return
        self._last, self._due = current, now + PAUSE
        content = {
            "stage": stage,
            "done": done,
            "total": total,
            "started": self._started,
            "updated": _now(),
            "pid": os.getpid(),
            "stages": self._stages,
        }
        # Not synced to the disk: after a crash the shards count, not this.
        with suppress(OSError):
            self._temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
            self._temporary.replace(self._path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
