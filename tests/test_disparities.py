"""Groups held against each other: small tables by hand, and what must not go wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from auditor.findings import Finding
from auditor.findings.disparities import disparities
from auditor.findings.lowest import intersections, worst_groups
from auditor.language import read
from auditor.statistics import rate_difference, rate_ratio, wilson
from auditor.thresholds import THRESHOLDS

Groups = dict[tuple[Any, ...], tuple[int, int]]


def cases(groups: Groups, names: tuple[str, ...] = ("g",), **columns: Any) -> pd.DataFrame:
    """(label, values of `names`) to (right, judged)."""
    rows = [(*key, case < right) for key, (right, n) in groups.items() for case in range(n)]
    wanted = ["label", *(f"attribute.{name}" for name in names), "correct"]
    return pd.DataFrame(rows, columns=wanted).astype({"correct": object}).assign(**columns)


def held(groups: Groups, **columns: Any) -> tuple[Finding, Finding | None]:
    """`disparity`, and `impact_ratio` if there is one."""
    found = disparities(cases(groups, **columns), ["g"], 0, THRESHOLDS)
    assert [finding.kind for finding in found] == ["disparity", "impact_ratio"][: len(found)]
    for finding in found:
        check(finding)
    return found[0], found[1] if len(found) > 1 else None


def check(finding: Finding) -> None:
    """What holds of every finding."""
    described = finding.described()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert not re.search(r"\b(nan|None|unbiased|fair|debiased)\b", finding.text)
    assert len(finding.text) < 700
    if finding.value is not None and finding.low is not None:
        assert finding.low <= finding.value <= finding.high


def rows(finding: Finding) -> dict[tuple[str, str | None], dict[str, Any]]:
    return {(row["label"], row["value"]): dict(row) for row in finding.table}


TWENTY = {("a", "x"): (3, 20), ("a", "y"): (9, 20)}


def test_three_of_twenty_against_nine_of_twenty():
    disparity, impact = held(TWENTY)
    # Fails the screen, is not significant, and both are shown.
    assert impact.value == pytest.approx(1 / 3)
    assert (impact.low, impact.high) == pytest.approx((0.11, 1.05), abs=0.005)
    assert (impact.threshold, impact.severity, impact.n) == (0.8, "info", 40)
    assert "Four-fifths screen by g: the lowest impact ratio is 0.33" in impact.text
    assert "It fails (below 0.80), and the difference is not significant (p = .082" in impact.text
    assert "A screen, not a test." in impact.text
    assert disparity.severity == "info"
    assert disparity.value == pytest.approx(-0.3)
    assert (disparity.low, disparity.high) == pytest.approx(rate_difference((3, 20), (9, 20)))
    assert "imprecise" in disparity.text
    assert disparity.n == 40
    low, high = rows(disparity)["a", "x"], rows(disparity)["a", "y"]
    assert low["p"] == high["p"] == low["q"] == pytest.approx(0.0824, abs=5e-5)
    assert (low["screen"], low["against"], low["ratio"]) == ("fails", "y", pytest.approx(1 / 3))
    assert (low["ratio_low"], low["ratio_high"]) == rate_ratio((3, 20), (9, 20))
    assert (high["ratio"], high["difference"]) == (None, pytest.approx(0.3))
    assert "ratio is to itself" in high["reason"]
    assert (low["low"], low["high"]) == wilson(3, 20)


def test_harm_that_is_certain_names_group_and_evidence():
    groups = {
        ("nurse", "man"): (20, 60), ("nurse", "woman"): (57, 60),
        ("doctor", "man"): (56, 60), ("doctor", "woman"): (50, 60),
    }  # fmt: skip
    disparity, impact = held(groups)
    assert (disparity.severity, impact.severity) == ("notice", "notice")
    assert disparity.text.startswith(
        "Harm by g: of images labelled 'nurse', those annotated as g 'man' are recognised less "
        "often than those as 'woman': 20 of 60 (33.3%) against 57 of 60 (95.0%), 61.7 points"
    )
    assert "q < .001 over 2 comparisons" in disparity.text
    assert "1 of 2 comparisons by g is significant." in disparity.text
    chosen = cases(groups).query(disparity.query)
    assert (len(chosen), chosen["correct"].sum()) == (60, 20)
    assert len(cases(groups).query(impact.query)) == 60


def test_opposite_harms_do_not_cancel():
    # Pooled over labels both values have 50 of 100.
    groups = {("a", "x"): (45, 50), ("a", "y"): (5, 50), ("b", "x"): (5, 50), ("b", "y"): (45, 50)}
    assert held(groups)[0].severity == "notice"


def test_a_hard_label_is_no_harm():
    # y is mostly of the hard label: pooled its accuracy is far lower, within labels it is not.
    groups = {
        ("easy", "x"): (81, 90), ("easy", "y"): (9, 10),
        ("hard", "x"): (3, 10), ("hard", "y"): (27, 90),
    }  # fmt: skip
    disparity, impact = held(groups)
    assert (disparity.severity, disparity.value, impact.value) == ("info", 0, 1)
    assert "every group of a label has the same accuracy" in disparity.text
    assert "All pass (from 0.80)" in impact.text


def test_three_values_are_held_against_the_others_together():
    groups = {("a", "x"): (30, 30), ("a", "y"): (30, 30), ("a", "z"): (10, 30)}
    disparity, impact = held(groups)
    found = rows(disparity)
    assert found["a", "z"]["difference"] == pytest.approx(1 / 3 - 1)
    assert found["a", "x"]["difference"] == pytest.approx(1 - 40 / 60)
    # Three comparisons, not mirrored: q by hand from Fisher's p.
    p = [stats.fisher_exact(t)[1] for t in ([[30, 0], [40, 20]], [[10, 20], [60, 0]])]
    assert found["a", "x"]["q"] == pytest.approx(p[0])
    assert found["a", "z"]["q"] == pytest.approx(min(p[1] * 3, p[0]))
    assert "z" in disparity.text
    assert "the others annotated" in disparity.text
    # The screen holds each against the highest.
    assert (impact.value, found["a", "z"]["against"]) == (pytest.approx(1 / 3), "x")
    assert found["a", "y"]["ratio"] == 1


def test_the_family_is_every_comparison_of_every_attribute():
    table = cases({("a", "x", "p"): (9, 20), ("a", "y", "q"): (3, 20), ("a", "y", "p"): (4, 10),
                   ("a", "x", "q"): (5, 10)}, ("g", "h"))  # fmt: skip
    first, _, second, _ = disparities(table, ["g", "h"], 0, THRESHOLDS)
    one, two = (rows(f)["a", v] for f, v in ((first, "x"), (second, "p")))
    assert sorted([one["q"], two["q"]]) == pytest.approx(
        sorted(stats.false_discovery_control([one["p"], two["p"]]))
    )
    assert "over 2 comparisons" in first.text


def test_groups_never_disappear():
    groups = TWENTY | {
        ("a", "z"): (2, 9),
        ("a", ""): (1, 4),
        ("b", "x"): (1, 1),
        ("a", None): (1, 1),
    }
    disparity, _ = held(groups)
    found = rows(disparity)
    assert set(found) == {("a", "x"), ("a", "y"), ("a", "z"), ("a", None), ("b", "x")}
    assert found["a", "z"]["rate"] is None
    assert (found["a", "z"]["right"], found["a", "z"]["judged"]) == (2, 9)
    assert (found["a", "z"]["precision"], found["a", "x"]["precision"]) == (
        "counts only", "imprecise",
    )  # fmt: skip
    assert found["a", None]["n"] == 5
    assert "fewer than 10 judged cases" in found["a", "z"]["reason"]
    assert "not annotated" in found["a", None]["reason"]
    assert "2 groups under 10 judged cases, counts only" in disparity.text
    assert "5 cases in which g is not annotated" in disparity.text
    assert disparity.n == 50
    for row in found.values():  # whatever is null has a reason
        known = {key: value for key, value in row.items() if not key.startswith("reason")}
        told = row["reason_message"] and str(read(row["reason_message"]))
        assert told == row["reason"]
        assert row["reason"] or None not in known.values()


@pytest.mark.parametrize(
    "groups",
    [
        {("a", "x"): (3, 20), ("b", "x"): (9, 20)},  # one value
        {("a", f"v{i}"): (1, 1) for i in range(8)},  # groups of one
        {("a", "x"): (20, 20), ("b", "y"): (20, 20)},  # the label itself
        {("a", None): (5, 20), ("b", ""): (5, 20)},  # nobody annotated it
        {("a", "x"): (1, 5), ("a", "y"): (1, 5)},
        {},
    ],
)
def test_what_cannot_be_compared_says_so(groups: Groups):
    disparity, impact = held(groups)
    assert impact is None
    assert (disparity.severity, disparity.value, disparity.low) == ("info", None, None)
    assert "cannot be compared" in disparity.text
    assert all(row["reason"] for row in disparity.table)


def test_all_errors_and_no_errors():
    disparity, impact = held({("a", "x"): (0, 30), ("a", "y"): (0, 30)})
    assert (disparity.value, disparity.severity, impact.value) == (0, "info", None)
    assert "no ratio is defined" in impact.text
    disparity, impact = held({("a", "x"): (30, 30), ("a", "y"): (30, 30)})
    assert (disparity.value, impact.value) == (0, 1)


def test_a_group_of_which_none_is_recognised():
    disparity, impact = held({("a", "x"): (0, 30), ("a", "y"): (30, 30)})
    assert (impact.value, impact.low, impact.severity) == (0, None, "notice")
    assert "without an interval" in impact.text
    assert "the ratio has no interval" in rows(disparity)["a", "x"]["reason"]


def test_all_predictions_of_one_class():
    disparity, _ = held({(y, g): (30 * (y == "a"), 30) for y in "ab" for g in "xy"})
    assert (disparity.severity, disparity.value) == ("info", 0)


def test_cases_without_a_prediction_are_in_no_rate():
    table = cases(TWENTY | {("b", "x"): (0, 3)})
    table.loc[table["label"] == "b", "correct"] = None
    disparity, _ = disparities(table, ["g"], 0, THRESHOLDS)
    row = rows(disparity)["b", "x"]
    assert (row["n"], row["judged"], row["rate"]) == (3, 0, None)


def test_clusters_widen_and_the_text_says_so():
    groups = {("a", "x"): (120, 300), ("a", "y"): (180, 300)}
    people = [f"{g}{i // 20}" for g in "xy" for i in range(300)]
    free, clustered = held(groups), held(groups, cluster=people)
    assert clustered[0].low < free[0].low
    assert clustered[0].high > free[0].high
    assert (free[0].severity, clustered[0].severity) == ("notice", "info")
    for finding in clustered:
        assert "over whole clusters" in finding.text
    for finding in free:
        assert "clusters" not in finding.text
    # Nobody belongs with anybody: the closed forms.
    assert held(groups, cluster="")[0] == free[0]


# -- the worst group -----------------------------------------------------------------------


def worst(groups: Groups, **columns: Any) -> Finding:
    by_label, by_both = worst_groups(cases(groups, **columns), ["g"], 0, THRESHOLDS)
    check(by_label)
    check(by_both)
    return by_both


FOUR = {("a", "x"): (27, 30), ("a", "y"): (10, 30), ("b", "x"): (28, 30), ("b", "y"): (25, 30)}


def test_the_interval_of_the_worst_group_holds_with_those_of_the_others():
    found = worst(FOUR)
    assert (found.value, found.n) == (pytest.approx(1 / 3), 30)
    assert (found.low, found.high) == pytest.approx(wilson(10, 30, 0.95 ** (1 / 4)))
    assert found.threshold == pytest.approx(80 / 90)
    assert "simultaneously with the others" in found.text
    assert found.severity == "notice"
    assert len(cases(FOUR).query(found.query)) == 30


def test_the_worst_group_may_be_one_that_nobody_annotated():
    found = worst(FOUR | {("b", None): (1, 20), ("b", ""): (1, 20)})
    assert "label 'b', g not annotated, 2 of 40" in found.text
    table = cases(FOUR | {("b", None): (1, 20), ("b", ""): (1, 20)})
    assert len(table.query(found.query, engine="python")) == 40


def test_the_worst_group_over_clusters():
    people = [f"{n}{i // 3}" for n in range(4) for i in range(30)]
    found = worst(FOUR, cluster=people)
    assert "over whole clusters" in found.text
    plain = worst(FOUR)
    assert found.low < plain.low
    assert found.high > plain.high


def test_names_of_images_have_no_worst_group():
    table = cases({("a", f"v{i}"): (1, 1) for i in range(30)} | {("b", "v1"): (3, 30)})
    table["attribute.g"] = [f"image {i}" for i in range(60)]
    assert len(worst_groups(table, ["g"], 0, THRESHOLDS)) == 1


# -- intersections -------------------------------------------------------------------------


def crossed(groups: Groups, **columns: Any) -> Finding:
    (found,) = intersections(cases(groups, ("g", "h"), **columns), ["g", "h"], 0, THRESHOLDS)
    check(found)
    return found


CROSSED = {("a", g, h): (36, 40) for g in "xy" for h in "pq"} | {("a", "y", "q"): (10, 40)}


def test_a_harm_at_an_intersection():
    found = crossed(CROSSED | {("b", "x", "p"): (0, 29), ("b", "x", "q"): (0, 5)})
    assert found.severity == "notice"
    assert (found.value, found.n) == (0.25, 40)
    assert (found.low, found.high) == pytest.approx(wilson(10, 40, 0.95 ** (1 / 4)))
    assert "label 'a', g 'y', h 'q', 10 of 40" in found.text
    assert "Cells under 30 judged cases, without a rate: 2." in found.text
    assert len(found.table) == 4
    chosen = cases(CROSSED, ("g", "h")).query(found.query)
    assert chosen["correct"].mean() == 0.25


def test_intersections_without_a_cell_that_is_large_enough():
    found = crossed({("a", "x", "p"): (1, 20), ("a", "y", None): (1, 40)})
    assert (found.value, found.severity, found.n) == (None, "info", 0)
    assert "Cells under 30 judged cases, without a rate: 1." in found.text


def test_one_large_cell_has_a_rate_and_nothing_to_be_held_against():
    found = crossed({("a", "x", "p"): (20, 40)})
    assert (found.value, found.severity, found.table[0]["p"]) == (0.5, "info", None)


def test_no_intersection_of_one_attribute():
    assert intersections(cases(TWENTY), ["g"], 0, THRESHOLDS) == []
    assert intersections(cases(TWENTY), [], 0, THRESHOLDS) == []


def test_many_attributes_are_cut_and_it_is_said():
    names = tuple("abcdefghij")
    table = cases({("l", *"0" * 10): (30, 40), ("l", *"1" * 10): (10, 40)}, names)
    (found,) = intersections(table, names, 0, THRESHOLDS)
    assert "Pairs with 2 further attributes were not looked at." in found.text
    assert len(found.table) == 28 * 2


def test_intersections_over_clusters():
    people = [f"{n}{i // 4 if n else i}" for n in range(4) for i in range(40)]
    found = crossed(CROSSED, cluster=people)
    assert "Cells under 30 clusters, without a rate: 3." in found.text
    assert "over whole clusters" in found.text


def test_categories_as_the_audit_reads_them():
    table = cases(FOUR)
    kinds = dict.fromkeys(["label", "attribute.g"], "category")
    for make in (disparities, worst_groups):
        assert make(table.astype(kinds), ["g"], 0, THRESHOLDS) == make(table, ["g"], 0, THRESHOLDS)


def test_many_groups_take_no_time_that_matters():
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "label": random.integers(0, 50, 50_000).astype(str),
            "attribute.g": random.integers(0, 5, 50_000).astype(str),
            "correct": random.random(50_000) < 0.8,
        }
    )
    found, _ = disparities(table, ["g"], 0, THRESHOLDS)
    assert len(found.table) == 250
    # Nothing goes on here, and 250 looks are corrected for.
    assert found.severity == "info"
