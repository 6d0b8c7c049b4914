"""Manifests in every file type, and everything that can be wrong with one."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from auditor.configuration import DatasetConfig
from auditor.datasets import open_dataset
from auditor.datasets.manifest import read_table
from auditor.errors import DatasetError
from auditor.regions import RegionRoles

FACE = RegionRoles(cues=("face",))


def write(path: Path, text: str, encoding: str = "utf-8") -> DatasetConfig:
    path.write_text(text, encoding=encoding)
    return DatasetConfig(path=path, format="manifest")


def refused(config: DatasetConfig, roles: RegionRoles | None = None) -> str:
    with pytest.raises(DatasetError) as raised:
        open_dataset(config, regions=roles)
    assert str(config.path) in str(raised.value)
    return str(raised.value)


# -- file types -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("a.csv", 'image,label\n"ä, b.jpg",doctor\n007,NA\n', "utf-8"),
        ("a.csv", 'image,label\r\n"ä, b.jpg",doctor\r\n007,NA\r\n', "utf-8-sig"),
        ("a.TSV", "image\tlabel\nä, b.jpg\tdoctor\n007\tNA\n", "utf-8-sig"),
        (
            "a.jsonl",
            '{"image": "ä, b.jpg", "label": "doctor"}\n\n{"label": "NA", "image": "007"}\n',
            "utf-8-sig",
        ),
        (
            "a.ndjson",
            '{"image": "ä, b.jpg", "label": "doctor"}\n{"label": "NA", "image": "007"}',
            "utf-8",
        ),
    ],
)
def test_text_files(tmp_path, name, text, encoding):
    cases = open_dataset(write(tmp_path / name, text, encoding)).cases
    assert cases.to_dict("list") == {
        "id": ["ä, b.jpg", "007"],
        "image": ["ä, b.jpg", "007"],
        "label": ["doctor", "NA"],
    }


def test_values_become_text(tmp_path):
    table = pd.DataFrame(
        {
            "whole": [1, 20],
            "gap": [3.0, None],
            "fraction": [0.5, 2.0],
            "truth": [True, False],
            "text": ["007", None],
            "endless": [1.0, np.inf],
            "large": [1e300, 2.0],
            "day": pd.to_datetime(["2024-01-02", None]),
            "class": pd.Categorical(["a", None]),
            "shape": [{"box": [1, 2, 3, 4], "polygon": None}, None],
            "nothing": [None, None],
        }
    )
    table.to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").to_dict("list") == {
        "whole": ["1", "20"],
        "gap": ["3", ""],
        "fraction": ["0.5", "2.0"],
        "truth": ["True", "False"],
        "text": ["007", ""],
        "endless": ["1.0", "inf"],
        "large": ["1e+300", "2.0"],
        "day": ["2024-01-02 00:00:00", ""],
        "class": ["a", ""],
        "shape": ['{"box": [1, 2, 3, 4], "polygon": null}', ""],
        "nothing": ["", ""],
    }


def test_json_lines_become_text_as_well(tmp_path):
    # `date` and `modified_at` are names that pandas takes for dates.
    rows = [
        {"id": 5, "date": 20240102, "modified_at": "2024", "ok": True, "s": {"box": [0, 1, 2, 3]}},
        {"id": None, "date": 3, "modified_at": "x", "ok": None},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_table(path).to_dict("list") == {
        "id": ["5", ""],
        "date": ["20240102", "3"],
        "modified_at": ["2024", "x"],
        "ok": ["True", ""],
        "s": ['{"box": [0, 1, 2, 3]}', ""],
    }


def test_a_parquet_index_is_a_column(tmp_path):
    table = pd.DataFrame({"id": [10, 11], "image": ["a", "b"], "label": ["x", "y"]})
    table.set_index("id").to_parquet(tmp_path / "a.parquet")
    assert list(read_table(tmp_path / "a.parquet")["id"]) == ["10", "11"]


@pytest.mark.parametrize("ids", [[3, 4], [3.0, 4.0]])
def test_ids_are_whole_numbers_as_text(tmp_path, ids):
    pd.DataFrame({"id": ids, "image": ["a", "b"], "label": ["x", "y"]}).to_parquet(
        tmp_path / "a.parquet"
    )
    dataset = open_dataset(tmp_path / "a.parquet", "manifest")
    assert list(dataset.cases["id"]) == ["3", "4"]


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.csv", "", "cannot be read as .csv: No columns"),
        ("a.csv", "image,label\na.jpg,doctor, who\n", "Expected 2 fields in line 2, saw 3"),
        ("a.csv", "image,label,label\na,b,c\n", r"has the columns \['label'\] twice; rename"),
        ("a.jsonl", '{"image": "a"}\n{"image"\n', "cannot be read as .jsonl: line 2: "),
        ("a.jsonl", "[1, 2]\n", r"line 1 is no JSON object: \[1, 2\]"),
        ("a.parquet", "PAR1", "cannot be read as .parquet"),
        ("a.xlsx", "", "a manifest ends in .csv, .*not '.xlsx'; convert it"),
        ("a", "", "not 'nothing'; convert it"),
    ],
)
def test_files_that_are_none(tmp_path, name, text, what):
    with pytest.raises(DatasetError, match=what) as raised:
        open_dataset(write(tmp_path / name, text))
    assert str(tmp_path / name) in str(raised.value)


def test_missing_and_misplaced_paths(tmp_path):
    missing = DatasetConfig(path=tmp_path / "no.csv", format="manifest")
    assert "no such file; correct dataset.path" in refused(missing)
    (tmp_path / "folder.csv").mkdir()
    folder = DatasetConfig(path=tmp_path / "folder.csv", format="manifest")
    assert "cannot be read as .csv" in refused(folder)


def test_not_utf8(tmp_path):
    config = write(tmp_path / "a.csv", "image,label\nä.jpg,x\n", "latin-1")
    assert "utf-8" in refused(config)


def test_row_names_as_r_writes_them_are_no_column(tmp_path):
    config = write(tmp_path / "a.csv", '"","image","label"\n"1","a.jpg","x"\n')
    assert list(open_dataset(config).cases.columns) == ["id", "image", "label"]


# -- columns ----------------------------------------------------------------------------------


def test_columns_are_mapped(tmp_path):
    config = dataclasses.replace(
        write(tmp_path / "a.csv", "path,key,job,sex,who,fold\na.jpg,k1,nurse,f,p1,0\n"),
        attributes=("gender",),
        cluster="person",
        split="0",
        columns={
            "image": "path",
            "id": "key",
            "label": "job",
            "gender": "sex",
            "person": "who",
            "split": "fold",
        },
    )
    assert open_dataset(config).cases.to_dict("records") == [
        {
            "image": "a.jpg",
            "label": "nurse",
            "id": "k1",
            "split": "0",
            "cluster": "p1",
            "attribute.gender": "f",
        }
    ]


def test_label_names_the_column(tmp_path):
    config = dataclasses.replace(write(tmp_path / "a.csv", "image,job\na,x\n"), label="job")
    assert list(open_dataset(config).cases["label"]) == ["x"]


def test_split_keeps_order_and_positions(tmp_path):
    text = "image,label,split,region.face\n"
    text += 'a,x,train,"{""box"": [0, 0, 1, 1]}"\nb,y,test,\nc,x,test,"{""box"": [1, 0, 1, 1]}"\n'
    config = dataclasses.replace(write(tmp_path / "a.csv", text), split="test")
    dataset = open_dataset(config, regions=FACE)
    assert list(dataset.cases["image"]) == ["b", "c"]
    assert list(dataset.cases.index) == [0, 1]
    assert dataset.listing.regions(0, (1, 3)) == {}
    assert dataset.listing.regions(1, (1, 3))["face"].tolist() == [[False, True, False]]


def test_image_root_moves_images_and_masks(tmp_path):
    (tmp_path / "data").mkdir()
    Image.new("RGB", (3, 2)).save(tmp_path / "data" / "a.png")
    Image.new("L", (3, 2), 1).save(tmp_path / "data" / "m.png")
    config = write(tmp_path / "a.csv", "image,label,region.face\na.png,x,m.png\n")
    config = dataclasses.replace(config, image_root=tmp_path / "data")
    dataset = open_dataset(config, regions=FACE)
    assert (dataset.read(0).atoms == 1).all()
    assert dataset.listing.region_files(0) == (tmp_path / "data" / "m.png",)


@pytest.mark.parametrize(
    ("text", "changes", "what"),
    [
        ("file,label\na,x\n", {}, "has no column 'image'; it has 'file', 'label'. Rename one"),
        ("image,job\na,x\n", {}, "has no column 'label'"),
        ("image,label\na,x\n", {"attributes": ("sex",)}, "has no column 'sex'"),
        ("image,label\na,x\n", {"cluster": "who"}, '[dataset.columns] who = "..."'),
        ("image,label\na,x\n", {"split": "test"}, "has no column 'split'"),
        (
            "image,label\na,x\n",
            {"columns": {"id": "key"}},
            "has no column 'key', which dataset.columns.id names",
        ),
        (
            "image,label,split\na,x,train\nb,x,val\n",
            {"split": "test"},
            "no image has the split 'test'; there is 'train', 'val'. Correct dataset.split.",
        ),
        ("image,label\n", {}, "holds no image; check dataset.path and dataset.split"),
        ("image,label\na,x\nb,\nc,\n", {}, "2 rows have no label, the first at row 2; fill it in"),
        ("image,label\n,x\n", {}, "1 rows have no"),
        (
            "id,image,label\n1,a,x\n2,b,x\n1,c,x\n",
            {},
            "the id '1' stands in rows 1, 3 (2 rows share an id with another); make ids unique",
        ),
        ("image,label\na,x\na,x\n", {}, "the id 'a' stands in rows 1, 2"),
    ],
)
def test_what_cannot_be_audited(tmp_path, text, changes, what):
    config = dataclasses.replace(write(tmp_path / "a.csv", text), **changes)
    assert what in refused(config)


def test_an_empty_json_lines_file(tmp_path):
    assert "has no column 'image'" in refused(write(tmp_path / "a.jsonl", ""))


def test_an_unknown_format(tmp_path):
    with pytest.raises(DatasetError, match="'voc' is not known; choose one of coco, imagefolder"):
        open_dataset(tmp_path, "voc")


# -- regions ----------------------------------------------------------------------------------


def test_a_region_that_no_column_gives(tmp_path):
    config = write(tmp_path / "a.csv", "image,label,region.hair\na,x,\n")
    message = refused(config, FACE)
    assert "has no region 'face', which [regions] names; the columns region.<name>" in message
    assert "give 'hair'" in message


def test_a_region_that_no_index_gives(tmp_path):
    config = write(tmp_path / "a.csv", "image,label,regions\na,x,m.png\n")
    assert "[regions.index] give none" in refused(config, FACE)


def test_region_columns_are_mapped(tmp_path):
    Image.new("L", (3, 2), 255).save(tmp_path / "m.png")
    config = write(tmp_path / "a.csv", "image,label,gesicht\na,x,m.png\n")
    config = dataclasses.replace(config, columns={"region.face": "gesicht"})
    assert open_dataset(config, regions=FACE).listing.regions(0, (2, 3))["face"].all()


def test_shapes_in_every_file_type(tmp_path):
    box, triangle = {"box": [1, 0, 1, 1]}, {"polygon": [[0, 0], [3, 0], [0, 2]]}
    rows = [
        {"image": "a", "label": "x", "region.face": box},
        {"image": "b", "label": "x", "region.face": triangle},
        {"image": "c", "label": "x", "region.face": None},
    ]
    table = pd.DataFrame(rows)
    table.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table["region.face"] = [json.dumps(box), json.dumps(triangle), ""]
    table.to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.parquet", "a.jsonl", "a.csv"):
        listing = open_dataset(tmp_path / name, "manifest", FACE).listing
        assert listing.regions(0, (2, 3))["face"].tolist() == [[False, True, False], [False] * 3]
        assert listing.regions(1, (2, 3))["face"].tolist() == [
            [True, True, False],
            [True, False, False],
        ]
        assert listing.regions(2, (2, 3)) == {}
        assert listing.region_files(0) == ()


def test_an_indexed_column(tmp_path):
    values = np.array([[0, 13, 13], [17, 0, 0]], dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "m.png")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (3, 2)).save(tmp_path / name)
    config = write(tmp_path / "a.csv", "image,label,regions\na.png,x,m.png\nb.png,x,\n")
    roles = RegionRoles(subject=("hair",), cues=("face",), index={13: "face", 17: "hair"})
    dataset = open_dataset(config, regions=roles)
    assert dataset.read(0).atoms.tolist() == [[2, 1, 1], [0, 2, 2]]
    assert dataset.read(1).problem.status == "no_regions"
    assert dataset.listing.region_files(0) == (tmp_path / "m.png",)


def test_every_spoiled_mask_of_a_case_is_named(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    config = write(tmp_path / "a.csv", "image,label,region.face,region.hair\na.png,x,f.png,h.png\n")
    case = open_dataset(config, regions=RegionRoles(cues=("face", "hair"))).read(0)
    assert case.atoms is None
    assert case.problem.status == "mask_mismatch"
    assert str(case.problem) == (
        f"{tmp_path / 'f.png'}: no such mask file; {tmp_path / 'h.png'}: no such mask file"
    )


def test_a_mask_of_another_size(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    Image.new("L", (2, 3), 1).save(tmp_path / "m.png")
    config = write(tmp_path / "a.csv", "image,label,region.face\na.png,x,m.png\n")
    case = open_dataset(config, regions=FACE).read(0)
    assert case.picture.size == (2, 3)
    assert str(case.problem) == (
        "the mask of 'face' is 2×3 pixels (width×height), the image 3×2; "
        "export the mask at the image's size"
    )


# -- orientation ------------------------------------------------------------------------------

STORED = np.array([[0, 0, 255], [0, 255, 255]], dtype=np.uint8)  # no symmetry


def oriented(tmp_path: Path, orientation: int, suffix: str = "png") -> tuple[Path, np.ndarray]:
    """An image that is white where its mask is, and that mask as displayed."""
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(STORED).convert("RGB").save(path, exif=exif)
    with Image.open(path) as opened:
        return path, np.asarray(ImageOps.exif_transpose(opened).convert("L")) > 0


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("frame", ["stored", "displayed"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_of_both_frames(tmp_path, orientation, frame, suffix):
    _, displayed = oriented(tmp_path, orientation, suffix)
    mask = STORED > 0 if frame == "stored" else displayed
    Image.fromarray(mask).save(tmp_path / "m.png")
    config = write(tmp_path / "a.csv", f"image,label,region.face\na.{suffix},x,m.png\n")
    told = open_dataset(dataclasses.replace(config, mask_frame=frame), regions=FACE).read(0)
    np.testing.assert_array_equal(told.atoms == 1, displayed)
    np.testing.assert_array_equal(np.asarray(told.picture.image)[..., 0] > 0, displayed)
    guessed = open_dataset(config, regions=FACE).read(0)
    if orientation in (2, 3, 4):  # both frames have the same size
        assert guessed.problem.status == "mask_mismatch"
        assert 'dataset.mask_frame = "stored" or "displayed"' in str(guessed.problem)
        assert f"EXIF orientation {orientation}" in str(guessed.problem)
    else:
        np.testing.assert_array_equal(guessed.atoms == 1, displayed)


def test_the_wrong_frame_is_refused(tmp_path):
    oriented(tmp_path, 6)
    Image.fromarray(STORED).save(tmp_path / "m.png")
    config = write(tmp_path / "a.csv", "image,label,region.face\na.png,x,m.png\n")
    config = dataclasses.replace(config, mask_frame="displayed")
    problem = open_dataset(config, regions=FACE).read(0).problem
    assert "is 3×2 pixels (width×height), the image as displayed 2×3" in str(problem)


@pytest.mark.parametrize("frame", ["auto", "stored", "displayed"])
def test_shapes_are_drawn_in_the_frame_that_is_named(tmp_path, frame):
    oriented(tmp_path, 6)
    cell = json.dumps({"box": [1, 0, 1, 1]}).replace('"', '""')
    config = write(tmp_path / "a.csv", f'image,label,region.face\na.png,x,"{cell}"\n')
    case = open_dataset(dataclasses.replace(config, mask_frame=frame), regions=FACE).read(0)
    # Stored 2×3, turned by a quarter to the right: column 1, row 0 comes to row 1, column 1.
    at = (0, 1) if frame == "displayed" else (1, 1)
    assert np.argwhere(case.atoms == 1).tolist() == [list(at)]
