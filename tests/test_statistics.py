"""Statistics against SciPy, closed forms and hand-made tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from scipy.stats import contingency
from sklearn.metrics import normalized_mutual_info_score

from auditor.groups import group_table
from auditor.statistics import (
    benjamini_hochberg,
    cramers_v,
    cramers_v_interval,
    holm,
    lower_rate,
    mcnemar,
    mean_interval,
    more_than_chance,
    paired_difference,
    shared_information,
    wilson,
)


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


def test_mcnemar_by_hand() -> None:
    # 1 against 4: both tails of Binomial(5, 1/2), 2 × (1 + 5) / 32.
    assert mcnemar(1, 4) == pytest.approx(12 / 32)
    assert mcnemar(4, 1) == pytest.approx(12 / 32)
    assert mcnemar(0, 3) == pytest.approx(2 / 8)
    assert mcnemar(2, 2) == 1
    assert mcnemar(0, 0) is None


def test_paired_difference_of_the_literature() -> None:
    # Airway responsiveness before and after a transplantation (Bentur et al. 2009), as
    # Fagerland, Lydersen and Laake 2014 work it out: 2/21 - 8/21, from -.507 to -.026.
    assert paired_difference(1, 7, 1, 12) == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_paired_difference_by_its_formula() -> None:
    # First 30 of 50, second 33 of 50; 28·15 - 2·5 = 410, continuity-corrected by 25.
    (l1, u1), (l2, u2) = _wilson_by_formula(30, 50), _wilson_by_formula(33, 50)
    phi = (28 * 15 - 2 * 5 - 25) / math.sqrt(30 * 20 * 33 * 17)
    low = 0.06 - math.sqrt((0.66 - l2) ** 2 - 2 * phi * (0.66 - l2) * (u1 - 0.6) + (u1 - 0.6) ** 2)
    high = 0.06 + math.sqrt((u2 - 0.66) ** 2 - 2 * phi * (u2 - 0.66) * (0.6 - l1) + (0.6 - l1) ** 2)
    assert paired_difference(28, 2, 5, 15) == pytest.approx((low, high))
    swapped = paired_difference(28, 5, 2, 15)
    assert swapped == pytest.approx((-high, -low))


def test_paired_difference_at_the_edges() -> None:
    assert paired_difference(0, 0, 0, 0) is None
    # All right in both: the correlation is undefined, and the interval is not.
    low, high = paired_difference(20, 0, 0, 0)
    assert low == pytest.approx(-high)
    assert paired_difference(0, 0, 20, 0)[1] == pytest.approx(1)


def test_paired_difference_covers() -> None:
    random = np.random.default_rng(0)
    shares = (0.6, 0.05, 0.15, 0.2)
    intervals = [paired_difference(*random.multinomial(80, shares).tolist()) for _ in range(1000)]
    covered = np.mean([low <= 0.1 <= high for low, high in intervals])
    assert 0.93 < covered < 0.985


def test_the_clinic_of_the_paper() -> None:
    # 78 % men of 250 doctors, 93 % women of 250 nurses (17.5 men, as the shares have it).
    table = np.array([[195, 55], [17.5, 232.5]])
    assert cramers_v(table, corrected=False) == pytest.approx(0.718, abs=5e-4)
    assert cramers_v(table) == pytest.approx(0.717, abs=5e-4)


@pytest.mark.parametrize("table", [[[5, 1], [2, 8]], [[3, 0, 4], [1, 6, 2], [0, 2, 2]]])
def test_cramers_v_is_scipys_and_bergsmas(table: list[list[int]]) -> None:
    observed = np.array(table)
    v = contingency.association(observed, method="cramer")
    assert cramers_v(observed, corrected=False) == pytest.approx(v)
    rows, columns = observed.shape
    n = observed.sum()
    phi2 = max(v**2 * (min(rows, columns) - 1) - (rows - 1) * (columns - 1) / (n - 1), 0)
    smaller = min(k - (k - 1) ** 2 / (n - 1) for k in (rows, columns))
    assert cramers_v(observed) == pytest.approx(math.sqrt(phi2 / (smaller - 1)))


def test_cramers_v_at_the_edges() -> None:
    assert cramers_v(np.array([[5, 0], [0, 5]])) == pytest.approx(1)
    assert cramers_v(np.array([[6, 3], [4, 2]])) == 0
    # An empty row or column says nothing; then one of either is left.
    assert cramers_v(np.array([[5, 0, 0], [0, 0, 5], [0, 0, 0]])) == pytest.approx(1)
    for undefined in ([[3, 4], [0, 0]], [[3, 0], [2, 0]], [[0, 0], [0, 0]], [[1, 0], [0, 1]]):
        assert cramers_v(np.array(undefined)) is None
        assert cramers_v_interval(np.array(undefined), 0) is None
    assert cramers_v(np.zeros((0, 0))) is None


def test_the_interval_of_v_covers_also_where_nothing_goes_together() -> None:
    random = np.random.default_rng(0)
    for shares, true in (
        (np.full((30, 3), 1 / 90), 0.0),  # plain percentiles never cover this
        (np.array([[0.3, 0.2], [0.2, 0.3]]), 0.2),
    ):
        covered = []
        for seed in range(60):
            table = random.multinomial(300, shares.ravel()).reshape(shares.shape)
            low, high = cramers_v_interval(table, seed, resamples=200)
            covered.append(low <= true <= high)
        assert np.mean(covered) > 0.85


def test_clusters_are_resampled_together() -> None:
    table = np.array([[30, 10], [10, 30]])
    cells = np.eye(4, dtype=int)
    alone = sparse.csr_array(np.repeat(cells, table.ravel(), axis=0))
    by_ten = sparse.csr_array(np.repeat(10 * cells, table.ravel() // 10, axis=0))
    plain, ones, tens = (cramers_v_interval(table, 0, c) for c in (None, alone, by_ten))
    # Clusters of one case are cases.
    assert ones == pytest.approx(plain, abs=0.05)
    assert tens[1] - tens[0] > 1.5 * (plain[1] - plain[0])
    assert cramers_v_interval(table, 0) == plain  # the seed says what is drawn


def test_a_lower_rate_by_hand():
    # 0 of 2 against 2 of 2: of the C(4, 2) = 6 ways to place two successes, one has both outside.
    assert lower_rate((0, 2), (2, 2)) == pytest.approx(1 / 6)
    assert lower_rate((2, 2), (0, 2)) == 1.0


def test_benjamini_hochberg_by_hand() -> None:
    # Sorted .01 .02 .03 .5 times 4/1 4/2 4/3 4/4, then the least from the right.
    adjusted = benjamini_hochberg(np.array([0.5, 0.01, np.nan, 0.03, 0.02]))
    assert adjusted == pytest.approx([0.5, 0.04, np.nan, 0.04, 0.04], nan_ok=True)
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()
    assert benjamini_hochberg(np.array([])).shape == (0,)


@pytest.mark.parametrize("table", [[[5, 1], [2, 8]], [[3, 0, 4], [1, 6, 2]], [[7, 0], [0, 7]]])
def test_shared_information_is_scikit_learns(table: list[list[int]]) -> None:
    observed = np.array(table)
    rows, columns = np.nonzero(observed)
    labels = [np.repeat(axis, observed[rows, columns]) for axis in (rows, columns)]
    assert shared_information(observed) == pytest.approx(normalized_mutual_info_score(*labels))


def test_shared_information_at_the_edges() -> None:
    assert shared_information(np.array([[6, 3], [4, 2]])) == pytest.approx(0, abs=1e-12)
    assert shared_information(np.array([[2.5, 0], [0, 7.5]])) == pytest.approx(1)
    assert shared_information(np.array([[3, 4], [0, 0]])) is None
    assert shared_information(np.zeros((2, 0))) is None
