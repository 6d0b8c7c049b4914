"""The folder of runs that a dashboard shows, and the runs that are open."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

from auditor.dashboard.memory import settle
from auditor.dashboard.opened import Opened
from auditor.errors import AuditorError, RunError
from auditor.store import Run, open_run
from auditor.store.run import PART

State = Literal["finished", "unfinished", "damaged"]
KEPT = 2
"""Runs that stay open at a time, as many as are compared. A run of a million cases takes some
130 MB, and 200 MB more once its dataset was opened for outlines and changed images."""


@dataclass(frozen=True)
class Entry:
    """One run of the folder, told from its `run.json` alone."""

    name: str
    path: Path
    state: State
    changed: float
    """When it was written, in seconds since 1970."""
    problem: str | None = None
    """Why it cannot be opened."""
    cases: int | None = None
    errors: int | None = None
    level: int | None = None
    """Of the verdict, 0 to 4."""


class Library:
    """The runs of one folder. Nothing outside of it is ever opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._lock = Lock()

    def entries(self) -> list[Entry]:
        """Finished, unfinished and damaged runs, the newest first; empty without a folder."""
        if not self.folder.is_dir():
            return []
        found = []
        for path in sorted(self.folder.iterdir()):
            # One that is renamed or removed meanwhile is gone, and one of others is none of ours.
            with suppress(OSError):
                found += _entries(path)
        return sorted(found, key=lambda entry: -entry.changed)

    def warm(self, name: str | None) -> None:
        """Open a run, or None for the newest one, before a browser asks for it."""
        newest = next((e.name for e in self.entries() if e.state == "finished"), None)
        with suppress(AuditorError):
            if wanted := name or newest:
                self.open(wanted)

    def open(self, name: str) -> Opened:
        """A finished run by its name in the folder. Raises `RunError` for any other."""
        if not name or name != Path(name).name or name in (".", ".."):
            raise RunError(f"{name!r} is no name of a run in {self.folder}.")
        path = self.folder / name
        try:
            if path.is_symlink():
                raise RunError(f"{path}: is a link; only runs in the folder itself are shown.")
            run = _checked(path)
        except OSError as error:
            raise RunError(f"{path}: cannot be read ({error.strerror}).") from None
        with self._lock:
            known = self._open.get(name)
            if known is None or known.run.key != run.key:
                self._open.pop(name, None)
                known = self._open[name] = Opened.of(run)
                while len(self._open) > KEPT:
                    self._open.popitem(last=False)
                settle()
            self._open.move_to_end(name)
            return known


def _checked(path: Path) -> Run:
    """A finished run whose `run.json` has what pages read of it. Raises `RunError` otherwise."""
    run = open_run(path)
    try:
        for name, inside in _READ.items():
            found = run.info[name]
            _ = [found[key] for key in inside]
    except (KeyError, TypeError):
        told = f"{path / 'run.json'}: lacks what a run has; run the audit again."
        raise RunError(told) from None
    return run


_READ: Mapping[str, Sequence[str]] = {
    "counts": ("cases", "judged", "errors", "tested", "excluded", "evidence"),
    "verdict": ("level", "grade", "text"),
    "attributes": (),
    "clustered": (),
    "regions": ("names", "cues", "rest"),
    "layer": ("grid",),
    "thresholds": ("alpha", "controls"),
    "model": ("classes", "preprocess"),
    "image_root": (),
    "configuration": (),
    "configuration_path": (),
    "anchoring": (),
    "identity": (),
    "provenance": (),
    "method": (),
    "seed": (),
    "cue_sets": (),
    "evidence": (),
}
"""The keys of `run.json` that the dashboard and its reports rely on."""


def _entries(path: Path) -> list[Entry]:
    """The run at a path, or none."""
    if not path.is_dir() or path.is_symlink() or path.name == PART:
        return []
    if path.name.endswith(PART):
        name = path.name.removesuffix(PART)
        if path.with_name(name).exists():
            return []
        return [Entry(name, path, "unfinished", path.stat().st_mtime)]
    there = any((path / file).exists() for file in ("run.json", "cases.parquet"))
    return [_entry(path)] if there else []


def _entry(path: Path) -> Entry:
    changed = path.stat().st_mtime
    try:
        info = _checked(path).info
        counts = info["counts"]
        return Entry(
            path.name,
            path,
            "finished",
            changed,
            None,
            int(counts["cases"]),
            int(counts["errors"]),
            int(info["verdict"]["level"]),
        )
    except RunError as error:
        return Entry(path.name, path, "damaged", changed, str(error))
    except (KeyError, TypeError, ValueError, json.JSONDecodeError):
        told = f"{path / 'run.json'}: lacks what a run has; run the audit again."
        return Entry(path.name, path, "damaged", changed, told)
