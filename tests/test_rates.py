"""Rates of groups: published intervals, closed forms, and clusters by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse, stats

from auditor.rates import Rates, mean_over_clusters, percentiles, resampled_sums
from auditor.statistics import different_rates, rate_difference, rate_ratio, wilson


def rates(*counts: tuple[int, int], repeat: int = 0) -> Rates:
    """Groups of (right, judged); with `repeat`, every so many cases of a group are a cluster."""
    groups = np.repeat(np.arange(len(counts)), [n for _, n in counts])
    right = np.concatenate([np.arange(n) < k for k, n in counts])
    clusters = None
    if repeat:
        within = np.concatenate([np.arange(n) // repeat for _, n in counts])
        clusters = np.unique(np.stack([groups, within]), axis=1, return_inverse=True)[1].ravel()
    return Rates.of(groups, right, len(counts), clusters, seed=0)


# -- closed forms --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("some", "others", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10, a to h.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
        ((0, 98), (0, 98), -0.0377, 0.0377),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_newcombes_differences_as_he_prints_them(some, others, low, high):
    assert rate_difference(some, others) == pytest.approx((low, high), abs=5e-5)
    # Held the other way round, it is mirrored.
    assert rate_difference(others, some) == pytest.approx((-high, -low), abs=5e-5)


def test_katz_by_its_formula():
    error = math.sqrt(1 / 12 - 1 / 30 + 1 / 20 - 1 / 40)
    middle = math.log((12 / 30) / (20 / 40))
    z = stats.norm.ppf(0.975)
    expected = math.exp(middle - z * error), math.exp(middle + z * error)
    assert rate_ratio((12, 30), (20, 40)) == pytest.approx(expected)


def test_three_of_twenty_against_nine_of_twenty():
    # Fails four-fifths, and is not significant.
    assert rate_ratio((3, 20), (9, 20)) == pytest.approx((0.11, 1.05), abs=0.005)
    assert different_rates((3, 20), (9, 20)) == pytest.approx(0.08, abs=0.005)


@pytest.mark.parametrize("undefined", [((0, 9), (3, 9)), ((3, 9), (0, 9)), ((0, 0), (3, 9))])
def test_a_ratio_without_a_success_has_no_interval(undefined):
    assert rate_ratio(*undefined) is None


def test_nothing_is_divided_by_no_case():
    assert rate_difference((0, 0), (1, 2)) is None
    none = rates((0, 0), (2, 3))
    assert none.rate([0]) is None
    assert none.interval([0]) is None
    assert none.difference([0], [1]) is None
    assert none.ratio([0], [1]) is None
    assert none.p([0], [1]) is None
    assert none.units.tolist() == [0, 3]


def test_independent_groups_have_the_closed_forms():
    held = rates((3, 20), (9, 20), (5, 10))
    assert not held.clustered
    assert held.counts([0, 2]) == (8, 30)
    assert held.rate([0, 2]) == pytest.approx(8 / 30)
    assert held.interval([0]) == wilson(3, 20)
    assert held.difference([0], [1, 2]) == rate_difference((3, 20), (14, 30))
    assert held.ratio([0], [1]) == rate_ratio((3, 20), (9, 20))
    assert held.p([0], [1]) == different_rates((3, 20), (9, 20))
    # One-sided: the hypergeometric tail.
    tail = stats.hypergeom(40, 12, 20).cdf(3)
    assert held.p([0], [1], lower=True) == pytest.approx(tail)


def test_simultaneous_intervals_are_wilsons_at_sidaks_level():
    held = rates((3, 20), (9, 20), (5, 10))
    found = held.simultaneous([0, 2])
    assert found == [wilson(3, 20, 0.95**0.5), wilson(5, 10, 0.95**0.5)]
    assert held.simultaneous([1]) == [wilson(9, 20)]
    assert held.simultaneous([]) == []


def test_simultaneous_intervals_hold_together():
    random = np.random.default_rng(0)
    together = alone = 0
    for _ in range(400):
        held = rates(*((int(k), 60) for k in random.binomial(60, 0.7, 8)))
        bounds = held.simultaneous(list(range(8)))
        together += all(low <= 0.7 <= high for low, high in bounds)
        each = [held.interval([group]) for group in range(8)]
        alone += all(low <= 0.7 <= high for low, high in each)
    assert together / 400 > 0.93
    assert alone / 400 < 0.8


# -- clusters ------------------------------------------------------------------------------


def test_clusters_of_one_are_cases():
    free, single = rates((12, 40), (25, 50)), rates((12, 40), (25, 50), repeat=1)
    assert single.clustered
    assert single.units.tolist() == [40, 50]
    assert single.interval([0]) == pytest.approx(free.interval([0]), abs=0.03)
    assert single.difference([0], [1]) == pytest.approx(free.difference([0], [1]), abs=0.03)
    assert single.ratio([0], [1]) == pytest.approx(free.ratio([0], [1]), abs=0.1)
    assert single.p([0], [1]) == pytest.approx(free.p([0], [1]), abs=0.03)
    assert single.p([0], [1], lower=True) < 0.5 < single.p([1], [0], lower=True)


def test_tenfold_copies_are_worth_no_more_than_one():
    once, tenfold = rates((12, 40), (25, 50)), rates((120, 400), (250, 500), repeat=10)
    assert tenfold.units.tolist() == [40, 50]
    assert tenfold.interval([0]) == pytest.approx(once.interval([0]), abs=0.04)
    assert tenfold.difference([0], [1]) == pytest.approx(once.difference([0], [1]), abs=0.04)
    assert tenfold.p([0], [1]) == pytest.approx(once.p([0], [1]), abs=0.03)


def test_a_group_whose_cases_all_agree_is_as_sure_as_its_clusters_are_many():
    held = rates((200, 200), (0, 150), repeat=10)
    assert held.interval([0]) == wilson(20, 20)
    assert held.difference([0], [1]) == rate_difference((20, 20), (0, 15))
    assert held.p([0], [1]) == different_rates((20, 20), (0, 15))
    assert held.ratio([0], [1]) is None
    low, high = held.simultaneous([0, 1])[0]
    assert (low, high) == wilson(20, 20, 0.95**0.5)


def test_a_cluster_may_reach_over_groups():
    # Two cases each of three people, one in either group.
    groups, right = np.array([0, 1] * 3), np.array([True, False] * 3)
    held = Rates.of(groups, right, 2, np.array([0, 0, 1, 1, 2, 2]))
    assert held.units.tolist() == [3, 3]
    # Together they are three clusters, not six.
    assert held.interval([0, 1]) == pytest.approx((0.5, 0.5))
    assert [part.tolist() for part in held.members] == [[0, 1, 2], [0, 1, 2]]


def test_an_empty_group_and_cases_in_none():
    held = Rates.of(np.array([0, -1, 2]), np.array([True, True, False]), 3, np.array([4, 4, 7]))
    assert held.judged.tolist() == [1, 0, 1]
    assert held.units.tolist() == [1, 0, 1]
    assert held.interval([1]) is None
    nobody = Rates.of(np.zeros(0, int), np.zeros(0, bool), 1, np.zeros(0, int))
    assert nobody.interval([0]) is None


def test_intervals_over_clusters_cover_where_closed_forms_do_not():
    random = np.random.default_rng(1)
    clustered = closed = together = 0
    for _ in range(150):
        share = random.beta(2, 2, size=60)  # of each person, in one of two groups
        right = (random.random((60, 8)) < share[:, None]).ravel()
        people = np.repeat(np.arange(60), 8)
        held = Rates.of(people % 2, right, 2, people, seed=0)
        low, high = held.difference([0], [1])
        clustered += low <= 0 <= high
        low, high = Rates.of(people % 2, right, 2).difference([0], [1])
        closed += low <= 0 <= high
        together += all(low <= 0.5 <= high for low, high in held.simultaneous([0, 1]))
    assert clustered / 150 > 0.88
    assert together / 150 > 0.88
    assert closed / 150 < 0.8


def test_resampled_sums_by_their_moments():
    held = sparse.csr_array(np.array([[1.0, 10.0], [3.0, 10.0], [5.0, 10.0]]))
    drawn = resampled_sums(held, seed=0, resamples=4000)
    assert drawn.shape == (4000, 2)
    assert (drawn[:, 1] == 30).all()
    # Three draws of a variable with variance 8/3.
    assert drawn[:, 0].mean() == pytest.approx(9, abs=0.2)
    assert drawn[:, 0].var() == pytest.approx(8, abs=0.6)
    assert (resampled_sums(held, seed=0) == resampled_sums(held, seed=0)).all()


def test_means_over_clusters():
    random = np.random.default_rng(0)
    values, people = random.normal(size=200), np.arange(200)
    low, high = mean_over_clusters(values, people, 0)
    expected = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(expected, abs=0.02)
    wide = mean_over_clusters(np.repeat(values, 9), np.repeat(people, 9), 0)
    assert wide == pytest.approx((low, high), abs=0.02)
    assert mean_over_clusters(np.array([1.0, np.nan]), np.array([0, 1]), 0) is None
    assert mean_over_clusters(np.array([2.0, 2.0]), np.array([0, 1]), 0) == (2, 2)
    assert percentiles(np.array([np.nan])) is None
