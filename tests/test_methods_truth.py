from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.cam import METHODS
from auditor.errors import AuditorError
from auditor.scenes import CUES
from benchmarks.methods_truth import scoring
from benchmarks.methods_truth.__main__ import chosen, kept, plan_sha256
from benchmarks.methods_truth.measuring import AUDITED, packed
from benchmarks.methods_truth.scoring import (
    BASELINES,
    BY_NAME,
    EXCESS,
    GATES,
    LIFT,
    falsely,
    less,
    pooled,
    scored,
    unpacked,
    within,
)
from benchmarks.methods_truth.writing import BEGIN, END, markdown, written
from benchmarks.truth import summary as truth_summary
from benchmarks.truth.grid import SEEDS, UNBIASED
from benchmarks.truth.summary import judged

DOC = Path(__file__).parent.parent / "docs" / "methods.md"
TABLES = 4
CAUSED = np.array([True, True, False, False])
PERFECT, CONSTANT = np.array([4.0, 3.0, 1.2, 1.0]), np.full(4, 2.0)
INVERTED = PERFECT[::-1]


def errors(lift: np.ndarray, model: int = 3000, margin: np.ndarray | None = None) -> pd.DataFrame:
    """Four errors, the first two caused by the cue."""
    return pd.DataFrame(
        {
            "error": True,
            "caused": CAUSED,
            "margin": 1.0,
            "true_effect": np.where(CAUSED, 2.0, 0.0),
            "conflict": True,
            "iou": [0.1, 0.6, 0.2, 0.7],
            "pointing": 0.0,
            "mass": lift / 10,
            "lift": lift,
            "margin_excess": lift / 10 - 0.1 if margin is None else margin,
            "p": 1 / (1 + lift),
            "evidence": ["confirmed", "unsupported", "unsupported", "unsupported"],
            "reliance": PERFECT,
            "reliance_se": 0.1,
            "passes": 7.0,
            "tested": True,
            "cell": f"head_{model}",
            "cue": "head",
            "skew": "78/93",
            "seed": model,
            "network": "plain",
        }
    )


# -- scores ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lift", "auroc", "average_precision", "precision", "recall"),
    [
        (PERFECT, 1, 1, 1, 1),
        # The false ones come first: the two true ones are the 3rd and the 4th, 1/3 and 2/4.
        (INVERTED, 0, (1 / 3 + 2 / 4) / 2, 0, 0),
        # All come in together.
        (CONSTANT, 1 / 2, 1 / 2, 1 / 2, 1),
        # One true one on top, the other unknown, so last: pairs won 2 of 4; 1/1 and 2/4.
        (np.array([4.0, np.nan, 1.6, 1.0]), 1 / 2, (1 + 2 / 4) / 2, 1 / 2, 1 / 2),
    ],
)
def test_a_detector_is_scored_as_by_hand(lift, auroc, average_precision, precision, recall):
    found = judged(BY_NAME[LIFT], errors(lift))
    assert found["auroc"] == pytest.approx(auroc)
    assert found["average_precision"] == pytest.approx(average_precision)
    assert found["precision"] == pytest.approx(precision)
    assert found["recall"] == pytest.approx(recall)
    assert found["auroc_interval"] is None  # of one model


def test_the_attention_test_ranks_by_a_small_p():
    found = judged(BY_NAME["attention test"], errors(PERFECT))
    assert found["auroc"] == 1
    assert found["recall"] == 0  # none is at most .05


def test_pairs_of_two_models_do_not_count_within_a_model():
    score = np.array([1.0, 0.0, 9.0, 8.0, 7.0])
    caused = np.array([True, False, True, False, False])
    # Ranked perfectly in both; between them, 1 lies below 8 and 7.
    assert within(score, caused, list("aabbb")) == 1
    assert within(score, caused, list("aaaaa")) == pytest.approx(4 / 6)
    # One pair of a is lost, two of b are won.
    assert within(score[[1, 0, 2, 3, 4]], caused, list("aabbb")) == pytest.approx(2 / 3)
    assert within(score[:2], caused[:2], list("ab")) is None


def test_the_difference_is_of_the_same_errors():
    better = pd.concat([errors(PERFECT, model) for model in range(3000, 3006)])
    worse = pd.concat([errors(INVERTED, model) for model in range(3000, 3006)])
    assert less(BY_NAME[LIFT], better, worse) == pytest.approx((1, 1, 1))
    assert less(BY_NAME[LIFT], better, better) == pytest.approx((0, 0, 0))
    assert less(BY_NAME[LIFT], better.assign(lift=np.nan), worse) is None
    with pytest.raises(ValueError, match="not the same"):
        less(BY_NAME[LIFT], better, worse.iloc[4:])


def test_what_the_cue_caused_is_not_flagged_falsely():
    assert falsely(BY_NAME[LIFT], errors(PERFECT)) == 0
    assert falsely(BY_NAME[LIFT], errors(CONSTANT)) == 1 / 2
    assert falsely(BY_NAME[EXCESS], errors(CONSTANT)) is None  # it decides nothing


# -- results --------------------------------------------------------------------------------


def result(seed: int, skew: str) -> dict[str, Any]:
    """A model that CAM does not serve, on which HiResCAM is perfect, and Eigen-CAM undefined."""
    lifts = {"hirescam": PERFECT, "gradcam": CONSTANT, "eigencam": CONSTANT}
    gates = {gate: {"outcome": "passed", "value": 0.2} for gate in GATES}
    methods: dict[str, Any] = {
        key: {
            "problem": None,
            "table": packed(
                errors(
                    lifts.get(key, INVERTED),
                    margin=np.full(4, np.nan) if key == "eigencam" else None,
                )
            ),
            "gates": gates | {"gate_noise": {"outcome": "not passed", "value": None}},
            "ratio": 1.5,
        }
        for key in METHODS
    }
    return {
        "cell": f"head_{seed}",
        "cue": "head",
        "skew": skew,
        "seed": seed,
        "network": "plain",
        "channels": 64,
        "audit": packed(errors(CONSTANT)),
        "methods": methods | {"cam": {"problem": "it takes no mean"}},
    }


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    made = [result(seed, "78/93") for seed in range(3000, 3006)] + [result(3006, UNBIASED)]
    return json.loads(json.dumps(made))  # as they are kept


@pytest.fixture(scope="module")
def summary(results) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(truth_summary, "RESAMPLES", 10)
        patch.setattr(scoring, "RESAMPLES", 10)
        return scored(results)


def test_tables_come_back_as_they_were():
    found = errors(np.array([4.0, np.nan, 1.6, 1.0]))
    back = unpacked(json.loads(json.dumps(packed(found))))
    pd.testing.assert_frame_equal(back, found, check_dtype=False)
    nothing = unpacked(packed(found.assign(p=np.nan)))
    assert nothing["p"].dtype == float
    assert nothing["p"].isna().all()


def test_every_method_is_scored_on_the_skewed_models(results, summary):
    found = summary
    assert found["counts"]["skewed"] == {
        "models": 6,
        "errors": 24,
        "caused": 12,
        "measurable": 24,
    }
    assert set(found["methods"]) == set(METHODS)
    assert set(found["baselines"]) == set(BASELINES)
    best = found["methods"]["hirescam"][LIFT]
    assert best["auroc"] == best["within"] == best["resolved"] == 1
    assert best["auroc_interval"] == (1, 1)
    assert best["less"] == pytest.approx((0.5, 0.5, 0.5))
    assert best["less_by_network"] == {"plain": pytest.approx((0.5, 0.5, 0.5))}
    assert (best["cue"], best["network"]) == ({"head": 1}, {"plain": 1})
    assert found["methods"][AUDITED][LIFT]["false"] == 0.5  # of the unbiased model alone
    assert found["methods"]["cam"]["models"] == 0
    assert found["methods"]["eigencam"][EXCESS]["auroc"] is None
    assert found["baselines"]["confirmed"]["auroc"] == 1
    assert found["baselines"]["confirmed"]["recall"] == 0.5
    gate = found["methods"]["gradcam"]["gates"]["gate_noise"]
    assert (gate["passed"], gate["not passed"], gate["median"]) == (0, 7, None)
    assert len(pooled(results, "cam")) == 0


def test_every_method_has_a_line_in_every_table_it_serves_or_not(summary):
    page = markdown(summary)
    for key in METHODS:
        assert page.count(f"| `{key}` |") == TABLES
    (line,) = [row for row in page.splitlines() if row.startswith("| HiResCAM | `hirescam` | 6 ")]
    assert "| 1.00 (1.00 to 1.00) | +.50 (+.50 to +.50) |" in line
    assert "0 of 7, **7 fail** (–)" in page


def test_tables_go_between_their_marks():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert written(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(AuditorError, match="marks"):
        written("no marks", "new")


# -- the command and what it wrote ----------------------------------------------------------


def test_what_is_reported_comes_from_reporting_seeds_and_every_cue():
    cells = chosen()
    assert {cell.seed for cell in cells} <= set(SEEDS["reporting"])
    assert len({cell.seed for cell in cells}) == len(cells)
    for cue in CUES:
        assert sum(cell.cue == cue and cell.skew == "78/93" for cell in cells) >= 2
    assert {cell.network for cell in cells} == {"plain", "dense"}


def test_a_model_of_other_code_is_not_kept(tmp_path):
    file = tmp_path / "model.json"
    assert kept(file, "a") is None
    file.write_text('{"key": "a"}')
    assert kept(file, "a") == {"key": "a"}
    assert kept(file, "b") is None
    assert kept(file, None) == {"key": "a"}
    file.write_text('{"key": ')
    assert kept(file, "a") is None
    assert plan_sha256() == plan_sha256()


def test_the_page_has_a_row_for_every_method():
    _, _, rest = DOC.read_text(encoding="utf-8").partition(BEGIN)
    tables, end, _ = rest.partition(END)
    assert end
    for key, method in METHODS.items():
        assert tables.count(f"| `{key}` |") == TABLES
        view = "" if method.evidence else " (view)"
        assert f"| {method.title}{view} | `{key}` |" in tables
    first = tables.partition("The other scores")[0]
    assert len([line for line in first.splitlines() if line.startswith("| *")]) == len(BASELINES)
