"""Choose the strength of the subject evidence: `python -m benchmarks.strength 1.8 1.9 2.0`.

Trains the study's arm without a cue on seeds that no result is reported from, and prints its
accuracy on a test without a cue. The strength that comes to .90 is frozen as
`auditor.scenes.STRENGTH`; nothing else of the scenes or the training was chosen so.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from auditor.cli.progress import progress_bar
from auditor.statistics import mean_interval
from auditor.study.plan import Plan
from auditor.study.running import CALIBRATION, run_study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("strengths", type=float, nargs="+")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("build/strength"))
    given = parser.parse_args()
    seeds = range(CALIBRATION, CALIBRATION + given.seeds)
    for strength in given.strengths:
        plan = Plan(strength=strength)
        with progress_bar(f"strength {strength}", "cells") as progress:
            cells = run_study(given.out / str(strength), plan, seeds, ["without"], None, progress)
        found = [1 - cell["errors"] / sum(cell["n"].values()) for cell in cells]
        interval = mean_interval(found)
        told = f", 95 % interval {interval[0]:.3f} to {interval[1]:.3f}" if interval else ""
        print(
            f"strength {strength}: accuracy without a cue {statistics.mean(found):.3f}{told} "
            f"(seeds {seeds[0]} to {seeds[-1]}: {' '.join(f'{a:.3f}' for a in found)})",
            flush=True,
        )


if __name__ == "__main__":
    main()
