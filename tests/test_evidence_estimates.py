"""From logits to decisions: intervals against SciPy, stopping against a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from auditor.evidence import (
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
from auditor.evidence.estimates import FEWEST_CASES, Splicing, adjust, learn_splicing
from auditor.reasons import REASONS
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


# -- splicing ------------------------------------------------------------------------------


def test_adjusting_by_hand():
    # Predicted 0, label 1, margin 2; the third class is far below and never moves.
    original = [2.0, 0.0, -9.0]
    same = [[1.5, 0.5, -9.0], [0.5, -0.5, -9.0]]  # margins 1 and 1
    opposite = [[0.0, 1.0, -9.0], [0.0, 2.0, -9.0]]  # margins -1 and -2
    found = estimate_donors(original, same, opposite, Pair(0, 1))
    assert found.own == 1.0
    assert found.removed == (2.0, -1.5, 0.0)
    assert found.moved == (1.0, 0.0, 0.0)
    assert found.variances == (0.0, 0.5)
    splicing = Splicing({"x": (0.2, -0.2, 0.0)}, 0.09, 21.0, 0.3, 3.0)
    better = adjust(found, splicing, "x")
    # m - mean m(opposite) = 3.5, of which splicing takes 0.4.
    assert better.effect.value == pytest.approx(3.1)
    assert better.effect.margin == 2.0
    # (1 · 0.5 + 3 · 0.3) / 4 of two donors, and what splicing varies.
    assert better.effect.error == pytest.approx(math.sqrt(0.35 / 2 + 0.09))
    share = 0.175 / 0.265
    assert better.effect.df == pytest.approx(1 / (share**2 / 4 + (1 - share) ** 2 / 20))
    # The opposite arm's mean, and what splicing takes given back.
    assert better.corrected == pytest.approx((0.2, 1.3, -9.0))
    assert margins(better.corrected, Pair(0, 1)) == pytest.approx(2 - 3.1)
    # Of a value that was never seen nothing is known to be taken.
    assert adjust(found, splicing, "y").effect.value == pytest.approx(3.5)
    assert adjust(found, None, "x") is found


def sampled(rng, count: int, own: float, seam: float, among: float, shift: float = 0.0) -> list:
    """Cases whose own cue spreads by `own`, and whose splices move by `shift` and spread."""
    cases = []
    for _ in range(count):
        base, moved = rng.normal(0, 3), shift + rng.normal(0, seam)
        arms = base + rng.normal(0, among, (2, 8)) - moved
        margin = base + rng.normal(0, own)
        first = 0 if margin >= 0 else 1
        pair = Pair(first, 1 - first)
        cases.append(estimate_donors(two_classes(margin), *two_classes(arms), pair))
    return cases


def test_splicing_is_told_from_the_images_own_cues():
    rng = np.random.default_rng(4)
    found = learn_splicing(sampled(rng, 4000, 1, 0.0, 1, 0.5), ["x"] * 4000)
    # As logits of two classes that differ by what a splice takes.
    assert found.shifts["x"] == pytest.approx((0.25, -0.25), abs=0.03)
    assert found.varying == pytest.approx(0, abs=0.08)
    assert found.variance == pytest.approx(1, abs=0.05)
    assert found.weight > 100  # all cases' donors spread alike
    assert found.cases == 4000
    found = learn_splicing(sampled(rng, 4000, 1, 0.8, 1), ["x", "y"] * 2000)
    assert found.varying == pytest.approx(0.64, abs=0.1)
    assert all(abs(part) < 0.05 for value in "xy" for part in found.shifts[value])


def test_a_shift_that_may_be_chance_is_shrunk_away():
    rng = np.random.default_rng(6)
    drawn = [learn_splicing(sampled(rng, 12, 1, 0, 1), ["x"] * 12) for _ in range(50)]
    assert sum(found.shifts["x"] == (0.0, 0.0) for found in drawn) > 25


def test_errors_count_by_their_chance_of_being_drawn():
    rng = np.random.default_rng(5)
    rest, errors = sampled(rng, 40, 1, 0, 1), sampled(rng, 40, 1, 0, 1, 3.0)
    alone = learn_splicing(rest, ["x"] * 40)
    both = learn_splicing([*rest, *errors], ["x"] * 80, [1.0] * 40 + [0.0] * 40)
    assert both.shifts["x"] == pytest.approx(alone.shifts["x"])
    assert both.varying == pytest.approx(alone.varying)
    assert both.cases == 40
    few = [1.0] * (FEWEST_CASES - 1) + [0.0] * (81 - FEWEST_CASES)
    assert learn_splicing([*rest, *errors], ["x"] * 80, few) is None
    assert learn_splicing([], []) is None


def test_donors_without_any_spread_leave_no_doubt():
    one = estimate_donors(
        two_classes(1.0), two_classes([1.0, 1.0]), two_classes([-1.0, -1.0]), Pair(0, 1)
    )
    found = learn_splicing([one] * 20, ["x"] * 20)
    assert (found.varying, found.variance) == (0.0, 0.0)
    assert adjust(one, found, "x").effect.lower(0.001) == 2.0


def test_an_own_cue_counts_once_splicing_is_known():
    # The case's cue is worth 3, those of donors 1: all of its margin, or a third of it.
    found = estimate_donors(
        two_classes(3.0), two_classes([1.0, 1.2, 0.8]), two_classes([0.0, 0.2, -0.2]), Pair(0, 1)
    )
    assert found.effect.value == pytest.approx(1)
    plain = Splicing({}, 0.0, 50.0, 0.04, 10.0)
    assert adjust(found, plain, "x").effect.value == pytest.approx(3)


@pytest.mark.parametrize("seam", [0.0, 0.7])
def test_adjusted_intervals_miss_no_more_often_than_they_may(seam):
    # Whoever is tested, D is exactly the margin: the base is 0 without the cue.
    rng = np.random.default_rng(8)
    splicing = learn_splicing(sampled(rng, 60, 1, seam, 0.5), ["x"] * 60)
    missed = 0
    for _ in range(2000):
        moved = rng.normal(0, seam)
        opposite = rng.normal(0, 0.5, 8) - moved
        same = rng.normal(2, 0.5, 8) - moved
        margin = 2 + rng.normal(0, 0.5)
        pairs, over = 0, False
        while not over and (pairs := Looks().next(pairs, 8) or 0):
            found = adjust(
                estimate_donors(
                    two_classes(margin),
                    two_classes(same[:pairs]),
                    two_classes(opposite[:pairs]),
                    Pair(0, 1),
                ),
                splicing,
                "x",
            )
            over = found.effect.lower(Looks().level(pairs, 8, 0.1)) > margin
        missed += over
    assert missed / 2000 <= 0.1 + 0.02


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
    # The level is .2; of 300, and three standard errors.
    assert confirmed <= 300 * THRESHOLDS.caused + 21


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
    assert decided(1.0, *arms, available=3, sets=12).outcome == "probable"
    strict = Thresholds(caused=0.0125)
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
    assert untestable(reason) == ("untestable", str(REASONS[reason]), True)


def test_what_the_own_control_contradicts_is_not_confirmed() -> None:
    # Of a margin of 4, either arm takes 5: splicing did it, not the cue.
    gone = two_classes([-1.0, -1.1, -0.9])
    found = estimate_donors(two_classes(4.0), gone, gone, Pair(0, 1))
    assert found.contrast == pytest.approx(0)
    assert found.own == pytest.approx(5)
    blind = Splicing({"x": (0.0, 0.0)}, 0.0, 50.0, 0.01, 10.0)
    adjusted = adjust(found, blind, "x")
    assert adjusted.effect.value == pytest.approx(5)
    decision = decide_by_donors(adjusted, 3, 1, **ERROR)
    assert decision.outcome == "unsupported"
    assert "only 0.00 of it against its own control" in decision.told
    # Where the control keeps its margin, the same D stands.
    kept = estimate_donors(two_classes(4.0), two_classes([4.0, 4.1, 3.9]), gone, Pair(0, 1))
    assert decide_by_donors(adjust(kept, blind, "x"), 3, 1, **ERROR).outcome == "confirmed"
