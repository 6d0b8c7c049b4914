"""What the page about groups shows: accuracy in every cell, none left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.dashboard.columns import (
    NOT_ANNOTATED,
    codes,
    names,
    read_clusters,
    read_columns,
)
from auditor.dashboard.means import half_widths
from auditor.errors import RunError
from auditor.groups import COUNTS_ONLY, precision
from auditor.rates import Interval, Rates
from auditor.statistics import wilson
from auditor.store import Run

MOST_GROUPS = 2000
"""The largest groups that get a row; more could not be read, and would take long."""
MOST_RESAMPLED = 5_000
"""Clusters of which a page resamples; with more of them Student's t takes the place of that."""


@dataclass(frozen=True)
class Groups:
    """Accuracy in the cells of label × attributes, beside that of all cases together."""

    by: tuple[str, ...]
    """What the cells are made of: "label" and names of attributes."""
    table: pd.DataFrame
    """One row a group that holds a case, in the order of its values: `group` (in words), then
    "label" and `attribute.<name>` as in `by` (null: not annotated), `n` (cases), `judged` (with
    a prediction), `correct`, `errors`, `accuracy` (0 to 1), `low`, `high` (95 %), `precision`
    ("ok"; "imprecise" for 10 to 29 judged cases or clusters; "counts only" below, where
    accuracy and interval are null) and `reason` (why there is no accuracy, else null)."""
    accuracy: float | None
    """Of all judged cases, 0 to 1; null without one."""
    low: float | None
    high: float | None
    n: int
    judged: int
    clustered: bool
    """Whether cases belong together, so that precision counts clusters."""
    method: str
    """What the intervals are, in a sentence."""
    notes: tuple[str, ...]
    """Sentences about what was left out, and why."""


def grouped_accuracy(
    run: Run, attributes: Sequence[str], by_label: bool = True, most: int = MOST_GROUPS
) -> Groups:
    """Accuracy by label × attributes, or by the attributes alone.

    Wilson's intervals; over clusters a bootstrap, or Wilson's over clusters where all cases of
    a group agree. Beyond `MOST_RESAMPLED` clusters, where a bootstrap would take seconds,
    Student's t of the clusters' summed residuals instead of it. Cases without a
    prediction are in `n` alone. Raises `RunError` for an attribute that the run does not have.
    """
    for name in attributes:
        if name not in run.info["attributes"]:
            known = ", ".join(run.info["attributes"]) or "none"
            raise RunError(f"{run.path}: has no attribute {name!r}; it has {known}.")
    by = [*(["label"] if by_label else []), *attributes]
    columns = [*(["label"] if by_label else []), *(f"attribute.{name}" for name in attributes)]
    cases = read_columns(run, [*columns, "status"], ["correct"])
    correct = cases["correct"].to_numpy()
    judged, right = ~np.isnan(correct), correct == 1
    notes = _unjudged(cases["status"], judged)
    notes += [
        f"Not annotated with {name}: {count:,} of {len(cases):,} cases. They are a row of their "
        "own, and in no comparison of values."
        for name in attributes
        if (count := int((codes(cases[f"attribute.{name}"]) < 0).sum()))
    ]

    number, cells, empty = _cells(cases, columns)
    sizes = np.bincount(number, minlength=len(cells))
    kept = np.arange(len(cells))
    if len(cells) > most:
        kept = np.sort(np.argsort(-sizes, kind="stable")[:most])
        notes.append(
            f"Of {len(cells):,} groups the {most:,} largest have a row; the others hold "
            f"{len(cases) - int(sizes[kept].sum()):,} cases."
        )
    if empty:
        few = "combination" if empty == 1 else "combinations"
        notes.append(f"{empty:,} {few} of values without any case, and so without a row.")
    # The groups without a row are one more group, so that all together are all cases.
    place = np.full(len(cells), len(kept), dtype=np.intp)
    place[kept] = np.arange(len(kept))
    number = place[number] if len(cells) else number
    clusters = read_clusters(run)
    rated = _rated(
        number[judged], right[judged], len(kept), None if clusters is None else clusters[judged]
    )
    together = rated.together
    return Groups(
        by=tuple(by),
        table=_table(rated, sizes[kept], [cells[group] for group in kept], columns),
        accuracy=float(right.sum() / judged.sum()) if judged.any() else None,
        low=together[0] if together else None,
        high=together[1] if together else None,
        n=len(cases),
        judged=int(judged.sum()),
        clustered=clusters is not None,
        method=rated.method,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Rated:
    """Counts and intervals of groups, and the interval of all cases together."""

    right: NDArray[np.intp]
    judged: NDArray[np.intp]
    units: NDArray[np.intp]
    intervals: list[Interval | None]
    together: Interval | None
    method: str
    what: str
    """What is independent of each other: "judged cases" or "clusters"."""


def _rated(
    number: NDArray[np.intp],
    right: NDArray[np.bool_],
    count: int,
    clusters: NDArray[np.intp] | None,
) -> _Rated:
    """`number`, `right` and `clusters` [judged cases]; the group `count` has no row."""
    if clusters is not None and len(np.unique(clusters)) > MOST_RESAMPLED:
        return _linearised(number, right, count, clusters)
    rates = Rates.of(number, right, count + 1, clusters)
    enough = (rates.units >= COUNTS_ONLY).tolist()
    method = "95 % intervals: " + (
        "Wilson's, cases being taken for independent."
        if clusters is None
        else "a bootstrap of whole clusters, or Wilson's over clusters where all cases agree."
    )
    return _Rated(
        rates.right,
        rates.judged,
        rates.units,
        [rates.interval([group]) if enough[group] else None for group in range(count)],
        rates.interval(range(count + 1)),
        method,
        "judged cases" if clusters is None else "clusters",
    )


def _linearised(
    number: NDArray[np.intp], right: NDArray[np.bool_], count: int, clusters: NDArray[np.intp]
) -> _Rated:
    """The same without resampling."""
    judged = np.bincount(number, minlength=count + 1)
    wins = np.bincount(number[right], minlength=count + 1)
    rate = np.divide(wins, judged, out=np.full(count + 1, np.nan), where=judged > 0)
    half, units = half_widths(right - rate[number], number, count + 1, clusters)
    mean = float(right.mean())
    whole = half_widths(right - mean, np.zeros(len(number), dtype=np.intp), 1, clusters)
    intervals: list[Interval | None] = []
    for group in range(count):
        if units[group] < COUNTS_ONLY:
            intervals.append(None)
        elif wins[group] in (0, judged[group]):
            intervals.append(wilson(int(units[group]) if wins[group] else 0, int(units[group])))
        else:
            intervals.append(_clipped(float(rate[group]), float(half[group])))
    return _Rated(
        wins.astype(np.intp),
        judged.astype(np.intp),
        units,
        intervals,
        _clipped(mean, float(whole[0][0])),
        f"95 % intervals: with more than {MOST_RESAMPLED:,} clusters Student's t of their summed "
        "residuals, or Wilson's over clusters where all cases agree.",
        "clusters",
    )


def _clipped(rate: float, half: float) -> Interval:
    return max(rate - half, 0.0), min(rate + half, 1.0)


def _cells(
    cases: pd.DataFrame, columns: Sequence[str]
) -> tuple[NDArray[np.intp], list[tuple[str | None, ...]], int]:
    """The cell of each case, the values of each that holds one, and how many hold none."""
    number = np.zeros(len(cases), dtype=np.intp)
    values: list[list[str | None]] = []
    held = 1
    for column in columns:
        code = codes(cases[column])
        values.append([*names(cases[column]), None])
        code = np.where(code < 0, len(values[-1]) - 1, code)
        held *= len(np.unique(code))
        number = number * len(values[-1]) + code
    found, number = np.unique(number, return_inverse=True)
    cells = []
    for cell in found.tolist():
        left, key = cell, []
        for known in reversed(values):
            left, at = divmod(left, len(known))
            key.append(known[at])
        cells.append(tuple(reversed(key)))
    return number.astype(np.intp), cells, held - len(cells)


def _table(
    rated: _Rated,
    sizes: NDArray[np.intp],
    cells: Sequence[tuple[str | None, ...]],
    columns: Sequence[str],
) -> pd.DataFrame:
    rows = []
    for group, cell in enumerate(cells):
        units, interval = int(rated.units[group]), rated.intervals[group]
        judged, right = int(rated.judged[group]), int(rated.right[group])
        enough = units >= COUNTS_ONLY
        rows.append(
            {
                "group": " · ".join(NOT_ANNOTATED if value is None else value for value in cell)
                or "all cases",
                **dict(zip(columns, cell, strict=True)),
                "n": int(sizes[group]),
                "judged": judged,
                "correct": right,
                "errors": judged - right,
                "accuracy": right / judged if enough else None,
                "low": interval[0] if interval else None,
                "high": interval[1] if interval else None,
                "precision": precision(units),
                "reason": None if enough else f"{units} {rated.what}, fewer than {COUNTS_ONLY}",
            }
        )
    numbers = ["accuracy", "low", "high"]
    counts = ["n", "judged", "correct", "errors"]
    table = pd.DataFrame(
        rows, columns=["group", *columns, *counts, *numbers, "precision", "reason"]
    )
    texts = dict.fromkeys(("group", *columns, "precision", "reason"), object)
    table = table.astype({**dict.fromkeys(numbers, float), **texts})
    for name in texts:
        table[name] = table[name].where(table[name].notna(), None)
    return table


def _unjudged(status: pd.Series, judged: NDArray[np.bool_]) -> list[str]:
    """Why cases have no prediction, in a sentence; nothing where all have one."""
    missing = int((~judged).sum())
    if not missing:
        return []
    code, values = codes(status)[~judged], names(status)
    counts = np.bincount(code + 1, minlength=len(values) + 1)
    told = [f"{count:,} {values[at - 1]}" for at, count in enumerate(counts) if at and count]
    told += [f"{counts[0]:,} without a status"] * bool(counts[0])
    cases = "case" if missing == 1 else "cases"
    return [
        f"Without a prediction, and so in no accuracy: {missing:,} {cases} ({', '.join(told)})."
    ]
