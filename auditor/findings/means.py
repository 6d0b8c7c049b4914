"""Means of a sample with their intervals, as tables of findings hold them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.rates import mean_over_clusters
from auditor.statistics import mean_interval
from auditor.types import Floats

Interval = tuple[float, float] | None


def interval_of_mean(values: Floats, clusters: NDArray[np.intp] | None, seed: int) -> Interval:
    """95 % interval of a mean, NaN left out: Student's t, or whole clusters resampled.

    `values` is [cases], and so is `clusters`, their numbers; None where cases are independent.
    None with fewer than two cases (clusters).
    """
    if clusters is None:
        return mean_interval(values)
    return mean_over_clusters(values, clusters, seed)


def mean_columns(
    name: str,
    values: Floats,
    clusters: NDArray[np.intp] | None,
    seed: int,
    least: float,
    most: float,
) -> dict[str, float | int | None]:
    """`<name>`, `<name>_low`, `<name>_high` and `<name>_n` of a table's row, JSON-ready.

    The mean of [cases] with its interval, which ends where values can lie (`least` to `most`), and
    the number of cases that have the value; null where none has.
    """
    known = values[~np.isnan(values)]
    interval = interval_of_mean(values, clusters, seed)
    return {
        name: float(known.mean()) if len(known) else None,
        f"{name}_low": max(interval[0], least) if interval else None,
        f"{name}_high": min(interval[1], most) if interval else None,
        f"{name}_n": len(known),
    }
