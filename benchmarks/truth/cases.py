"""From a finished run and the truth to one table of cases, with one column a measure.

Measures of several cue regions are put together as if they were one; what a run does not
hold (it may have no interventions) is missing throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor import measures
from auditor.evidence import TONE
from auditor.statistics import holm
from auditor.thresholds import THRESHOLDS
from benchmarks.truth.training import ATTRIBUTE
from benchmarks.truth.truth import Truth

F64 = NDArray[np.float64]


def case_table(
    run: pd.DataFrame,
    cues: Sequence[str],
    truth: Truth,
    counts: Mapping[str, Mapping[str, int]],
) -> pd.DataFrame:
    """One row a case of the run, which has to be in the order of the truth.

    `counts` are the training images by label and value.
    """
    values = run[f"attribute.{ATTRIBUTE}"]
    area = _summed(run, "area", cues)
    mass = _summed(run, "mass", cues)
    error = ~run["correct"].astype(bool)
    attention = _attention(run, cues)
    reliance = _of_sets(run, "reliance", cues)
    return pd.DataFrame(
        {
            "error": error,
            "caused": truth.caused,
            "margin": run["margin"],
            "true_effect": truth.effect,
            "conflict": [
                conflicts(counts, label, value)
                for label, value in zip(run["label"], values, strict=True)
            ],
            "iou": run["iou.subject"],
            "pointing": _summed(run, "pointing", cues),
            "mass": mass,
            "lift": measures.lift(mass, area),
            "margin_excess": measures.excess(_summed(run, "margin_mass", cues), area),
            "p": attention,
            "evidence": run["evidence"],
            "reliance": reliance,
            "reliance_se": _of_sets(run, "reliance_se", cues),
            "passes": _column(run, "passes"),
            "tested": ~np.isnan(reliance),
        }
    )


def conflicts(counts: Mapping[str, Mapping[str, int]], label: str, value: str) -> bool:
    """Whether a cell of label × value is rarer in training than independence would have it."""
    total = sum(sum(row.values()) for row in counts.values())
    of_value = sum(row[value] for row in counts.values())
    return counts[label][value] * total < sum(counts[label].values()) * of_value


def _column(run: pd.DataFrame, name: str) -> F64:
    if name not in run:
        return np.full(len(run), np.nan)
    found: F64 = run[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def _summed(run: pd.DataFrame, measure: str, cues: Sequence[str]) -> F64:
    """Over the cues that the case has; NaN where it has none."""
    columns = np.stack([_column(run, f"{measure}.{cue}") for cue in cues])
    return np.where(np.isnan(columns).all(0), np.nan, np.nansum(columns, axis=0))


def _of_sets(run: pd.DataFrame, measure: str, cues: Sequence[str]) -> F64:
    """Of a colour cast, where one was tried; of all cues changed together, where they were; else
    of the one with most reliance.
    """
    if f"{measure}.{TONE}" in run:
        return _column(run, f"{measure}.{TONE}")
    whole = _column(run, f"{measure}.{'+'.join(cues)}")
    if len(cues) == 1:
        return whole
    reliance, columns = (
        np.stack([_column(run, f"{m}.{cue}") for cue in cues]) for m in ("reliance", measure)
    )
    most = np.where(np.isnan(reliance), -np.inf, reliance).argmax(0)
    return np.where(np.isnan(whole), columns[most, np.arange(len(run))], whole)


def _attention(run: pd.DataFrame, cues: Sequence[str]) -> F64:
    """The attention test's p-value as it would be without interventions: the smallest after
    Holm's correction over the cues on which the test can speak and the excess is above 0.
    """
    p, best, excess = (
        np.stack([_column(run, f"{measure}.{cue}") for cue in cues], axis=1)
        for measure in ("p", "best_p", "margin_excess")
    )
    corrected = np.stack([holm(row) for row in np.where(best <= THRESHOLDS.alpha, p, np.nan)])
    corrected = np.where(excess > 0, corrected, np.nan)
    none = np.isnan(corrected).all(1)
    return np.where(none, np.nan, np.min(np.where(np.isnan(corrected), 2, corrected), axis=1))
