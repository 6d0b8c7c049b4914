"""Hints of what to annotate: statistics with a known answer, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import auditor
from auditor import Preprocess
from auditor.errors import AuditorError, RunError
from auditor.findings import hints as module
from auditor.findings.hints import NOTE, comparable, hints
from auditor.models import Clip
from auditor.pipeline.hinting import hint
from tests.clips import tiny_open_clip
from tests.conftest import BLUE, RED, Project
from tests.test_language import english

WORDS = [f"word {number}" for number in range(12)]


def constructed(
    seed: int, count: int = 240, effect: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.str_]]:
    """Cosines [cases, words] that all follow the label, errors of one label being commoner.

    The first word also follows being wrong, by `effect` standard deviations.
    """
    random = np.random.default_rng(seed)
    label = random.integers(2, size=count)
    wrong = random.random(count) < np.where(label == 1, 0.5, 0.1)
    cosines = random.normal(size=(count, len(WORDS))) + 3.0 * label[:, None]
    cosines[:, 0] += effect * wrong
    return cosines, wrong, np.array(["doctor", "nurse"])[label]


def test_a_planted_word_is_found_and_the_label_does_not_leak():
    cosines, wrong, labels = constructed(0, effect=1.5)
    found = hints(WORDS, cosines, wrong, labels, None, 0)
    assert found[0].word == "word 0"
    # Two normals 1.5 apart: the area is Φ(1.5 / √2) = .856.
    assert found[0].auroc == pytest.approx(0.856, abs=0.05)
    assert found[0].low < 0.856 < found[0].high
    assert found[0].q is not None
    assert found[0].q < 0.01
    assert all(one.q is None or one.q > 0.05 for one in found[1:])
    assert [one.p for one in found] == sorted(one.p for one in found if one.p is not None)
    assert found[0].errors == wrong.sum()
    assert found[0].errors + found[0].correct == len(wrong)


def test_the_area_is_that_of_all_pairs_within_one_label():
    random = np.random.default_rng(0)
    cosines, wrong = random.normal(size=(40, 1)), random.random(40) < 0.4
    (found,) = hints(["x"], cosines, wrong, ["a"] * 40, None, 0)
    pairs = cosines[wrong] > cosines[~wrong].T
    assert found.auroc == pytest.approx(pairs.mean())


def test_few_words_are_found_where_there_is_nothing():
    discoveries = 0
    for seed in range(30):
        cosines, wrong, labels = constructed(seed, 120)
        found = hints(WORDS, cosines, wrong, labels, None, seed)
        discoveries += any(one.q is not None and one.q <= 0.05 for one in found)
    # Under the null the false discovery rate is the rate of any discovery: .05, and 1.5 of 30.
    assert discoveries <= 5


def test_clusters_are_no_independent_cases():
    cosines, wrong, labels = constructed(1, 60, effect=0.9)
    copied = [np.repeat(values, 8, axis=0) for values in (cosines, wrong, labels)]
    clusters = np.repeat(np.arange(60), 8)
    alone = hints(WORDS, *copied, None, 0)
    together = hints(WORDS, *copied, clusters, 0)
    known = {one.word: one for one in together}
    assert all(known[one.word].auroc == one.auroc for one in alone)
    narrow, wide = (
        next(one.high - one.low for one in found if one.word == "word 3")
        for found in (alone, together)
    )
    assert wide > 1.5 * narrow


def test_labels_of_one_kind_are_left_out(monkeypatch):
    wrong = np.array([True, False, True, True, False, False])
    labels = ["a", "a", "b", "b", "c", "c"]
    assert comparable(wrong, labels, 0).tolist() == [0, 1]
    assert comparable(~np.ones(3, bool), ["a"] * 3, 0).tolist() == []
    assert hints(["x"], np.zeros((2, 1)), np.array([True, False]), ["a", "b"], None, 0) == ()
    monkeypatch.setattr(module, "MOST", 5)
    wrong = np.arange(100) % 2 == 0
    kept = comparable(wrong, ["a"] * 100, 0)
    assert len(kept) == 10
    assert wrong[kept].sum() == 5


# -- from a run -----------------------------------------------------------------------------


class Colours(nn.Module):
    """The mean colour of an image, as its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) * self.gain


def colour_clip() -> Clip:
    """Knows three words: the colours."""

    def texts(sentences: list[str]) -> Tensor:
        names = ("red", "green", "blue")
        return torch.tensor([[float(name in text) for name in names] for text in sentences])

    preprocess = Preprocess(resize=(8, 8), crop=None, mean=(0, 0, 0), std=(1, 1, 1))
    return Clip(Colours(), texts, 100.0, 0.0, preprocess, {})


@pytest.fixture
def run(project: Project) -> auditor.Run:
    """24 images; of each label the greenish ones are labelled against their colour, so wrong."""
    rows = [dict(row) for row in project.rows() * 2]
    for number, row in enumerate(rows):
        wrong = number % 4 >= 2
        warm = number % 2 == 0
        base = RED if warm else BLUE
        colour = (base[0], 60 + number, base[2]) if wrong else (base[0], number, base[2])
        row |= {"id": f"n{number:02d}", "image": f"n{number:02d}.png"}
        row["label"] = "warm" if warm != wrong else "cold"
        Image.new("RGB", (40, 32), colour).save(project.folder / row["image"])
    project.write_rows(rows)
    return auditor.audit(
        auditor.load_classifier(project.config),
        auditor.open_dataset(project.config),
        project.folder / "run",
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_is_looked_at_and_left_as_it_was(run):
    before = files(run.path)
    heard: list[tuple[int, int]] = []
    found = hint(
        run, colour_clip(), ["green", "red"], batch_size=5, progress=lambda *n: heard.append(n)
    )
    assert found.hints[0].word == "green"
    assert found.hints[0].auroc == 1.0
    assert (found.errors, found.correct, found.unreadable) == (12, 12, 0)
    assert heard == [(5, 24), (10, 24), (15, 24), (20, 24), (24, 24)]
    assert files(run.path) == before
    again = hint(run, colour_clip(), ["green", "red"], batch_size=24)
    assert again == found


def test_images_that_are_gone(run):
    (run.path.parent / "n03.png").unlink()
    assert hint(run, colour_clip(), ["green"]).unreadable == 1
    for number in range(24):
        (run.path.parent / f"n{number:02d}.png").unlink(missing_ok=True)
    with pytest.raises(RunError, match="none of 24 images can be read any more"):
        hint(run, colour_clip(), ["green"])


def test_what_is_refused(run, project):
    with pytest.raises(AuditorError, match="no word is given"):
        hint(run, colour_clip(), [])
    with pytest.raises(AuditorError, match="'red' is given twice"):
        hint(run, colour_clip(), ["red", "red"])
    rows = [row for row in project.rows() if int(row["id"][1:]) % 4 < 2]
    project.write_rows(rows)
    right = auditor.audit(
        auditor.load_classifier(project.config),
        auditor.open_dataset(project.config),
        project.folder / "right",
    )
    with pytest.raises(RunError, match="no label has both errors and correct cases"):
        hint(right, colour_clip(), ["green"])


def test_the_command(run, project, auditor_cli):
    tiny_open_clip(project.folder, "tiny-RN")
    words = project.folder / "words.txt"
    words.write_text("red\n\n  green glasses \n", encoding="utf-8")
    asked = ["hint", run.path, "--model", "open_clip/tiny-RN"]
    asked += ["--weights", project.folder / "tiny-RN.pt", "--words", words, "--word", "snow"]
    shown = auditor_cli(*asked)
    assert shown.status == 0, shown.err
    plain = " ".join(shown.out.split())
    assert str(NOTE) in plain
    assert "green glasses" in plain
    assert "Looking: 24 of 24 images" in shown.err
    told = auditor_cli(*asked, "--json")
    assert auditor_cli(*asked, "--json", "--language", "ja").out == told.out
    document = json.loads(told.out)
    assert document["note"] == str(NOTE)
    assert {row["word"] for row in document["words"]} == {"red", "green glasses", "snow"}
    assert document["model"]["architecture"] == "open_clip/tiny-RN"
    assert document["errors"] == document["correct"] == 12


def test_the_command_in_japanese(run, project, auditor_cli):
    tiny_open_clip(project.folder, "tiny-RN")
    (run.path.parent / "n03.png").unlink()
    asked = ["hint", run.path, "--model", "open_clip/tiny-RN", "--word", "red", "--word", "snow"]
    asked += ["--weights", project.folder / "tiny-RN.pt"]
    plain, shown = auditor_cli(*asked), auditor_cli(*asked, "--language", "ja")
    assert shown.status == 0, shown.err
    assert "と、同じラベルの正解事例 12 件の比較；読めない画像 1 枚" in shown.out
    assert "何を注釈すべきかのヒントであり、フラグでも証拠でもない。" in shown.out
    assert english([shown.out], [str(run.path)]) == []
    rows = [[line.split() for line in told.out.splitlines()] for told in (plain, shown)]
    names = [[row for row in found if row[:1] in (["red"], ["snow"])] for found in rows]
    place = {"nearer": "近い", "further": "遠い", "alike": "同程度"}
    assert [[place.get(cell, cell) for cell in row] for row in names[0]] == names[1]


def test_the_command_refuses_plainly(run, project, auditor_cli):
    shown = auditor_cli("hint", run.path, "--model", "resnet18", "--word", "red")
    assert shown.status == 2
    assert "has no text encoder" in shown.err
    assert "Traceback" not in shown.err
    words = project.folder / "words.txt"
    words.write_bytes(b"\xff\xfe\x00r")
    shown = auditor_cli("hint", run.path, "--model", "resnet18", "--words", words)
    assert shown.status == 2
    assert "not UTF-8" in shown.err
    assert auditor_cli("hint", run.path, "--word", "red").status == 2
