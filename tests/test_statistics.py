"""Statistics against SciPy, closed forms and hand-made tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from auditor.groups import group_table
from auditor.statistics import holm, mean_interval, more_than_chance, wilson


def _wilson_by_formula(k: int, n: int) -> tuple[float, float]:
    z = stats.norm.ppf(0.975)
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return centre - half, centre + half


@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 20), (9, 20), (20, 20), (1, 1)])
def test_wilson_is_its_formula(k: int, n: int) -> None:
    assert wilson(k, n) == pytest.approx(_wilson_by_formula(k, n), abs=1e-12)


def test_wilson_of_nothing_is_null() -> None:
    assert wilson(0, 0) is None
    assert more_than_chance(0, 0, 0.05) is None


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .04 times 3 2 1 is .03 .04 .04; order kept, null left out.
    adjusted = holm(np.array([0.04, 0.01, np.nan, 0.02]))
    assert adjusted == pytest.approx([0.04, 0.03, np.nan, 0.04], nan_ok=True)
    assert holm(np.array([0.6, 0.9])) == pytest.approx([1, 1])
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_more_than_chance_is_the_binomial_tail() -> None:
    # P(X >= 2) for n = 2, chance 1/4.
    assert more_than_chance(2, 2, 0.25) == pytest.approx(1 / 16)


def test_mean_interval_by_hand() -> None:
    # Mean 2, standard deviation 1, n = 3: 2 ± t(.975, 2) / √3.
    half = 4.302652729911275 / math.sqrt(3)
    found = mean_interval(np.array([1.0, np.nan, 2.0, 3.0]))
    assert found == pytest.approx((2 - half, 2 + half))
    assert mean_interval(np.array([1.0])) is None
    assert mean_interval(np.array([0.5, 0.5])) == (0.5, 0.5)


def test_group_table_keeps_every_group() -> None:
    cases = pd.DataFrame(
        {
            "label": ["a"] * 40 + ["b"] * 12 + ["c"] * 3,
            "attribute.x": ["p"] * 40 + ["q"] * 12 + [None] * 3,
            "correct": pd.Series([True] * 30 + [False] * 10 + [True] * 11 + [None] + [True] * 3),
        }
    )
    table = group_table(cases, ["label", "attribute.x"]).set_index("label")
    assert table.loc["a", ["n", "judged", "correct", "precision"]].tolist() == [40, 40, 30, "ok"]
    assert table.loc["a", "accuracy"] == pytest.approx(0.75)
    assert table.loc["a", ["low", "high"]].tolist() == pytest.approx(_wilson_by_formula(30, 40))
    # A case without a prediction is counted, and judged nowhere.
    assert table.loc["b", ["n", "judged", "precision"]].tolist() == [12, 11, "imprecise"]
    assert table.loc["c", "precision"] == "counts only"
    assert math.isnan(table.loc["c", "accuracy"])
    assert pd.isna(table.loc["c", "attribute.x"])
