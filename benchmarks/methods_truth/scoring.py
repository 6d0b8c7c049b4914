"""What the maps of each method are worth as detectors, over the errors of all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.cam import METHODS
from benchmarks.methods_truth.measuring import AUDITED, Result
from benchmarks.truth.detectors import DETECTORS, Detector
from benchmarks.truth.grid import UNBIASED
from benchmarks.truth.metrics import Bools, auroc, resampled
from benchmarks.truth.summary import RESAMPLES, judged

Row = dict[str, Any]
F64 = NDArray[np.float64]

BY_NAME: Mapping[str, Detector] = {detector.name: detector for detector in DETECTORS}
LIFT, EXCESS = "lift > 1.5", "margin excess"
SCORES = (LIFT, "mass on the cue", EXCESS, "attention test")
"""What is read off the maps of every method."""
BASELINES = ("all errors", "low margin", "IoU(subject) < 0.5", "confirmed")
"""What is read off the audit: nothing, the logits, Grad-CAM's maps, and the interventions."""
GATES = ("gate_randomisation", "gate_maps", "gate_noise")
OUTCOMES = ("passed", "undecided", "not passed")
_NUMBERS = (
    "true_effect margin iou pointing mass lift margin_excess p reliance reliance_se passes"
).split()


def unpacked(content: Mapping[str, Any]) -> pd.DataFrame:
    """The table that `measuring.packed` made JSON of."""
    found = pd.DataFrame(content["data"], columns=content["columns"])
    found[_NUMBERS] = found[_NUMBERS].astype(float)
    return found


def pooled(results: Sequence[Result], key: str | None) -> pd.DataFrame:
    """The errors of all models that a method serves, or of the audits for None; their columns
    are those of `cases.case_table`, and the model's.
    """
    parts = []
    for result in results:
        found = result["audit"] if key is None else result["methods"][key].get("table")
        if found is not None:
            names = ("cell", "cue", "skew", "seed", "network")
            parts.append(unpacked(found).assign(**{name: result[name] for name in names}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def scored(results: Sequence[Result]) -> dict[str, Any]:
    """All figures, JSON-ready: `counts`, `baselines`, and `methods`, a row each."""
    skewed = [result for result in results if result["skew"] != UNBIASED]
    unbiased = [result for result in results if result["skew"] == UNBIASED]
    audits = pooled(skewed, None)
    return {
        "counts": {"skewed": counts(audits), "unbiased": counts(pooled(unbiased, None))},
        "cues": list(dict.fromkeys(audits["cue"])),
        "networks": list(dict.fromkeys(audits["network"])),
        "channels": {result["network"]: result["channels"] for result in results},
        "baselines": {name: _baseline(name, audits, unbiased) for name in BASELINES},
        "methods": {key: _method(key, skewed, unbiased) for key in METHODS},
    }


def counts(errors: pd.DataFrame) -> Row:
    """Models and errors, those that the cue caused, and those whose cue can be measured."""
    if errors.empty:
        return {"models": 0, "errors": 0, "caused": 0, "measurable": 0}
    return {
        "models": int(errors["cell"].nunique()),
        "errors": len(errors),
        "caused": int(errors["caused"].sum()),
        "measurable": int(errors["lift"].notna().sum()),
    }


def _baseline(name: str, audits: pd.DataFrame, unbiased: Sequence[Result]) -> Row:
    detector = BY_NAME[name]
    return {
        **judged(detector, audits),
        "within": _within(detector, audits),
        "resolved": _auroc(detector, audits[audits["lift"].notna()]),
        "false": falsely(detector, pooled(unbiased, None)),
        **{by: _by(detector, audits, by) for by in ("cue", "network")},
    }


def _method(key: str, skewed: Sequence[Result], unbiased: Sequence[Result]) -> Row:
    every = [result["methods"][key] for result in (*skewed, *unbiased)]
    served = [found for found in every if found["problem"] is None]
    errors = pooled(skewed, key)
    row: Row = {"served": len(served), "of": len(every), **counts(errors)}
    if errors.empty:
        return row
    same = pooled([r for r in skewed if r["methods"][key]["problem"] is None], AUDITED)
    for name in SCORES:
        detector = BY_NAME[name]
        row[name] = {
            **judged(detector, errors),
            "less": less(detector, errors, same),
            "less_by_network": {
                network: less(detector, errors[rows], same[rows])
                for network in dict.fromkeys(errors["network"])
                for rows in [errors["network"] == network]
            },
            "within": _within(detector, errors),
            "resolved": _auroc(detector, errors[same["lift"].notna()]),
            "false": falsely(detector, pooled(unbiased, key)),
            **{by: _by(detector, errors, by) for by in ("cue", "network")},
        }
    row["gates"] = {gate: _gate([found["gates"][gate] for found in served]) for gate in GATES}
    row["ratio"] = {
        network: float(np.median([r["methods"][key]["ratio"] for r in of_network]))
        for network in dict.fromkeys(errors["network"])
        for of_network in [[r for r in skewed if r["network"] == network]]
    }
    return row


def falsely(detector: Detector, errors: pd.DataFrame) -> float | None:
    """The share of errors that are flagged without being caused by the cue."""
    if detector.decision is None or errors.empty:
        return None
    said = detector.decision(errors) & ~errors["caused"].to_numpy(dtype=bool)
    return float(said.mean())


def less(
    detector: Detector, errors: pd.DataFrame, reference: pd.DataFrame
) -> tuple[float, float, float] | None:
    """AUROC on some errors less that of Grad-CAM on the same, with its 95 % interval.

    Whole models are drawn anew, the same for both.
    """
    assert detector.score is not None
    caused = errors["caused"].to_numpy(dtype=bool)
    if errors["cell"].tolist() != reference["cell"].tolist():
        raise ValueError("the errors are not the same")
    ours, theirs = detector.score(errors), detector.score(reference)
    if np.isnan(ours).all():
        return None

    def difference(rows: NDArray[np.intp]) -> float | None:
        some, other = (auroc(score[rows], caused[rows]) for score in (ours, theirs))
        return None if some is None or other is None else some - other

    whole = difference(np.arange(len(errors)))
    interval = resampled(errors["seed"].to_numpy(), difference, RESAMPLES)
    return None if whole is None or interval is None else (whole, *interval)


def within(score: F64, caused: Bools, models: Sequence[str]) -> float | None:
    """The AUROC over pairs of errors of one model: how well it ranks in one audit.

    None where no model has errors of both kinds.
    """
    names = np.asarray(models)
    above, pairs = 0.0, 0
    for name in np.unique(names):
        rows = names == name
        found = auroc(score[rows], caused[rows])
        if found is not None:
            count = int(caused[rows].sum() * (~caused[rows]).sum())
            above, pairs = above + found * count, pairs + count
    return above / pairs if pairs else None


def _within(detector: Detector, errors: pd.DataFrame) -> float | None:
    if detector.score is None:
        return None
    score = detector.score(errors)
    if np.isnan(score).all():
        return None
    return within(score, errors["caused"].to_numpy(dtype=bool), errors["cell"].tolist())


def _auroc(detector: Detector, errors: pd.DataFrame) -> float | None:
    """None where the detector does not score, or knows of no error."""
    if detector.score is None:
        return None
    score = detector.score(errors)
    return None if np.isnan(score).all() else auroc(score, errors["caused"].to_numpy(dtype=bool))


def _by(detector: Detector, errors: pd.DataFrame, column: str) -> dict[str, float | None]:
    """AUROC over the errors of each cue, or of each network."""
    groups = errors.groupby(column, sort=False)
    return {str(name): _auroc(detector, group) for name, group in groups}


def _gate(found: Sequence[Mapping[str, Any]]) -> Row:
    """How many models have each outcome, and the median figure."""
    values = [one["value"] for one in found if one["value"] is not None]
    outcomes = [one["outcome"] for one in found]
    return {
        **{outcome: outcomes.count(outcome) for outcome in OUTCOMES},
        "median": float(np.median(values)) if values else None,
    }
