"""Running a study: cells on several cores, each kept as soon as it is done."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.pool import IMapIterator
from pathlib import Path
from typing import Any

from auditor.errors import AuditorError, RunError
from auditor.files import whole, writable
from auditor.pipeline.workers import quietly
from auditor.study.arms import ARMS
from auditor.study.cells import Pool, run_cell
from auditor.study.plan import Plan

Progress = Callable[[int, int], None]

REPORTING = 0
"""First of the seeds whose results are reported."""
CALIBRATION = 900
"""First of the seeds that the strength of the evidence was chosen on."""


def run_study(
    out: Path,
    plan: Plan,
    seeds: Sequence[int],
    arms: Sequence[str],
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Run every cell of `seeds` × `arms` that the folder `out` does not hold yet.

    Returns all of them, by arm and seed (`cells.run_cell` documents one). An interrupted
    study goes on from its finished cells; a folder with a study of another plan, or with
    anything else, is refused (`RunError`). `jobs` processes work at a time, by default one a
    core; a script that calls this needs `if __name__ == "__main__"`.
    """
    _check(seeds, arms)
    _open(out, plan)
    waiting = [
        (seed, [arm for arm in arms if not _file(out, arm, seed).exists()]) for seed in seeds
    ]
    waiting = [(seed, left) for seed, left in waiting if left]
    if waiting:
        _check_cells(out)
    total = len(seeds) * len(arms)
    told = -1

    def tell() -> None:
        nonlocal told
        done = sum(_file(out, arm, seed).exists() for seed in seeds for arm in arms)
        if progress and done != told:
            progress(done, total)
        told = done

    tell()
    tasks = [(out, plan, seed, left) for seed, left in waiting]
    jobs = min(jobs or os.cpu_count() or 1, len(tasks))
    if jobs == 1:
        for task in tasks:
            for _ in _cells(*task):
                tell()
    elif jobs:
        # Fresh processes: a forked one would inherit torch's threads in any state.
        with multiprocessing.get_context("spawn").Pool(jobs, quietly) as pool:
            results = pool.imap_unordered(_all_cells, tasks)
            while _pending(results):
                tell()
        tell()
    return [_read(_file(out, arm, seed), plan) for arm in arms for seed in seeds]


def _check(seeds: Sequence[int], arms: Sequence[str]) -> None:
    for arm in arms:
        if arm not in ARMS:
            raise AuditorError(f"there is no arm {arm!r}; choose from {', '.join(ARMS)}.")
    if not seeds:
        raise AuditorError("no seeds are given; a study needs at least one.")


def _open(out: Path, plan: Plan) -> None:
    """Make the folder, or make sure that it holds a study of this very plan.

    Without its plan it holds nothing, so that one which could not be made is no study of another.
    """
    described = out / "plan.json"
    if described.exists():
        try:
            found = json.loads(described.read_text(encoding="utf-8"))
        except ValueError:
            raise RunError(f"{described}: is damaged; give another --out.") from None
        wanted = asdict(plan)
        differing = sorted(k for k in wanted if found.get(k) != wanted[k])
        if differing:
            told = ", ".join(f"{k} {found.get(k)} there, {wanted[k]} here" for k in differing)
            raise RunError(f"{out}: holds a study of another plan ({told}); give another --out.")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out}: exists and holds no study; give another --out.")
    _write(described, asdict(plan))


def _check_cells(out: Path) -> None:
    """Find out whether cells can be kept now, not after the first network is trained."""
    cells = out / "cells"
    with writable(out):
        cells.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(prefix=".", dir=cells):
            pass


def _file(out: Path, arm: str, seed: int) -> Path:
    return out / "cells" / f"{arm.replace('/', '-')}.{seed}.json"


def _write(path: Path, content: Any) -> None:
    with whole(path) as part:
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _read(path: Path, plan: Plan) -> dict[str, Any]:
    try:
        cell = dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        cell = {}
    if cell.get("plan_sha256") != plan.sha256():
        raise RunError(f"{path}: is damaged or of another plan; remove it and run again.")
    return cell


def _cells(out: Path, plan: Plan, seed: int, arms: Sequence[str]) -> Any:
    """Run and keep the cells of one seed, whose arms share their scenes."""
    pool = Pool(plan)
    for arm in arms:
        cell = run_cell(ARMS[arm], seed, plan, pool)
        _write(_file(out, arm, seed), cell)
        yield cell


def _all_cells(task: tuple[Path, Plan, int, Sequence[str]]) -> None:
    for _ in _cells(*task):
        pass


def _pending(results: IMapIterator[None]) -> bool:
    """Wait a second for the next result; whether there may be more."""
    try:
        results.next(timeout=1)
    except multiprocessing.TimeoutError:
        return True
    except StopIteration:
        return False
    return True
