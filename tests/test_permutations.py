"""Cliff's δ within strata: by hand, against SciPy and scikit-learn, and by simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from auditor.permutations import Contrast

NAN = float("nan")


def contrast(values, marked, strata=None, clusters=None) -> Contrast | None:
    values = np.asarray(values, dtype=float)
    strata = np.zeros(len(values), int) if strata is None else np.asarray(strata)
    return Contrast.of(values, np.asarray(marked, bool), strata, clusters)


def test_delta_by_hand():
    # Marked 2 and 3 against 1, 2: (2>1, 2=2, 3>1, 3>2) = (1 + 0 + 1 + 1) / 4.
    assert contrast([2, 3, 1, 2], [1, 1, 0, 0]).delta == pytest.approx(3 / 4)


def test_two_strata_by_hand():
    # δ = 1 of (2 against 1), -1/2 of (1 against 1 and 2): weights 1/2 and 2/3.
    found = contrast([2, 1, 1, 1, 2], [1, 0, 1, 0, 0], [0, 0, 5, 5, 5])
    assert found.delta == pytest.approx((1 / 2 - 1 / 3) / (1 / 2 + 2 / 3))
    assert [size.tolist() for size in found.sizes] == [[1, 1], [1, 2]]


def test_strata_of_one_kind_and_unknown_values_are_left_out():
    found = contrast([2, 3, 1, 2, 9, 9, NAN], [1, 1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1, 1])
    assert found.delta == pytest.approx(3 / 4)
    assert len(found.values) == 4
    for marked in ([1, 1], [0, 0]):
        assert contrast([1, 2], marked) is None
    assert contrast([NAN, 2], [1, 0]) is None
    assert contrast([], []) is None


def test_delta_and_p_are_those_of_others():
    random = np.random.default_rng(0)
    values, marked = random.random(80).round(1), random.random(80) < 0.4
    values[marked] += 0.1
    found = contrast(values, marked)
    one, other = values[marked], values[~marked]
    assert found.delta == pytest.approx(np.sign(one[:, None] - other).mean())
    assert found.delta == pytest.approx(2 * roc_auc_score(marked, values) - 1)
    exact = stats.permutation_test(
        (one, other),
        lambda x, y: np.sign(x[:, None] - y).mean(),
        n_resamples=2000,
        rng=np.random.default_rng(1),
    ).pvalue
    assert found.p(0) == pytest.approx(exact, abs=0.03)
    assert found.p(0) == pytest.approx(stats.mannwhitneyu(one, other).pvalue, abs=0.03)
    assert found.p(0) == found.p(0)  # the seed says what is drawn


def test_p_approaches_that_of_all_divisions():
    values, marked = np.array([1.0, 2, 4, 7, 8, 3]), np.array([0, 0, 0, 1, 1, 1], bool)
    found = contrast(values, marked)
    deltas = []
    for chosen in combinations(range(6), 3):
        some = np.isin(np.arange(6), chosen)
        deltas.append(np.sign(values[some][:, None] - values[~some]).mean())
    exact = np.mean(np.abs(deltas) >= abs(found.delta) - 1e-12)
    assert found.p(0, permutations=20_000) == pytest.approx(exact, abs=0.01)


def test_marks_of_more_than_half_are_the_same_test():
    random = np.random.default_rng(0)
    values, marked, strata = random.random(60), random.random(60) < 0.8, np.arange(60) % 3
    found, turned = contrast(values, marked, strata), contrast(values, ~marked, strata)
    assert turned.delta == pytest.approx(-found.delta)
    assert turned.interval(0) == pytest.approx(tuple(-x for x in found.interval(0)[::-1]))
    assert turned.p(0) == pytest.approx(found.p(0), abs=0.04)


def test_the_level_holds_and_the_interval_covers():
    random = np.random.default_rng(0)
    rejected = covered = 0
    true = 2 * stats.norm.cdf(0.8 / 2**0.5) - 1
    strata = np.repeat([0, 1, 2], [30, 20, 40])
    for seed in range(300):
        marked = random.random(90) < np.array([0.5, 0.2, 0.3])[strata]
        noise = random.normal(size=90) + strata
        rejected += contrast(noise, marked, strata).p(seed, permutations=199) <= 0.05
        low, high = contrast(noise + 0.8 * marked, marked, strata).interval(seed)
        covered += low <= true <= high
    assert rejected / 300 < 0.09
    assert 0.91 < covered / 300 < 0.985


def test_separated_kinds_are_not_certain():
    # All 8 marked above all 20 others: (8 - z²) / (8 + z²).
    values, marked = np.arange(28.0), np.arange(28) >= 20
    z2 = stats.norm.ppf(0.975) ** 2
    assert contrast(values, marked).delta == pytest.approx(1)
    assert contrast(values, marked).interval(0) == pytest.approx(((8 - z2) / (8 + z2), 1))
    low, high = contrast(-values, marked).interval(0)
    assert (low, high) == pytest.approx((-1, -(8 - z2) / (8 + z2)))
    # Equal everywhere: no difference, and not surely none.
    same = contrast(np.ones(28), marked)
    assert same.delta == 0
    low, high = same.interval(0)
    assert low == -high < 0
    assert same.p(0) == 1


def test_one_against_one_says_little():
    found = contrast([2, 1], [1, 0])
    assert found.delta == 1
    low, high = found.interval(0)
    assert low < 0 < high == 1
    assert found.p(0) == 1


def test_clusters_widen_and_hold_their_level():
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 5)
    rejected = naive = 0
    for seed in range(150):
        values = random.normal(size=200) + 2 * np.repeat(random.normal(size=40), 5)
        marked = np.repeat(random.random(40) < 0.4, 5)
        found = contrast(values, marked, clusters=people)
        rejected += found.clustered_p(seed) <= 0.05
        naive += found.p(seed, permutations=99) <= 0.05
    assert rejected / 150 < 0.12
    assert naive / 150 > 0.25
    alone, together = contrast(values, marked), contrast(values, marked, clusters=people)
    widths = [np.ptp(found.interval(0)) for found in (alone, together)]
    assert widths[1] > 1.5 * widths[0]
    assert alone.clustered_p(0) is None
    whole = contrast([2, 1], [1, 0], clusters=np.array([3, 3]))
    assert whole.clustered_p(0) is None
    assert whole.interval(0)[1] == 1
