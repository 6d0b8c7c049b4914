"""Whole audits of a world whose numbers can be worked out by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

import auditor
from auditor.configuration import DatasetConfig
from auditor.errors import AuditorError, CaseError, RunError
from auditor.pipeline import computing, writing
from tests.colours import HEIGHT, WIDTH, Mean, classifier, draw, write_dataset

MAPS = auditor.Settings(evidence=0)
"""No interventions: what the maps alone say."""

ROLES = auditor.RegionRoles(subject=("thing",), cues=("cue",), rest="background")


def open_colours(path: Path, **changes: object) -> auditor.Dataset:
    config = DatasetConfig(path=path, format="manifest", attributes=("size",), **changes)
    return auditor.open_dataset(config, regions=ROLES)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("colours"), 90)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "SHARD", 16)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the maps of this world speak: with two bright squares on black, maps of a random
    network lie on the squares as well, and the gate of randomised weights voids them."""
    monkeypatch.setattr(writing, "voided", lambda *_: [])


def same_run(left: auditor.Run, right: auditor.Run, tolerance: float = 0) -> None:
    if tolerance:
        pd.testing.assert_frame_equal(left.cases, right.cases, rtol=0, atol=tolerance)
        np.testing.assert_allclose(left.maps, right.maps, atol=tolerance)
    else:
        pd.testing.assert_frame_equal(left.cases, right.cases, check_exact=True)
        np.testing.assert_array_equal(left.maps, right.maps)
    assert left.findings == right.findings


def test_every_number_of_a_case_by_hand(colours: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "run")
    cases = run.cases
    cells = HEIGHT * WIDTH
    big = cases["attribute.size"] == "big"
    # Six cells of the wrong colour outweigh four of the right one; two do not.
    assert (cases["correct"] == ~big).all()
    error, right = cases[big].iloc[0], cases[~big].iloc[0]

    # Logits are 100 × cells ÷ 80.
    assert error["margin"] == pytest.approx(100 * (6 - 4) / cells, rel=1e-6)
    assert right["margin"] == pytest.approx(100 * (4 - 2) / cells, rel=1e-6)
    assert error["confidence"] == pytest.approx(1 / (1 + np.exp(-2.5)), rel=1e-6)
    assert error["contrast"] == error["label"]

    # An error's predicted map is the cue's colour: all of it lies on the cue.
    assert error["mass.cue"] == pytest.approx(1)
    assert error["mass.subject"] == error["mass.background"] == error["mass.padding"] == 0 or (
        np.isnan(error["mass.padding"])
    )
    assert error["area.cue"] == pytest.approx(6 / cells)
    assert error["lift.cue"] == pytest.approx(cells / 6)
    assert error["excess.cue"] == pytest.approx(1)
    assert error["pointing.cue"] == error["rank.cue"] == pytest.approx(1)
    # The label's map is the subject's colour.
    assert error["contrast_mass.subject"] == pytest.approx(1)
    assert error["iou.subject"] == 0
    assert right["iou.subject"] == right["iou_15.subject"] == right["iou_75.subject"] == 1
    assert right["mass.subject"] == pytest.approx(1)
    assert error["quadrant"] == "unreasonable_inaccurate"
    assert right["quadrant"] == "reasonable_accurate"
    assert error["pattern"] == "distractor"
    assert right["pattern"] == "human_aligned"
    # Nothing of the picture is padding, so it has an area of 0 and no lift.
    assert error["status.padding"] == "absent"
    assert error["area.padding"] == 0
    assert np.isnan(error["lift.padding"])
    assert run.info["counts"]["errors"] == big.sum()


def test_a_failed_gate_voids_the_maps_visibly(colours: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "run", settings=MAPS)
    errors = run.cases.query("correct == False")
    assert (errors["map_evidence"] == "untestable").all()
    assert errors["flag"].isna().all()
    (gate,) = [f for f in run.findings if f["kind"] == "gate_randomisation"]
    assert gate["severity"] == "warning"


@pytest.mark.usefixtures("trusted")
def test_errors_on_a_moving_cue_are_queued_and_others_not(colours: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "run", settings=MAPS)
    errors = run.cases.query("correct == False")
    assert len(errors) > 20
    # Other images' cues lie elsewhere, and rarely cover this one's.
    assert (errors["p.cue"] <= 0.05).mean() > 0.6
    # All of an error's margin lies on its cue: the best that a map could do.
    assert errors["p.cue"].tolist() == pytest.approx(errors["best_p.cue"].tolist())
    queued = errors["evidence"] == "attention"
    assert (queued == (errors["p.cue"] <= 0.05)).all()
    assert (errors.loc[queued, "flag"] == "spurious_error").all()
    assert (errors.loc[queued, "cue"] == "cue").all()
    assert errors["severity"].isna().all()
    # Where two other images have their cue at the same place, no map could be told apart.
    assert (errors.loc[~queued, "evidence"] == "untestable").all()
    assert run.cases.query("correct == True")["evidence"].isna().all()
    assert errors.loc[queued, "stability"].between(0, 1).all()
    (finding,) = [f for f in run.findings if f["kind"] == "attention"]
    assert (finding["n"], finding["value"]) == (queued.sum(), 1)
    left = (~queued).sum()
    assert (
        f"{left} further errors could not be tested: other images of the class show the cue at the "
        f"same place, where no map could tell, so only changing pixels can ({left})."
    ) in finding["text"]
    assert finding["severity"] == "notice"


def test_p_value_by_recomputation(colours: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "run")
    cases = run.cases
    names = [Path(image).stem for image in cases["image"]]
    masks = np.stack([np.asarray(Image.open(colours.parent / f"{n}.cue.png")) for n in names])
    cells = masks.reshape(len(masks), HEIGHT, 4, WIDTH, 4).mean((2, 4))
    margin = np.maximum(run.maps[:, 2].astype(float), 0)
    margin /= margin.sum((1, 2), keepdims=True)
    for row in (0, 1, 17):
        others = (cases["label"] == cases["label"][row]).to_numpy() & (np.arange(90) != row)
        mass = (margin[row] * cells).sum((1, 2))
        excess = (mass - cells.mean((1, 2))) / (1 - cells.mean((1, 2)))
        assert cases["margin_excess.cue"][row] == pytest.approx(excess[row], abs=1e-3)
        reached = (excess[others] >= excess[row] - 1e-9).sum()
        assert cases["p.cue"][row] == pytest.approx((1 + reached) / (1 + others.sum()))
        # The same for a map that is spread over the cue alone.
        mass = (cells[row] / cells[row].sum() * cells).sum((1, 2))
        excess = (mass - cells.mean((1, 2))) / (1 - cells.mean((1, 2)))
        reached = (excess[others] >= excess[row] - 1e-9).sum()
        assert cases["best_p.cue"][row] == pytest.approx((1 + reached) / (1 + others.sum()))


def test_maps_are_stored_raw_beside_their_scale(colours: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "run")
    assert run.maps.shape == (90, 3, HEIGHT, WIDTH)
    assert run.maps.dtype == np.float16
    raw = run.maps * run.cases["map_scale"].to_numpy()[:, None, None, None]
    image = np.asarray(Image.open(colours.parent / run.cases["image"][0])) / 255
    red, green = image.reshape(HEIGHT, 4, WIDTH, 4, 3).mean((1, 3))[..., :2].transpose(2, 0, 1)
    first, second = (red, green) if run.cases["predicted"][0] == "red" else (green, red)
    # α is 100 / 80 for the class's own channel.
    for found, expected in zip(raw[0], (first, second, first - second), strict=True):
        np.testing.assert_allclose(found, expected * 100 / 80, atol=2e-3)


@pytest.mark.parametrize("size", [1, 3, 256])
def test_batch_size_changes_nothing(colours: Path, tmp_path: Path, size: int) -> None:
    dataset = open_colours(colours)
    usual = auditor.audit(classifier(), dataset, tmp_path / "usual")
    settings = auditor.Settings(batch_size=size)
    other = auditor.audit(classifier(), dataset, tmp_path / "other", settings=settings)
    same_run(usual, other, tolerance=1e-5)


def test_flipping_everything_flips_only_the_maps(colours: Path, tmp_path: Path) -> None:
    flipped = tmp_path / "flipped"
    flipped.mkdir()
    for file in colours.parent.glob("*.png"):
        ImageOps.mirror(Image.open(file)).save(flipped / file.name)
    (flipped / "manifest.csv").write_bytes(colours.read_bytes())
    usual = auditor.audit(classifier(), open_colours(colours), tmp_path / "usual", settings=MAPS)
    other = auditor.audit(
        classifier(), open_colours(flipped / "manifest.csv"), tmp_path / "other", settings=MAPS
    )
    np.testing.assert_array_equal(other.maps, usual.maps[..., ::-1])
    pd.testing.assert_frame_equal(other.cases, usual.cases, rtol=0, atol=1e-9)


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 16, 30, 64, 89, 90])
def test_an_interrupted_audit_continues_to_the_same_result(
    colours: Path, tmp_path: Path, after: int
) -> None:
    dataset = open_colours(colours)
    whole = auditor.audit(classifier(), dataset, tmp_path / "whole")

    def stop(stage: str, done: int, _total: int) -> None:
        if stage == "maps" and done >= after:
            raise Stop

    with pytest.raises(Stop):
        auditor.audit(classifier(), dataset, tmp_path / "run", progress=stop)
    assert not (tmp_path / "run").exists()
    with pytest.raises(RunError, match="is not finished yet"):
        auditor.open_run(tmp_path / "run")
    seen: list[int] = []
    run = auditor.audit(
        classifier(), dataset, tmp_path / "run", progress=lambda _stage, done, _: seen.append(done)
    )
    same_run(run, whole)
    # What was written is not computed again: whole shards of 16, the last one computed
    # when the interruption came but not written yet.
    assert seen[0] == max(after - 1, 0) // 16 * 16
    assert not (tmp_path / "run.part").exists()


KILLED = """
import sys, time
from pathlib import Path
import auditor
from auditor.pipeline import computing
from tests.colours import classifier
from tests.test_pipeline import open_colours
computing.SHARD = 16
def slow(stage, done, total):
    print(done, flush=True)
    time.sleep(0.02)
auditor.audit(classifier(), open_colours(Path(sys.argv[1])), sys.argv[2], progress=slow,
              settings=auditor.Settings(batch_size=4))
print("finished", flush=True)
"""


@pytest.mark.parametrize("moment", [0.0, 0.03, 0.1, 0.25])
def test_a_killed_audit_continues_to_the_same_result(
    colours: Path, tmp_path: Path, moment: float
) -> None:
    out = tmp_path / "run"
    whole = auditor.audit(
        classifier(),
        open_colours(colours),
        tmp_path / "whole",
        settings=auditor.Settings(batch_size=4),
    )
    command = [sys.executable, "-c", KILLED, str(colours), str(out)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (tmp_path / "run.part").exists()
    run = auditor.audit(
        classifier(), open_colours(colours), out, settings=auditor.Settings(batch_size=4)
    )
    same_run(run, whole)


def test_a_kill_while_finishing_leaves_no_half_run(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_colours(colours)
    whole = auditor.audit(classifier(), dataset, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(writing, "conclude", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            auditor.audit(classifier(), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    same_run(auditor.audit(classifier(), dataset, tmp_path / "run"), whole)


def test_a_run_begun_with_other_inputs_is_refused(colours: Path, tmp_path: Path) -> None:
    out, dataset = tmp_path / "run", open_colours(colours)

    def stop(_stage: str, done: int, _total: int) -> None:
        if done >= 32:
            raise Stop

    with pytest.raises(Stop):
        auditor.audit(classifier(), dataset, out, progress=stop)
    other = classifier(threshold=0.6)
    with pytest.raises(RunError, match=r"begun with other inputs \(model was"):
        auditor.audit(other, dataset, out)
    run = auditor.audit(other, dataset, out, settings=auditor.Settings(fresh=True))
    assert run.info["model"]["threshold"] == 0.6
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    # A finished run is opened for the same inputs and refused for others, and never touched.
    again = auditor.audit(other, dataset, out)
    assert again.path == out
    for settings in (auditor.Settings(), auditor.Settings(fresh=True)):
        with pytest.raises(RunError, match="finished run of other inputs"):
            auditor.audit(classifier(), dataset, out, settings=settings)
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before


def test_changed_files_are_another_dataset(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, 20)
    first = open_colours(path).fingerprint()
    assert open_colours(path).fingerprint() == first
    (tmp_path / "0003.cue.png").write_bytes(b"shorter")
    assert open_colours(path).fingerprint() != first


def test_two_processes_do_not_write_one_run(colours: Path, tmp_path: Path) -> None:
    def second(_stage: str, done: int, _total: int) -> None:
        if done >= 16:
            with pytest.raises(RunError, match="another process is writing this run"):
                auditor.audit(classifier(), open_colours(colours), tmp_path / "run")
            raise Stop

    with pytest.raises(Stop):
        auditor.audit(classifier(), open_colours(colours), tmp_path / "run", progress=second)


def test_limit_is_a_seeded_sample_in_dataset_order(colours: Path, tmp_path: Path) -> None:
    settings = auditor.Settings(limit=20)
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "a", settings=settings)
    assert len(run.cases) == 20
    positions = run.cases["image"].str.removesuffix(".png").astype(int)
    assert positions.is_monotonic_increasing
    assert positions.max() > 40
    again = auditor.audit(classifier(), open_colours(colours), tmp_path / "b", settings=settings)
    same_run(run, again)


class Poisoned(Mean):
    """Answers NaN to a picture whose first pixel is white."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return torch.where(images[:, 2, :1, 0] == 1, torch.nan, logits)


def spoiled_dataset(folder: Path) -> Path:
    """Ten sound cases beside one of every kind of spoiled one."""
    path = write_dataset(folder, 17, big_cues=0.5)
    (folder / "0010.png").unlink()
    whole = (folder / "0011.png").read_bytes()
    (folder / "0011.png").write_bytes(whole[: len(whole) // 2])
    (folder / "0012.png").write_bytes(b"")
    Image.new("1", (40, 31), 1).save(folder / "0013.cue.png")
    (folder / "0014.thing.png").write_bytes(b"no picture")
    image = Image.open(folder / "0015.png")
    image.putpixel((0, 0), (255, 255, 255))
    image.save(folder / "0015.png")
    for region in ("cue", "subject"):
        Image.new("1", (40, 32), 0).save(folder / f"0016.{region}.png")
    table = pd.read_csv(path)
    table["region.thing"] = table["region.thing"].where(table.index != 14, other="0014.thing.png")
    table.to_csv(path, index=False)
    return path


def test_spoiled_cases_are_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    dataset = open_colours(spoiled_dataset(tmp_path))
    run = auditor.audit(classifier(module=Poisoned()), dataset, tmp_path / "run")
    found = run.cases.set_index("image")
    expected = {
        "0010.png": ("unreadable", "no such file"),
        "0011.png": ("unreadable", "cannot be decoded"),
        "0012.png": ("unreadable", "cannot be decoded"),
        "0013.png": ("mask_mismatch", "40×31"),
        "0014.png": ("mask_mismatch", "cannot be decoded"),
        "0015.png": ("nonfinite_logits", "nan"),
        "0016.png": ("no_regions", "none annotated"),
    }
    for image, (status, message) in expected.items():
        assert found.loc[image, "status"] == status
        assert message in found.loc[image, "message"]
    assert (found["status"] == "ok").sum() == 10
    assert found.loc[found["status"] == "ok", "message"].isna().all()

    # Without a prediction there is none; with spoiled masks there still is one.
    for image in ("0010.png", "0015.png"):
        assert found.loc[image, ["predicted", "correct", "margin", "mass.cue"]].isna().all()
    for image in ("0013.png", "0016.png"):
        assert found.loc[image, ["predicted", "correct", "margin", "map_scale"]].notna().all()
        assert found.loc[image, ["mass.cue", "area.cue", "status.cue", "p.cue"]].isna().all()
    counts = run.info["counts"]
    assert counts["judged"] == 13
    assert counts["with_regions"] == 10
    assert counts["excluded"] == {
        "mask_mismatch": 2, "no_regions": 1, "nonfinite_logits": 1, "unreadable": 3,
    }  # fmt: skip
    told = [f for f in run.findings if f["kind"] == "not_judged"]
    assert {f["query"] for f in told} == {f"status == {s!r}" for s in counts["excluded"]}
    for finding in told:
        assert len(run.cases.query(finding["query"])) / 17 == pytest.approx(finding["value"])

    # The sound cases are what they are without the spoiled ones beside them.
    alone = tmp_path / "alone"
    alone.mkdir()
    sound = auditor.audit(
        classifier(), open_colours(write_dataset(alone, 10, big_cues=0.5)), tmp_path / "sound"
    )
    measured = [c for c in sound.cases if c.startswith(("mass.", "lift.", "margin", "rank."))]
    pd.testing.assert_frame_equal(
        run.cases[measured].head(10), sound.cases[measured], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("bad", [10, 13, 15])
def test_strict_makes_a_spoiled_case_fatal(tmp_path: Path, bad: int) -> None:
    path = spoiled_dataset(tmp_path)
    table = pd.read_csv(path).iloc[[0, 1, bad]]
    table.to_csv(path, index=False)
    with pytest.raises(CaseError, match=rf"00{bad}\.png.*refused by --strict"):
        auditor.audit(
            classifier(module=Poisoned()),
            open_colours(path),
            tmp_path / "run",
            settings=auditor.Settings(strict=True),
        )


def test_small_and_cropped_regions_have_no_measures(tmp_path: Path) -> None:
    image, masks = draw({"subject": ("red", 2, 2, 2, 2), "cue": ("green", 6, 8, 2, 2)})
    image.save(tmp_path / "a.png")
    Image.fromarray(masks["subject"]).save(tmp_path / "subject.png")
    Image.fromarray(masks["cue"]).save(tmp_path / "corner.png")
    tiny = np.zeros((32, 40), bool)
    tiny[8:11, 8:13] = True  # 15 of the 16 pixels of a cell
    Image.fromarray(tiny).save(tmp_path / "tiny.png")
    rows = [("a", "corner.png"), ("b", "tiny.png"), ("c", "")]
    pd.DataFrame(
        {
            "id": [row[0] for row in rows],
            "image": "a.png",
            "label": "red",
            "size": "-",
            "region.thing": "subject.png",
            "region.cue": [row[1] for row in rows],
        }
    ).to_csv(tmp_path / "manifest.csv", index=False)
    # A centre crop of 16×24 keeps none of the corner.
    preprocess = auditor.Preprocess(None, (16, 24), (0, 0, 0), (1, 1, 1))
    run = auditor.audit(
        classifier(preprocess=preprocess),
        open_colours(tmp_path / "manifest.csv"),
        tmp_path / "run",
    )
    found = run.cases.set_index("id")
    assert found["status.cue"].tolist() == ["cropped_out", "below_resolution", "absent"]
    assert found["mass.cue"].isna().all()
    assert found["lift.cue"].isna().all()
    assert found["area.cue"].tolist() == pytest.approx([0, 15 / (16 * 24), 0])
    assert (found["status"] == "ok").all()


def test_threshold_moves_the_decision_and_not_the_confidence(colours: Path, tmp_path: Path) -> None:
    dataset = open_colours(colours)
    plain = auditor.audit(classifier(), dataset, tmp_path / "plain").cases
    strict = auditor.audit(classifier(threshold=0.999), dataset, tmp_path / "strict").cases
    assert (strict["predicted"] == "red").all()
    same = plain["predicted"] == "red"
    assert strict["confidence"][same].tolist() == pytest.approx(plain["confidence"][same].tolist())
    assert strict["confidence"][~same].tolist() == pytest.approx(
        (1 - plain["confidence"][~same]).tolist()
    )


def test_what_makes_the_audit_meaningless_is_one_clear_error(colours: Path, tmp_path: Path) -> None:
    dataset = open_colours(colours)
    out = tmp_path / "run"
    with pytest.raises(AuditorError, match=r"the label 'green' is none of the model's classes"):
        auditor.audit(classifier(classes=("red", "blue")), dataset, out)
    with pytest.raises(AuditorError, match="--device 'abacus' cannot be used here"):
        auditor.audit(classifier(), dataset, out, settings=auditor.Settings(device="abacus"))
    with pytest.raises(AuditorError, match="--batch-size is 0"):
        auditor.audit(classifier(), dataset, out, settings=auditor.Settings(batch_size=0))
    lost = open_colours(colours, image_root=tmp_path)
    with pytest.raises(AuditorError, match="no such file, nor is any of the"):
        auditor.audit(classifier(), lost, out)
    assert not out.exists()
    assert not (tmp_path / "run.part").exists()


def test_provenance_is_complete(colours: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "run")
    info = run.info
    assert info["schema_version"] == 2
    assert info["provenance"]["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert len(info["provenance"]["inputs"]["manifest.csv"]) == 64
    assert len(info["identity"]["weights"]) == 64
    assert info["layer"] | {"follows": None, "verified": None} == {
        "name": "cells", "layout": "NCHW", "grid": [8, 10], "prefix": 0, "follows": None,
        "chosen": "named", "threshold": 0.5, "verified": None,
    }  # fmt: skip
    assert info["thresholds"]["alpha"] == 0.05
    assert sorted(file.name for file in run.path.iterdir()) == [
        "cases.parquet", "findings.json", "interventions.parquet", "maps.npy", "run.json",
    ]  # fmt: skip
    assert json.loads((run.path / "findings.json").read_text())["schema_version"] == 2


@pytest.mark.usefixtures("trusted")
def test_findings_recompute_from_the_cases(colours: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "run")
    cases = run.cases
    found = {f["kind"]: f for f in run.findings if f["kind"] not in ("worst_group", "mass")}
    assert found["accuracy"]["value"] == cases["correct"].mean()
    assert found["attention_cue"]["value"] == (cases["map_cue"] == "cue").sum() / (
        (cases.query("correct == False")["best_p.cue"] <= 0.05).sum()
    )
    shares = [f for f in run.findings if f["kind"] == "mass"]
    for finding, region in zip(shares, ("subject", "cue"), strict=True):
        measured = cases.query(finding["query"], engine="python")[f"mass.{region}"]
        assert finding["value"] == pytest.approx(measured.mean())
        assert finding["n"] == len(measured)
        areas = cases.query(finding["query"], engine="python")[f"area.{region}"]
        assert finding["threshold"] == pytest.approx(areas.mean())
    for finding in run.findings:
        if finding["kind"] == "worst_group":
            group = cases.query(finding["query"])
            assert finding["value"] == pytest.approx(group["correct"].mean())
            assert finding["n"] == len(group)


def test_by_group_and_unknown_groups(colours: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), open_colours(colours), tmp_path / "run")
    table = run.by_group(["label", "size"])
    assert table["n"].sum() == 90
    big = table["attribute.size"] == "big"
    assert (table.loc[big, "correct"] == 0).all()
    with pytest.raises(RunError, match=r"no group column 'colour'; it has label, size"):
        run.by_group(["colour"])


@pytest.mark.usefixtures("trusted")
def test_a_test_that_could_not_speak_is_untestable_and_not_a_clean_bill(tmp_path: Path) -> None:
    # The cue lies at the same place in every image: no map could tell this one's apart.
    path = write_dataset(tmp_path, 60, big_cues=0.5)
    table = pd.read_csv(path)
    for row in table.index:
        label, other = ("red", "green") if row % 2 else ("green", "red")
        cue = (other, 5, 3, 2, 3) if table["size"][row] == "big" else (other, 5, 3, 1, 2)
        image, masks = draw({"subject": (label, row % 3, row % 7, 2, 2), "cue": cue})
        image.save(tmp_path / f"{row:04d}.png")
        for region, mask in masks.items():
            Image.fromarray(mask).save(tmp_path / f"{row:04d}.{region}.png")
    run = auditor.audit(classifier(), open_colours(path), tmp_path / "run", settings=MAPS)
    errors = run.cases.query("correct == False")
    assert len(errors) > 20
    assert (errors["mass.cue"] == 1).all()
    assert (errors["evidence"] == "untestable").all()
    (finding,) = [f for f in run.findings if f["kind"] == "attention"]
    assert finding["n"] == 0
    assert finding["value"] is None
    # What can be said all the same: where the evidence lies on average.
    (share,) = [f for f in run.findings if f["kind"] == "mass" and "Cue" in f["text"]]
    assert share["value"] == 1
