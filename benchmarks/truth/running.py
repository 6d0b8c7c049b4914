"""The cells of a grid in several processes, each kept as soon as it is measured."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

import auditor
from auditor.errors import RunError
from auditor.pipeline.workers import quietly
from auditor.thresholds import THRESHOLDS
from benchmarks.truth.grid import Cell
from benchmarks.truth.measuring import Bench, Result
from benchmarks.truth.testing import PER_GROUP
from benchmarks.truth.training import scenes_sha256

_MEASURING = ("cases", "measuring", "testing", "truth", "variants")
"""The modules that a cell's numbers come from; the others only put cells together."""


@dataclass(frozen=True)
class Task:
    """A cell to measure, and with which variants of its masks."""

    cell: Cell
    variants: tuple[str, ...] = ()


def plan_of() -> dict[str, Any]:
    """What the numbers of every cell depend on besides the cell, JSON-ready."""
    return {
        "per_group": PER_GROUP,
        "scenes_sha256": scenes_sha256(),
        "thresholds": THRESHOLDS.described(),
        "auditor_sha256": source_sha256(Path(auditor.__file__).parent.rglob("*.py")),
        "benchmark_sha256": source_sha256(Path(__file__).with_name(f"{m}.py") for m in _MEASURING),
    }


def source_sha256(files: Iterable[Path]) -> str:
    """Of the contents of files, in the order of their paths."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def sha256_of(plan: dict[str, Any], task: Task) -> str:
    """What a kept cell has to agree in."""
    depends = [plan, asdict(task.cell), asdict(task.cell.net), task.variants]
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


def run(
    bench: Bench,
    tasks: Sequence[Task],
    out: Path,
    *,
    jobs: int,
    fresh: bool,
    progress: Callable[[int, int], None],
) -> list[Result]:
    """Measure the cells that `out` does not hold yet; returns all, in order.

    A cell of another plan is refused (`RunError`), unless `fresh`, which measures it anew.
    """
    plan = plan_of()
    out.mkdir(parents=True, exist_ok=True)
    keys = {task.cell.name: sha256_of(plan, task) for task in tasks}
    waiting = [task for task in tasks if not _kept(out, task, keys[task.cell.name], fresh)]
    done = len(tasks) - len(waiting)
    progress(done, len(tasks))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=quietly) as pool:
        futures = {pool.submit(_measured, bench, task): task for task in waiting}
        pending = set(futures)
        try:
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = futures[future].cell.name
                    _write(out, name, {"plan_sha256": keys[name], **future.result()})
                    done += 1
                    progress(done, len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [json.loads(_file(out, task.cell.name).read_text(encoding="utf-8")) for task in tasks]


def _measured(bench: Bench, task: Task) -> Result:
    start, computed = time.monotonic(), time.process_time()
    with threadpool_limits(1):
        result = bench.measure(task.cell, task.variants)
    return result | {
        "wall_seconds": round(time.monotonic() - start, 1),
        "cpu_seconds": round(time.process_time() - computed, 1),
    }


def _kept(out: Path, task: Task, key: str, fresh: bool) -> bool:
    """Whether the cell is there. Raises `RunError` for one of another plan, unless `fresh`."""
    file = _file(out, task.cell.name)
    if not file.exists():
        return False
    try:
        same = bool(json.loads(file.read_text(encoding="utf-8"))["plan_sha256"] == key)
    except (ValueError, KeyError):
        same = False
    if not same and not fresh:
        raise RunError(
            f"{file}: is damaged, or was measured by other code or thresholds; give --fresh to "
            "measure such cells anew, or another --out."
        )
    return same


def _file(out: Path, name: str) -> Path:
    return out / f"{name}.json"


def _write(out: Path, name: str, result: Result) -> None:
    part = out / f"{name}.json.part"
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(_file(out, name))
