"""A run beside the baseline that it is held against, case by case."""

from __future__ import annotations

from auditor.errors import RunError
from auditor.findings import Comparison, changed_data, compare
from auditor.store import Run


def pair(baseline: Run, run: Run) -> Comparison:
    """What changed from the baseline (A) to the run (B).

    Raises `RunError` where both are the same run, and unless both are over the same dataset: the
    same ids, labels and shared attributes, and files of the same sizes (of runs that do not tell
    these, the same fingerprint). The message says what differs. Stricter than `compare`, which
    can be told to let changed data pass: new failures on images that were changed say nothing
    about the model.
    """
    if run.path.resolve() == baseline.path.resolve() or run.key == baseline.key:
        raise RunError(
            f"{baseline.path}: is the run that is checked, so nothing could be new; give another "
            "run as --baseline."
        )
    comparison = compare(baseline, run, changed=True)
    differ = changed_data(baseline, run)
    if differ is not None:
        raise RunError(
            f"{baseline.path}: its dataset is not that of {run.path} ({differ}). Audit the "
            "baseline's model again over the present dataset."
        )
    ours, theirs = (held.info["identity"].get("dataset") for held in (run, baseline))
    told = all("contents" in held.info for held in (run, baseline))  # else nothing but the hash
    if ours != theirs and not told:
        raise RunError(
            f"{baseline.path}: is over another dataset than {run.path}. Ids, labels and shared "
            f"attributes are the same, but the fingerprints differ ({str(theirs)[:12]} and "
            f"{str(ours)[:12]}): image files, region files or other columns were changed in "
            "between. Audit the baseline's model again over the present dataset."
        )
    return comparison
