"""Folders of images: torchvision's order, and the three layouts of masks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.configuration import DatasetConfig
from auditor.datasets import open_dataset
from auditor.errors import CaseError, DatasetError
from auditor.regions import RegionRoles

FACE = RegionRoles(cues=("face",))
COAT = RegionRoles(subject=("coat",))
BOTH = RegionRoles(subject=("coat",), cues=("face",))
INDEXED = dataclasses.replace(BOTH, index={1: "coat", 2: "face"})


def save(path: Path, values: list[list[int]] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values or [[0, 0, 0], [0, 0, 0]], dtype=np.uint8)).save(path)
    return path


def folder(root: Path, *files: str) -> DatasetConfig:
    for file in files:
        save(root / "images" / file)
    return DatasetConfig(path=root / "images", format="imagefolder", masks=root / "masks")


def refused(config: DatasetConfig, roles: RegionRoles | None = None) -> str:
    with pytest.raises(DatasetError) as raised:
        open_dataset(config, regions=roles)
    return str(raised.value)


FILES = (
    "b/z.png",
    "b/deep er/ä.PNG",
    "b/a.jpeg",
    "B/日本.webp",
    "a/2.tif",
    "a/10.bmp",
    "a/x-1/n.png",
    "a/x/n.png",
)


def test_images_come_in_torchvisions_order(tmp_path):
    operators = pytest.importorskip("auditor.models.operators")
    operators.torchvision()
    from torchvision.datasets import ImageFolder

    config = folder(tmp_path, *FILES)
    (tmp_path / "images" / "a" / "notes.txt").write_text("no image")
    theirs = ImageFolder(config.path)
    cases = open_dataset(config).cases
    assert [str(config.path / image) for image in cases["image"]] == [p for p, _ in theirs.samples]
    assert list(cases["label"]) == [theirs.classes[target] for _, target in theirs.samples]
    assert open_dataset(config).labels == tuple(theirs.classes)


def test_suffixes_are_torchvisions():
    operators = pytest.importorskip("auditor.models.operators")
    operators.torchvision()
    from torchvision.datasets.folder import IMG_EXTENSIONS

    from auditor.datasets.imagefolder import _SUFFIXES

    assert frozenset(IMG_EXTENSIONS) == _SUFFIXES


def test_ids_are_posix_paths(tmp_path):
    cases = open_dataset(folder(tmp_path, "b/deep er/ä.png", "a/x.jpg")).cases
    assert cases.to_dict("list") == {
        "id": ["a/x.jpg", "b/deep er/ä.png"],
        "image": ["a/x.jpg", "b/deep er/ä.png"],
        "label": ["a", "b"],
    }


def test_hidden_files_and_folders_are_left_out(tmp_path):
    config = folder(tmp_path, "a/x.png", "a/._x.png", "a/.cache/y.png", ".ipynb_checkpoints/z.png")
    (tmp_path / "images" / "README.md").write_text("beside the classes")
    assert list(open_dataset(config).cases["image"]) == ["a/x.png"]


def test_a_split_is_a_folder_between(tmp_path):
    config = folder(tmp_path, "train/a/x.png", "test/a/y.png", "test/b/z.png")
    dataset = open_dataset(dataclasses.replace(config, split="test"))
    assert dataset.cases.to_dict("list") == {
        "id": ["test/a/y.png", "test/b/z.png"],
        "image": ["test/a/y.png", "test/b/z.png"],
        "label": ["a", "b"],
        "split": ["test", "test"],
    }
    assert dataset.listing.image_path(1).is_file()
    message = refused(dataclasses.replace(config, split="val"))
    assert "has no folder of the split 'val'; it has 'test', 'train'" in message


def test_an_empty_class_is_named(tmp_path):
    config = folder(tmp_path, "a/x.png")
    (tmp_path / "images" / "b").mkdir()
    message = refused(config)
    assert message.startswith(f"{tmp_path / 'images' / 'b'}: holds no image")


def test_paths_that_are_no_such_folder(tmp_path):
    config = folder(tmp_path, "x.png")
    assert "holds no class folder" in refused(config)
    missing = dataclasses.replace(config, path=tmp_path / "no")
    assert f"{tmp_path / 'no'}: no such folder" in refused(missing)
    file = dataclasses.replace(config, path=tmp_path / "images" / "x.png")
    assert "is a file" in refused(file)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attributes", ("gender",)),
        ("cluster", "person"),
        ("columns", {"id": "key"}),
        ("image_root", Path("/data")),
    ],
)
def test_keys_that_folders_cannot_provide(tmp_path, key, value):
    config = dataclasses.replace(folder(tmp_path, "a/x.png"), **{key: value})
    message = refused(config)
    assert f"dataset.{key} is given" in message
    assert 'dataset.format = "manifest"' in message


# -- masks ------------------------------------------------------------------------------------


def test_indexed_masks(tmp_path):
    config = folder(tmp_path, "a/x.jpg", "a/deep/y.v1.png", "b/z.png")
    save(tmp_path / "masks" / "a" / "x.png", [[0, 1, 2], [0, 0, 7]])
    save(tmp_path / "masks" / "a" / "deep" / "y.v1.png", [[2, 0, 0], [0, 0, 0]])
    dataset = open_dataset(config, regions=INDEXED)
    assert dataset.listing.named == {"coat", "face"}
    assert dataset.read(0).atoms.tolist() == [[2, 0, 1], [2, 2, 2]]
    assert dataset.read(1).atoms.tolist() == [[1, 2, 2], [2, 2, 2]]
    missing = tmp_path / "masks" / "b" / "z.png"
    assert dataset.listing.region_files(2) == (missing,)
    problem = dataset.read(2).problem
    assert problem.status == "mask_mismatch"
    assert str(problem) == f"{missing}: no such mask file"


def test_a_folder_for_each_region(tmp_path):
    config = folder(tmp_path, "a/x.jpg", "b/deep/y.png")
    save(tmp_path / "masks" / "coat" / "a" / "x.png", [[1, 0, 0], [0, 0, 0]])
    save(tmp_path / "masks" / "face" / "a" / "x.png", [[0, 0, 9], [0, 0, 0]])
    save(tmp_path / "masks" / "coat" / "b" / "deep" / "y.png", [[0, 0, 0], [255, 0, 0]])
    (tmp_path / "masks" / "hat").mkdir()
    dataset = open_dataset(config, regions=BOTH)
    assert dataset.listing.named == {"coat", "face", "hat"}
    assert dataset.read(0).atoms.tolist() == [[0, 2, 1], [2, 2, 2]]
    assert dataset.read(1).atoms.tolist() == [[2, 2, 2], [0, 2, 2]]
    assert set(dataset.listing.regions(1, (2, 3))) == {"coat"}
    # Also those that do not exist: the fingerprint notices once they do.
    assert dataset.listing.region_files(1) == (
        tmp_path / "masks" / "coat" / "b" / "deep" / "y.png",
        tmp_path / "masks" / "face" / "b" / "deep" / "y.png",
    )


def test_a_region_without_a_folder(tmp_path):
    config = folder(tmp_path, "a/x.jpg")
    save(tmp_path / "masks" / "coat" / "a" / "x.png")
    message = refused(config, BOTH)
    assert "has no region 'face', which [regions] names; the folders give 'coat'" in message


def test_masks_of_a_single_cue_may_be_missing(tmp_path):
    config = folder(tmp_path, "a/x.jpg", "b/y.jpg")
    save(tmp_path / "masks" / "a" / "x.png", [[0, 0, 1], [0, 0, 0]])
    dataset = open_dataset(config, regions=FACE)
    assert dataset.listing.named == {"face"}
    assert dataset.read(0).atoms.tolist() == [[2, 2, 1], [2, 2, 2]]
    assert dataset.read(1).problem.status == "no_regions"


def test_masks_of_a_single_subject_may_not(tmp_path):
    config = folder(tmp_path, "a/x.jpg", "b/y.jpg")
    save(tmp_path / "masks" / "a" / "x.png", [[0, 0, 1], [0, 0, 0]])
    dataset = open_dataset(config, regions=COAT)
    assert dataset.read(0).problem is None
    with pytest.raises(CaseError, match="no such mask file") as raised:
        dataset.listing.regions(1, (2, 3))
    assert raised.value.status == "mask_mismatch"


@pytest.mark.parametrize(
    "mask", ["test/face/a/x.png", "face/test/a/x.png", "face/a/x.png", "test/a/x.png", "a/x.png"]
)
def test_masks_of_a_split(tmp_path, mask):
    config = folder(tmp_path, "test/a/x.jpg")
    save(tmp_path / "masks" / mask, [[0, 0, 1], [0, 0, 0]])
    config = dataclasses.replace(config, split="test")
    assert open_dataset(config, regions=FACE).read(0).atoms.tolist() == [[2, 2, 1], [2, 2, 2]]


def test_masks_in_no_known_layout(tmp_path):
    config = folder(tmp_path, "a/x.jpg")
    assert "no such folder; correct dataset.masks" in refused(config, BOTH)
    save(tmp_path / "masks" / "a" / "x.png")
    message = refused(config, BOTH)
    assert "fits none of the layouts for the regions 'coat', 'face'; it holds 'a'" in message
    assert "masks/<region>/<class>/<image>.png" in message
    message = refused(dataclasses.replace(config, masks=None), BOTH)
    assert "there is no dataset.masks" in message
    assert "has no region 'face'" in refused(config, dataclasses.replace(BOTH, index={1: "coat"}))


def test_masks_with_another_suffix_do_not_pass_for_absent(tmp_path):
    config = folder(tmp_path, "a/x.jpg")
    save(tmp_path / "masks" / "face" / "a" / "x.bmp")
    assert "holds no .png, and so no mask of 'face'" in refused(config, FACE)
