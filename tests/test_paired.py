"""Paired bootstraps against closed forms, brute force and answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditor.findings.paired import (
    BROKEN,
    FIXED,
    STILL_RIGHT,
    STILL_WRONG,
    Effects,
    PairedRates,
    paired_reliance,
)
from auditor.statistics import mcnemar, paired_difference


def rates(table: list[tuple[int, int, int, int]], clusters: bool = False, seed: int = 0):
    """Rates of groups, each with its counts of right in both, fixed, broken, wrong in both."""
    groups = np.repeat(np.arange(len(table)), [sum(row) for row in table])
    changes = np.concatenate([np.repeat(np.arange(4), row) for row in table])
    own = np.arange(len(groups)) if clusters else None
    return PairedRates.of(groups, changes, len(table), own, seed)


def test_counts_are_those_of_the_groups():
    found = rates([(5, 3, 1, 2), (0, 0, 4, 1)])
    assert found.counts.tolist() == [[5, 3, 1, 2], [0, 0, 4, 1]]
    assert found.units.tolist() == [11, 5]


def test_independent_cases_have_newcombes_interval_and_mcnemars_p():
    found = rates([(30, 12, 4, 14)])
    assert found.difference(0) == paired_difference(30, 4, 12, 14)
    assert found.p(0) == mcnemar(4, 12)


def test_bootstrap_over_clusters_of_one_agrees_with_newcombes_interval():
    row = (300, 60, 20, 120)
    alone, own = rates([row]).difference(0), rates([row], clusters=True).difference(0)
    assert own == pytest.approx(alone, abs=0.006)


def test_clusters_that_all_changed_alike_have_the_closed_form():
    changes, clusters = np.full(12, FIXED), np.arange(12) // 4
    found = PairedRates.of(np.zeros(12, dtype=np.intp), changes, 1, clusters)
    assert found.difference(0) == paired_difference(0, 0, 3, 0)  # of three clusters
    assert found.p(0) is None


def test_cases_that_change_together_widen_the_interval():
    changes = np.repeat([FIXED, STILL_RIGHT, BROKEN, STILL_WRONG, FIXED, STILL_RIGHT] * 5, 8)
    groups = np.zeros(len(changes), dtype=np.intp)
    alone = PairedRates.of(groups, changes, 1)
    together = PairedRates.of(groups, changes, 1, np.arange(len(changes)) // 8)
    widths = [np.subtract(*found.difference(0)[::-1]) for found in (alone, together)]
    # Eight cases that always agree are worth one: √8 = 2.83 times as wide.
    assert widths[1] / widths[0] == pytest.approx(8**0.5, rel=0.12)
    assert together.units.tolist() == [30]
    # 80 fixed and 40 broken of 240: cases alone would be sure of it.
    assert alone.p(0) < 0.001
    assert together.p(0) > 0.05


def test_p_is_students_t_of_the_clusters():
    # Ten clusters of one; differences +1 six times, -1 once, 0 thrice.
    changes = np.array([FIXED] * 6 + [BROKEN] + [STILL_RIGHT] * 3)
    found = PairedRates.of(np.zeros(10, dtype=np.intp), changes, 1, np.arange(10), 0)
    values = np.array([1] * 6 + [-1] + [0] * 3)
    # The bootstrap's standard error is the plug-in one: divided by n.
    t = 0.5 / (values.std() / 10**0.5)
    assert found.p(0) == pytest.approx(2 * stats.t.sf(t, 9), abs=0.01)


def test_nothing_is_said_where_no_case_changed():
    found = rates([(5, 0, 0, 5), (0, 0, 0, 0)])
    assert found.difference(0) == paired_difference(5, 0, 0, 5)
    assert found.difference(1) is None
    assert found.p(0) is None
    assert found.p(1) is None
    assert found.lowest([0, 1]) is None  # the second group has no case
    assert found.lowest([]) is None
    assert found.lowest([0]) == (0.0, None)


def test_lowest_rate_by_hand():
    # A: 6/10 and 3/10; B: 5/10 and 8/10. The lowest goes from 3/10 to 5/10.
    found = rates([(4, 1, 2, 3), (3, 5, 0, 2)])
    estimate, (low, high) = found.lowest([0, 1])
    assert estimate == pytest.approx(0.2)
    assert low < 0.2 < high
    assert found.lowest([1])[0] == pytest.approx(0.5)
    assert found.lowest([1])[1] == pytest.approx(found.difference(1), abs=0.15)


def test_lowest_holds_the_truth_as_often_as_it_says():
    # Two groups of 60, right with .6 and .8 in A and .75 and .7 in B: the lowest gains .1.
    random, held = np.random.default_rng(5), 0
    groups = np.repeat([0, 1], 60)
    in_a, in_b = np.repeat([0.6, 0.8], 60), np.repeat([0.75, 0.7], 60)
    for trial in range(200):
        a, b = random.random(120) < in_a, random.random(120) < in_b
        changes = np.select([a & b, ~a & b, a & ~b], [STILL_RIGHT, FIXED, BROKEN], STILL_WRONG)
        _, (low, high) = PairedRates.of(groups, changes, 2, seed=trial).lowest([0, 1])
        held += low <= 0.1 <= high
    assert held / 200 >= 0.9


NAMED = ("face", "gender", "man", "doctor", "nurse")


def of_run(effects, strata=None, margin: float = 1.0) -> Effects:
    effects = np.array(effects, dtype=np.float64)
    strata = ["error"] * len(effects) if strata is None else strata
    return Effects(effects, np.array(strata, dtype=object), margin)


def test_reliance_is_weighted_by_what_the_tested_cases_stand_for():
    # Ten errors, all tested, effect 2. Of forty others ten are tested, effect .5, and stand for all
    # forty: (10 · 2 + 40 · .5) / 50 = .8, which is .2 of a median margin of 4.
    effects = [2.0] * 10 + [0.5] * 10 + [np.nan] * 30
    a = of_run(effects, ["error"] * 10 + ["rest"] * 40, 4.0)
    found = paired_reliance(NAMED, a, a)
    assert (found.n_a, found.n_b, found.n) == (20, 20, 20)
    assert found.a == pytest.approx(0.2)
    assert found.difference == 0
    assert (found.low, found.high) == (0, 0)  # the same cases are drawn for both
    assert found.reason is None
    halved = paired_reliance(NAMED, a, of_run(effects, a.strata, 8.0))
    assert (halved.b, halved.difference) == (pytest.approx(0.1), pytest.approx(-0.1))


def test_the_sign_is_that_in_a():
    found = paired_reliance(NAMED, of_run([-0.5] * 12), of_run([0.25] * 12))
    assert (found.a, found.b) == (pytest.approx(0.5), pytest.approx(-0.25))
    assert (found.difference, found.low, found.high) == pytest.approx((-0.75, -0.75, -0.75))


def test_cases_that_stand_for_nobody_are_in_no_figure():
    own = of_run([0.5] * 12 + [9.0], ["error"] * 12 + [None])
    found = paired_reliance(NAMED, own, own)
    assert (found.n_a, found.a) == (12, pytest.approx(0.5))


def test_pairing_narrows_the_interval():
    random = np.random.default_rng(0)
    of_case = random.normal(0.5, 0.4, 300)
    gained = of_case + random.normal(0.1, 0.05, 300)
    paired = paired_reliance(NAMED, of_run(of_case), of_run(gained))
    assert paired.low > 0.08
    assert paired.high < 0.12
    apart = paired_reliance(NAMED, of_run(of_case), of_run(random.permutation(gained)))
    assert apart.high - apart.low > 5 * (paired.high - paired.low)
    assert apart.difference == pytest.approx(paired.difference)


def test_interval_agrees_with_the_normal_one():
    random = np.random.default_rng(3)
    a, b = random.normal(0.3, 0.5, 400), random.normal(0.2, 0.5, 400)
    found = paired_reliance(NAMED, of_run(a), of_run(b))
    gained = b - a
    half = 1.96 * gained.std(ddof=1) / 20
    assert found.difference == pytest.approx(gained.mean())
    assert (found.low, found.high) == pytest.approx(
        (gained.mean() - half, gained.mean() + half), abs=0.01
    )


def test_clusters_are_drawn_whole():
    random = np.random.default_rng(2)
    together = np.repeat(random.normal(0.4, 0.3, 40), 6)
    a, b = of_run(np.zeros(240)), of_run(together)
    alone = paired_reliance(NAMED, a, b)
    whole = paired_reliance(NAMED, a, b, np.arange(240) // 6)
    ratio = (whole.high - whole.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(6**0.5, rel=0.15)
    one = paired_reliance(NAMED, a, b, np.zeros(240, dtype=np.intp))
    assert (one.difference, one.low) == (pytest.approx(alone.difference), None)


def test_too_few_and_margins_of_nothing_are_null_with_a_reason():
    a = of_run([0.5] * 9 + [np.nan] * 20)
    b = of_run([0.5] * 29)
    few = paired_reliance(NAMED, a, b)
    assert (few.n_a, few.n_b, few.n, few.a, few.difference) == (9, 29, 9, None, None)
    assert str(few.reason) == "tested on it: 9 cases in A and 29 in B, and 10 are needed"
    none = paired_reliance(NAMED, of_run([0.5] * 29, margin=0.0), b)
    assert str(none.reason) == "the median margin of a run is 0"
