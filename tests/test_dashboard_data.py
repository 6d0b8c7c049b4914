"""What the pages about the dataset, the groups and the maps show, by hand on small runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.dashboard import attention, dataset, groups
from auditor.dashboard.columns import pooled, read_clusters, read_columns
from auditor.dashboard.means import half_widths
from auditor.errors import RunError
from auditor.statistics import holm, mean_interval, wilson
from auditor.store import Run, open_run


def made(
    folder: Path,
    cases: Mapping[str, Sequence[object]],
    findings: Sequence[Mapping[str, Any]] = (),
    regions: Sequence[str] = ("subject", "face", "background", "padding"),
    cues: Sequence[str] = ("face",),
    **info: object,
) -> Run:
    """A finished run of which only the given columns exist."""
    table = pd.DataFrame(cases)
    if "correct" in table:
        table["correct"] = table["correct"].astype("boolean")
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / "cases.parquet")
    attributes = [
        name.removeprefix("attribute.") for name in table if name.startswith("attribute.")
    ]
    described = {
        "schema_version": 2,
        "attributes": attributes,
        "clustered": "cluster" in table,
        "regions": {"names": list(regions), "cues": list(cues), "rest": "background"},
        "thresholds": {"alpha": 0.05},
        **info,
    }
    (folder / "run.json").write_text(json.dumps(described), encoding="utf-8")
    blank = dict.fromkeys(("value", "low", "high", "n", "threshold", "query", "table"))
    told = [{**blank, "severity": "info", **finding} for finding in findings]
    (folder / "findings.json").write_text(
        json.dumps({"schema_version": 2, "findings": told}), encoding="utf-8"
    )
    return open_run(folder)


# -- columns -------------------------------------------------------------------------------


def test_texts_are_categories_and_an_empty_one_is_null(tmp_path):
    run = made(tmp_path / "run", {"label": ["b", "", None, "a"], "correct": [1, None, 0, 1]})
    read = read_columns(run, ["label", "attribute.none"], ["correct", "mass.none"])
    assert read["label"].cat.codes.tolist() == [1, -1, -1, 0]
    assert list(read["label"].cat.categories) == ["a", "b"]
    assert read["attribute.none"].isna().all()
    assert read["mass.none"].isna().all()
    np.testing.assert_array_equal(read["correct"], [1, np.nan, 0, 1])


def test_a_damaged_table_is_said(tmp_path):
    run = made(tmp_path / "run", {"label": ["a"], "correct": [True]})
    (run.path / "cases.parquet").write_bytes(b"nothing")
    with pytest.raises(RunError, match="is damaged"):
        read_columns(run, ["label"])


def test_a_column_that_is_null_throughout_has_no_values(tmp_path):
    run = made(tmp_path / "run", {"label": ["a", "a"], "attribute.sex": [None, None]})
    number, shown, note = pooled(read_columns(run, ["attribute.sex"])["attribute.sex"], 8)
    assert number.tolist() == [0, 0]
    assert (shown, note) == ([None], "")


def test_what_is_too_much_is_shown_together_and_said():
    column = pd.Series(pd.Categorical(["a", "b", "b", "c", "c", "c", None, "d"]))
    number, shown, note = pooled(column, 2)
    assert shown == ["b", "c", "others", None]
    assert number.tolist() == [2, 0, 0, 1, 1, 1, 3, 2]
    assert note == (
        "The 2 commonest of 4 are shown one by one; the other 2 (2 cases) together as “others”."
    )


def test_cases_of_a_cluster_share_a_number_and_others_stand_alone(tmp_path):
    cases = {"label": ["a"] * 5, "cluster": ["x", "", "y", "x", None]}
    clusters = read_clusters(made(tmp_path / "run", cases))
    assert clusters is not None
    assert clusters[0] == clusters[3]
    assert len(set(clusters.tolist())) == 4
    alone = {"label": ["a"] * 2, "cluster": ["x", "y"]}
    assert read_clusters(made(tmp_path / "alone", alone)) is None


# -- dataset -------------------------------------------------------------------------------


def test_every_cell_is_counted_and_missing_annotations_are_a_value(tmp_path):
    run = made(
        tmp_path / "run",
        {"label": ["a", "a", "a", "a", "b"], "attribute.sex": ["f", "f", "m", "", None]},
    )
    found = dataset.crossed(run, "sex")
    rows = [tuple(row) for row in found.table.astype(object).itertuples(index=False)]
    assert rows == [
        ("a", "f", 2, 0.5),
        ("a", "m", 1, 0.25),
        ("a", None, 1, 0.25),
        ("b", "f", 0, 0.0),
        ("b", "m", 0, 0.0),
        ("b", None, 1, 1.0),
    ]
    assert found.unannotated == 2
    assert found.notes == ()


def test_many_labels_and_values_are_cut_and_said(tmp_path):
    names = [f"l{n}" for n in range(12)]
    run = made(tmp_path / "run", {"label": names * 2, "attribute.who": [*names, *names]})
    found = dataset.crossed(run, "who")
    assert len(found.table) == 81
    assert found.table["n"].sum() == 24
    assert [note.split(":")[0] for note in found.notes] == ["Labels", "Values of who"]


def test_coverage_counts_every_status(tmp_path):
    run = made(
        tmp_path / "run",
        {
            "label": ["a"] * 4,
            "attribute.sex": ["f", "", "m", None],
            "status.subject": ["ok", "ok", None, None],
            "status.face": ["cropped_out", "absent", "below_resolution", "ok"],
        },
    )
    rows = [tuple(row) for row in dataset.coverage(run).itertuples(index=False)]
    assert rows == [
        ("attribute", "sex", "annotated", 2, 0.5),
        ("attribute", "sex", "not annotated", 2, 0.5),
        ("region", "subject", "ok", 2, 0.5),
        ("region", "subject", "no masks", 2, 0.5),
        ("region", "face", "ok", 1, 0.25),
        ("region", "face", "absent", 1, 0.25),
        ("region", "face", "cropped_out", 1, 0.25),
        ("region", "face", "below_resolution", 1, 0.25),
    ]


def test_a_run_without_regions_or_attributes_is_still_shown(tmp_path):
    run = made(tmp_path / "run", {"label": ["a"], "correct": [True]}, regions=(), cues=())
    assert dataset.coverage(run)["status"].tolist() == ["no masks"]
    assert dataset.associations(run).empty
    assert dataset.probes(run).empty
    assert dataset.collections(run) == []
    assert attention.mean_masses(run).table.empty
    assert attention.distributions(run).empty
    assert attention.map_source(run).empty
    sensitivity = attention.level_sensitivity(run)
    assert sensitivity.table["testable"].eq(0).all()
    assert sensitivity.table["share"].isna().all()
    assert attention.lift_sensitivity(run)["share"].isna().all()


def test_associations_are_told_apart_by_what_they_are_about(tmp_path):
    run = made(
        tmp_path / "run",
        {"label": ["a"], "attribute.sex": ["f"], "attribute.sex and age": ["x"]},
        [
            {
                "kind": "association", "severity": "notice", "attribute": "sex and age",
                "text": "label and sex and age go together, Cramér's V 0.50 (…",
                "value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "threshold": 0.1,
            },
            {
                "kind": "association", "attribute": "sex", "cue": None,
                "text": "whether label and sex go together cannot be said, since …",
                "n": 0, "threshold": 0.1,
            },
            {
                "kind": "presence_association", "attribute": None, "cue": "face",
                "text": "Cue 'face' is shown in all of 9 images, so its presence cannot …",
                "n": 9, "threshold": 0.1,
            },
            {"kind": "training_association", "attribute": "<b>",
             "text": "label and <b> show no notable …",
             "value": 0.0, "n": 5, "threshold": 0.1},
            {"kind": "training_association", "text": "The record cannot be read."},
            {"kind": "accuracy", "text": "Something else.", "value": 1.0},
        ],
    )  # fmt: skip
    found = dataset.associations(run)
    assert found["name"].tolist() == ["sex and age", "sex", "face", "<b>", None]
    among = ["audited images"] * 2 + ["cue shown"] + ["training images"] * 2
    assert found["among"].tolist() == among
    assert found["notable"].tolist() == [True, False, False, False, False]
    assert found["reason"].notna().tolist() == [False, True, True, False, True]
    assert found["n"].tolist()[:4] == [9, 0, 9, 5]
    assert pd.isna(found["n"].iloc[4])


def test_probes_and_collections_come_from_the_findings(tmp_path):
    table = [{"label": "a", "value": "f", "n": 1, "target": 3, "collect": 2, "surplus": 0}]
    run = made(
        tmp_path / "run",
        {"label": ["a"], "attribute.sex": ["f"]},
        [
            {"kind": "probe", "cue": "background",
             "text": "The data tie the label to the background: a simple …",
             "severity": "notice", "value": 0.9, "low": 0.8, "high": 0.95, "n": 99,
             "threshold": 0.5},
            {"kind": "probe", "n": 0, "cue": "face",
             "text": "Whether cue 'face' alone gives the label away cannot be said, since …"},
            {"kind": "collect", "severity": "notice", "value": 2.0, "n": 9, "table": table,
             "attribute": "sex",
             "text": "To make label and sex independent at constant class size, replace …"},
        ],
    )  # fmt: skip
    probes = dataset.probes(run)
    assert probes["name"].tolist() == ["background", "face"]
    assert probes["notable"].tolist() == [True, False]
    assert probes["reason"].isna().tolist() == [True, False]
    (collection,) = dataset.collections(run)
    assert (collection.name, collection.among, collection.exchanged) == ("sex", "audited images", 2)
    assert collection.table.to_dict("records") == table


# -- groups --------------------------------------------------------------------------------


def grouping(folder: Path, **more: Sequence[object]) -> Run:
    """40 images of a (f: 24 of 30 right, m: 3 of 10), 5 of b; one without a prediction."""
    right = [True] * 24 + [False] * 6 + [True] * 3 + [False] * 7 + [True] * 4 + [None]
    return made(
        folder,
        {
            "label": ["a"] * 40 + ["b"] * 5,
            "attribute.sex": ["f"] * 30 + ["m"] * 10 + ["f", None, "f", "f", "f"],
            "correct": right,
            "status": ["ok"] * 44 + ["unreadable"],
            **more,
        },
    )


def test_every_group_has_a_row_with_its_counts(tmp_path):
    run = grouping(tmp_path / "run")
    found = groups.grouped_accuracy(run, ["sex"])
    table = found.table.set_index("group")
    assert list(table.index) == ["a · f", "a · m", "b · f", "b · not annotated"]
    assert table["n"].tolist() == [30, 10, 4, 1]
    assert table["judged"].tolist() == [30, 10, 3, 1]
    assert table["errors"].tolist() == [6, 7, 0, 0]
    assert table["precision"].tolist() == ["ok", "imprecise", "counts only", "counts only"]
    assert table["accuracy"].tolist()[:2] == [0.8, 0.3]
    assert table.at["b · f", "reason"] == "3 judged cases, fewer than 10"
    assert tuple(table.loc["a · f", ["low", "high"]]) == wilson(24, 30)
    assert table["accuracy"].isna().tolist() == [False, False, True, True]
    assert (found.n, found.judged, found.accuracy) == (45, 44, 31 / 44)
    assert (found.low, found.high) == wilson(31, 44)
    assert found.notes == (
        "Without a prediction, and so in no accuracy: 1 case (1 unreadable).",
        "Not annotated with sex: 1 of 45 cases. They are a row of their own, and in no "
        "comparison of values.",
        "2 combinations of values without any case, and so without a row.",
    )


def test_groups_agree_with_those_of_the_run(tmp_path):
    cluster = [f"p{n // 2}" for n in range(45)]
    for name, more in (("alone", {}), ("together", {"cluster": cluster})):
        run = grouping(tmp_path / name, **more)
        mine = groups.grouped_accuracy(run, ["sex"])
        theirs = run.by_group(["label", "sex"])
        columns = ["n", "judged", "correct", "accuracy", "low", "high", "precision"]
        pd.testing.assert_frame_equal(mine.table[columns], theirs[columns], check_dtype=False)
        assert mine.clustered == bool(more)


def test_many_clusters_are_not_resampled_but_give_like_intervals(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    people = random.integers(0, 200, 1000)
    of_person = random.uniform(0.3, 1, 200)
    cases = {
        "label": random.choice(["a", "b"], 1000),
        "correct": random.uniform(size=1000) < of_person[people],
        "status": ["ok"] * 1000,
        "cluster": [f"p{n}" for n in people],
    }
    run = made(tmp_path / "run", cases)
    drawn = groups.grouped_accuracy(run, [])
    monkeypatch.setattr(groups, "MOST_RESAMPLED", 100)
    closed = groups.grouped_accuracy(run, [])
    assert "Student's t" in closed.method
    assert "bootstrap" in drawn.method
    assert closed.table["accuracy"].tolist() == drawn.table["accuracy"].tolist()
    for bound in ("low", "high"):
        np.testing.assert_allclose(closed.table[bound], drawn.table[bound], atol=0.01)
    assert (closed.low, closed.high) == pytest.approx((drawn.low, drawn.high), abs=0.01)


def test_without_labels_groups_are_of_attributes_alone(tmp_path):
    run = grouping(tmp_path / "run")
    found = groups.grouped_accuracy(run, ["sex"], by_label=False)
    assert found.table["group"].tolist() == ["f", "m", "not annotated"]
    assert groups.grouped_accuracy(run, []).table["group"].tolist() == ["a", "b"]
    with pytest.raises(RunError, match="no attribute 'age'"):
        groups.grouped_accuracy(run, ["age"])


def test_too_many_groups_are_said(tmp_path):
    found = groups.grouped_accuracy(grouping(tmp_path / "run"), ["sex"], most=2)
    assert found.table["group"].tolist() == ["a · f", "a · m"]
    assert found.accuracy == 31 / 44
    assert found.notes[-2] == "Of 4 groups the 2 largest have a row; the others hold 5 cases."


def test_one_label_and_no_prediction_at_all(tmp_path):
    cases = {"label": ["a", "a"], "correct": [None, None], "status": ["unreadable"] * 2}
    found = groups.grouped_accuracy(made(tmp_path / "run", cases), [])
    assert found.table[["n", "judged"]].to_numpy().tolist() == [[2, 0]]
    assert (found.accuracy, found.low, found.high) == (None, None, None)


# -- maps ----------------------------------------------------------------------------------


def mapped(folder: Path, **more: Sequence[object]) -> Run:
    """Three errors, one of them without a mask, and two correct cases."""
    return made(
        folder,
        {
            "label": ["a", "a", "b", "a", "b"],
            "correct": [False, False, False, True, True],
            "mass.face": [0.2, 0.4, None, 0.1, 0.1],
            "area.face": [0.1, 0.2, None, 0.1, 0.1],
            "lift.face": [2.0, 2.0, None, 1.0, 1.0],
            **more,
        },
        regions=("face", "padding"),
    )


def test_mean_mass_and_lift_by_hand(tmp_path):
    found = attention.mean_masses(mapped(tmp_path / "run"))
    errors, right = found.table.to_dict("records")
    assert (errors["outcome"], errors["n"], errors["missing"]) == ("errors", 2, 1)
    assert errors["mass"] == pytest.approx(0.3)
    assert errors["chance"] == pytest.approx(0.15)
    assert errors["lift"] == pytest.approx(2)
    # Both cases have the same ratio, so that nothing about it is uncertain.
    assert (errors["lift_low"], errors["lift_high"]) == pytest.approx((2, 2))
    low, high = mean_interval(np.array([0.2, 0.4]))
    assert (errors["mass_low"], errors["mass_high"]) == pytest.approx((max(low, 0), min(high, 1)))
    assert errors["precision"] == "counts only"
    assert (right["n"], right["missing"], right["lift"]) == (2, 0, pytest.approx(1))
    assert found.notes == ()


def test_masses_by_label_show_every_group_that_holds_a_case(tmp_path):
    table = attention.mean_masses(mapped(tmp_path / "run"), "label").table
    keys = list(zip(table["group"], table["outcome"], table["n"], strict=True))
    assert keys == [
        ("a", "errors", 2),
        ("a", "correct cases", 1),
        ("b", "errors", 0),
        ("b", "correct cases", 1),
    ]
    assert table["mass"].isna().tolist() == [False, False, True, False]
    assert table["mass_low"].isna().tolist() == [False, True, True, True]


def test_copies_of_cases_make_no_mean_surer(tmp_path):
    random = np.random.default_rng(1)
    mass, area = random.uniform(0, 1, 40), np.full(40, 0.5)
    cases = {"label": ["a"] * 40, "correct": [False] * 40, "mass.face": mass, "area.face": area}
    run = made(tmp_path / "one", cases, regions=("face",))
    copied = {name: list(values) * 3 for name, values in cases.items()}
    copied["cluster"] = [f"p{n}" for n in range(40)] * 3
    twice = made(tmp_path / "three", copied, regions=("face",))
    one, three = (attention.mean_masses(r).table.iloc[0] for r in (run, twice))
    for name in ("mass", "mass_low", "mass_high", "lift_low", "lift_high"):
        assert one[name] == pytest.approx(three[name])
    assert "whole clusters" in attention.mean_masses(twice).method


def test_half_widths_are_those_of_student():
    values, group = np.array([1.0, 2.0, 4.0, 7.0]), np.array([0, 0, 0, 1])
    residual = values - np.array([7 / 3, 7 / 3, 7 / 3, 7.0])
    half, units = half_widths(residual, group, 3, None)
    low, high = mean_interval(values[:3])
    assert half[0] == pytest.approx((high - low) / 2)
    assert np.isnan(half[1:]).all()
    assert units.tolist() == [3, 1, 0]


def test_quantiles_of_mass_over_area(tmp_path):
    rows = attention.distributions(mapped(tmp_path / "run")).to_dict("records")
    assert [(row["outcome"], row["n"]) for row in rows] == [("errors", 2), ("correct cases", 2)]
    assert rows[0]["q50"] == pytest.approx(0.15)
    assert rows[0]["q25"] == pytest.approx(0.125)
    assert rows[1]["q95"] == pytest.approx(0)


def test_levels_by_hand(tmp_path):
    # The second could only reach .04, the third's second cue halves its level by Holm, the
    # fourth lies off the cue, the fifth is right.
    run = made(
        tmp_path / "run",
        {
            "label": ["a"] * 5,
            "correct": [False] * 4 + [True],
            "p.face": [0.01, 0.04, 0.03, 0.01, 0.01],
            "best_p.face": [0.01, 0.04, 0.01, 0.01, 0.01],
            "margin_excess.face": [0.1, 0.1, 0.1, -0.1, 0.1],
            "p.hair": [None, None, 0.9, None, None],
            "best_p.hair": [None, None, 0.01, None, None],
            "margin_excess.hair": [None, None, 0.1, None, None],
        },
        cues=("face", "hair"),
    )
    found = attention.level_sensitivity(run, [0.02, 0.1])
    assert found.table["alpha"].tolist() == [0.02, 0.05, 0.1]
    assert found.table["testable"].tolist() == [3, 4, 4]
    assert found.table["flagged"].tolist() == [1, 2, 3]
    assert found.table["share"].tolist() == pytest.approx([1 / 3, 0.5, 0.75])
    assert found.table["expected"].tolist() == pytest.approx([0.06, 0.2, 0.4])
    assert (found.alpha, found.errors, found.cues) == (0.05, 4, ("face", "hair"))


def test_the_correction_of_rows_is_that_of_the_statistics():
    p = np.random.default_rng(0).uniform(0, 0.3, (50, 4))
    p[p < 0.05] = np.nan
    expected = np.array([holm(row) for row in p])
    np.testing.assert_allclose(np.minimum(attention._holm(p), 1), expected)


def test_a_threshold_of_lift_marks_errors_and_correct_cases(tmp_path):
    table = attention.lift_sensitivity(mapped(tmp_path / "run"), [1.0, 1.5, 2.0, 2.5])
    errors, right = (table[table["outcome"] == outcome] for outcome in attention.OUTCOMES)
    assert errors["n"].tolist() == [2] * 4
    assert errors["marked"].tolist() == [2, 2, 2, 0]
    assert right["share"].tolist() == [1, 0, 0, 0]


def test_the_layer_in_words_and_gates_that_failed(tmp_path):
    layer = {"name": "conv5", "grid": [7, 9], "follows": 0.4, "threshold": 0.5,
             "chosen": "auto", "verified": False}  # fmt: skip
    findings = [
        {"kind": "gate_noise", "severity": "warning", "text": "Gate not passed: noise."},
        {"kind": "gate_maps", "text": "Gate passed."},
    ]
    run = made(tmp_path / "run", {"label": ["a"]}, findings, layer=layer, method="gradcam")
    facts = dict(attention.map_source(run).itertuples(index=False))
    assert facts["layer"] == "conv5"
    assert facts["resolution"] == "7 × 9 cells (height × width)"
    assert facts["follows a moved stimulus"].endswith("0.50 wanted: not passed")
    assert attention.void_reasons(run) == ["Gate not passed: noise."]
