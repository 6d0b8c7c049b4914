"""What the page about maps shows: where they lie, in errors and in correct cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.dashboard.columns import (
    NOT_ANNOTATED,
    pooled,
    read_clusters,
    read_columns,
)
from auditor.dashboard.means import half_widths
from auditor.errors import RunError
from auditor.groups import precision
from auditor.statistics import wilson
from auditor.store import Run
from auditor.types import PADDING, Floats

ERRORS, CORRECT = "errors", "correct cases"
OUTCOMES = (ERRORS, CORRECT)
MOST_SHOWN = 8
"""Groups that are shown one by one."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEVELS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2)
"""Levels of the map test at which errors are counted again, beside the run's own."""
LIFTS = tuple(np.arange(1.0, 5.01, 0.25).tolist())
"""Lifts at which cases are counted."""

_MAP_GATES = ("gate_randomisation", "gate_maps", "gate_noise")


@dataclass(frozen=True)
class Masses:
    """Mean share of the predicted class's map on each region, beside chance."""

    by: str | None
    """What groups are made of: "label", the name of an attribute, or null for none."""
    table: pd.DataFrame
    """One row a region, group and outcome: `region`, `group` (null without groups; "not
    annotated" and "others" among them), `outcome` ("errors" or "correct cases"), `n` (cases
    measured), `missing` (cases of that outcome in which the region was not measured), `mass`,
    `mass_low`, `mass_high` (mean share of the map, 0 to 1), `chance` (mean area of the region in
    the same cases, 0 to 1), `lift`, `lift_low`, `lift_high` (mean mass over mean area: 1 is
    chance), and `precision` ("ok", "imprecise" under 30 cases or clusters, "counts only" under
    10). Means are null without a measured case, bounds with fewer than two (cases, or clusters
    where cases belong together)."""
    method: str
    """What the intervals are, in a sentence."""
    notes: tuple[str, ...]
    """Sentences about what is left out or shown together."""


@dataclass(frozen=True)
class Sensitivity:
    """How many errors the maps alone would queue, were the level another one."""

    table: pd.DataFrame
    """One row a level: `alpha`, `testable` (errors that the test could speak on), `flagged`,
    `share` (of the testable, 0 to 1; null without any), `low`, `high` (95 %, Wilson; null where
    cases belong together) and `expected` (how many chance alone would give at most)."""
    alpha: float
    """The run's own level."""
    errors: int
    cues: tuple[str, ...]


def regions(run: Run) -> list[str]:
    """The regions whose shares are shown: all but padding."""
    return [name for name in run.info["regions"]["names"] if name != PADDING]


def mean_masses(run: Run, by: str | None = None, most: int = MOST_SHOWN) -> Masses:
    """Mean mass and lift of each region, errors beside correct cases.

    `by` is None, "label" or the name of an attribute; the `most` commonest groups are shown one
    by one. Raises `RunError` for an attribute that the run does not have.
    """
    column = None if by is None else "label" if by == "label" else f"attribute.{by}"
    if by not in (None, "label") and by not in run.info["attributes"]:
        known = ", ".join(["label", *run.info["attributes"]])
        raise RunError(f"{run.path}: has no group column {by!r}; it has {known}.")
    texts = [column] if column else []
    cases = read_columns(run, texts, ["correct"])
    correct = cases["correct"].to_numpy()
    group = np.zeros(len(cases), dtype=np.intp)
    shown: list[str | None] = [None]
    notes = []
    if column:
        group, shown, note = pooled(cases[column], most)
        shown = [NOT_ANNOTATED if name is None else name for name in shown]
        notes += [note] * bool(note)
    judged = ~np.isnan(correct)
    if (~judged).any():
        notes.append(f"Without a prediction, and so in no mean: {int((~judged).sum()):,} cases.")
    # Two cells a group: its errors, then its correct cases.
    cell = (2 * group + (correct == 1))[judged]
    clusters = read_clusters(run)
    units = None if clusters is None else clusters[judged]
    sizes = np.bincount(cell, minlength=2 * len(shown))
    tables = []
    for region in regions(run):
        measured = read_columns(run, [], [f"mass.{region}", f"area.{region}"])
        mass, area = (measured[name].to_numpy()[judged] for name in measured)
        table = _means(mass, area, cell, len(sizes), units)
        table.insert(0, "region", region)
        table.insert(
            1, "group", pd.Series([name for name in shown for _ in OUTCOMES], dtype=object)
        )
        table.insert(2, "outcome", list(OUTCOMES) * len(shown))
        table.insert(4, "missing", sizes - table["n"].to_numpy())
        tables.append(table[sizes > 0])
    columns = ["region", "group", "outcome", "n", "missing", *_MEANS, "precision"]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    method = "95 % intervals: Student's t of the mean" + (
        ", its standard error from whole clusters"
        if units is not None
        else ", cases being taken for independent"
    )
    method += "; lift is the mean share over the mean area, its error linearised."
    return Masses(by, table, method, tuple(notes))


_MEANS = ("mass", "mass_low", "mass_high", "chance", "lift", "lift_low", "lift_high")


def _means(
    mass: Floats,
    area: Floats,
    cell: NDArray[np.intp],
    count: int,
    clusters: NDArray[np.intp] | None,
) -> pd.DataFrame:
    """Means of each cell, [cells] rows, of the cases whose mass is known."""
    known = ~np.isnan(mass)
    mass, area, cell = mass[known], area[known], cell[known]
    units = None if clusters is None else clusters[known]
    n = np.bincount(cell, minlength=count)
    some = np.where(n > 0, n, np.nan)
    mean = np.bincount(cell, mass, count) / some
    chance = np.bincount(cell, area, count) / some
    lift = np.divide(mean, chance, out=np.full(count, np.nan), where=chance > 0)
    half, independent = half_widths(mass - mean[cell], cell, count, units)
    residual = mass - np.nan_to_num(lift)[cell] * area
    of_lift = half_widths(residual, cell, count, units)[0]
    of_lift = np.divide(of_lift, chance, out=np.full(count, np.nan), where=chance > 0)
    return pd.DataFrame(
        {
            "n": n,
            "mass": mean,
            "mass_low": np.maximum(mean - half, 0),
            "mass_high": np.minimum(mean + half, 1),
            "chance": chance,
            "lift": lift,
            "lift_low": np.maximum(lift - of_lift, 0),
            "lift_high": lift + of_lift,
            "precision": [precision(int(units)) for units in independent],
        }
    )


def distributions(run: Run) -> pd.DataFrame:
    """How mass minus area spreads, in quantiles: a million cases are a few numbers.

    One row a region and outcome with a measured case: `region`, `outcome`, `n`, `mean`, and the
    quantiles `q5`, `q25`, `q50`, `q75`, `q95` of mass minus area (-1 to 1; 0 is chance).
    """
    correct = read_columns(run, [], ["correct"])["correct"].to_numpy()
    rows = []
    for region in regions(run):
        measured = read_columns(run, [], [f"mass.{region}", f"area.{region}"])
        above = measured[f"mass.{region}"].to_numpy() - measured[f"area.{region}"].to_numpy()
        for outcome, kind in zip(OUTCOMES, (0, 1), strict=True):
            values = above[(correct == kind) & ~np.isnan(above)]
            if len(values):
                found = dict(zip(_QUANTILES, np.quantile(values, QUANTILES).tolist(), strict=True))
                told = {"region": region, "outcome": outcome, "n": len(values)}
                rows.append({**told, "mean": float(values.mean()), **found})
    return pd.DataFrame(rows, columns=["region", "outcome", "n", "mean", *_QUANTILES])


_QUANTILES = tuple(f"q{round(100 * share)}" for share in QUANTILES)


def level_sensitivity(run: Run, levels: Sequence[float] = LEVELS) -> Sensitivity:
    """How many errors the maps alone would queue at each level, by the run's own rule.

    A cue speaks in an error where a map that lies on it alone could reach the level (`best_p`);
    the error is queued where the margin map's excess on a cue is above 0 and its p-value,
    corrected by Holm over the cues that speak, reaches the level.
    """
    cues = list(run.info["regions"]["cues"])
    alpha = float(run.info["thresholds"]["alpha"])
    correct = read_columns(run, [], ["correct"])["correct"].to_numpy()
    wrong = np.flatnonzero(correct == 0)
    p, best_p, above = (np.full((len(wrong), len(cues)), np.nan) for _ in range(3))
    for place, cue in enumerate(cues):
        read = read_columns(run, [], [f"{name}.{cue}" for name in ("p", "best_p", "margin_excess")])
        for into, name in zip((p, best_p, above), read, strict=True):
            into[:, place] = read[name].to_numpy()[wrong]
    rows = []
    for level in sorted({*levels, alpha}):
        speaks = (best_p <= level) & ~np.isnan(p) & ~np.isnan(above)
        testable = int(speaks.any(axis=1).sum())
        reached = np.flatnonzero((speaks & (p <= level) & (above > 0)).any(axis=1))
        corrected = _holm(np.where(speaks[reached], p[reached], np.nan))
        flagged = int(((corrected <= level) & (above[reached] > 0)).any(axis=1).sum())
        interval = None if run.info["clustered"] else wilson(flagged, testable)
        rows.append(
            {
                "alpha": level,
                "testable": testable,
                "flagged": flagged,
                "share": flagged / testable if testable else None,
                "low": interval[0] if interval else None,
                "high": interval[1] if interval else None,
                "expected": level * testable,
            }
        )
    table = pd.DataFrame(rows).astype(dict.fromkeys(("share", "low", "high"), float))
    return Sensitivity(table, alpha, len(wrong), tuple(cues))


def _holm(p: Floats) -> NDArray[np.float64]:
    """`auditor.statistics.holm` of each row, [cases, cues]; not cut off at 1."""
    count = (~np.isnan(p)).sum(axis=1, keepdims=True)
    order = np.argsort(p, axis=1, kind="stable")  # NaN last
    steps = np.take_along_axis(p, order, axis=1) * (count - np.arange(p.shape[1]))
    adjusted = np.full(p.shape, np.nan)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(steps, axis=1), axis=1)
    return adjusted


def lift_sensitivity(run: Run, lifts: Sequence[float] = LIFTS) -> pd.DataFrame:
    """How many cases a bare threshold of lift on any cue would mark, right or wrong.

    No flag of Auditor hangs on it: it shows what the commonest rule elsewhere would do. One row
    a threshold and outcome: `lift`, `outcome`, `n` (cases with a lift on some cue), `marked`
    (those whose largest lift reaches the threshold) and `share` (0 to 1; null without a case).
    """
    correct = read_columns(run, [], ["correct"])["correct"].to_numpy()
    largest = np.full(len(correct), np.nan)
    for cue in run.info["regions"]["cues"]:
        largest = np.fmax(largest, read_columns(run, [], [f"lift.{cue}"])[f"lift.{cue}"].to_numpy())
    rows = []
    for outcome, kind in zip(OUTCOMES, (0, 1), strict=True):
        values = np.sort(largest[(correct == kind) & ~np.isnan(largest)])
        below = np.searchsorted(values, lifts, side="left").tolist()
        rows += [
            {"lift": lift, "outcome": outcome, "n": len(values), "marked": len(values) - under}
            for lift, under in zip(lifts, below, strict=True)
        ]
    table = pd.DataFrame(rows, columns=["lift", "outcome", "n", "marked"])
    table["share"] = table["marked"] / table["n"].where(table["n"] > 0)
    return table


def by_depth(run: Run) -> pd.DataFrame | None:
    """Mass and lift by layer, as the finding `layers` has them; None where a run has none.

    The columns of `auditor.findings.depth.depth_findings`, `outcome` in the words of `OUTCOMES`.
    """
    table = next((f["table"] for f in run.findings if f["kind"] == "layers"), None)
    if not table:
        return None
    found = pd.DataFrame(table)
    numbers = [f"{measure}{end}" for measure in ("mass", "lift") for end in ("", "_low", "_high")]
    found = found.astype(dict.fromkeys([*numbers, "area", "follows"], float))
    found["outcome"] = found["outcome"].map({"errors": ERRORS, "correct": CORRECT})
    return found


def map_source(run: Run) -> pd.DataFrame:
    """Where the maps come from: `fact` and `value`, both in words. Empty where there are none."""
    layer = run.info.get("layer")
    if not layer:
        return pd.DataFrame({"fact": [], "value": []}, dtype=object)
    grid = layer.get("grid")
    follows = layer.get("follows")
    facts = [
        ("method", run.info.get("method")),
        ("layer", layer.get("name")),
        ("chosen", {"auto": "by Auditor", "named": "by name"}.get(layer["chosen"], layer["chosen"])
         if layer.get("chosen") else None),
        ("resolution", f"{grid[0]} × {grid[1]} cells (height × width)" if grid else None),
        (
            "follows a moved stimulus",
            None
            if follows is None
            else f"correlation {follows:.2f}, at least {layer['threshold']:.2f} wanted: "
            + ("passed" if layer.get("verified") else "not passed"),
        ),
    ]  # fmt: skip
    known = [(fact, str(value)) for fact, value in facts if value is not None]
    return pd.DataFrame(known, columns=["fact", "value"], dtype=object)


def void_reasons(run: Run) -> list[str]:
    """The gates that the maps did not pass, each a sentence; with any, maps say nothing."""
    return [
        finding["text"]
        for finding in run.findings
        if finding["kind"] in _MAP_GATES and finding["severity"] == "warning"
    ]
