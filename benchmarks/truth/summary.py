"""What the cells of a grid come to: detectors against the truth, verdicts, calibration, cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.truth.detectors import DETECTORS, Detector
from benchmarks.truth.grid import UNBIASED
from benchmarks.truth.measuring import Result
from benchmarks.truth.metrics import (
    Bools,
    auroc,
    average_precision,
    precision,
    recall,
    resampled,
    slope,
    upper_bound,
)
from benchmarks.truth.networks import NETWORKS

ALL, SKEWED = "all", "all skewed"
RANDOM, PRETRAINED = "random weights", "ImageNet weights"
FEWEST = 5
"""Models of different seeds below which there is no interval."""
RESAMPLES = 200

Row = dict[str, Any]
Measure = Callable[[Any, Bools], float | None]
MEASURES: Mapping[str, tuple[Literal["decision", "score"], Measure]] = {
    "precision": ("decision", precision),
    "recall": ("decision", recall),
    "auroc": ("score", auroc),
    "average_precision": ("score", average_precision),
}


def models(results: Sequence[Result]) -> pd.DataFrame:
    """One row a cell, without its cases."""
    rows = [{k: v for k, v in result.items() if not isinstance(v, dict)} for result in results]
    table = pd.DataFrame(rows)
    table["start"] = _start(table)
    table["without"] = table["effect"].abs() < table["delta"]
    return table


def cases(results: Sequence[Result]) -> pd.DataFrame:
    """The errors and the tested cases of all cells."""
    tables = []
    for result in results:
        table = pd.DataFrame(result["cases"])
        for name in ("cell", "cue", "skew", "seed", "network"):
            table[name] = result[name]
        tables.append(table)
    found = pd.concat(tables, ignore_index=True)
    numbers = (
        "margin true_effect iou pointing mass lift margin_excess p reliance reliance_se passes"
    ).split()
    found[numbers] = found[numbers].astype(float)
    found[["error", "caused", "tested", "conflict"]] = found[
        ["error", "caused", "tested", "conflict"]
    ].astype(bool)
    found["start"] = _start(found)
    return found


def _start(table: pd.DataFrame) -> list[str]:
    return [PRETRAINED if NETWORKS[name].start else RANDOM for name in table["network"]]


def groups(table: pd.DataFrame) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Start, cue and skew of each group that is reported, and its rows; sums come last."""
    for start, of_start in table.groupby("start", sort=False):
        for cue in (*dict.fromkeys(of_start["cue"]), ALL):
            of_cue = of_start if cue == ALL else of_start[of_start["cue"] == cue]
            for skew in (*sorted(set(of_cue["skew"])), SKEWED):
                rows = of_cue[
                    of_cue["skew"] != UNBIASED if skew == SKEWED else of_cue["skew"] == skew
                ]
                if len(rows):
                    yield str(start), str(cue), str(skew), rows


def detection(found: pd.DataFrame) -> list[Row]:
    """Every detector on the errors of every group, against what the cue truly caused.

    `…_half` are against a true D of at least half the margin, as for a contributing cause.
    `false_unbiased` is the share of the errors of unbiased models of that cue that are flagged
    without being caused by it. Null where a detector does not score or decide, or nothing is
    there to judge.
    """
    rows = []
    for start, cue, skew, group in groups(found):
        errors = group[group["error"]].reset_index(drop=True)
        if errors.empty:
            continue
        unbiased = found[
            found["error"] & (found["skew"] == UNBIASED) & (found["start"] == start)
        ].reset_index(drop=True)
        if cue != ALL:
            unbiased = unbiased[unbiased["cue"] == cue].reset_index(drop=True)
        rows += [
            {
                "start": start,
                "cue": cue,
                "skew": skew,
                "models": group["cell"].nunique(),
                "errors": len(errors),
                "caused": int(errors["caused"].sum()),
                "detector": detector.name,
                **judged(detector, errors),
                "false_unbiased": _false(detector, unbiased, unbiased["caused"]),
                "false_unbiased_half": _false(detector, unbiased, _half(unbiased)),
            }
            for detector in DETECTORS
        ]
    return rows


def judged(detector: Detector, errors: pd.DataFrame) -> Row:
    """Precision, recall, AUROC and average precision, each with an interval over seeds."""
    caused = errors["caused"].to_numpy(dtype=bool)
    half = _half(errors).to_numpy(dtype=bool)
    seeds = errors["seed"].to_numpy()
    blind = detector.tests and not errors["tested"].any()
    score = None if blind or detector.score is None else detector.score(errors)
    if score is not None and np.isnan(score).all():
        score = None  # a cue under one cell of the map has no measures of it
    said = None if blind or detector.decision is None else detector.decision(errors)
    enough = len(np.unique(seeds)) >= FEWEST
    row: Row = {}
    for name, (kind, measure) in MEASURES.items():
        values: NDArray[Any] | None = said if kind == "decision" else score
        row[name] = None if values is None else measure(values, caused)
        row[f"{name}_half"] = None if values is None else measure(values, half)
        row[f"{name}_interval"] = (
            _interval(measure, values, caused, seeds) if enough and values is not None else None
        )
    return row


def _interval(
    measure: Measure,
    values: NDArray[Any],
    caused: Bools,
    seeds: NDArray[np.intp],
) -> tuple[float, float] | None:
    return resampled(seeds, lambda rows: measure(values[rows], caused[rows]), RESAMPLES)


def _half(errors: pd.DataFrame) -> pd.Series:
    return errors["true_effect"] >= errors["margin"] / 2


def _false(detector: Detector, unbiased: pd.DataFrame, truly: pd.Series) -> float | None:
    blind = detector.tests and not unbiased["tested"].any()
    if blind or detector.decision is None or unbiased.empty:
        return None
    wrongly: NDArray[np.bool_] = detector.decision(unbiased) & ~truly.to_numpy(bool)
    return float(wrongly.mean())


def verdicts(table: pd.DataFrame) -> list[Row]:
    """False verdicts and found effects: level 3 or 4 below and from δ on.

    `size` and `estimate` are means over models of |average effect|, true and as audited.
    """
    rows = []
    for start, cue, skew, group in (*groups(table), *_everything(table)):
        spoken = group[group["verdict"].notna()]
        high = spoken["verdict"].astype(float) >= 3
        without = spoken["without"].astype(bool)
        false, trials = int((high & without).sum()), int(without.sum())
        found, effects = int((high & ~without).sum()), int((~without).sum())
        rows.append(
            {
                "start": start,
                "cue": cue,
                "skew": skew,
                "models": len(group),
                "accuracy": float(group["accuracy"].mean()),
                "effect": float(group["effect"].mean()),
                "size": float(group["effect"].abs().mean()),
                "estimate": _size(group["estimate"]),
                "delta": float(group["delta"].mean()),
                "without_effect": int(group["without"].sum()),
                "false": false if len(spoken) else None,
                "false_of": trials,
                "false_upper": upper_bound(false, trials),
                "found": found if len(spoken) else None,
                "found_of": effects,
                "levels": {
                    str(level): int(n)
                    for level, n in spoken["verdict"].value_counts().sort_index().items()
                },
            }
        )
    return rows


def _size(values: pd.Series) -> float | None:
    known = values.dropna().astype(float)
    return float(known.abs().mean()) if len(known) else None


def _everything(table: pd.DataFrame) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    for start, rows in table.groupby("start", sort=False):
        yield str(start), ALL, ALL, rows


def wrong_reasons(found: pd.DataFrame) -> list[Row]:
    """The correct cases that are flagged: the share in which the true D takes half the margin,
    and in which changing the cue turns the decision.
    """
    rows = []
    tested = found[found["tested"] & ~found["error"]]
    for start, cue, skew, group in groups(tested):
        flagged = group[group["evidence"].isin(["confirmed", "probable"])]
        share = flagged["true_effect"] / flagged["margin"]
        rows.append(
            {
                "start": start,
                "cue": cue,
                "skew": skew,
                "tested": len(group),
                "flagged": len(flagged),
                "half": _share(share >= 0.5),
                "turned": _share(share > 1),
            }
        )
    return rows


def calibration(found: pd.DataFrame) -> list[Row]:
    """How the estimated D = ρ · m goes with the true one, over all tested cases of a group."""
    rows = []
    tested = found[found["tested"]]
    for start, cue, skew, group in groups(tested):
        estimated = (group["reliance"] * group["margin"]).to_numpy(dtype=float)
        true = group["true_effect"].to_numpy(dtype=float)
        line = slope(true, estimated)
        rows.append(
            {
                "start": start,
                "cue": cue,
                "skew": skew,
                "cases": len(group),
                "slope": line and line[0],
                "r": line and line[1],
                "mean_error": float((estimated - true).mean()),
                "rmse": float(np.sqrt(((estimated - true) ** 2).mean())),
            }
        )
    return rows


def cost(table: pd.DataFrame, found: pd.DataFrame) -> list[Row]:
    """Forward passes: the median of a tested error, and of all as a multiple of one inference."""
    rows = []
    for start, cue, skew, group in groups(table):
        of_group = found[found["cell"].isin(group["cell"]) & found["error"]]
        passes = of_group["passes"][of_group["passes"] > 0]
        known = group[group["passes"].notna()]
        ratio = 1 + known["passes"].astype(float).sum() / known["n"].sum() if len(known) else None
        rows.append(
            {
                "start": start,
                "cue": cue,
                "skew": skew,
                "passes_a_suspect": float(passes.median()) if len(passes) else None,
                "passes_to_inference": ratio,
            }
        )
    return rows


def robustness(results: Sequence[Result]) -> list[Row]:
    """What other masks do to the flags on errors, by variant and cue.

    `agreement` is the share of errors whose flag (confirmed or probable) is as with the exact
    masks, `confirmed` the share that is confirmed, `precision` how many of those truly are
    caused; `attention` the same of the maps' test.
    """
    found: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for result in results:
        exact = pd.DataFrame(result["cases"])
        exact = exact[exact["error"].astype(bool)].reset_index(drop=True)
        for variant, columns in result["variants"].items():
            other = pd.DataFrame(columns)
            both = pd.DataFrame(
                {
                    "caused": exact["caused"].astype(bool),
                    "exact": exact["evidence"],
                    "other": other["evidence"],
                    "exact_p": exact["p"].astype(float),
                    "other_p": other["p"].astype(float),
                    "tested": bool(exact["tested"].any()),
                }
            )
            for cue in (result["cue"], ALL):
                found.setdefault((variant, cue), []).append(both)
    rows = []
    for (variant, cue), tables in sorted(found.items(), key=lambda item: item[0]):
        both = pd.concat(tables, ignore_index=True)
        tested = both[both["tested"]]
        flags = [tested[name].isin(["confirmed", "probable"]) for name in ("exact", "other")]
        queued = [both[f"{name}_p"] <= 0.05 for name in ("exact", "other")]
        rows.append(
            {
                "variant": variant,
                "cue": cue,
                "models": len(tables),
                "errors": len(both),
                "agreement": float((flags[0] == flags[1]).mean()) if len(tested) else None,
                "confirmed_exact": _share(tested["exact"] == "confirmed"),
                "confirmed": _share(tested["other"] == "confirmed"),
                "precision": _share(tested.loc[tested["other"] == "confirmed", "caused"]),
                "attention_agreement": float((queued[0] == queued[1]).mean()),
                "attention_exact": _share(queued[0]),
                "attention": _share(queued[1]),
            }
        )
    return rows


def _share(flags: pd.Series) -> float | None:
    return float(flags.mean()) if len(flags) else None


def summarised(results: Sequence[Result]) -> Mapping[str, list[Row]]:
    """Everything as lists of rows, JSON-ready."""
    table, found = models(results), cases(results)
    return {
        "detection": detection(found),
        "verdicts": verdicts(table),
        "wrong_reasons": wrong_reasons(found),
        "calibration": calibration(found),
        "cost": cost(table, found),
        "robustness": robustness(results),
    }
