"""From logits to decisions: intervals against SciPy, stopping against a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from auditor.evidence import (
    REASONS,
    Decision,
    Looks,
    Pair,
    decide_by_donors,
    decide_by_fills,
    estimate_donors,
    estimate_fills,
    margins,
    survives_without_subject,
    untestable,
    welch,
)
from auditor.thresholds import THRESHOLDS, Thresholds


def two_classes(differences) -> np.ndarray:
    """Logits [n, 2] whose first is so much larger than the second."""
    differences = np.asarray(differences, dtype=float)
    return np.stack([differences / 2, -differences / 2], axis=-1)


# -- effects -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "spread"), [(2, 2, 1), (3, 5, 4), (8, 8, 0.1), (4, 2, 1e-9)])
def test_welch_is_scipys(n, m, spread):
    rng = np.random.default_rng(n)
    one, two = rng.normal(1, 1, n), rng.normal(0, spread, m)
    found = welch(one, two, 2.0)
    theirs = stats.ttest_ind(one, two, equal_var=False)
    assert found.value / found.error == pytest.approx(theirs.statistic)
    assert found.df == pytest.approx(theirs.df)
    interval = theirs.confidence_interval(0.9)
    assert found.lower(0.05) == pytest.approx(interval.low)
    assert found.upper(0.05) == pytest.approx(interval.high)
    assert found.reliance == pytest.approx(found.value / 2)
    assert found.reliance_error == pytest.approx(found.error / 2)


def test_an_effect_without_spread_or_without_enough_values():
    exact = welch([2.0, 2.0], [0.5, 0.5, 0.5], 1.5)
    assert (exact.value, exact.error, exact.df) == (1.5, 0.0, 3.0)
    assert exact.lower(0.05) == exact.upper(0.001) == 1.5
    single = welch([2.0], [0.5], 0.0)
    assert single.value == 1.5
    assert single.error is single.df is single.reliance is single.reliance_error is None
    assert single.lower(0.05) == -math.inf
    assert single.upper(0.05) == math.inf
    with pytest.raises(ValueError, match="0 and 1 values"):
        welch([], [1.0], 1.0)


def test_margins_take_any_two_of_the_classes():
    logits = np.array([[1.0, 5.0, 2.5], [4.0, 0.0, 1.0]])
    assert margins(logits, Pair(1, 2)).tolist() == [2.5, -1.0]


def test_donors_by_hand():
    # Predicted 0, label 1; margin 2. Third class far below.
    original = [2.0, 0.0, -9.0]
    same = [[3.0, 0.0, -9.0], [1.0, 0.0, -9.0]]
    opposite = [[0.0, 1.0, -9.0], [0.0, 2.0, -9.0]]
    found = estimate_donors(original, same, opposite, Pair(0, 1))
    assert found.effect.value == 2.0 - (-1.5)
    assert found.effect.margin == 2.0
    assert found.effect.reliance == 1.75
    # Variances 2 and 0.5, of two each: 1 + 0.25.
    assert found.effect.error == pytest.approx(math.sqrt(1.25))
    # 2 + (0 - 2), 0 + (1.5 - 0), -9 + 0.
    assert found.corrected == (0.0, 1.5, -9.0)
    assert found.decision == 1
    assert found.flips == 1.0
    assert found.own == 0.0
    assert found.pairs == 2


def test_donors_that_change_nothing_have_no_effect():
    logits = two_classes([1.0, 2.0, 0.5])
    found = estimate_donors(logits[0], logits, logits, Pair(0, 1))
    assert found.effect.value == found.flips == 0.0
    assert found.corrected == tuple(logits[0])


def test_fills_by_hand():
    # Predicted 0, label 1, margin 1. Three fills, two controls each.
    region = two_classes([-1.0, -2.0, 0.5])
    controls = two_classes([[1.0, 2.0], [1.0, -1.0], [0.5, 1.5]])
    found = estimate_fills(two_classes(1.0), region, controls, Pair(0, 1), 1)
    assert found.values == (2.5, 2.0, 0.5)
    assert found.effect.value == pytest.approx(5 / 3)
    assert found.disagreement == pytest.approx(np.std([2.5, 2.0, 0.5], ddof=1))
    assert found.effect.error == pytest.approx(found.disagreement / math.sqrt(3))
    assert found.effect.df == 2
    assert found.flips == 2
    assert found.control_flips == 0.5  # one of the second fill's two
    assert margins(found.corrected, Pair(0, 1)) == pytest.approx(1 - 5 / 3)
    assert found.decision == 1
    alone = estimate_fills(two_classes(1.0), region[:1], controls[:1], Pair(0, 1), None)
    assert alone.effect.error is None
    assert math.isnan(alone.disagreement)
    assert alone.flips == 1


def test_bad_logits_are_refused():
    one = two_classes([1.0])
    with pytest.raises(ValueError, match="1 same and 2 opposite"):
        estimate_donors(one[0], one, two_classes([1.0, 2.0]), Pair(0, 1))
    with pytest.raises(ValueError, match="not finite"):
        estimate_donors(one[0], one, one * np.nan, Pair(0, 1))
    with pytest.raises(ValueError, match="at least one"):
        estimate_fills(one[0], one, np.zeros((1, 0, 2)), Pair(0, 1), 1)
    with pytest.raises(ValueError, match="not finite"):
        estimate_fills(one[0], one, np.full((1, 1, 2), np.inf), Pair(0, 1), 1)


# -- looks ---------------------------------------------------------------------------------


def test_looks_by_hand():
    looks = Looks((3, 5, 8), (0.2, 0.3, 0.5))
    assert [looks.next(n, 8) for n in (0, 3, 5, 8)] == [3, 5, 8, None]
    assert [looks.level(n, 8, 0.1) for n in (3, 5, 8)] == pytest.approx([0.02, 0.03, 0.05])
    # With six donors the last look comes at six, and gets all that is left.
    assert [looks.next(n, 6) for n in (0, 3, 5, 6)] == [3, 5, 6, None]
    assert [looks.level(n, 6, 0.1) for n in (3, 5, 6)] == pytest.approx([0.02, 0.03, 0.05])
    assert looks.level(5, 5, 0.1) == pytest.approx(0.08)
    assert looks.level(3, 3, 0.1) == pytest.approx(0.1)
    assert looks.next(8, 20) is None
    with pytest.raises(ValueError, match="nobody looks at 4 of 8"):
        looks.level(4, 8, 0.1)


@pytest.mark.parametrize("available", range(2, 12))
def test_however_many_donors_the_looks_spend_the_level_once(available):
    looks, spent, have = Looks(), 0.0, 0
    while (have_next := looks.next(have, available)) is not None:
        have = have_next
        spent += looks.level(have, available, 0.05)
    assert have == min(available, 8)
    assert spent == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("pairs", "shares", "told"),
    [
        ((5, 3), (0.5, 0.5), "growing"),
        ((1, 3), (0.5, 0.5), "from 2 on"),
        ((), (), "growing"),
        ((3, 5), (1.0,), "one above 0 for each"),
        ((3, 5), (1.0, 0.0), "one above 0 for each"),
        ((3, 5), (0.5, 0.4), "sum to 0.9"),
    ],
)
def test_looks_that_cannot_be_are_refused(pairs, shares, told):
    with pytest.raises(ValueError, match=told):
        Looks(pairs, shares)


NULLS = {
    "normal": lambda rng, n: rng.standard_normal((n, 8, 2)),
    "unequal": lambda rng, n: rng.standard_normal((n, 8, 2)) * (1, 5),
    "uniform": lambda rng, n: rng.random((n, 8, 2)),
    "heavy": lambda rng, n: rng.standard_t(3, (n, 8, 2)),
}


@pytest.mark.parametrize("null", NULLS)
def test_stopping_early_keeps_the_false_positive_rate(null):
    # D - m is 0 on average, and every look may stop: as t bounds on whole arrays.
    count, alpha, looks = 20_000, 0.05, Looks()
    arms = NULLS[null](np.random.default_rng(7), count)
    positive = np.zeros(count, dtype=bool)
    for n in looks.pairs:
        a, b = (arms[:, :n, arm].var(1, ddof=1) / n for arm in (0, 1))
        df = (a + b) ** 2 / ((a**2 + b**2) / (n - 1))
        bound = stats.t.isf(looks.level(n, 8, alpha), df) * np.sqrt(a + b)
        positive |= arms[:, :n, 0].mean(1) - arms[:, :n, 1].mean(1) > bound
    # The rate's own standard error is .0015.
    assert positive.mean() <= alpha + 0.003


def test_confirming_at_the_true_margin_is_rare_through_the_whole_path():
    rng = np.random.default_rng(11)
    confirmed, passes = 0, []
    for _ in range(300):
        # The cue takes exactly the margin: whoever confirms is wrong.
        same, opposite = two_classes(rng.normal(2, 0.5, 8)), two_classes(rng.normal(0, 0.5, 8))
        pairs = 0
        while (pairs := Looks().next(pairs, 8)) is not None:
            found = estimate_donors(two_classes(2.0), same[:pairs], opposite[:pairs], Pair(0, 1))
            decision = decide_by_donors(found, 8, 1, 1, 0)
            if decision.final:
                confirmed += decision.outcome == "confirmed"
                passes.append(2 * pairs)
                break
    assert len(passes) == 300
    assert confirmed <= 26  # .05 of 300 and three standard errors


# -- decisions -----------------------------------------------------------------------------

ERROR = {"label": 1, "predicted": 0}


def decided(margin, same, opposite, sets=1, available=8, thresholds=THRESHOLDS) -> Decision:
    found = estimate_donors(
        two_classes(margin), two_classes(same), two_classes(opposite), Pair(0, 1)
    )
    return decide_by_donors(found, available, sets, **ERROR, thresholds=thresholds)


def test_an_error_that_the_cue_caused_is_confirmed_at_the_first_look():
    found = decided(1.0, [1.0, 1.1, 0.9], [-1.0, -1.1, -0.9])
    assert found.outcome == "confirmed"
    assert found.final
    assert "D = 2.00 of a margin of 1.00" in found.told


def test_an_error_that_the_cue_had_no_part_in_is_unsupported_at_the_first_look():
    found = decided(4.0, [4.0, 4.1, 3.9], [3.9, 4.0, 4.1])
    assert (found.outcome, found.final) == ("unsupported", True)


def test_a_contributing_cause_is_probable_and_final_once_more_cannot_confirm():
    found = decided(4.0, [4.0, 4.1, 3.9], [1.5, 1.6, 1.4])
    assert (found.outcome, found.final) == ("probable", True)
    # D = 3.7 of 4: may yet turn out to take it all.
    found = decided(4.0, [4.0, 4.3, 3.7], [0.3, 0.6, 0.0])
    assert (found.outcome, found.final) == ("probable", False)
    found = decided(4.0, [4.0, 4.3, 3.7], [0.3, 0.6, 0.0], available=3)
    assert (found.outcome, found.final) == ("probable", True)


def test_noise_asks_for_more_and_then_is_unsupported():
    noisy = ([4.0, -3.0, 5.0], [3.0, -6.0, 2.0])
    assert decided(2.0, *noisy)[::2] == ("unsupported", False)
    assert decided(2.0, *noisy, available=3)[::2] == ("unsupported", True)


def test_more_cue_sets_ask_for_more_evidence():
    arms = ([1.0, 1.4, 0.6], [-1.0, -1.4, -0.6])
    assert decided(1.0, *arms, available=3, sets=1).outcome == "confirmed"
    assert decided(1.0, *arms, available=3, sets=10).outcome == "probable"
    strict = Thresholds(intervention=0.005)
    assert decided(1.0, *arms, available=3, thresholds=strict).outcome == "probable"


def test_confirming_needs_the_label_first():
    # The margin against the label is gone, but a third class comes first.
    same = np.tile([2.0, 0.0, -1.0], (3, 1))
    opposite = np.tile([-3.0, 0.0, 5.0], (3, 1))
    found = estimate_donors([2.0, 0.0, -1.0], same, opposite, Pair(0, 1))
    assert found.decision == 2
    assert decide_by_donors(found, 3, 1, **ERROR).outcome == "probable"
    # Of a correct case any other class will do.
    assert decide_by_donors(found, 3, 1, label=0, predicted=0).outcome == "confirmed"


def test_a_margin_of_nothing_divides_nothing():
    found = estimate_donors(two_classes(0.0), two_classes([0.0, 0.0]), two_classes([0.0, 0.0]),
                            Pair(0, 1))  # fmt: skip
    assert found.effect.reliance is None
    assert decide_by_donors(found, 2, 1, **ERROR).outcome == "unsupported"


def by_fills(region, controls, margin=1.0) -> Decision:
    found = estimate_fills(two_classes(margin), two_classes(region), two_classes(controls),
                           Pair(0, 1), 1)  # fmt: skip
    return decide_by_fills(found, 1, **ERROR)


def test_fills_confirm_with_three_of_four_and_at_most_one_control():
    quiet = [[1.0]] * 4
    assert by_fills([-1, -1, -1, 0.5], quiet).outcome == "confirmed"
    assert by_fills([-1, -1, -1, 0.5], [[-1.0], *quiet[1:]]).outcome == "confirmed"
    assert by_fills([-1, -1, 0.5, 0.5], quiet).outcome == "probable"
    two = by_fills([-1, -1, -1, -1], [[-1.0], [-1.0], *quiet[2:]])
    assert two.outcome == "unsupported"
    assert "4 of 4 fills" in two.told
    assert by_fills([1, 1.1, 0.9, 1], quiet).outcome == "unsupported"


def test_a_wrong_reason_outlasts_the_subject():
    sure, weak = Decision("confirmed", "x", True), Decision("unsupported", "x", True)
    assert survives_without_subject(sure, True) == sure
    assert survives_without_subject(sure, False).outcome == "unsupported"
    assert survives_without_subject(sure, None).outcome == "untestable"
    assert survives_without_subject(weak, False) == weak


@pytest.mark.parametrize("reason", REASONS)
def test_what_cannot_be_tested_says_why(reason):
    assert untestable(reason) == ("untestable", REASONS[reason], True)
