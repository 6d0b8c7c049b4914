"""The command line of the benchmark; what it does is told by the package."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from auditor.cli.progress import progress_bar
from auditor.errors import AuditorError
from benchmarks import discovery_truth
from benchmarks.discovery_truth.measuring import measured
from benchmarks.discovery_truth.models import CONDITIONS, Model, models
from benchmarks.discovery_truth.tables import markdown, written
from benchmarks.truth.grid import SEEDS

ROOT = Path(__file__).resolve().parents[2]
SHARED, OWN = ROOT / "build" / "truth", ROOT / "build" / "discovery_truth"
DOC = ROOT / "docs" / "discovery.md"


def results_of(chosen: Sequence[Model]) -> list[dict[str, object]]:
    """A row a model and kind of clustering."""
    torch.set_num_threads(1)
    rows = []
    with threadpool_limits(1), progress_bar("Discovery", "models") as progress:
        for done, model in enumerate(chosen):
            progress(done, len(chosen))
            rows += measured(model, SHARED, OWN)
        progress(len(chosen), len(chosen))
    return rows


def main() -> int:
    """Read the command line, measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.discovery_truth",
        description=discovery_truth.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    every = tuple(CONDITIONS)
    parser.add_argument("--seeds", choices=tuple(SEEDS), default="reporting")
    parser.add_argument("--conditions", nargs="+", choices=every, default=every)
    parser.add_argument("--kept", action="store_true", help="measure nothing anew")
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    given = parser.parse_args()
    if given.write and (given.seeds != "reporting" or tuple(given.conditions) != every):
        parser.error("--write takes all models on reporting seeds")
    file = OWN / f"{given.seeds}.json"
    if given.kept:
        rows = json.loads(file.read_text(encoding="utf-8"))
    else:
        chosen = [one for name in given.conditions for one in models(SEEDS[given.seeds], name)]
        rows = results_of(chosen)
        file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    tables = markdown(pd.DataFrame(rows))
    print(tables)
    if given.write:
        DOC.write_text(written(DOC.read_text(encoding="utf-8"), tables, DOC), encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AuditorError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
