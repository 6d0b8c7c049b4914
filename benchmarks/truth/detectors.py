"""What could find the errors that a cue caused: our flags, and trivial baselines beside them.

A score ranks errors, the higher the more suspect; a decision says which ones are flagged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.thresholds import THRESHOLDS

Errors: TypeAlias = pd.DataFrame
"""Rows of `cases.case_table` that are errors."""


@dataclass(frozen=True)
class Detector:
    """One way of finding errors; without a decision it only ranks, and the reverse."""

    name: str
    score: Callable[[Errors], NDArray[np.float64]] | None = None
    decision: Callable[[Errors], NDArray[np.bool_]] | None = None
    tests: bool = False
    """Whether it needs interventions, so that without any there is nothing to judge."""


def _number(column: str, sign: int = 1) -> Callable[[Errors], NDArray[np.float64]]:
    return lambda errors: sign * errors[column].to_numpy(dtype=np.float64)


def _evidence(*values: str) -> Callable[[Errors], NDArray[np.bool_]]:
    return lambda errors: errors["evidence"].isin(values).to_numpy(dtype=bool)


def _excess_reliance(errors: Errors) -> NDArray[np.float64]:
    """(D - m) over the standard error of D."""
    error = errors["reliance_se"].to_numpy(dtype=np.float64)
    above = errors["reliance"].to_numpy(dtype=np.float64) - 1
    found = np.full(len(errors), np.nan)
    np.divide(above, error, out=found, where=error > 0)
    return found


DETECTORS = (
    Detector("confirmed", _number("reliance"), _evidence("confirmed"), tests=True),
    Detector(
        "confirmed or probable",
        _number("reliance"),
        _evidence("confirmed", "probable"),
        tests=True,
    ),
    Detector("(D − m) ÷ error", _excess_reliance, tests=True),
    Detector("all errors", None, lambda errors: np.ones(len(errors), bool)),
    Detector(
        "errors of conflict groups",
        _number("conflict"),
        lambda errors: errors["conflict"].to_numpy(dtype=bool),
    ),
    Detector("low margin", _number("margin", -1)),
    Detector(
        "IoU(subject) < 0.5", _number("iou", -1), lambda errors: (errors["iou"] < 0.5).to_numpy()
    ),
    Detector(
        "pointing at the cue",
        _number("pointing"),
        lambda errors: (errors["pointing"] >= 0.5).to_numpy(),
    ),
    Detector("mass on the cue", _number("mass")),
    Detector("lift > 1.5", _number("lift"), lambda errors: (errors["lift"] > 1.5).to_numpy()),
    Detector("margin excess", _number("margin_excess")),
    Detector(
        "attention test",
        _number("p", -1),
        lambda errors: (errors["p"] <= THRESHOLDS.alpha).to_numpy(),
    ),
)
