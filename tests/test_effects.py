from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from auditor.findings.effects import AverageEffect, Shift, average_effects, stratified_mean

CLASSES = ("a", "b")
NONE = np.full(60, np.nan)  # what is taken from margins plays no part where values are known


def strata(**counts: int) -> np.ndarray:
    return np.array([name for name, count in counts.items() for _ in range(count)], dtype=object)


def test_a_stratified_mean_by_hand() -> None:
    # 10 errors, all tested: mean 4. 90 others, three tested: mean 1. So 0.1 · 4 + 0.9 · 1.
    values = np.array([3.0, 5.0] * 5 + [0.0, 1.0, 2.0])
    tested = strata(error=10, rest=3)
    mean, error, df = stratified_mean(values, tested, strata(error=10, rest=90), np.arange(13))
    assert mean == pytest.approx(1.3)
    # Σ (W / n · deviation)²: ten of (0.01)² and two of (0.3)², times n / (n - strata).
    assert error == pytest.approx(np.sqrt((10 * 0.01**2 + 2 * 0.3**2) * 13 / 11))
    assert df == 11


def test_one_stratum_is_the_plain_mean_and_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(2, 1, 40)
    mean, error, df = stratified_mean(values, strata(rest=40), strata(rest=500), np.arange(40))
    assert (mean, error, df) == pytest.approx((values.mean(), stats.sem(values), 39))


def test_copies_in_a_cluster_narrow_nothing() -> None:
    values = np.random.default_rng(1).normal(2, 1, 20)
    alone = stratified_mean(values, strata(rest=20), strata(rest=99), np.arange(20))
    copied = stratified_mean(
        np.repeat(values, 5), strata(rest=100), strata(rest=100), np.repeat(np.arange(20), 5)
    )
    assert copied == pytest.approx(alone)


def test_a_stratum_with_a_single_tested_case_joins_the_largest() -> None:
    values = np.array([9.0, 1.0, 1.0, 1.0])
    found = stratified_mean(values, strata(error=1, rest=3), strata(error=2, rest=98), np.arange(4))
    assert found is not None
    assert found[0] == pytest.approx(3.0)


def test_too_few_cases_have_no_mean() -> None:
    assert stratified_mean(np.ones(2), strata(rest=2), strata(rest=9), np.arange(2)) is None
    empty = np.array([None] * 5, dtype=object)
    assert stratified_mean(np.ones(0), empty[:0], empty, np.arange(0)) is None


def test_the_contrast_is_fixed_whatever_a_case_is_annotated_as() -> None:
    # Value x adds 2 to the first logit. Of a case annotated x, the same donors have it and the
    # opposite ones do not; of one annotated y it is the other way round.
    values = ["x", "y"] * 6
    cases = pd.DataFrame({"attribute.v": values, "stratum": "rest"})
    own = np.array([v == "x" for v in values])
    with_cue = np.where(own[:, None], [2.0, 0.0], [0.0, 0.0]) + 0.01 * np.arange(12)[:, None]
    without = np.where(own[:, None], [0.0, 0.0], [2.0, 0.0]) + 0.01 * np.arange(12)[:, None]
    (effect,) = average_effects(
        [Shift("c", "v", np.arange(12), with_cue, without, NONE[:12])], cases, CLASSES
    )
    assert (effect.value, effect.class_name, effect.against) == ("x", "a", "b")
    assert effect.estimate == pytest.approx(2.0)
    assert (effect.n, effect.tests) == (12, 1)


def test_of_several_classes_and_values_the_clearest_contrast_is_taken_and_paid_for() -> None:
    rng = np.random.default_rng(3)
    values = list("xyz") * 20
    cases = pd.DataFrame({"attribute.v": values, "stratum": "rest"})
    base = rng.normal(0, 0.1, (60, 3))
    raised = np.array([[0.0, 3.0, 0.0] if v == "z" else [0.0, 0.0, 0.0] for v in values])
    (effect,) = average_effects(
        [Shift("c", "v", np.arange(60), base + raised, np.zeros((60, 3)), NONE)],
        cases,
        ("a", "b", "c"),
    )
    assert (effect.value, effect.class_name, effect.against) == ("z", "b", None)
    # Against the mean of the two others.
    assert effect.estimate == pytest.approx(3.0, abs=0.15)
    assert (effect.n, effect.tests) == (20, 9)


def test_fills_show_what_the_cue_adds_to_the_margin() -> None:
    # Of two classes the cue pulls either way, so on a fixed contrast it would come to nothing.
    cases = pd.DataFrame({"stratum": ["rest"] * 4})
    either = np.array([[1.0, 0.0], [0.0, 1.0]] * 2)
    taken = np.array([1.0, 1.0, 1.0, 1.4])
    (effect,) = average_effects(
        [Shift("c", None, np.arange(4), either, np.zeros((4, 2)), taken)], cases, CLASSES
    )
    assert (effect.value, effect.class_name, effect.tests) == (None, None, 1)
    assert effect.estimate == pytest.approx(1.1)


def test_unknown_values_and_empty_shifts_say_nothing() -> None:
    cases = pd.DataFrame({"attribute.v": [None] * 5, "stratum": "rest"})
    shift = Shift("c", "v", np.arange(5), np.ones((5, 2)), np.zeros((5, 2)), NONE[:5])
    assert average_effects([shift], cases, CLASSES) == []
    assert average_effects([], cases, CLASSES) == []


def effect(estimate: float, error: float = 0.1, tests: int = 1) -> AverageEffect:
    return AverageEffect("c", "v", "x", "a", "b", estimate, error, 30.0, 32, tests)


def test_least_and_detectable_effects() -> None:
    width = stats.t.isf(0.0005, 30) * 0.1
    assert effect(1.0).interval(0.001) == pytest.approx((1 - width, 1 + width))
    assert effect(-1.0).least(0.001) == pytest.approx(1 - width)
    assert effect(0.1).least(0.001) == 0
    assert effect(1.0, tests=2).least(0.001) < effect(1.0).least(0.001)
    power = stats.t.isf(0.2, 30) * 0.1
    assert effect(0).detectable(0.001, 0.5) == pytest.approx(0.5 + width + power)
