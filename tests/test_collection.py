"""What to collect, and what is said of label × attribute: small tables by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.findings import Finding, collection_plan
from auditor.findings.association import (
    associations,
    presence_associations,
    training_associations,
)
from auditor.thresholds import THRESHOLDS

CLINIC = {"doctor": {"man": 195, "woman": 55}, "nurse": {"man": 18, "woman": 232}}


def plan(table: list[list[int]]) -> pd.DataFrame:
    labels, values = "abcde"[: len(table)], "xyz"[: len(table[0])]
    return collection_plan(pd.DataFrame(table, list(labels), list(values)))


def targets(table: list[list[int]]) -> list[list[int]]:
    wide = plan(table).pivot_table("target", "label", "value", fill_value=0)
    return wide.astype(int).to_numpy().tolist()


def cases(counts: dict[str, dict[str, int]], **columns: Any) -> pd.DataFrame:
    rows = [(a, b) for a, row in counts.items() for b, n in row.items() for _ in range(n)]
    return pd.DataFrame(rows, columns=["label", "attribute.drawn_as"]).assign(**columns)


def found(counts: dict[str, dict[str, int]], **columns: Any) -> dict[str, Finding]:
    findings = associations(cases(counts, **columns), ["drawn_as"], 0, THRESHOLDS)
    return {finding.kind: finding for finding in findings}


def trained(training: Any) -> dict[str, Finding]:
    return {f.kind: f for f in training_associations(training, 0, THRESHOLDS)}


# -- the plan ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "target"),
    [
        # Half of all are x, so half of each class.
        ([[8, 2], [2, 8]], [[5, 5], [5, 5]]),
        # Classes of 10, 4 and 6; x is 12 of 20, so 6, 2.4 and 3.6: the rest goes to the last y
        # of the second (remainder .6) and to the x of the third.
        ([[10, 0], [1, 3], [1, 5]], [[6, 4], [2, 2], [4, 2]]),
        # Of 20: x 8, y 7, z 5. Ten each: 4, 3.5, 2.5. Equal remainders: where more is already.
        ([[8, 2, 0], [0, 5, 5]], [[4, 4, 2], [4, 3, 3]]),
        # An empty cell: x is 6 of 12.
        ([[6, 0], [0, 6]], [[3, 3], [3, 3]]),
        # A class of one image cannot have two values: it gets the commoner.
        ([[7, 2], [0, 1]], [[6, 3], [1, 0]]),
        # An uneven class where halves tie stays as it is.
        ([[3, 2], [2, 3]], [[3, 2], [2, 3]]),
    ],
)
def test_targets_by_hand(table, target):
    assert targets(table) == target


def test_the_columns_by_hand():
    found = plan([[8, 2], [2, 8]])
    assert list(found.columns) == ["label", "value", "n", "target", "collect", "surplus"]
    assert found.to_numpy().tolist() == [
        ["a", "x", 8, 5, 0, 3],
        ["a", "y", 2, 5, 3, 0],
        ["b", "x", 2, 5, 3, 0],
        ["b", "y", 8, 5, 0, 3],
    ]
    # A cell that neither has nor needs an image is no row.
    assert len(plan([[1, 0], [9, 1]])) == 3


def test_identities_hold_for_random_tables():
    random = np.random.default_rng(0)
    for _ in range(200):
        table = random.integers(0, 9, random.integers(1, 6, 2) % (5, 3) + 1).tolist()
        made = plan(table)
        by_label = made.groupby("label")[["n", "target", "collect", "surplus"]].sum()
        assert (by_label["n"] == by_label["target"]).all()
        assert (by_label["collect"] == by_label["surplus"]).all()
        assert (made["n"] + made["collect"] - made["surplus"] == made["target"]).all()
        # Every target is one of the two whole numbers beside size × share.
        for row in made.itertuples():
            share = sum(r["xyz".index(row.value)] for r in table) / np.sum(table)
            assert abs(row.target - by_label.at[row.label, "n"] * share) < 1


def test_an_independent_table_needs_nothing():
    for rows in ([2, 4], [1, 7, 3]):
        for columns in ([1, 1], [5, 2, 3]):
            table = np.outer(rows, columns).tolist()
            assert plan(table)["collect"].sum() == 0
    assert plan([[0, 0], [0, 0]]).empty


# -- the findings --------------------------------------------------------------------------


def test_the_clinic_by_hand():
    # 213 of 500 men: 106.5 of each class, the half where more are already.
    findings = found(CLINIC)
    value = findings["association"]
    assert value.severity == "notice"
    assert (value.n, value.threshold) == (500, 0.1)
    assert value.low < value.value < value.high
    assert "go together, Cramér's V 0.72" in value.text
    assert "woman: 22.0% of doctor, 92.8% of nurse" in value.text
    collect = findings["collect"]
    assert (collect.severity, collect.value, collect.n) == ("notice", 176, 500)
    assert "replace 88 doctor · man by 88 doctor · woman; 88 nurse · woman by" in collect.text
    assert "176 of 500 images (35.2%)" in collect.text
    described = collect.described()
    assert json.loads(json.dumps(described)) == described
    assert described["table"][1] == {
        "label": "doctor", "value": "woman", "n": 55, "target": 143, "collect": 88, "surplus": 0,
    }  # fmt: skip


def test_a_balanced_dataset_has_nothing_to_collect():
    findings = found({"doctor": {"man": 50, "woman": 50}, "nurse": {"man": 50, "woman": 50}})
    assert list(findings) == ["association"]
    assert (findings["association"].severity, findings["association"].value) == ("info", 0)
    assert findings["association"].table is None


def test_unannotated_cases_are_left_out_and_counted():
    known = found(CLINIC)["association"]
    counts = {"doctor": CLINIC["doctor"] | {"": 7}, "nurse": CLINIC["nurse"] | {None: 1}}
    value = found(counts)["association"]
    assert (value.value, value.n) == (known.value, 500)
    assert "Left out: 8 images in which drawn_as is not annotated." in value.text


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ({"a": {"x": 4}, "b": {"x": 1}}, "the 5 annotated images hold only one value of drawn_as"),
        ({"a": {"x": 4, "y": 1}}, "the 5 annotated images hold only one value of label"),
        ({"a": {"x": 1}, "b": {"y": 1}}, "the 2 annotated images are too few"),
        ({"a": {"": 3}}, "none is annotated"),
        (
            {"a": {"u": 1, "v": 1, "w": 2}, "b": {"x": 1}},
            "5 annotated images have 4 values of it",
        ),
    ],
)
def test_an_undefined_association_says_why(counts, why):
    (value,) = found(counts).values()
    assert (value.severity, value.value, value.low) == ("info", None, None)
    assert why in value.text


def test_clusters_widen_the_interval():
    alone = found(CLINIC, cluster="")["association"]
    assert (alone.low, alone.high) == pytest.approx((0.65, 0.77), abs=0.02)
    # Ten images of each person, or fewer at the end of a cell.
    persons = [str(i) for n in (195, 55, 18, 232) for i in [f"{n} {k // 10}" for k in range(n)]]
    together = found(CLINIC, cluster=persons)["association"]
    assert together.value == alone.value
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert "95 % interval over whole clusters" in together.text
    assert "clusters" not in alone.text


def test_many_cells_are_cut_in_the_text_and_whole_in_the_table():
    counts = {f"class {i}": {f"value {i}": 20, f"value {(i + 1) % 9}": 20} for i in range(9)}
    collect = found(counts)["collect"]
    assert collect.text.count(" by ") == 4
    assert "and 5 more: " in collect.text
    assert {row["label"] for row in collect.table} == set(counts)


def test_categories_as_the_audit_reads_them():
    table = cases(CLINIC).astype("category")
    table["label"] = table["label"].cat.reorder_categories(["nurse", "doctor"])
    (value, collect) = associations(table, ["drawn_as"], 0, THRESHOLDS)
    assert (value, collect) == tuple(found(CLINIC).values())


def test_mutual_information_stands_beside_v():
    # In bits: 1 of the label, .984 of 42.6 %, and left by the label (.760 + .371) / 2, so
    # 2 × (.984 - .566) / 1.984.
    assert "; normalised mutual information 0.42. " in found(CLINIC)["association"].text


# -- whether the cue is there --------------------------------------------------------------


def present(statuses: list[str | None], **columns: Any) -> dict[str, Finding]:
    half = len(statuses) // 2
    table = pd.DataFrame({"label": ["a"] * half + ["b"] * half, "status.tag": statuses, **columns})
    table["status.background"] = "ok"
    findings = presence_associations(table, ["background", "tag"], 0, THRESHOLDS)
    return {finding.kind: finding for finding in findings}


def test_a_cue_that_goes_with_the_label_by_being_there():
    statuses = ["ok"] * 40 + ["absent"] * 10 + ["ok"] * 10 + ["absent"] * 40
    findings = present(statuses)
    same = found({"a": {"x": 40, "y": 10}, "b": {"x": 10, "y": 40}})["association"]
    value, collect = findings["presence_association"], findings["presence_collect"]
    assert value.severity == "notice"
    assert value.value == pytest.approx(same.value)
    assert value.n == 100
    assert "label and the presence of cue 'tag' go together" in value.text
    # Half of all show it, so half of each class.
    assert collect.value == 30
    assert "15 a · shown by 15 a · absent" in collect.text


def test_what_is_neither_shown_nor_absent_is_left_out_and_counted():
    kept = ["ok"] * 20 + ["absent"] * 20
    odd = ["below_resolution", "below_resolution", "cropped_out", None]
    value = present([*kept, *odd, *kept, *odd])["presence_association"]
    assert (value.value, value.n, value.severity) == (0, 80, "info")
    told = "Left out: 4 smaller than a cell of the map, 2 cropped out, 2 without regions."
    assert value.text.endswith(told)


@pytest.mark.parametrize(
    ("status", "told", "n"),
    [
        ("ok", "is shown in all of 6 images, so its presence cannot go with the label", 6),
        ("absent", "is shown in none of 6 images", 6),
        (
            None,
            "cannot be said, since in no image is it known to be there or not. Left out: 6 without "
            "regions.",
            0,
        ),
    ],
)
def test_a_presence_that_does_not_vary_says_so(status, told, n):
    (value,) = present([status] * 6).values()
    assert (value.severity, value.value, value.n) == ("info", None, n)
    assert told in value.text


def test_nothing_is_said_of_the_presence_of_the_rest():
    assert set(present(["ok", "absent"])) == {"presence_association"}


# -- what the checkpoint records -----------------------------------------------------------


def test_the_training_images_by_their_record():
    findings = trained({"images": 500, "groups": {"drawn_as": CLINIC}})
    value, collect = findings["training_association"], findings["training_collect"]
    own = found(CLINIC)
    assert (value.value, value.low, value.high) == (
        own["association"].value, own["association"].low, own["association"].high,
    )  # fmt: skip
    assert value.text.startswith("Of the images that the model was trained on, as its checkpoint")
    assert (value.severity, collect.severity) == ("notice", "notice")
    assert collect.table == own["collect"].table


def test_an_imbalance_that_was_countered():
    even = {label: {"man": 62.5, "woman": 62.5} for label in CLINIC}
    findings = trained({"groups": {"drawn_as": CLINIC}, "balanced_groups": {"drawn_as": even}})
    value, collect = findings["training_association"], findings["training_collect"]
    assert value.severity == collect.severity == "info"
    assert "V is 0.00: this imbalance was countered" in value.text
    assert "man: 50.0% of doctor, 50.0% of nurse" in value.text
    assert "it adds none" in collect.text
    # Balanced over something else: what was drawn is as skewed as before.
    findings = trained({"groups": {"drawn_as": CLINIC}, "balanced_groups": {"drawn_as": CLINIC}})
    assert findings["training_association"].severity == "notice"
    assert "countered" not in findings["training_association"].text


@pytest.mark.parametrize("training", [None, {}, {"groups": {}}, {"groups": None}, "damaged", 3])
def test_without_a_record_nothing_is_said(training):
    assert trained(training) == {}


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"groups": [1]}, "the record is no table but [1]"),
        ({"groups": {"x": 3}}, "'x' is no table but 3"),
        ({"groups": {"x": {"a": None}, "y": 1}}, "'x', 'a' is no table but None"),
        ({"groups": {"x": {"a": {"b": -1}}}}, "'x' counts -1 of 'a', 'b'"),
        ({"groups": {"x": {"a": {"b": "many"}}}}, "'x' counts 'many'"),
        ({"groups": {"x": {"a": {"b": True}}}}, "'x' counts True"),
        ({"groups": {"x": {"a": {"b": 1.5}}}}, "'x' counts 1.5"),
        ({"groups": {"x": {"a": {"b": 2**40}}}}, "'x' counts more images than there can be"),
        ({"groups": {"x": {"a": {"b": 1}}}, "balanced_groups": 7}, "the record is no table"),
        (
            {
                "groups": {"x": {"a": {"b": 1}}},
                "balanced_groups": {"x": {"a": {"b": float("nan")}}},
            },
            "'x' counts nan",
        ),
    ],
)
def test_a_damaged_record_is_a_notice(training, told):
    (finding,) = trained(training).values()
    assert (finding.kind, finding.severity) == ("training_association", "notice")
    assert "cannot be read" in finding.text
    assert told in finding.text


@pytest.mark.parametrize("groups", [{"x": {}}, {"x": {"a": {}}}, {"x": {"a": {"": 3}}}])
def test_a_record_without_an_annotated_image(groups):
    (finding,) = trained({"groups": groups}).values()
    assert "none is annotated" in finding.text
