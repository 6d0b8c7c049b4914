"""Hold audits against the truth over a grid of generated scenes.

    python -m benchmarks.truth --quick                  # tuning seeds, a quarter of an hour
    python -m benchmarks.truth --seeds reporting        # the grid that docs/evidence.md reports
    python -m benchmarks.truth --cells 'head_78-93_*'   # some cells of the grid

Trains a network for every cell (cue × skew × seed × network), audits it on a balanced test,
and compares what the audit says of each error with what truly happens when the scene is drawn
again with only the cue changed. Weights, tests and finished cells are kept below build/truth:
an interrupted command goes on where it was. Prints the tables, and writes them to the folder
as `truth.md` and `truth.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from auditor.cli.progress import progress_bar
from auditor.errors import AuditorError
from benchmarks.truth.grid import SEEDS, Cell, full, quick
from benchmarks.truth.measuring import Bench
from benchmarks.truth.running import Task, plan_of, run
from benchmarks.truth.summary import summarised
from benchmarks.truth.training import Weights
from benchmarks.truth.variants import AS_DRAWN, VARIANTS
from benchmarks.truth.writing import markdown

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "truth"
WITH_MASKS = ("head", "tag", "absence", "inside")
"""Cues with masks of their own, which can be drawn otherwise."""


def main() -> int:
    """Read the command line, run what is missing, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a small grid")
    add("--seeds", choices=SEEDS, default="tuning")
    add("--cells", nargs="+", metavar="PATTERN", help="names of cells, with * and ?")
    add("--out", type=Path, help="default: build/truth/SEEDS, or SEEDS-quick")
    add("--jobs", type=int, default=2, help="processes of one thread each (default: 2)")
    add("--fresh", action="store_true", help="measure cells of other code or thresholds anew")
    add(
        "--weights",
        type=Path,
        default=ROOT.parent / "shared" / "data" / "weights",
        help="folder of ImageNet weights (default: ../shared/data/weights)",
    )
    given = parser.parse_args()
    seeds = SEEDS[given.seeds]
    cells = quick(seeds) if given.quick else full(seeds)
    if given.cells:
        cells = [c for c in cells if any(fnmatchcase(c.name, p) for p in given.cells)]
    weights = Weights(BUILD / "weights", given.weights)
    missing = [cell for cell in cells if not weights.available(cell)]
    if missing:
        print(f"Left out: {len(missing)} cells, since {weights.start(missing[0])} is not there.")
    tasks = [_task(cell) for cell in cells if cell not in missing]
    if not tasks:
        print("No cell is left to measure.", file=sys.stderr)
        return 2
    out = given.out or BUILD / (given.seeds + ("-quick" if given.quick else ""))
    bench = Bench(weights, BUILD / "tests", out / "runs")
    with progress_bar(f"Audits on {given.seeds} seeds", "cells") as progress:
        results = run(
            bench, tasks, out / "cells", jobs=given.jobs, fresh=given.fresh, progress=progress
        )
    head = (
        f"{len(tasks)} models on {given.seeds} seeds. Intervals are of 95 %, over models of "
        "different seeds. Errors only, unless said otherwise; a dash is what does not apply or "
        "could not be told."
    )
    summary = summarised(results)
    page = markdown(summary, head)
    print(page)
    (out / "truth.md").write_text(page, encoding="utf-8")
    plan = plan_of() | {"cells": [task.cell.name for task in tasks]}
    (out / "truth.json").write_text(
        json.dumps({"plan": plan, **summary}, indent=1) + "\n", encoding="utf-8"
    )
    print(f"Wrote {out / 'truth.md'} and {out / 'truth.json'}")
    return 0


def _task(cell: Cell) -> Task:
    """With other masks where the cue has its own and the training is the paper's."""
    varied = cell.cue in WITH_MASKS and cell.skew == "78/93" and cell.network == "plain"
    return Task(cell, tuple(name for name in VARIANTS if name != AS_DRAWN) if varied else ())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AuditorError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
