"""Hold every explanation method against the truth, as a detector of errors that a cue caused.

    python -m benchmarks.methods_truth            # twenty minutes of one core, or more
    python -m benchmarks.methods_truth --write    # and put the tables into docs/methods.md
    python -m benchmarks.methods_truth --kept     # the tables of what is kept, measuring nothing

Takes the small networks of `benchmarks.truth`'s reporting grid: all that are trained at 78/93,
three of each cue, and one of each cue at 50/50. Each is audited as there, with Grad-CAM; the
same errors are then explained by every method of `auditor.cam.METHODS`, at the same layer and
held against the same masks, and the gates are run with every method. Weights and tests are
shared with `benchmarks.truth` (build/truth); finished models are kept in build/methods_truth:
an interrupted command goes on where it was, and a model measured by other code is measured
anew. Prints the tables as Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

import auditor
from auditor.cli.progress import progress_bar
from auditor.errors import AuditorError
from auditor.thresholds import THRESHOLDS
from benchmarks.methods_truth import measuring
from benchmarks.methods_truth.measuring import Result, measured
from benchmarks.methods_truth.scoring import scored
from benchmarks.methods_truth.writing import markdown, written
from benchmarks.truth.grid import SEEDS, UNBIASED, Cell, full
from benchmarks.truth.running import source_sha256
from benchmarks.truth.training import Weights, scenes_sha256

ROOT = Path(__file__).resolve().parents[2]
TRUTH, OWN = ROOT / "build" / "truth", ROOT / "build" / "methods_truth"
DOC = ROOT / "docs" / "methods.md"
SKEW = "78/93"
MEASURING = ("cam", "changes", "evidence", "pipeline", "scenes", "findings/flags.py", "measures.py")
"""The parts of `auditor` that the numbers of a model come from."""


def chosen() -> list[Cell]:
    """The small networks at the paper's skew, and the first unbiased one of each cue."""
    small = [cell for cell in full(SEEDS["reporting"]) if cell.net.factory]
    first = {cell.cue: cell for cell in reversed(small) if cell.skew == UNBIASED}
    skewed = [cell for cell in small if cell.skew == SKEW]
    return [*skewed, *(first[cue] for cue in dict.fromkeys(cell.cue for cell in skewed))]


def plan_sha256() -> str:
    """Of what every model's numbers depend on besides the model."""
    package = Path(auditor.__file__).parent
    files = [Path(measuring.__file__)]
    for name in MEASURING:
        files += (package / name).rglob("*.py") if (package / name).is_dir() else [package / name]
    depends = [source_sha256(files), scenes_sha256(), THRESHOLDS.described()]
    return hashlib.sha256(json.dumps(depends).encode()).hexdigest()


def kept(file: Path, key: str | None) -> Result | None:
    """A finished model, if it was measured by this code, or by any where `key` is None."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if key in (None, found.get("key")) else None


def file_of(cell: Cell) -> Path:
    """Where a finished model is kept."""
    return OWN / "models" / f"{cell.name}.json"


def result_of(cell: Cell, plan: str, weights: Weights) -> Result:
    """A model as it was kept, or measured and kept."""
    key = hashlib.sha256(json.dumps([plan, asdict(cell), asdict(cell.net)]).encode()).hexdigest()
    file = file_of(cell)
    found = kept(file, key)
    if found is None:
        found = {"key": key} | measured(cell, weights, TRUTH / "tests", OWN / "runs")
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(found), encoding="utf-8")
        part.replace(file)
    return found


def results_of(cells: Sequence[Cell]) -> list[Result]:
    """Every model, those measured that are missing."""
    torch.set_num_threads(1)
    weights = Weights(TRUTH / "weights", ROOT.parent / "shared" / "data" / "weights")
    plan = plan_sha256()
    results: list[Result] = []
    with threadpool_limits(1), progress_bar("Methods on errors", "models") as progress:
        progress(0, len(cells))
        for cell in cells:
            results.append(result_of(cell, plan, weights))
            progress(len(results), len(cells))
    return results


def main() -> int:
    """Read the command line, measure what is missing, print, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.methods_truth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cells", nargs="+", metavar="PATTERN", help="names, with * and ?")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/methods.md")
    parser.add_argument(
        "--kept", action="store_true", help="what is kept, also of other code; measure nothing"
    )
    given = parser.parse_args()
    cells = chosen()
    if given.cells:
        cells = [c for c in cells if any(fnmatchcase(c.name, p) for p in given.cells)]
    if given.kept:
        results = [found for cell in cells if (found := kept(file_of(cell), None)) is not None]
    else:
        results = results_of(cells)
    if not any(result["skew"] == SKEW for result in results):
        print(f"There is no model at {SKEW} to tell of.", file=sys.stderr)
        return 2
    page = markdown(scored(results))
    print(page)
    if given.write:
        DOC.write_text(written(DOC.read_text(encoding="utf-8"), page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AuditorError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
