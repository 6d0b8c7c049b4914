from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn

from auditor.errors import RunError
from auditor.geometry import Preprocess
from auditor.models import Classifier
from auditor.scenes import CUES, LABELS, REGIONS, draw
from benchmarks.truth import grid, running
from benchmarks.truth.cases import case_table, conflicts
from benchmarks.truth.detectors import DETECTORS
from benchmarks.truth.metrics import (
    auroc,
    average_precision,
    precision,
    recall,
    resampled,
    slope,
    upper_bound,
)
from benchmarks.truth.summary import judged, summarised
from benchmarks.truth.testing import balanced
from benchmarks.truth.training import group_counts
from benchmarks.truth.truth import known, swapped, truth
from benchmarks.truth.variants import AS_DRAWN, VARIANTS
from benchmarks.truth.writing import markdown

# -- metrics --------------------------------------------------------------------------------


def test_rankings_agree_with_scikit_learn_ties_and_unknown_scores_included():
    random = np.random.default_rng(0)
    for _ in range(20):
        score = random.integers(0, 6, 40).astype(float)
        true = random.random(40) < 0.3
        true[:2] = True, False
        assert auroc(score, true) == pytest.approx(roc_auc_score(true, score))
        assert average_precision(score, true) == pytest.approx(average_precision_score(true, score))
        unknown = np.where(random.random(40) < 0.2, np.nan, score)
        lowest = np.nan_to_num(unknown, nan=-1)
        assert auroc(unknown, true) == pytest.approx(roc_auc_score(true, lowest))
        assert average_precision(unknown, true) == pytest.approx(
            average_precision_score(true, lowest)
        )
    assert auroc(np.ones(3), np.ones(3, bool)) is None
    assert average_precision(np.ones(3), np.zeros(3, bool)) is None


def test_precision_and_recall_by_hand():
    said, true = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 1, 1, 0], bool)
    assert precision(said, true) == pytest.approx(2 / 3)
    assert recall(said, true) == pytest.approx(2 / 3)
    assert precision(~said & said, true) is None
    assert recall(said, true & False) is None


def test_the_upper_bound_of_no_event_in_forty_is_seven_percent():
    assert upper_bound(0, 40) == pytest.approx(0.0722, abs=5e-5)
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert upper_bound(3, 3) == 1
    assert upper_bound(0, 0) is None


def test_the_slope_is_of_the_estimate_on_the_truth():
    true = np.array([0.0, 1.0, 2.0, 3.0])
    assert slope(true, 0.5 * true + 1) == pytest.approx((0.5, 1))
    assert slope(true, np.ones(4)) is None


def test_whole_clusters_are_resampled():
    clusters = np.repeat([1, 2, 3, 4, 5], 10)
    values = clusters.astype(float)
    low, high = resampled(clusters, lambda rows: float(values[rows].mean()), 400) or (0, 0)
    assert 1 <= low < 2.2
    assert 3.8 < high <= 5
    assert resampled(clusters[:10], lambda _: 1.0, 10) is None


# -- truth ----------------------------------------------------------------------------------


def test_truth_of_hand_made_logits():
    before = np.array([[2, 0], [0, 1], [1, 0], [0, 3]])
    after = np.array([[1, 0], [2, 0], [0, 2], [0, 4]])
    labels, first = np.array([0, 0, 1, 1]), np.array([True, False, True, False])
    found = truth(before, after, labels, first)
    assert found.predicted.tolist() == [0, 1, 0, 1]
    assert found.margin.tolist() == [2, 1, 1, 3]
    # What changing the cue takes from each margin: 2 → 1, 1 → -2, 1 → -2, 3 → 4.
    assert found.effect.tolist() == [1, 3, 3, -1]
    assert found.caused.tolist() == [False, True, True, False]
    # The first logit less the second, first value less second: 2 - 1, 2 - -1, 1 - -2, -4 - -3.
    assert found.average == pytest.approx(np.mean([1, 3, 3, -1]))


class Blue(nn.Module):
    """Takes blue for a doctor and nothing else."""

    def forward(self, images: Tensor) -> Tensor:
        blue = images[:, 2].mean((1, 2)) - images[:, 0].mean((1, 2))
        return torch.stack([100 * blue, torch.zeros_like(blue)], dim=1)


def test_truth_of_a_classifier_that_sees_nothing_but_the_tag():
    plain = Preprocess(resize=48, crop=48, mean=(0, 0, 0), std=(1, 1, 1))
    scenes = balanced("tag", 7, 2)
    found = known(Classifier(Blue(), LABELS, plain), scenes, 48)
    assert found.average > 0  # the tag's first value is blue
    assert found.interval[0] > 0
    blue = np.array([scene.value == "blue" for scene in scenes])
    as_doctor = found.predicted == 0
    assert (found.effect[as_doctor == blue] > 0).all()
    assert (found.effect[as_doctor != blue] < 0).all()


def test_swapping_changes_nothing_but_the_cue():
    scene = balanced("tag", 7, 1)[0]
    assert swapped(swapped(scene)) == scene
    assert replace(swapped(scene), value=scene.value) == scene


# -- grid -----------------------------------------------------------------------------------


def test_tuning_and_reporting_share_no_seed():
    assert not set(grid.SEEDS["tuning"]) & set(grid.SEEDS["reporting"])


def test_the_reported_grid_has_unbiased_models_enough_and_a_seed_for_each():
    cells = grid.full(grid.SEEDS["reporting"])
    assert len({cell.name for cell in cells}) == len(cells)
    assert len({cell.seed for cell in cells}) == len(cells)
    assert sum(cell.skew == grid.UNBIASED for cell in cells) >= 40
    assert {(c.cue, c.skew) for c in cells} == {(c, s) for c in CUES for s in grid.SKEWS}
    assert len({cell.name for cell in grid.quick(grid.SEEDS["tuning"])}) == 28


def test_no_test_scene_is_the_counterfactual_of_another():
    scenes = balanced("head", 5, 3)
    assert len({scene.seed for scene in scenes}) == len(scenes) == 12
    assert set(group_counts(scenes)["nurse"].values()) == {3}


# -- cases and detectors --------------------------------------------------------------------


def test_conflict_groups_of_the_paper():
    counts = {"doctor": {"man": 390, "woman": 110}, "nurse": {"man": 35, "woman": 465}}
    assert conflicts(counts, "doctor", "woman")
    assert conflicts(counts, "nurse", "man")
    assert not conflicts(counts, "doctor", "man")
    even = {label: {"man": 250, "woman": 250} for label in LABELS}
    assert not any(conflicts(even, label, v) for label in LABELS for v in ("man", "woman"))


def run_of_two() -> pd.DataFrame:
    """An error and a correct case, with face and hair for cues."""
    columns = {
        "label": ["doctor", "nurse"],
        "correct": [False, True],
        "margin": [2.0, 3.0],
        "attribute.value": ["woman", "woman"],
        "iou.subject": [0.2, 0.7],
        "evidence": ["attention", None],
    }
    for cue, mass, p in (("face", 0.3, 0.01), ("hair", 0.1, 0.6)):
        columns |= {
            f"area.{cue}": [0.1, 0.1],
            f"mass.{cue}": [mass, np.nan],
            f"margin_mass.{cue}": [mass, np.nan],
            f"margin_excess.{cue}": [mass - 0.1, np.nan],
            f"pointing.{cue}": [mass, np.nan],
            f"p.{cue}": [p, np.nan],
            f"best_p.{cue}": [0.01, np.nan],
        }
    return pd.DataFrame(columns)


TRUTH = truth(
    np.array([[0.0, 2.0], [0.0, 3.0]]),
    np.array([[1.0, 0.0], [0.0, 2.0]]),
    np.array([0, 1]),
    np.array([False, False]),
)
COUNTS = {"doctor": {"man": 78, "woman": 22}, "nurse": {"man": 7, "woman": 93}}


def test_cues_are_measured_as_one_region():
    found = case_table(run_of_two(), ("face", "hair"), TRUTH, COUNTS)
    error = found.iloc[0]
    assert error["lift"] == pytest.approx(0.4 / 0.2)
    assert error["margin_excess"] == pytest.approx((0.4 - 0.2) / 0.8)
    assert error["p"] == pytest.approx(0.02)  # Holm over two cues
    assert error["conflict"]
    assert found["caused"].tolist() == [True, False]
    assert found["true_effect"].tolist() == [3, 1]
    assert found["mass"].isna().tolist() == [False, True]
    assert not found["tested"].any()


def test_reliance_is_that_of_all_cues_together_where_it_was_tried():
    run = run_of_two()
    run["reliance.face"], run["reliance.hair"] = [0.2, 0.1], [0.9, 0.3]
    run["reliance_se.face"], run["reliance_se.hair"] = [0.01, 0.02], [0.03, 0.04]
    run["reliance.face+hair"], run["reliance_se.face+hair"] = [1.5, np.nan], [0.05, np.nan]
    found = case_table(run, ("face", "hair"), TRUTH, COUNTS)
    assert found["reliance"].tolist() == [1.5, 0.3]
    assert found["reliance_se"].tolist() == [0.05, 0.04]
    assert found["tested"].all()


def errors() -> pd.DataFrame:
    """Four errors, of which the first two are caused and the first is confirmed."""
    return pd.DataFrame(
        {
            "error": True,
            "caused": [True, True, False, False],
            "margin": [1.0, 2.0, 3.0, 4.0],
            "true_effect": [1.5, 2.5, 2.0, 0.0],
            "conflict": [True, False, True, False],
            "iou": 0.1,
            "pointing": [1.0, 0.0, 0.0, 0.0],
            "mass": 0.5,
            "lift": [2.0, 2.0, 2.0, 1.0],
            "margin_excess": [0.4, 0.3, 0.2, 0.1],
            "p": [0.01, 0.2, np.nan, 0.04],
            "evidence": ["confirmed", "probable", "probable", "unsupported"],
            "reliance": [1.6, 1.2, 0.6, 0.1],
            "reliance_se": 0.2,
            "passes": 6.0,
            "tested": True,
        }
    )


def test_detectors_by_hand():
    table = errors().assign(seed=1)
    rows = {detector.name: judged(detector, table) for detector in DETECTORS}
    assert (rows["confirmed"]["precision"], rows["confirmed"]["recall"]) == (1, 0.5)
    probable = rows["confirmed or probable"]
    assert (probable["precision"], probable["recall"]) == (pytest.approx(2 / 3), 1)
    assert (probable["precision_half"], probable["recall_half"]) == (1, 1)
    assert rows["confirmed"]["auroc"] == rows["low margin"]["auroc"] == 1
    assert rows["low margin"]["precision"] is None
    assert (rows["all errors"]["precision"], rows["all errors"]["auroc"]) == (0.5, None)
    assert rows["errors of conflict groups"]["precision"] == 0.5
    assert rows["IoU(subject) < 0.5"]["recall"] == 1
    assert rows["pointing at the cue"]["recall"] == 0.5
    assert rows["mass on the cue"]["auroc"] == 0.5
    assert rows["lift > 1.5"]["precision"] == pytest.approx(2 / 3)
    assert rows["attention test"]["precision"] == 0.5
    unmeasured = judged(DETECTORS[-2], table.assign(margin_excess=np.nan))
    assert unmeasured["auroc"] is unmeasured["average_precision"] is None
    untested = table.assign(tested=False)
    assert judged(DETECTORS[0], untested)["precision"] is None


# -- summary --------------------------------------------------------------------------------


def result(skew: str, seed: int, effect: float, verdict: int | None) -> dict:
    columns = errors().astype(object).where(errors().notna(), None)
    return {
        "cell": f"head_{skew}_{seed}_plain",
        "cue": "head",
        "skew": skew,
        "seed": seed,
        "network": "plain",
        "n": 100,
        "accuracy": 0.9,
        "errors": 4,
        "caused": 2,
        "effect": effect,
        "delta": 0.2,
        "passes": 50.0,
        "verdict": verdict,
        "estimate": None if verdict is None else -effect,
        "cases": {name: columns[name].tolist() for name in columns},
        "variants": {
            "misplaced": {
                "evidence": ["unsupported", "probable", "unsupported", "untestable"],
                "p": [None, 0.01, None, None],
                "caused": [True, True, False, False],
            }
        },
    }


def test_summary_of_hand_made_cells():
    results = [result("50/50", 1, 0.1, 1), result("50/50", 2, -0.1, 3), result("90/10", 3, 2.0, 4)]
    summary = summarised(results)
    by = {(row["cue"], row["skew"]): row for row in summary["verdicts"]}
    unbiased, skewed = by["head", "50/50"], by["head", "90/10"]
    assert (unbiased["false"], unbiased["false_of"]) == (1, 2)
    assert unbiased["false_upper"] == pytest.approx(upper_bound(1, 2))
    assert (skewed["found"], skewed["found_of"], skewed["false_of"]) == (1, 1, 0)
    detection = next(r for r in summary["detection"] if r["detector"] == "confirmed or probable")
    assert detection["false_unbiased"] == 0.25
    cost = {(row["cue"], row["skew"]): row for row in summary["cost"]}["head", "90/10"]
    assert (cost["passes_a_suspect"], cost["passes_to_inference"]) == (6, 1.5)
    assert (skewed["size"], skewed["estimate"]) == (2, 2)
    assert summary["wrong_reasons"] == []  # errors alone were tested
    (row,) = (r for r in summary["robustness"] if r["cue"] == "head")
    assert (row["confirmed"], row["confirmed_exact"], row["agreement"]) == (0, 0.25, 0.5)
    assert "| confirmed | 1.00 | 0.50 | 1.00 |" in markdown(summary, "")


def test_without_interventions_the_tables_have_dashes():
    bare = result("90/10", 1, 1.0, None) | {"passes": None, "variants": {}}
    bare["cases"] |= {
        "tested": [False] * 4,
        **{name: [None] * 4 for name in ("reliance", "reliance_se", "passes")},
    }
    page = markdown(summarised([bare]), "")
    assert "| confirmed | – | – | – | – |" in page
    assert "| low margin | – | – | 1.00 | 1.00 |" in page


# -- masks and cells ------------------------------------------------------------------------


@pytest.mark.parametrize("cue", ["head", "tag"])
def test_masks_that_are_not_as_drawn(cue):
    regions = draw(balanced(cue, 3, 1)[0], 96, masks=True).regions
    assert regions is not None
    values = [REGIONS[name] for name in grid.REGIONS[cue]]
    found = {name: variant(regions, values, 1) for name, variant in VARIANTS.items()}
    assert all(other.shape == (96, 96) for other in found.values())
    true = np.isin(regions, values)
    size = {name: int(np.isin(other, values).sum()) for name, other in found.items()}
    assert size["eroded by 2 pixels"] < size[AS_DRAWN] < size["dilated by 2 pixels"]
    assert not np.isin(found["misplaced"], values)[true].any()
    assert size["misplaced"] > 0.5 * size[AS_DRAWN]
    assert size["diffuse blob"] == pytest.approx(96 * 96 / 3, rel=0.01)


def test_cells_of_other_code_or_thresholds_are_refused(tmp_path):
    task = running.Task(grid.Cell("head", "50/50", 2000, "plain"))
    file = tmp_path / f"{task.cell.name}.json"
    key = running.sha256_of(running.plan_of(), task)
    file.write_text(json.dumps({"plan_sha256": key, "n": 1}))
    told: list[tuple[int, int]] = []

    def measured() -> list[dict]:
        return running.run(
            None,  # type: ignore[arg-type] # nothing is left to measure
            [task],
            tmp_path,
            jobs=1,
            fresh=False,
            progress=lambda done, of: told.append((done, of)),
        )

    assert measured() == [{"plan_sha256": key, "n": 1}]
    assert told == [(1, 1)]
    file.write_text(json.dumps({"plan_sha256": "another"}))
    with pytest.raises(RunError, match="--fresh"):
        measured()
