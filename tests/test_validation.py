"""Validation finds everything at once, in the dataset's order."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.configuration import DatasetConfig
from auditor.datasets import Problem, open_dataset, validate, validation
from auditor.regions import RegionRoles

ROLES = RegionRoles(subject=("coat",), cues=("face", "hat"))


@pytest.fixture
def config(tmp_path: Path) -> DatasetConfig:
    """Six images, the first of them in order and everything else about them wrong."""
    for name in ("good", "small", "bare", "dull"):
        Image.new("RGB", (3, 2)).save(tmp_path / f"{name}.png")
    (tmp_path / "text.jpg").write_text("no image")
    inside = np.array([[0, 1, 1], [0, 0, 0]], dtype=np.uint8)
    Image.fromarray(inside).save(tmp_path / "m.png")
    Image.fromarray(inside * 0).save(tmp_path / "empty.png")
    Image.fromarray(inside.T).save(tmp_path / "turned.png")
    rows = [
        "id,image,label,sex,region.coat,region.face,region.hat",
        "1,good.png,doctor,f,m.png,m.png,",
        "2,missing.png,docter,f,m.png,,",
        "3,small.png,nurse,,turned.png,no.png,",
        "4,text.jpg,nurse,f,m.png,,",
        "5,bare.png,nurse,f,,empty.png,",
        "6,dull.png,pilot,f,turned.png,turned.png,",
    ]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    return DatasetConfig(path=tmp_path / "a.csv", format="manifest", attributes=("sex",))


def test_every_problem_at_once(config, tmp_path):
    problems = validate(open_dataset(config, regions=ROLES), ["doctor", "nurse"])
    table, no_mask = tmp_path / "a.csv", tmp_path / "no.png"
    turned = (
        "the mask of {!r} is 2×3 pixels (width×height), the image 3×2; "
        "export the mask at the image's size"
    )
    assert problems[:-1] == [
        Problem(
            table, "2", "the label 'docter' is no class of the model; did you mean 'doctor'?", True
        ),
        Problem(tmp_path / "missing.png", "2", "no such file", False),
        Problem(table, "3", "has no value for attribute.sex", False),
        Problem(tmp_path / "small.png", "3", f"{no_mask}: no such mask file", False),
        Problem(tmp_path / "text.jpg", "4", problems[4].what, False),
        Problem(
            tmp_path / "bare.png",
            "5",
            "has no region to judge, none annotated of: coat, face, hat",
            False,
        ),
        Problem(
            table,
            "6",
            "the label 'pilot' is no class of the model; model.classes has doctor, nurse",
            True,
        ),
        Problem(
            tmp_path / "dull.png", "6", f"{turned.format('coat')}; {turned.format('face')}", False
        ),
    ]
    assert problems[4].what.startswith("cannot be opened: cannot identify image file")
    whole = problems[-1]
    assert (whole.path, whole.id, whole.fatal) == (table, None, False)
    assert whole.what.startswith("the region 'hat' occurs in no image")
    assert str(whole).startswith(f"{table}: the region")
    assert str(problems[1]) == f"{tmp_path / 'missing.png'} (id '2'): no such file"


def test_labels_are_free_without_classes(config):
    problems = validate(open_dataset(config, regions=ROLES))
    assert not any("no class" in problem.what for problem in problems)


@pytest.mark.parametrize("batch", [1, 4, 6, 100])
def test_order_and_progress_do_not_depend_on_batches(config, monkeypatch, batch):
    dataset = open_dataset(config, regions=ROLES)
    expected = validate(dataset)
    monkeypatch.setattr(validation, "_BATCH", batch)
    calls: list[tuple[int, int]] = []
    assert validate(dataset, progress=lambda done, total: calls.append((done, total))) == expected
    assert calls == [(done, 6) for done in range(1, 7)]


def test_without_regions_one_word_for_all(config, tmp_path):
    problems = validate(open_dataset(dataclasses.replace(config, attributes=())))
    assert [(problem.path.name, problem.id) for problem in problems] == [
        ("missing.png", "2"),
        ("text.jpg", "4"),
        ("a.csv", None),
    ]
    assert "[regions] names no region" in problems[-1].what


def test_the_same_rule_of_sizes_as_the_audit(config, tmp_path):
    exif = Image.Exif()
    exif[274] = 3
    Image.new("RGB", (3, 2)).save(tmp_path / "good.png", exif=exif)
    dataset = open_dataset(config, regions=ROLES)
    (found,) = (problem for problem in validate(dataset) if problem.id == "1")
    assert found.what == str(dataset.read(0).problem)
    assert "dataset.mask_frame" in found.what
    told = open_dataset(dataclasses.replace(config, mask_frame="stored"), regions=ROLES)
    assert not any(problem.id == "1" for problem in validate(told))
    assert told.read(0).problem is None
