"""A run beside the baseline that it is held against, case by case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.errors import RunError
from auditor.findings import Comparison, compare
from auditor.groups import clusters_of
from auditor.store import Run


@dataclass(frozen=True)
class Pairing:
    """What changed from the baseline (A) to the run (B), and which cases belong together."""

    comparison: Comparison
    clusters: NDArray[np.intp] | None
    """[cases] in the order of `comparison.cases`; None where no two belong together."""


def pair(baseline: Run, run: Run) -> Pairing:
    """Pair a run with its baseline.

    Raises `RunError` where both are the same run, and unless both are over the same dataset: the
    same fingerprint, ids, labels and shared attributes. The message says what differs. Stricter
    than `compare`, which only notes another fingerprint: new failures on images that were changed
    say nothing about the model.
    """
    if run.path.resolve() == baseline.path.resolve() or run.key == baseline.key:
        raise RunError(
            f"{baseline.path}: is the run that is checked, so nothing could be new; give another "
            "run as --baseline."
        )
    comparison = compare(baseline, run)
    ours, theirs = (held.info["identity"].get("dataset") for held in (run, baseline))
    if ours != theirs:
        raise RunError(
            f"{baseline.path}: is over another dataset than {run.path}. Ids, labels and shared "
            f"attributes are the same, but the fingerprints differ ({str(theirs)[:12]} and "
            f"{str(ours)[:12]}): image files, region files or other columns were changed in "
            "between. Audit the baseline's model again over the present dataset."
        )
    clustered = next((held for held in (run, baseline) if held.info["clustered"]), None)
    if clustered is None:
        return Pairing(comparison, None)
    named = clustered.read_cases(["id", "cluster"]).set_index("id")
    return Pairing(comparison, clusters_of(named.loc[comparison.cases["id"]].reset_index()))
