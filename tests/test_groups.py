from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auditor.groups import cluster_numbers, clusters_of, group_table, grouped, tells_groups
from auditor.statistics import wilson


@pytest.mark.parametrize("nobody", ["", None, float("nan")])
def test_cases_that_belong_together_share_a_number_and_others_stand_alone(nobody):
    # a and b in order, then the two that belong to nobody, each alone.
    found = cluster_numbers(["b", nobody, "a", "b", nobody])
    np.testing.assert_array_equal(found, [1, 2, 0, 1, 3])


def test_without_any_cluster_every_case_stands_alone():
    np.testing.assert_array_equal(cluster_numbers(["", ""]), [0, 1])
    assert cluster_numbers([]).shape == (0,)


def test_where_no_two_belong_together_there_are_no_clusters():
    assert clusters_of(pd.DataFrame({"label": ["a", "b"]})) is None
    assert clusters_of(pd.DataFrame({"cluster": ["x", "y", None]})) is None
    assert clusters_of(pd.DataFrame({"cluster": []})) is None
    assert clusters_of(pd.DataFrame({"cluster": ["x", "x", None]})).tolist() == [0, 0, 1]


def test_names_of_images_are_no_groups():
    assert tells_groups(pd.Series(["a", "b", "a", "c", "c", "b"]))
    assert tells_groups(pd.Series(["a", "b"]))
    assert not tells_groups(pd.Series(["a", "b", "c", "d", "d", None]))
    assert tells_groups(pd.Series([None, None]))


def test_a_group_counts_by_its_clusters():
    cases = pd.DataFrame(
        {
            "label": ["a"] * 60 + ["b"] * 60,
            "correct": ([True, False] * 30) + [True] * 60,
            # Twelve people of five images each, and five of twelve.
            "cluster": [f"a{i // 5}" for i in range(60)] + [f"b{i // 12}" for i in range(60)],
        }
    )
    table = group_table(cases, ["label"]).set_index("label")
    assert table["precision"].tolist() == ["imprecise", "counts only"]
    assert table["judged"].tolist() == [60, 60]
    assert table.at["a", "accuracy"] == 0.5
    assert pd.isna(table.at["b", "accuracy"])
    # Without the column cases are independent.
    free = group_table(cases.drop(columns="cluster"), ["label"]).set_index("label")
    assert free["precision"].tolist() == ["ok", "ok"]
    assert tuple(free.loc["a", ["low", "high"]]) == wilson(30, 60)


def test_rates_come_in_the_order_of_the_rows():
    cases = pd.DataFrame(
        {
            "label": ["b", "a", "b", "a", "a"],
            "x": ["q", None, "p", "q", "p"],
            "correct": [True, False, None, True, True],
        },
        index=[7, 7, 7, 7, 7],
    )
    table, rates = grouped(cases, ["label", "x"])
    assert table["label"].tolist() == ["a", "a", "a", "b", "b"]
    assert table["x"].isna().tolist() == [False, False, True, False, False]
    assert rates.judged.tolist() == table["judged"].tolist() == [1, 1, 1, 0, 1]
    assert rates.right.tolist() == table["correct"].tolist() == [1, 1, 0, 0, 1]


def test_no_cases_are_no_groups():
    empty = pd.DataFrame({"label": [], "correct": []})
    assert group_table(empty, ["label"]).empty
