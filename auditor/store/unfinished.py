"""A run that is being written, or whose writing was interrupted, seen from outside.

Looking changes nothing: an audit that goes on meanwhile does not notice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from auditor.store.lock import held
from auditor.store.progress import PROGRESS
from auditor.store.run import PART, SCHEMA_VERSION

EFFORT: Mapping[str, float] = {
    "maps": 8,
    "checks": 2,
    "changes": 8,
    "judging": 2,
    "agreement": 4,
    "faithfulness": 4,
}
"""What a stage takes of an audit, roughly, any other being 1. How it is in truth depends on the
model and on how many cases are suspects; a bar that moves steadily needs no more."""


@dataclass(frozen=True)
class Unfinished:
    """The folder `<name>.part` of a run that is not finished.

    `stage`, `done`, `total`, `share`, `started`, `updated` and `pid` are those of the process
    that wrote last, and null where it came to no stage or left no readable `progress.json`.
    """

    out: Path
    """The name that the run will take."""
    state: Literal["running", "interrupted", "damaged"]
    """A process is writing it; none is, and the same command continues it; it cannot be
    continued."""
    reason: str | None
    """Why it is damaged, and the remedy; null otherwise."""
    shards: int
    """Shards written, which no interruption takes away."""
    cases: int | None
    """Cases of the whole audit; null where it is not known."""
    stages: tuple[str, ...] = ()
    """Names of all stages, in order."""
    stage: str | None = None
    done: int | None = None
    """Cases of this stage that are done."""
    total: int | None = None
    share: float | None = None
    """Of the whole audit, 0 to 1, as a rough guess (`EFFORT`)."""
    started: datetime | None = None
    """When that process began to write; with a time zone, like `updated`."""
    updated: datetime | None = None
    pid: int | None = None

    @property
    def alive(self) -> bool:
        """Whether a process holds the run's lock. Never true on Windows, which has no such."""
        return self.state == "running"


def unfinished_run(out: str | Path) -> Unfinished | None:
    """The unfinished run that will be called `out`; None where there is none.

    None too where `out` is there already: what then lies beside it is a remainder.
    """
    out = Path(out)
    part = out.with_name(out.name + PART)
    if out.exists() or not part.is_dir():
        return None
    alive = held(part / "lock")
    shards, reason = _shards(part / "shards")
    identity, wrong = _identity(part / "identity.json", shards)
    reason = reason or wrong
    cases = _count(identity.get("cases"))
    told = _progress(part / PROGRESS)
    return Unfinished(
        out,
        "running" if alive else "damaged" if reason else "interrupted",
        None if alive or not reason else reason,
        shards,
        cases,
        **told,
    )


def unfinished_runs(folder: str | Path) -> list[Unfinished]:
    """The unfinished runs of a folder, by name; empty without the folder. Links are left out."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    parts = sorted(folder.glob(f"?*{PART}"))
    outs = [part.with_name(part.name.removesuffix(PART)) for part in parts if not part.is_symlink()]
    return [run for out in outs if (run := unfinished_run(out)) is not None]


def _shards(folder: Path) -> tuple[int, str | None]:
    """How many are whole, and what is wrong with them."""
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        return 0, f"{folder}: cannot be read ({error.strerror}); {_REMEDY}"
    tables = sorted(name for name in names if name.endswith(".parquet"))
    for table in tables:  # a table takes its name after its arrays
        arrays = table.removesuffix(".parquet") + ".npz"
        if arrays not in names:
            return len(tables), f"{folder / arrays}: is missing; {_REMEDY}"
    return len(tables), None


def _identity(file: Path, shards: int) -> tuple[Mapping[str, Any], str | None]:
    """What the run was begun with, and why it cannot be continued."""
    if not file.exists():
        # An audit that ended before it wrote the first thing has nothing to lose.
        return {}, f"{file}: is missing; {_REMEDY}" if shards else None
    try:
        identity = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {}, f"{file}: cannot be read ({error}); {_REMEDY}"
    if not isinstance(identity, dict):
        return {}, f"{file}: is not what an audit writes; {_REMEDY}"
    version = identity.get("schema_version")
    if version != SCHEMA_VERSION:
        return identity, (
            f"{file}: was begun with schema version {version!r}, and this Auditor writes version "
            f"{SCHEMA_VERSION}; continue it with the Auditor that began it, or {_AGAIN}"
        )
    return identity, None


_AGAIN = "start over: call `auditor audit` with --fresh."
_REMEDY = f"the run cannot be continued, so {_AGAIN}"


def _progress(file: Path) -> dict[str, Any]:
    """What `progress.json` tells of a run, by field; nothing where it is not whole."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        whole: dict[str, Any] = {
            "stage": str(told["stage"]),
            "done": int(told["done"]),
            "total": int(told["total"]),
            "started": _time(told["started"]),
            "updated": _time(told["updated"]),
            "pid": int(told["pid"]),
            "stages": tuple(map(str, told["stages"])),
        }
        whole["share"] = _share(whole["stages"], whole["stage"], whole["done"], whole["total"])
    except (OSError, ValueError, OverflowError, KeyError, TypeError):
        return {}
    return whole


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("no time zone")
    return time


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _share(stages: Sequence[str], stage: str, done: int, total: int) -> float | None:
    if stage not in stages:
        return None
    effort = [EFFORT.get(name, 1) for name in stages]
    place = stages.index(stage)
    within = min(max(done / total, 0.0), 1.0) if total > 0 else 1.0
    return float(sum(effort[:place]) + effort[place] * within) / sum(effort)
