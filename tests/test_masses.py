"""Mass on a cue, errors against correct cases: a pooled comparison is fooled, this one is not."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.findings import Finding
from auditor.findings.masses import mass_differences
from auditor.permutations import Contrast
from auditor.thresholds import THRESHOLDS


def found(
    cases: pd.DataFrame, cues: tuple[str, ...] = ("face",), attributes: tuple[str, ...] = ("g",)
) -> list[Finding]:
    findings = mass_differences(cases, cues, attributes, 0, THRESHOLDS)
    for finding in findings:
        described = finding.described()
        assert json.loads(json.dumps(described, allow_nan=False)) == described
        assert finding.kind == "mass_difference"
        assert "nan" not in finding.text
    return findings


def table(count: int, seed: int = 0, effect: float = 0.0, **columns: Any) -> pd.DataFrame:
    """Errors and mass both depend on the group; on each other only by `effect`."""
    random = np.random.default_rng(seed)
    label, value = random.integers(2, size=(2, count))
    conflict = label != value
    wrong = random.random(count) < np.where(conflict, 0.5, 0.05)
    mass = random.beta(2, 5, count) * 0.5 + 0.3 * conflict + effect * wrong
    cases = {"label": label.astype(str), "attribute.g": value.astype(str), "mass.face": mass}
    return pd.DataFrame(cases | {"correct": ~wrong}).astype({"correct": object}).assign(**columns)


def test_a_pooled_comparison_is_fooled_and_this_one_is_not():
    fooled, seen = [], []
    for seed in range(20):
        cases = table(300, seed)
        wrong = ~cases["correct"].to_numpy(bool)
        pooled = Contrast.of(cases["mass.face"].to_numpy(), wrong, np.zeros(300, int))
        fooled.append(pooled.p(0, permutations=199) <= 0.05)
        seen.append(found(cases)[0].severity == "notice")
    assert np.mean(fooled) == 1
    assert np.mean(seen) <= 0.15


def test_an_effect_within_the_groups_is_found():
    (finding,) = found(table(400, effect=0.1))
    assert finding.severity == "notice"
    assert 0 < finding.low < finding.value < finding.high
    assert finding.text.startswith(
        "Cue 'face', like compared with like by label × g: the predicted class's map lies more on "
        "it in errors than in correct cases (Cliff's δ 0."
    )
    assert "by 1,999 permutations" in finding.text
    # Less on the cue in errors is told, and is no suspicion.
    (less,) = found(table(400, effect=-0.1))
    assert less.severity == "info"
    assert "lies less on it in errors" in less.text
    assert less.high < 0


def test_by_hand():
    cases = pd.DataFrame(
        {
            "label": ["a"] * 4 + ["b"] * 3,
            "attribute.g": ["x"] * 7,
            "correct": [False, False, True, True, True, True, None],
            "mass.face": [0.2, 0.3, 0.1, 0.2, 0.5, 0.6, 0.9],
        }
    )
    (finding,) = found(cases)
    # (1 + 0 + 1 + 1) / 4; all of b are right, and so not compared.
    assert (finding.value, finding.n) == (pytest.approx(0.75), 4)
    assert "2 errors and 2 correct in 1 cell with both" in finding.text
    assert "In cells of one kind alone, not compared: 2 cases." in finding.text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"correct": True}, "no error has a measure on it"),
        ({"correct": False}, "no correct case has a measure on it"),
        ({"correct": None}, "no error has a measure on it"),
        ({"mass.face": np.nan}, "no error has a measure on it"),
    ],
)
def test_what_cannot_be_said(changes: dict[str, Any], why: str):
    (finding,) = found(table(50).assign(**changes))
    assert (finding.severity, finding.value, finding.low, finding.n) == ("info", None, None, 0)
    assert why in finding.text


def test_groups_that_are_wholly_wrong_or_right_cannot_be_compared():
    cases = table(50)
    cases["correct"] = cases["label"] == cases["attribute.g"]
    (finding,) = found(cases)
    assert finding.value is None
    assert "no cell of label × g holds both errors and correct cases" in finding.text


def test_without_cues_cases_or_attributes():
    assert found(table(50), ()) == []
    (finding,) = found(table(50).iloc[:0])
    assert finding.value is None
    (finding,) = found(table(200, effect=0.1), attributes=())
    assert "by label:" in finding.text


def test_an_attribute_of_names_makes_no_cells():
    cases = table(60, effect=0.2)
    cases["attribute.name"] = [f"image {i}" for i in range(60)]
    (plain,) = found(cases)
    (same,) = found(cases, attributes=("g", "name"))
    assert same == plain


def test_cues_are_corrected_for_each_other():
    cases = table(300)
    random = np.random.default_rng(5)
    cases["mass.face"] = random.random(300) + 0.12 * ~cases["correct"].to_numpy(bool)
    cases["mass.hair"] = random.random(300)
    cases["mass.tag"] = np.nan
    face, hair, tag = found(cases, ("face", "hair", "tag"))
    (alone,) = found(cases)
    assert (face.value, face.low, face.high) == (alone.value, alone.low, alone.high)
    assert "corrected for 2 cues" in face.text
    assert "corrected for 2 cues" in hair.text
    assert tag.value is None


def test_clusters_are_resampled_and_the_text_says_so():
    cases = table(200, effect=0.05)
    cases = pd.concat([cases] * 3, ignore_index=True)  # every image three times
    people = np.tile(np.arange(200), 3).astype(str)
    (free,), (together,) = found(cases), found(cases.assign(cluster=people))
    assert together.value == free.value
    assert together.high - together.low > 1.4 * (free.high - free.low)
    assert "over whole clusters" in together.text
    assert "by bootstrap" in together.text


def test_the_order_of_cases_and_categories_change_nothing_but_the_draw():
    cases = table(200, effect=0.05)
    (plain,) = found(cases)
    (again,) = found(cases.astype({"label": "category", "attribute.g": "category"}))
    assert again == plain
    (mixed,) = found(cases.sample(frac=1, random_state=0))
    assert mixed.value == pytest.approx(plain.value)


def test_a_hundred_thousand_cases_take_seconds():
    cases = table(100_000, effect=0.02)
    start = time.process_time()
    (finding,) = found(cases)
    assert time.process_time() - start < 6  # 1 to 2 on a quiet core
    assert finding.severity == "notice"
    assert "From 20000 of 100000 cases, at random." in finding.text
