"""What taking pixels away says of maps: curves by hand, and whole audits."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import trapezoid
from scipy.stats import spearmanr

import auditor
from auditor.configuration import DatasetConfig
from auditor.dashboard.case import case_view
from auditor.dashboard.details import Details
from auditor.errors import AuditorError, RunError
from auditor.findings import Faithful, Judged, faithfulness_findings
from auditor.language import read
from auditor.pipeline import perturbing
from auditor.pipeline.perturbing import (
    area_under,
    curve,
    exchanged,
    occlusion_drops,
    patch_grid,
    taken,
)
from tests.colours import classifier, write_dataset
from tests.conftest import Project

ROLES = auditor.RegionRoles(subject=("thing",), cues=("cue",), rest="background")


def total(images: torch.Tensor) -> np.ndarray:
    """A linear model: the sum of all numbers."""
    return images.flatten(1).sum(1).double().numpy()


# -- curves ----------------------------------------------------------------------------------


def test_the_published_check_of_torchcam() -> None:
    # frgfm/torch-cam: [[.4, .3], [.2, .1]], the sum as model, two steps.
    image = torch.tensor([[[0.4, 0.3], [0.2, 0.1]]])
    black = torch.zeros_like(image)
    deletion = curve(image, black, image[0].numpy(), 2, total, 8)
    insertion = curve(black, image, image[0].numpy(), 2, total, 8)
    assert deletion == pytest.approx([1, 0.3, 0], abs=1e-6)
    assert insertion == pytest.approx([0, 0.7, 1], abs=1e-6)
    assert area_under(deletion) == pytest.approx(0.4)
    assert area_under(insertion) == pytest.approx(0.6)


def test_cells_of_equal_value_go_together() -> None:
    cells = np.array([[3.0, 1.0, 1.0], [1.0, 1.0, -2.0]])
    assert taken(cells, 0).tolist() == np.zeros((2, 3)).tolist()
    assert taken(cells, 1 / 6).tolist() == [[1, 0, 0], [0, 0, 0]]
    assert taken(cells, 0.5) == pytest.approx(np.array([[1, 0.5, 0.5], [0.5, 0.5, 0]]))
    assert taken(cells, 5.5 / 6) == pytest.approx(np.array([[1, 1, 1], [1, 1, 0.5]]))
    assert taken(cells, 1).tolist() == np.ones((2, 3)).tolist()
    for share in np.linspace(0, 1, 12):
        assert taken(cells, share).sum() == pytest.approx(6 * share)


def test_a_map_that_knows_nothing_falls_evenly_with_a_linear_model() -> None:
    image = torch.from_numpy(np.random.default_rng(0).random((3, 4, 6)))
    black = torch.zeros_like(image)
    scores = curve(image, black, np.ones((2, 3)), 5, total, 4)
    assert scores / scores[0] == pytest.approx(np.linspace(1, 0, 6))
    assert area_under(scores) == pytest.approx(scores[0] / 2)


def test_the_best_order_has_the_least_area_under_deletion() -> None:
    random = np.random.default_rng(0)
    image = torch.from_numpy(random.random((1, 4, 6)))
    black = torch.zeros_like(image)
    best = area_under(curve(image, black, image[0].numpy(), 6, total, 4))
    worst = area_under(curve(image, black, -image[0].numpy(), 6, total, 4))
    for _ in range(10):
        other = area_under(curve(image, black, random.random((4, 6)), 6, total, 4))
        assert best < other < worst
    assert area_under(np.array([1.0, np.nan, 0.0])) != area_under(np.array([1.0, 0.0, 0.0]))
    assert np.isnan(area_under(np.array([1.0, np.inf])))


@pytest.mark.parametrize("size", [1, 3, 50])
def test_batches_change_no_curve(size) -> None:
    random = np.random.default_rng(0)
    image, other = torch.from_numpy(random.random((2, 3, 5, 7)))
    cells = random.random((2, 3))
    expected = curve(image, other, cells, 7, total, 8)
    assert curve(image, other, cells, 7, total, size) == pytest.approx(expected)


def test_cells_are_laid_over_pixels_by_area() -> None:
    image, other = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    # Two cells over three pixels: the middle one is half of each.
    (mixed,) = exchanged(image, other, np.array([[[1.0, 0.0]]]))
    assert mixed[0].tolist() == [[1, 0.5, 0], [1, 0.5, 0]]


def test_occlusion_of_a_linear_model_is_the_patch_itself() -> None:
    random = np.random.default_rng(0)
    image = torch.from_numpy(random.random((3, 4, 6)))
    drops = occlusion_drops(image, torch.zeros_like(image), (2, 3), total, 4)
    expected = image.sum(0).reshape(2, 2, 3, 2).sum((1, 3)).numpy()
    assert drops == pytest.approx(expected)
    assert spearmanr(drops.ravel(), expected.ravel()).statistic == pytest.approx(1)


def test_patches_are_cells_or_blocks_of_them() -> None:
    assert patch_grid((14, 14)) == (14, 14)
    assert patch_grid((7, 9)) == (7, 9)
    assert patch_grid((28, 28)) == (14, 14)
    assert patch_grid((56, 56)) == (14, 14)
    assert patch_grid((15, 14)) == (8, 7)
    assert patch_grid((1, 500), 100) == (1, 100)


# -- the finding -------------------------------------------------------------------------------


def measured(values: np.ndarray, problem: str | None = None) -> Faithful:
    judged = (
        Judged("gradcam", "Grad-CAM", True, None),
        Judged("cam", "CAM", True, problem),
        Judged("random", "random map", False, None),
        Judged("uniform", "uniform map", False, None),
    )
    return Faithful(judged, np.arange(values.shape[2]), values, 16)


def test_means_and_gains_by_hand() -> None:
    values = np.full((4, 3, 2), np.nan)
    values[0] = [[0.2, 0.4], [0.8, 0.6], [0.5, 0.9]]
    values[2] = [[0.5, 0.5], [0.5, 0.7], [0.1, -0.1]]
    values[3, :2] = [[0.5, 0.5], [0.5, 0.5]]
    cases = pd.DataFrame({"label": ["a", "b"]})
    (found,) = faithfulness_findings(cases, measured(values, "the head is no mean."), 0)
    assert (found.kind, found.severity, found.n) == ("faithfulness", "info", 2)
    assert (found.value, found.threshold) == (pytest.approx(0.7), 0)
    rows = {row["method"]: row for row in found.table}
    own = rows["gradcam"]
    assert (own["deletion"], own["insertion"]) == (pytest.approx(0.3), pytest.approx(0.7))
    assert (own["deletion_gain"], own["insertion_gain"]) == (
        pytest.approx(0.2),
        pytest.approx(0.1),
    )
    assert (rows["cam"]["deletion"], rows["cam"]["problem"]) == (None, "the head is no mean.")
    assert [rows[name]["chance"] for name in rows] == [False, False, True, True]
    assert (rows["uniform"]["occlusion"], rows["uniform"]["occlusion_n"]) == (None, 0)
    # Of two cases the gains have intervals that reach below 0: 0.1 and 0.3, 0.3 and -0.1.
    told = re.sub(r"\(95 % [^;]*; ", "(", found.text)
    assert told == (
        "Grad-CAM: neither by deletion nor by insertion are its maps shown to be more faithful "
        "than random maps. Measured on 2 cases, drawn at random: cells are taken away, and put "
        "back, in 16 steps, the highest first. Deletion: the predicted class keeps a probability "
        "of 0.30 on average (random maps 0.50; lower is more faithful). Insertion: it regains 0.70 "
        "(random maps 0.60; higher is more faithful). Occlusion: the maps' rank correlation with "
        "what painting over each patch takes from the logit is 0.70 (0 is chance). CAM could not "
        "be had: the head is no mean. Images with cells taken away are unlike those that the model "
        "was trained on, so the figures tell of such images as well as of the maps; they change no "
        "flag."
    )
    assert found.text.count("95 %") == 3
    described = json.loads(json.dumps(found.described(), allow_nan=False))
    assert str(read(described["message"])) == found.text


@pytest.mark.parametrize(
    ("deletion", "insertion", "told"),
    [
        ([0.2, 0.21], [0.8, 0.81], "by deletion and by insertion, its maps are shown"),
        ([0.2, 0.21], [0.5, 0.51], "by deletion, its maps are shown"),
        ([0.5, 0.51], [0.8, 0.81], "by insertion, its maps are shown"),
        ([0.5, 0.51], [0.5, 0.49], "neither by deletion nor by insertion are its maps shown"),
        (
            [0.8, 0.81],
            [0.2, 0.21],
            "neither by deletion nor by insertion are its maps shown",
        ),  # worse than random
    ],
)
def test_whether_a_map_does_better_than_random_ones_is_said(deletion, insertion, told) -> None:
    values = np.full((4, 3, 2), np.nan)
    values[0] = [deletion, insertion, [0.0, 0.0]]
    values[1] = [[0.5, 0.51], [0.5, 0.49], [0.3, 0.3]]
    values[2] = [[0.5, 0.51], [0.5, 0.51], [0.0, 0.0]]
    (found,) = faithfulness_findings(pd.DataFrame({"label": ["a", "b"]}), measured(values), 0)
    first, rest = found.text.split(" Measured on ")
    assert first.startswith(f"Grad-CAM: {told} to be more faithful than random maps")
    assert "CAM: neither by deletion nor by insertion are its maps shown to be" in rest
    assert "0.30" not in rest  # the figures of other methods are in the table


def test_what_is_not_finite_is_null() -> None:
    cases = pd.DataFrame({"label": ["a", "b"]})
    (found,) = faithfulness_findings(cases, measured(np.full((4, 3, 2), np.nan)), 0)
    assert found.value is None
    assert "The scores of Grad-CAM are undefined" in found.text


# -- whole audits ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("colours"), 40)


def audited(colours: Path, out: Path, count: int = 4, progress=None, **settings) -> auditor.Run:
    config = DatasetConfig(path=colours, format="manifest", attributes=("size",))
    return auditor.audit(
        classifier(),
        auditor.open_dataset(config, regions=ROLES),
        out,
        settings=auditor.Settings(evidence=0, faithfulness=count, **settings),
        progress=progress,
    )


@pytest.fixture(scope="module")
def run(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    return audited(colours, out, methods=("layercam", "cam"))


def test_deletion_of_a_case_by_hand(run: auditor.Run) -> None:
    cases = run.cases.set_index("id")
    own = run.faithfulness.query("method == 'gradcam'").set_index("id")
    assert len(own) == 4
    for case, figures in own.iterrows():
        # Cells of the predicted colour, and of the other; five of 80 go in a step.
        big = cases.loc[case, "attribute.size"] == "big"
        first, second = (6, 4) if big else (4, 2)
        gone = 5 * np.arange(17)
        of_first = np.maximum(first - gone, 0)
        of_second = second * (1 - np.maximum(gone - first, 0) / (80 - first))
        probability = 1 / (1 + np.exp(-100 * (of_first - of_second) / 80))
        expected = trapezoid(probability, dx=1 / 16)
        assert figures["deletion"] == pytest.approx(expected, abs=1e-5)
        # Painting over a cell takes from the logit what the cell gives to the map.
        assert figures["occlusion"] == pytest.approx(1)
        assert figures["insertion"] > 0.5


def test_maps_that_know_nothing_stand_beside(run: auditor.Run) -> None:
    assert set(run.faithfulness["method"]) == {"gradcam", "layercam", "random", "uniform"}
    uniform = run.faithfulness.query("method == 'uniform'")
    assert uniform["occlusion"].isna().all()
    assert uniform["deletion"].notna().all()
    random = run.faithfulness.query("method == 'random'")
    assert random["occlusion"].abs().max() < 0.6
    (found,) = [found for found in run.findings if found["kind"] == "faithfulness"]
    rows = {row["method"]: row for row in found["table"]}
    assert list(rows) == ["gradcam", "layercam", "cam", "random", "uniform"]
    assert rows["cam"]["problem"].startswith("CAM needs a model")
    assert rows["gradcam"]["deletion"] < rows["random"]["deletion"]
    assert rows["gradcam"]["deletion_gain"] > 0
    assert (found["value"], found["n"]) == (pytest.approx(1), 4)
    assert run.info["faithfulness"] == 4


def test_nothing_else_changes_and_batch_size_does_not_matter(
    colours: Path, run: auditor.Run, tmp_path: Path
) -> None:
    plain = audited(colours, tmp_path / "plain", 0)
    pd.testing.assert_frame_equal(plain.cases, run.cases, check_exact=True)
    assert plain.faithfulness is None
    ones = audited(colours, tmp_path / "ones", methods=("layercam", "cam"), batch_size=1)
    pd.testing.assert_frame_equal(ones.faithfulness, run.faithfulness, rtol=0, atol=1e-5)


def test_more_cases_than_there_are(colours: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(perturbing, "STEPS", 2)
    run = audited(colours, tmp_path / "run", 1000)
    assert run.faithfulness["id"].nunique() == 40


class Stop(Exception):
    pass


def test_an_interruption_loses_one_case(colours: Path, run: auditor.Run, tmp_path: Path) -> None:
    def stop(stage: str, done: int, _total: int) -> None:
        if stage == "faithfulness" and done == 2:
            raise Stop

    methods = ("layercam", "cam")
    with pytest.raises(Stop):
        audited(colours, tmp_path / "run", progress=stop, methods=methods)
    views = tmp_path / "run.part" / "views"
    assert len([path for path in views.iterdir() if path.stem.startswith("faithfulness")]) == 2
    with pytest.raises(RunError, match="faithfulness was 4, is 5"):
        audited(colours, tmp_path / "run", 5, methods=methods)
    seen: list[int] = []

    def note(stage: str, done: int, _total: int) -> None:
        if stage == "faithfulness":
            seen.append(done)

    continued = audited(colours, tmp_path / "run", progress=note, methods=methods)
    assert seen == [0, 2, 3, 4]
    pd.testing.assert_frame_equal(continued.faithfulness, run.faithfulness, check_exact=True)
    assert continued.findings == run.findings


def test_a_count_below_0_is_refused(colours: Path, tmp_path: Path) -> None:
    with pytest.raises(AuditorError, match="--faithfulness is -1; give 0 or more"):
        audited(colours, tmp_path / "run", -1)


# -- the dashboard -----------------------------------------------------------------------------


def test_a_case_shows_its_figures(run: auditor.Run) -> None:
    details = Details(run)
    measured = run.faithfulness["id"].iloc[0]
    ids = run.cases["id"].tolist()
    view = case_view(run, details, ids.index(measured))
    assert view.faithful["method"].tolist() == ["gradcam", "layercam", "random", "uniform"]
    other = next(case for case in ids if case not in set(run.faithfulness["id"]))
    assert case_view(run, details, ids.index(other)).faithful is None


# -- the command -------------------------------------------------------------------------------


def test_all_three_from_the_command_line(auditor_cli, project: Project) -> None:
    out = project.folder / "run"
    asked = ["--methods", "gradcam++,layercam", "--layers", "--faithfulness", "4", "--evidence", 0]
    outcome = auditor_cli("audit", project.config, "--out", out, *asked)
    assert outcome.status == 0, outcome.err
    for told in ("Other methods: ", "Other layers: ", "Taking pixels away: 4 of 4 cases"):
        assert told in outcome.err
    run = auditor.open_run(out)
    kinds = [found["kind"] for found in run.findings]
    assert kinds[0] == "verdict"
    assert kinds.count("method_agreement") == 2
    assert {"layers", "faithfulness"} <= set(kinds)
    severities = [found["severity"] for found in run.findings[1:]]
    assert severities == sorted(severities, key=["warning", "notice", "info"].index)
    assert (run.info["methods"], run.info["layers"]) == (["gradcam++", "layercam"], True)
    assert set(run.faithfulness["method"]) == {
        "gradcam",
        "gradcam++",
        "layercam",
        "random",
        "uniform",
    }
    shown = json.loads(auditor_cli("show", out, "--json").out)
    assert shown["findings"] == run.findings
    again = auditor_cli("audit", project.config, "--out", out, *asked)
    assert "nothing was computed" in again.out
    other = auditor_cli("audit", project.config, "--out", out, "--evidence", 0)
    assert other.status == 2
    assert "faithfulness, layers, methods differ" in other.err
    wrong = auditor_cli("audit", project.config, "--out", out, "--methods", "magic")
    assert wrong.status == 2
    assert "audit.methods holds 'magic', which is not known" in wrong.err
