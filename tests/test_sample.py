"""The sample that is shipped: it is what its generator says, and the demo audits it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import auditor
from auditor.errors import AuditorError
from auditor.sample import sample_folder
from auditor.scenes import draw
from tests.conftest import Outcome

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "sample_data"))  # a script: `python sample_data/generate.py`

import generate  # noqa: E402

CLINIC = sample_folder()


def test_the_sample_lies_beside_the_package_and_is_small():
    assert CLINIC == ROOT / "sample_data" / "clinic"
    size = sum(path.stat().st_size for path in (ROOT / "sample_data").rglob("*") if path.is_file())
    assert size < 12e6


def test_a_missing_sample_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("auditor.sample.__file__", str(tmp_path / "auditor" / "sample.py"))
    with pytest.raises(AuditorError, match="the sample is missing from this installation; install"):
        sample_folder()


def test_the_manifest_is_balanced_and_complete():
    dataset = auditor.open_dataset(CLINIC / "skewed.toml")
    counts = dataset.cases.groupby(["label", "attribute.drawn_as"]).size()
    assert counts.to_dict() == {
        (label, value): 80 for label in ("doctor", "nurse") for value in ("man", "woman")
    }
    assert {path.stem for path in (CLINIC / "images").iterdir()} == set(dataset.cases["id"])
    assert {path.stem for path in (CLINIC / "regions").iterdir()} == set(dataset.cases["id"])


def test_the_images_are_what_the_generator_draws():
    for scene in generate.test_set()[::40]:
        picture = draw(scene, masks=True)
        name = generate.name_of(scene)
        with Image.open(CLINIC / "regions" / f"{name}.png") as regions:
            np.testing.assert_array_equal(np.asarray(regions), picture.regions)
        with Image.open(CLINIC / "images" / f"{name}.jpg") as image:
            apart = np.asarray(image).astype(float) - picture.pixels
        assert np.abs(apart).mean() < 5  # levels of 0..255, lost to JPEG
        assert abs(apart.mean()) < 0.5


def test_nobody_is_in_training_and_test():
    tested = {scene.seed for scene in generate.test_set()}
    for arm in generate.CHECKPOINTS:
        assert not tested & {scene.seed for scene in generate.training_set(arm)}


def test_the_checkpoints_say_what_they_were_trained_on():
    for arm, share in (("skewed", 0.78), ("rebalanced", 0.5)):
        classifier = auditor.load_classifier(CLINIC / f"{arm}.toml")
        assert classifier.classes == ("doctor", "nurse")
        training = classifier.origin["training"]
        doctors = training["groups"]["drawn_as"]["doctor"]
        assert doctors["man"] / (doctors["man"] + doctors["woman"]) == pytest.approx(
            share, abs=0.03
        )


def test_training_images_are_written_with_their_configurations(tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "PER_CLASS", 20)
    generate.write_training(tmp_path / "training", lambda _done, _total: None)
    for arm in generate.CHECKPOINTS:
        config = auditor.read_config(tmp_path / "training" / f"{arm}.toml")
        dataset = auditor.open_dataset(config)
        assert len(dataset) == 40
        assert dataset.listing.image_path(0).is_file()
    # 20 doctors and 20 nurses; 6 and 9 exchanged.
    assert len(list((tmp_path / "training" / "images").iterdir())) == 55


def test_the_demo_shows_the_bias_and_what_rebalancing_did_and_runs_again(tmp_path, auditor_cli):
    demo = tmp_path / "runs"
    shown: Outcome = auditor_cli("demo", "--no-dashboard", "--out", demo)
    assert shown.status == 0, shown.err
    skewed, rebalanced = (auditor.open_run(demo / name) for name in ("skewed", "rebalanced"))
    before, after = (
        run.by_group(["label", "drawn_as"]).set_index(["label", "attribute.drawn_as"])
        for run in (skewed, rebalanced)
    )
    assert before["accuracy"].idxmin() == ("nurse", "man")
    assert after.loc[("nurse", "man"), "correct"] > before.loc[("nurse", "man"), "correct"] + 8
    assert after["correct"].sum() > before["correct"].sum()
    kinds = {finding["kind"]: finding for finding in skewed.findings}
    assert kinds["training_association"]["severity"] == "notice"
    assert kinds["association"]["severity"] == "info"  # the test is balanced
    collect = {
        (row["label"], row["value"]): row["collect"] for row in kinds["training_collect"]["table"]
    }
    assert collect["nurse", "man"] > 200
    assert collect["doctor", "man"] == 0
    assert "How to read this" in shown.out
    assert "auditor compare" in shown.out

    again = auditor_cli("demo", "--no-dashboard", "--out", demo)
    assert again.status == 0
    assert "is there already" in again.out


def test_the_demo_leaves_a_folder_of_somebody_else_alone(auditor_cli, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        refused = auditor_cli("demo", "--no-dashboard", "--out", out)
        assert refused.status == 2
        assert f"{out}: exists and holds more than this demo's runs; give another" in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
