"""COCO instances: labels, regions of every kind, and files that contradict themselves."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from auditor.configuration import DatasetConfig
from auditor.datasets import open_dataset
from auditor.errors import CaseError, DatasetError
from auditor.regions import RegionRoles

ROLES = RegionRoles(subject=("coat",), cues=("face",))

DOCUMENT: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "ä/a.png", "height": 3, "width": 5},
        {"id": 8, "file_name": "b.png", "height": 3, "width": 5},
    ],
    "categories": [
        {"id": 1, "name": "doctor"},
        {"id": 2, "name": "nurse"},
        {"id": 3, "name": "coat"},
        {"id": 4, "name": "face"},
    ],
    "annotations": [
        {"id": 20, "image_id": 8, "category_id": 2, "bbox": [0, 0, 5, 3]},
        {"id": 21, "image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 3]},
        {"id": 22, "image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 3]},
        {"id": 23, "image_id": 7, "category_id": 3, "segmentation": [], "bbox": [0, 0, 2, 1]},
        {"id": 24, "image_id": 7, "category_id": 4, "bbox": [0, 0, 1, 1]},
    ],
}


def document(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(DOCUMENT) | changes


def write(path: Path, content: Any) -> DatasetConfig:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return DatasetConfig(path=path, format="coco")


def refused(config: DatasetConfig, roles: RegionRoles = ROLES) -> str:
    with pytest.raises(DatasetError) as raised:
        open_dataset(config, regions=roles)
    assert str(config.path) in str(raised.value)
    return str(raised.value)


def region(tmp_path: Path, annotations: list[dict[str, Any]]) -> list[str]:
    """The face drawn from annotations of a 3×5 image."""
    content = document(
        annotations=[
            {"image_id": 7, "category_id": 1},
            {"image_id": 8, "category_id": 1},
            *({"image_id": 7, "category_id": 4} | annotation for annotation in annotations),
        ]
    )
    dataset = open_dataset(write(tmp_path / "a.json", content), regions=ROLES)
    mask = dataset.listing.regions(0, (99, 99))["face"]  # drawn at the recorded size
    return ["".join("x" if inside else "." for inside in row) for row in mask]


# -- labels and fields ------------------------------------------------------------------------


def test_labels_from_categories(tmp_path):
    dataset = open_dataset(write(tmp_path / "a.json", DOCUMENT), regions=ROLES)
    assert dataset.cases.to_dict("list") == {
        "id": ["7", "8"],
        "image": ["ä/a.png", "b.png"],
        "label": ["doctor", "nurse"],
    }
    assert dataset.listing.image_path(0) == tmp_path / "ä" / "a.png"
    assert dataset.listing.named == {"doctor", "nurse", "coat", "face"}
    assert dataset.listing.sources == (tmp_path / "a.json",)


def test_labels_that_are_regions_as_well(tmp_path):
    roles = RegionRoles(subject_by_label={"doctor": ("doctor",), "nurse": ("nurse",)})
    # The two others are named nowhere, and are no labels for all that.
    cases = open_dataset(write(tmp_path / "a.json", DOCUMENT), regions=roles).cases
    assert list(cases["label"]) == ["doctor", "nurse"]
    roles = dataclasses.replace(roles, cues=("coat", "face"))
    cases = open_dataset(write(tmp_path / "b.json", DOCUMENT), regions=roles).cases
    assert list(cases["label"]) == ["doctor", "nurse"]


def test_subjects_by_label_beside_label_categories(tmp_path):
    # `nurse` has no subject, and stays a label.
    roles = RegionRoles(subject_by_label={"doctor": ("coat",)}, cues=("face",))
    cases = open_dataset(write(tmp_path / "a.json", DOCUMENT), regions=roles).cases
    assert list(cases["label"]) == ["doctor", "nurse"]


@pytest.mark.parametrize("nested", [False, True])
def test_fields_of_the_entries(tmp_path, nested):
    content = document()
    for number, entry in enumerate(content["images"]):
        fields = {"job": ["chef", "cook"][number], "sex": None if number else "f", "age": number}
        fields |= {"fold": "test", "uid": f"u{number}"}
        entry.update({"attributes": fields} if nested else fields)
    config = dataclasses.replace(
        write(tmp_path / "a.json", content),
        label="job",
        attributes=("gender", "age"),
        split="test",
        cluster="person",
        columns={"gender": "sex", "split": "fold", "person": "uid", "id": "uid"},
    )
    assert open_dataset(config, regions=ROLES).cases.to_dict("list") == {
        "id": ["u0", "u1"],
        "image": ["ä/a.png", "b.png"],
        "label": ["chef", "cook"],
        "split": ["test", "test"],
        "cluster": ["u0", "u1"],
        "attribute.gender": ["f", ""],
        "attribute.age": ["0", "1"],
    }


def test_split_and_image_root(tmp_path):
    content = document()
    content["images"][0]["split"] = "train"
    content["images"][1]["split"] = "test"
    content["annotations"].append({"image_id": 8, "category_id": 4, "bbox": [4, 2, 1, 1]})
    config = write(tmp_path / "a.json", content)
    config = dataclasses.replace(config, split="test", image_root=tmp_path / "moved")
    dataset = open_dataset(config, regions=ROLES)
    assert list(dataset.cases["id"]) == ["8"]
    assert list(dataset.cases["label"]) == ["nurse"]
    assert dataset.listing.image_path(0) == tmp_path / "moved" / "b.png"
    assert np.argwhere(dataset.listing.regions(0, (3, 5))["face"]).tolist() == [[2, 4]]
    config = dataclasses.replace(config, split="val")
    assert "no image has the split 'val'; there is 'test', 'train'" in refused(config)


def test_label_categories_missing_or_several(tmp_path):
    content = document()
    content["annotations"][0]["image_id"] = 7
    message = refused(write(tmp_path / "a.json", content))
    assert "the one annotated category out of 'doctor', 'nurse'" in message
    assert "1 images have none: 'b.png'; 1 images have several: 'ä/a.png'" in message
    assert "Give every entry of 'images' a field 'label'" in message


def test_no_category_left_for_the_label(tmp_path):
    roles = RegionRoles(subject=("coat", "doctor", "nurse"), cues=("face",))
    assert "[regions] names every category" in refused(write(tmp_path / "a.json", DOCUMENT), roles)


def test_a_label_field_that_some_entries_lack(tmp_path):
    content = document()
    content["images"][0]["label"] = "doctor"
    message = refused(write(tmp_path / "a.json", content))
    assert "1 rows have no label, the first at row 2" in message


# -- regions ----------------------------------------------------------------------------------


def test_polygons_of_one_annotation_and_of_several_are_united(tmp_path):
    two = {"segmentation": [[0, 0, 2, 0, 2, 1, 0, 1], [], [3, 1, 5, 1, 5, 2, 3, 2]]}
    third = {"segmentation": [[0, 2.0, 1, 2.0, 1, 3, 0, 3]], "bbox": [0, 0, 5, 3]}
    assert region(tmp_path, [two, third]) == ["xx...", "...xx", "x...."]


def test_boxes_stand_in_for_missing_outlines(tmp_path):
    assert region(tmp_path, [{"bbox": [1, 1, 3, 9]}]) == [".....", ".xxx.", ".xxx."]
    empty = {"segmentation": [[]], "bbox": [1, 1, 3, 9]}
    assert region(tmp_path, [empty]) == [".....", ".xxx.", ".xxx."]


def test_run_length_codes_of_both_kinds(tmp_path):
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.array([[0, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], dtype=np.uint8)
    expected = [".xx..", "..x.x", "....x"]
    listed = {"segmentation": {"counts": [3, 1, 2, 2, 5, 2], "size": [3, 5]}, "iscrowd": 1}
    assert region(tmp_path, [listed]) == expected
    packed = coco.encode(np.asfortranarray(mask))["counts"].decode("ascii")
    assert region(tmp_path, [{"segmentation": {"counts": packed, "size": [3, 5]}}]) == expected


def test_categories_that_share_a_name_and_mapped_names(tmp_path):
    content = document()
    content["categories"] += [{"id": 9, "name": "Gesicht"}, {"id": 10, "name": "Gesicht"}]
    content["annotations"] = [
        {"image_id": 7, "category_id": 1},
        {"image_id": 8, "category_id": 1},
        {"image_id": 7, "category_id": 9, "bbox": [0, 0, 1, 1]},
        {"image_id": 7, "category_id": 10, "bbox": [1, 0, 1, 1]},
    ]
    config = write(tmp_path / "a.json", content)
    config = dataclasses.replace(config, columns={"region.head": "Gesicht"})
    roles = RegionRoles(subject=("coat",), cues=("head", "face"))
    dataset = open_dataset(config, regions=roles)
    assert np.argwhere(dataset.listing.regions(0, (3, 5))["head"]).tolist() == [[0, 0], [0, 1]]
    assert "head" in dataset.listing.named
    assert "Gesicht" not in dataset.listing.named


def test_a_wrong_recorded_size_is_a_mismatch(tmp_path):
    (tmp_path / "ä").mkdir()
    Image.new("RGB", (3, 5)).save(tmp_path / "ä" / "a.png")  # recorded as 5 wide, 3 high
    problem = open_dataset(write(tmp_path / "a.json", DOCUMENT), regions=ROLES).read(0).problem
    assert problem.status == "mask_mismatch"
    assert "is 5×3 pixels (width×height), the image 3×5" in str(problem)


def test_a_size_recorded_as_displayed_is_understood(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    (tmp_path / "ä").mkdir()
    Image.new("RGB", (3, 5)).save(tmp_path / "ä" / "a.png", exif=exif)
    case = open_dataset(write(tmp_path / "a.json", DOCUMENT), regions=ROLES).read(0)
    assert case.problem is None
    assert case.atoms[0].tolist() == [1, 0, 2, 2, 2]


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        ({"segmentation": [[0, 0, 1, 1, 2]]}, "no flat list"),
        ({"segmentation": [[0, 0, 1, 1]]}, "3 or more points"),
        ({"segmentation": [[0, 0, "a", 1, 2, 2]]}, "no flat list"),
        ({"segmentation": "xyz"}, "no flat list"),
        ({"segmentation": {"counts": [1, 2], "size": [3, 5]}}, "runs of 3 pixels in all"),
        ({"segmentation": {"counts": [15], "size": [5, 3]}}, "of [height, width] [5, 3], its"),
        ({"segmentation": {"size": [3, 5]}}, "no 'counts'"),
        ({"segmentation": {"counts": {}, "size": [3, 5]}}, "no 'counts'"),
        ({"bbox": [1, 2, 3]}, "bbox [1, 2, 3] is not [x, y, width, height]"),
        ({"bbox": [50, 2, 3, 4]}, "outside of the image"),
    ],
)
def test_annotations_that_cannot_be_drawn(tmp_path, annotation, what):
    with pytest.raises(CaseError) as raised:
        region(tmp_path, [annotation | {"id": 31}])
    assert raised.value.status == "mask_mismatch"
    assert f"{tmp_path / 'a.json'}: annotation 31: " in str(raised.value)
    assert what in str(raised.value)


# -- files ------------------------------------------------------------------------------------


def changed(where: str, number: int, **fields: Any) -> dict[str, Any]:
    content = document()
    content[where][number].update(fields)
    return content


def without(where: str, number: int, field: str) -> dict[str, Any]:
    content = document()
    del content[where][number][field]
    return content


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "is not JSON ("),
        ("[]", "holds a list, not an object with the lists 'images'"),
        ("{}", "has no list 'images'; it holds nothing"),
        (document(annotations={}), "has no list 'annotations'"),
        (document(images=[3]), "images[0] is 3; each entry is an object"),
        (document(images=[], annotations=[]), "holds no image"),
        (without("images", 1, "id"), "images[1] has no 'id'; it has 'file_name', 'height'"),
        (without("images", 1, "height"), "images[1] has no 'height'"),
        (without("images", 1, "file_name"), "1 rows have no image, the first at row 2"),
        (changed("images", 1, width="5"), "images[1] has the width '5'; give the image's pixels"),
        (changed("images", 1, width=0), "images[1] has the width 0"),
        (changed("images", 1, id=7), "images[1] repeats the id 7 of images[0]"),
        (changed("images", 1, id=[7]), "images[1] has the id [7]; give a whole number or a string"),
        (changed("categories", 1, id=1), "categories[1] repeats the id 1"),
        (without("categories", 0, "name"), "categories[0] has no 'name'"),
        (without("annotations", 0, "image_id"), "annotations[0] has no 'image_id'"),
        (changed("annotations", 0, image_id="8"), "image_id '8', which no image has; remove"),
        (changed("annotations", 0, category_id=5), "category_id 5, which no category has"),
        (
            without("annotations", 4, "bbox"),
            "annotations[4] (id 24) has neither 'segmentation' nor 'bbox'",
        ),
    ],
)
def test_files_that_contradict_themselves(tmp_path, content, what):
    assert what in refused(write(tmp_path / "a.json", content))


def test_missing_and_misplaced_paths(tmp_path):
    missing = DatasetConfig(path=tmp_path / "no.json", format="coco")
    assert "no such file; correct dataset.path" in refused(missing)
    assert "dataset.path is the .json file" in refused(DatasetConfig(path=tmp_path, format="coco"))


def test_fields_and_regions_that_nothing_has(tmp_path):
    config = write(tmp_path / "a.json", DOCUMENT)
    message = refused(dataclasses.replace(config, attributes=("sex",)))
    assert "no entry of 'images' has 'sex', wanted as attribute.sex" in message
    assert "they have 'file_name', 'height', 'id', 'width'" in message
    assert '[dataset.columns] sex = "..."' in message
    mapped = dataclasses.replace(config, columns={"image": "path"})
    assert "no entry of 'images' has 'path', wanted as image" in refused(mapped)
    message = refused(config, RegionRoles(cues=("hair",)))
    assert "has no region 'hair', which [regions] names; the categories give 'coat'" in message
