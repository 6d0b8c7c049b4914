"""How often the interval of Cramér's V holds the truth.

`python -m benchmarks.association_coverage` draws tables from populations whose V is known, and
counts how often the 95 % interval that `auditor audit` prints covers it, beside plain bootstrap
percentiles of the same statistic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.statistics import cramers_v, cramers_v_interval

TABLES, RESAMPLES = 200, 200
POPULATIONS = (  # rows, columns, V, images
    (2, 2, 0.0, 300),
    (2, 2, 0.3, 300),
    (2, 2, 0.7, 300),
    (2, 2, 0.9, 60),
    (30, 3, 0.0, 300),
    (100, 2, 0.0, 1000),
)


def population(rows: int, columns: int, v: float) -> NDArray[np.float64]:
    """Cell probabilities, even margins; a V above 0 in a table of two by two only."""
    cells = np.full((rows, columns), 1 / (rows * columns))
    if v:
        cells += np.array([[v, -v], [-v, v]]) / 4  # φ of such a table is v
    return cells


def plain(counts: NDArray[np.float64], random: np.random.Generator) -> tuple[float, float]:
    """Percentiles of V over resamples, without any correction of their bias."""
    n = int(counts.sum())
    drawn = random.multinomial(n, counts.ravel() / n, RESAMPLES).reshape(-1, *counts.shape)
    values = [v for table in drawn if (v := cramers_v(table)) is not None]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    for rows, columns, v, images in POPULATIONS:
        random = np.random.default_rng(rows * 1000 + images)
        covered = {"ours": 0, "plain percentiles": 0}
        cells = population(rows, columns, v)
        for number in range(TABLES):
            table = random.multinomial(images, cells.ravel()).reshape(rows, columns).astype(float)
            ours = cramers_v_interval(table, number, resamples=RESAMPLES)
            for name, interval in (("ours", ours), ("plain percentiles", plain(table, random))):
                covered[name] += interval is not None and interval[0] <= v <= interval[1]
        told = ", ".join(f"{name} {count / TABLES:.0%}" for name, count in covered.items())
        print(f"{rows} × {columns}, V {v}, {images} images: {told}", flush=True)


if __name__ == "__main__":
    main()
