"""Exports: whatever a run holds comes back equal, and no text in it becomes anything else."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import auditor
from auditor.configuration import DatasetConfig
from auditor.datasets.images import orient
from auditor.datasets.masks import decode_rle, polygons
from auditor.errors import AuditorError, ReviewError, RunError
from auditor.exports import (
    FORMATS,
    Request,
    Written,
    cases,
    model_card,
    read_coco,
    read_csv,
    read_events,
    read_json,
    read_parquet,
    write_export,
)
from auditor.exports.front_matter import front_matter
from auditor.exports.outlines import corners, outlines
from auditor.exports.request import MaskForm
from auditor.exports.rle import compressed, runs_of
from auditor.pipeline.rows import schema
from auditor.reviews import Draft, Reviews
from auditor.types import Mask
from tests.colours import classifier
from tests.test_interventions import pairs, write

TABLES = {"csv": read_csv, "parquet": read_parquet, "json": read_json}

# fmt: off
HOSTILE = (
    "", None, '=HYPERLINK("http://evil","x")', "+1+1", "-2", "@SUM(A1)", "＝1", "\t=1", "\r\n=1",
    " =1", "'=1", "''", "'", "0007", "1e5", "2026-05-09", "true", "NA", "null", "nan", "None",
    "inf", "<script>alert(1)</script>", "| a | b |\n|---|---|", "---\nlicense: mit",
    "\u202egnp.exe", "\u2066a\u2069", "a\nb\r\nc\rd", "\x00\x01\x1b[2J\x7f", "\x85\u2028\u2029",
    'say "x", he said', "a;b,c\td", "日本語 🩺 é e\u0301", "\ufeff", "\U000e0001", "x" * 5000,
    "\\n \\u0041 ${x} {{7*7}} %s", " ",
)
# fmt: on
NUMBERS = (
    0.1,
    1 / 3,
    -0.0,
    0.0,
    5e-324,
    1.7976931348623157e308,
    -1e-7,
    1e22,
    123456789.123456789,
    math.nan,
    math.inf,
    -math.inf,
    None,
    -3.5,
)  # fmt: skip
ATTRIBUTES = ("tint", "=cmd", 'q"\n,', "a.b", "height")
REGIONS = ("subject", "cue", "=x", "reg.ion", "padding")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    """The world of tests/test_interventions.py, audited, with a configuration file."""
    folder = tmp_path_factory.mktemp("world")
    write(folder, pairs(40, 15))
    (folder / "audit.toml").write_text(
        """
        [dataset]
        path = "manifest.csv"
        format = "manifest"
        attributes = ["tint"]
        [regions]
        subject = ["thing"]
        cues = ["cue"]
        rest = "background"
        [model]
        factory = "nothing:nothing"
        classes = ["red", "green"]
        """,
        encoding="utf-8",
    )
    dataset = auditor.open_dataset(folder / "audit.toml")
    settings = auditor.Settings(evidence="all")
    return auditor.audit(classifier(), dataset, folder / "runs" / "run", settings=settings)


def made(
    run: auditor.Run,
    to: Path,
    table: pa.Table,
    change: Callable[[dict[str, Any]], object] = lambda info: None,
) -> auditor.Run:
    """A run with these cases, its other files as those of `run`."""
    to.mkdir(parents=True)
    for name in ("maps.npy", "interventions.parquet", "findings.json"):
        shutil.copy(run.path / name, to / name)
    info = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    change(info)
    (to / "run.json").write_text(json.dumps(info), encoding="utf-8")
    pq.write_table(table, to / "cases.parquet", row_group_size=50)
    return auditor.open_run(to)


@pytest.fixture(scope="module")
def hostile(run: auditor.Run, tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    """Every text, number and boolean of above, and nulls, in every column."""
    columns = schema(ATTRIBUTES, True, REGIONS, ("cue", "=x+reg.ion"))
    count = 4500  # more than a batch
    pools: dict[pa.DataType, tuple[Any, ...]] = {
        pa.string(): HOSTILE,
        pa.float64(): NUMBERS,
        pa.bool_(): (True, False, None),
        pa.int32(): (0, -5, 2**31 - 1, None),
    }
    arrays = []
    for shift, field in enumerate(columns):
        pool = pools[field.type]
        arrays.append(pa.array([pool[(row + shift) % len(pool)] for row in range(count)],
                               field.type, from_pandas=False))  # fmt: skip
    arrays[columns.names.index("stratum")] = pa.nulls(count, pa.string())
    arrays[columns.names.index("severity")] = pa.nulls(count, pa.float64())
    table = pa.Table.from_arrays(arrays, schema=columns)
    folder = tmp_path_factory.mktemp("hostile")
    return made(run, folder / "run", table, lambda info: info.update(attributes=list(ATTRIBUTES)))


# -- the contract ---------------------------------------------------------------------------


def test_every_format_writes_a_file_that_reads_back(run: auditor.Run, tmp_path: Path) -> None:
    kinds = {"csv": pd.DataFrame, "parquet": pd.DataFrame, "json": pd.DataFrame,
             "coco": auditor.Dataset, "modelcard": None, "reviews": list}  # fmt: skip
    assert kinds.keys() == FORMATS.keys()
    before = {file: file.read_bytes() for file in run.path.iterdir()}
    for name, kept in FORMATS.items():
        assert kept.about
        assert "\n" not in kept.about
        told: list[tuple[int, int]] = []
        path = tmp_path / "new" / f"{name}{kept.suffix}"
        exported = write_export(run, name, path, progress=lambda *at, told=told: told.append(at))
        assert exported.path == path
        assert path.stat().st_size > 0
        assert isinstance(exported.written, Written)
        if name not in ("modelcard", "reviews"):
            assert told[-1] == (110, 110)
            assert exported.written.rows == 110
        first = path.read_bytes()
        write_export(run, name, path, overwrite=True)
        assert path.read_bytes() == first, f"{name} differs from one time to the next"
        kind = kinds[name]
        assert (kept.read is None) == (kind is None)
        if kept.read is not None and kind is not None:
            assert isinstance(kept.read(path), kind)
            with pytest.raises(AuditorError, match="no such file"):
                kept.read(tmp_path / "absent")
            nonsense = tmp_path / "nonsense"
            nonsense.write_bytes(b"\xff\xfe nonsense")
            with pytest.raises(AuditorError, match="nonsense"):
                kept.read(nonsense)
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == sorted(
        f"{name}{kept.suffix}" for name, kept in FORMATS.items()
    )
    assert {file: file.read_bytes() for file in run.path.iterdir()} == before


@pytest.mark.parametrize("name", TABLES)
def test_cases_come_back_equal(name: str, run: auditor.Run, tmp_path: Path) -> None:
    path = tmp_path / f"cases{FORMATS[name].suffix}"
    write_export(run, name, path)
    pd.testing.assert_frame_equal(TABLES[name](path), run.cases, check_exact=True)


@pytest.mark.parametrize("name", TABLES)
def test_hostile_cases_come_back_equal(name: str, hostile: auditor.Run, tmp_path: Path) -> None:
    path = tmp_path / f"cases{FORMATS[name].suffix}"
    assert write_export(hostile, name, path).written.rows == 4500
    read = TABLES[name](path)
    pd.testing.assert_frame_equal(read, hostile.cases, check_exact=True)
    # Signs of zero, and every bit.
    bits = [struct.pack("d", value) for value in read["confidence"].dropna()]
    assert bits == [struct.pack("d", value) for value in hostile.cases["confidence"].dropna()]
    # "" and null differ.
    assert read["label"].isna().sum() == hostile.cases["label"].isna().sum() > 0
    assert (read["label"] == "").sum() == (hostile.cases["label"] == "").sum() > 0


def test_columns_have_the_types_of_a_run() -> None:
    columns = schema(ATTRIBUTES, True, REGIONS, ("cue", "=x+reg.ion"))
    assert {field.name: cases.column_type(field.name) for field in columns} == {
        field.name: field.type for field in columns
    }


def test_rows_are_never_all_in_memory(hostile: auditor.Run) -> None:
    sizes = [batch.num_rows for batch in cases.batches(Request(hostile))]
    assert sum(sizes) == 4500
    assert max(sizes) <= 4096


# -- csv, parquet, json ---------------------------------------------------------------------


def test_no_text_of_the_csv_is_a_formula(hostile: auditor.Run, tmp_path: Path) -> None:
    write_export(hostile, "csv", tmp_path / "cases.csv")
    with (tmp_path / "cases.csv").open(encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file, strict=True)
    assert head == hostile.cases.columns.tolist()
    texts = [i for i, name in enumerate(head) if cases.column_type(name) == pa.string()]
    cells = {row[i] for row in rows for i in texts}
    for cell in cells:
        assert not cell.lstrip(" \r\n").startswith(tuple("=+-@＝＋－＠\t"))
        assert re.fullmatch(r"[\d.,:/eE-]*\d[\d.,:/eE-]*", cell) is None
    assert "'0007" in cells
    assert '\'=HYPERLINK("http://evil","x")' in cells
    assert "''=1" in cells  # told from the one above by a second apostrophe


def test_null_and_empty_text_differ_in_the_csv(run: auditor.Run, tmp_path: Path) -> None:
    table = pq.read_table(run.path / "cases.parquet").slice(0, 2)
    place = table.schema.get_field_index("message")
    table = table.set_column(place, table.schema.field(place), pa.array([None, ""], pa.string()))
    write_export(made(run, tmp_path / "run", table), "csv", tmp_path / "cases.csv")
    content = (tmp_path / "cases.csv").read_bytes()
    assert content.startswith(b'\xef\xbb\xbf"id","image","label"')
    first, second = content.decode("utf-8-sig").splitlines()[1:]
    assert '"ok",,' in first
    assert '"ok","",' in second


def test_pandas_alone_reads_the_csv(run: auditor.Run, tmp_path: Path) -> None:
    write_export(run, "csv", tmp_path / "cases.csv")
    read = pd.read_csv(tmp_path / "cases.csv")
    assert read["margin"].tolist() == pytest.approx(run.cases["margin"].tolist(), rel=1e-15)
    assert read["id"].tolist() == run.cases["id"].tolist()


def test_parquet_says_which_run_it_is_of(run: auditor.Run, tmp_path: Path) -> None:
    write_export(run, "parquet", tmp_path / "cases.parquet")
    told = json.loads(pq.read_schema(tmp_path / "cases.parquet").metadata[b"auditor"])
    assert told == read_parquet(tmp_path / "cases.parquet").attrs["auditor"]
    assert told["key"] == run.key
    assert told["schema_version"] == run.info["schema_version"]
    assert told["verdict"] == run.info["verdict"]
    assert told["identity"] == run.info["identity"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "cases.parquet"), run.cases, check_exact=True
    )
    with pytest.raises(AuditorError, match="does not say which run"):
        read_parquet(run.path / "cases.parquet")


def test_json_is_one_document_of_plain_text(hostile: auditor.Run, tmp_path: Path) -> None:
    write_export(hostile, "json", tmp_path / "run.json")
    content = (tmp_path / "run.json").read_bytes()
    assert content.isascii()  # no mark of writing direction
    assert re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", content) is None

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(content, parse_constant=refuse)
    assert document["run"]["key"] == hostile.key
    assert document["run"]["counts"] == hostile.info["counts"]
    assert document["findings"] == hostile.findings
    assert [column["name"] for column in document["columns"]] == hostile.cases.columns.tolist()
    assert {case["confidence"] for case in document["cases"]} >= {None, "Infinity", "-Infinity"}
    document["auditor_export"] = 99
    (tmp_path / "run.json").write_text(json.dumps(document))
    with pytest.raises(AuditorError, match="version 99"):
        read_json(tmp_path / "run.json")


# -- coco -----------------------------------------------------------------------------------

COCO_ROLES = auditor.RegionRoles(
    subject=("coat", "=tool"), cues=("face\u202e", "hair"), rest="background"
)


def photographs(folder: Path) -> DatasetConfig:
    """A case for each EXIF orientation, 5×9 pixels and square, with masks without symmetry.

    Masks are drawn on the image as it is stored.
    """
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = []
    texts = [text for text in HOSTILE if text and "\x00" not in text]
    for number in range(18):
        orientation = number % 9 or 1
        size = (5, 9) if number < 9 else (6, 6)
        name = f"{number:02d}.jpg"
        exif = Image.Exif()
        exif[274] = orientation
        pixels = random.integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name, exif=exif)
        row = {
            "id": f"{texts[number]}#{number}",
            "image": name,
            "label": texts[-1 - number % 3],
            "tint": texts[number],
            "height": texts[number + 3],
            "person": f"p{number // 2}",
        }
        for region in sorted(COCO_ROLES.named):
            mask = random.random(size) < 0.4
            if region == "hair" and number % 3 == 0:
                mask[:] = False  # an empty mask
            if region == "coat" and number % 4 == 0:
                continue  # no mask
            file = f"{number:02d}.{sorted(COCO_ROLES.named).index(region)}.png"
            Image.fromarray(mask).save(folder / file)
            row[f"region.{region}"] = file
        rows.append(row)
    pd.DataFrame(rows).fillna("").to_parquet(folder / "manifest.parquet")
    return DatasetConfig(
        path=folder / "manifest.parquet",
        format="manifest",
        attributes=("tint", "height"),
        cluster="person",
        mask_frame="stored",
    )


def audited(
    run: auditor.Run, dataset: auditor.Dataset, to: Path, fingerprint: str | None = None
) -> auditor.Run:
    """A run over a dataset, every third case flagged; what it says is made up."""
    columns = schema(dataset.config.attributes, True, COCO_ROLES.names, ("hair",))
    count = len(dataset)
    values: dict[str, list[Any]] = {
        name: dataset.cases[name].tolist() for name in dataset.cases if name in columns.names
    }
    third = [number % 3 == 1 for number in range(count)]
    values |= {
        "predicted": [f"=pred{number}" for number in range(count)],
        "confidence": [0.1 + number / 7 for number in range(count)],
        "correct": [False] * count,
        "status": ["ok"] * count,
        "flag": ["spurious_error" if here else None for here in third],
        "evidence": ["confirmed" if here else None for here in third],
        "cue": ["face\u202e" if here else None for here in third],
        "severity": [number / 11 if here else None for number, here in enumerate(third)],
    }
    arrays = [pa.array(values.get(f.name, [None] * count), f.type) for f in columns]

    def change(info: dict[str, Any]) -> None:
        info["attributes"] = list(dataset.config.attributes)
        info["clustered"] = True
        info["configuration_path"] = None
        info["identity"]["dataset"] = fingerprint or dataset.fingerprint()

    return made(run, to, pa.Table.from_arrays(arrays, schema=columns), change)


def masks_of(dataset: auditor.Dataset, place: int) -> dict[str, np.ndarray]:
    picture = dataset.read(place).picture
    found = dataset.masks(place, picture.stored, picture.orientation)
    return {name: mask for name, mask in found.items() if mask.any()}


@pytest.fixture(scope="module")
def pictured(
    run: auditor.Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[auditor.Run, auditor.Dataset]:
    folder = tmp_path_factory.mktemp("pictured")
    dataset = auditor.open_dataset(photographs(folder / "data"), regions=COCO_ROLES)
    return audited(run, dataset, folder / "runs" / "run"), dataset


@pytest.mark.parametrize("form", get_args(MaskForm))
def test_coco_comes_back_with_equal_masks(
    form: Any, pictured: tuple[auditor.Run, auditor.Dataset], tmp_path: Path
) -> None:
    run, dataset = pictured
    path = tmp_path / "deep" / "regions.json"
    exported = write_export(run, "coco", path, dataset=dataset, masks=form)
    assert exported.written == Written(18, "images")
    again = read_coco(path)
    renamed = dataset.cases  # the same columns, in the same order
    pd.testing.assert_frame_equal(again.cases[renamed.columns], renamed)
    assert again.roles.names == dataset.roles.names
    seen = 0
    for place in range(len(dataset)):
        wanted, found = masks_of(dataset, place), masks_of(again, place)
        assert wanted.keys() == found.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
            seen += 1
        np.testing.assert_array_equal(again.read(place).atoms, dataset.read(place).atoms)
    assert seen > 50


def test_coco_as_docs_describe_its_configuration(
    pictured: tuple[auditor.Run, auditor.Dataset], tmp_path: Path
) -> None:
    run, dataset = pictured
    write_export(run, "coco", tmp_path / "regions.json", dataset=dataset)
    (tmp_path / "again.toml").write_text(
        f"""
        [dataset]
        path = "regions.json"
        format = "coco"
        image_root = {json.dumps(str(dataset.listing.image_root))}
        mask_frame = "displayed"
        attributes = ["tint", "height"]
        cluster = "auditor_cluster"
        [dataset.columns]
        id = "auditor_id"
        height = "attribute.height"
        [regions]
        subject = ["coat", "=tool"]
        cues = ["face\\u202E", "hair"]
        rest = "background"
        [model]
        architecture = "resnet18"
        weights = "IMAGENET1K_V1"
        """,
        encoding="utf-8",
    )
    again = auditor.open_dataset(tmp_path / "again.toml")
    pd.testing.assert_frame_equal(again.cases[dataset.cases.columns], dataset.cases)


def test_coco_carries_what_the_audit_said(
    pictured: tuple[auditor.Run, auditor.Dataset], tmp_path: Path
) -> None:
    run, dataset = pictured
    path = tmp_path / "flagged.json"
    assert write_export(run, "coco", path, dataset=dataset, flagged=True).written.rows == 6
    content = path.read_bytes()
    assert content.isascii()
    document = json.loads(content)
    flagged = run.cases[run.cases["flag"].notna()]
    assert [entry["attributes"]["auditor_id"] for entry in document["images"]] == list(
        flagged["id"]
    )
    by_image = {entry["id"]: entry for entry in document["images"]}
    for entry, (_, case) in zip(document["images"], flagged.iterrows(), strict=True):
        said = entry["attributes"]
        assert entry["label"] == case["label"]
        assert said["tint"] == case["attribute.tint"]
        assert said["attribute.height"] == case["attribute.height"]
        for name in ("flag", "evidence", "cue", "severity", "predicted", "confidence"):
            assert said[f"auditor_{name}"] == case[name]
        assert "auditor_map_cue" not in said  # null there
    names = {entry["id"]: entry["name"] for entry in document["categories"]}
    assert len(set(names.values())) == len(names)
    kinds = {entry["name"]: entry["supercategory"] for entry in document["categories"]}
    assert kinds["coat"] == kinds["=tool"] == "subject"
    assert kinds["face\u202e"] == kinds["hair"] == "cue"
    assert kinds["red"] == kinds[dataset.labels[0]] == "label"
    for annotation in document["annotations"]:
        entry = by_image[annotation["image_id"]]
        assert annotation["attributes"]["auditor_flag"] == "spurious_error"
        size = (entry["height"], entry["width"])
        assert annotation["segmentation"]["size"] == list(size)
        mask = decode_rle(annotation["segmentation"]["counts"], size)
        assert annotation["area"] == mask.sum() > 0
        x, y, width, height = annotation["bbox"]
        assert mask[y : y + height, x : x + width].sum() == mask.sum()
        assert mask[y].any()
        assert mask[y + height - 1].any()
        assert mask[:, x].any()
        assert mask[:, x + width - 1].any()
    assert document["info"]["auditor"]["run"]["key"] == run.key
    assert document["info"]["auditor"]["flagged_only"] is True


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_is_what_pycocotools_reads(
    pictured: tuple[auditor.Run, auditor.Dataset], tmp_path: Path, capsys: Any
) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    run, dataset = pictured
    for form in get_args(MaskForm):
        write_export(run, "coco", tmp_path / f"{form}.json", dataset=dataset, masks=form)
        opened = coco.COCO(str(tmp_path / f"{form}.json"))
        names = {entry["id"]: entry["name"] for entry in opened.loadCats(opened.getCatIds())}
        for place, number in enumerate(opened.getImgIds()):
            wanted = masks_of(dataset, place)
            found = {
                names[a["category_id"]]: opened.annToMask(a).astype(bool)
                for a in opened.loadAnns(opened.getAnnIds(imgIds=number))
            }
            assert found.keys() == wanted.keys()
            for name, mask in found.items():
                np.testing.assert_array_equal(mask, wanted[name])


def test_masks_are_as_the_image_is_displayed(
    pictured: tuple[auditor.Run, auditor.Dataset], tmp_path: Path
) -> None:
    run, dataset = pictured
    write_export(run, "coco", tmp_path / "all.json", dataset=dataset)
    entry = json.loads((tmp_path / "all.json").read_text())["images"][6]  # orientation 6
    assert (entry["height"], entry["width"]) == (9, 5)
    root = dataset.listing.image_root
    place = sorted(COCO_ROLES.named).index("coat")
    stored = np.asarray(Image.open(root / f"06.{place}.png"))
    np.testing.assert_array_equal(masks_of(read_coco(tmp_path / "all.json"), 6)["coat"],
                                  orient(stored, 6))  # fmt: skip


def test_runs_of_small_masks() -> None:
    mask = np.array([[1, 0], [1, 1], [0, 0]], dtype=bool)
    assert runs_of(mask).tolist() == [0, 2, 2, 1, 1]
    assert runs_of(~mask).tolist() == [2, 2, 1, 1]
    assert runs_of(np.zeros((2, 3), bool)).tolist() == [6]
    assert runs_of(np.ones((2, 3), bool)).tolist() == [0, 6]
    assert compressed(np.array([0, 6])) == "06"
    assert compressed(np.array([31])) == "o0"  # 31 = 15 + 16 in one character would be negative
    assert compressed(np.array([5, 40, 5, 1])) == "5X15iN"


def test_random_masks_come_back_and_are_coded_as_pycocotools_does() -> None:
    random = np.random.default_rng(1)
    theirs = pytest.importorskip("pycocotools.mask")
    for number in range(200):
        height, width = random.integers(1, 60, 2)
        mask = random.random((height, width)) < random.random()
        if number % 5 == 0:
            mask = np.kron(mask, np.ones((40, 1), dtype=bool))
        size = mask.shape
        runs = runs_of(mask)
        text = compressed(runs)
        np.testing.assert_array_equal(decode_rle(runs, size), mask)
        np.testing.assert_array_equal(decode_rle(text, size), mask)
        assert theirs.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode() == text


def test_outlines_of_small_masks() -> None:
    ell = np.array([[1, 0], [1, 1]], dtype=bool)
    assert outlines(ell) == [[0, 0, 1, 0, 1, 1, 2, 1, 2, 2, 0, 2]]
    corner = np.array([[0, 1], [1, 0]], dtype=bool)  # touching in a point alone
    assert outlines(corner) == [[1, 0, 2, 0, 2, 1, 1, 1], [0, 1, 1, 1, 1, 2, 0, 2]]
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
    assert outlines(ring) == [  # cut behind the hole's first column
        [0, 0, 2, 0, 2, 1, 1, 1, 1, 2, 2, 2, 2, 3, 0, 3],
        [2, 0, 3, 0, 3, 3, 2, 3],
    ]
    assert outlines(np.zeros((2, 3), dtype=bool)) == []


def test_outlines_of_random_masks_cover_each_pixel_once() -> None:
    random = np.random.default_rng(2)
    for number in range(200):
        mask = random.random(random.integers(1, 40, 2)) < random.random()
        if number % 2:
            mask = np.kron(mask, np.ones((3, 2), dtype=bool))  # holes of more than a pixel
        times = np.zeros(mask.shape, dtype=int)
        for points in outlines(mask):
            times += polygons([np.reshape(points, (-1, 2))], mask.shape)
        np.testing.assert_array_equal(times, mask)


def test_each_piece_is_walked_around_in_a_window_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Noise has strips of many pieces, whose whole nobody must look through for each."""
    windows = []

    def walked(piece: Mask) -> Any:
        windows.append([piece.any(axis=axis)[[0, -1]].all() for axis in (0, 1)])
        return corners(piece)

    monkeypatch.setattr("auditor.exports.outlines.corners", walked)
    mask = np.random.default_rng(3).random((60, 60)) < 0.7
    assert len(outlines(mask)) == len(windows) > 100
    assert np.all(windows)


def test_polygons_are_what_label_studio_converts(
    pictured: tuple[auditor.Run, auditor.Dataset], tmp_path: Path
) -> None:
    # Its converter (label-studio-sdk 2.1.2) goes through every segmentation as a list of flat
    # lists of numbers, without looking, and keeps points in percent of the image's sides.
    run, dataset = pictured
    write_export(run, "coco", tmp_path / "all.json", dataset=dataset, masks="polygons")
    document = json.loads((tmp_path / "all.json").read_text())
    images = {entry["id"]: entry for entry in document["images"]}
    for annotation in document["annotations"]:
        entry = images[annotation["image_id"]]
        size, mask = (entry["height"], entry["width"]), 0
        for single in annotation["segmentation"]:
            percent = np.reshape(single, (-1, 2)) / [size[1], size[0]] * 100
            assert len(percent) >= 4
            mask = mask | polygons([percent / 100 * [size[1], size[0]]], size)
        assert np.sum(mask) == annotation["area"]


def test_coco_counts_what_cannot_be_read(run: auditor.Run, tmp_path: Path) -> None:
    dataset = auditor.open_dataset(photographs(tmp_path / "data"), regions=COCO_ROLES)
    audit = audited(run, dataset, tmp_path / "run")
    (tmp_path / "data" / "03.jpg").unlink()
    (tmp_path / "data" / "05.1.png").write_bytes(b"no mask")
    out = tmp_path / "regions.json"
    exported = write_export(audit, "coco", out, dataset=dataset)
    assert exported.written.rows == 17
    assert [note[:12] for note in exported.written.notes] == [
        "Left out, si", "Without anno", "The dataset ",
    ]  # fmt: skip
    info = json.loads(out.read_text())["info"]["auditor"]
    assert info["left_out"] == {"unreadable": 1, "mask_mismatch": 1}
    assert info["dataset_changed"] is True
    assert len(read_coco(out)) == 17
    for file in (tmp_path / "data").glob("*.jpg"):
        file.unlink()
    with pytest.raises(AuditorError, match="no image could be read"):
        write_export(audit, "coco", tmp_path / "none.json", dataset=dataset)
    assert sorted(tmp_path.glob("none*")) == []


def test_coco_needs_the_dataset_of_the_run(
    run: auditor.Run, pictured: tuple[auditor.Run, auditor.Dataset], tmp_path: Path
) -> None:
    audit, dataset = pictured
    out = tmp_path / "regions.json"
    with pytest.raises(RunError, match="without a configuration file"):
        write_export(audit, "coco", out)
    with pytest.raises(RunError, match="holds no case"):
        write_export(run, "coco", out, dataset=dataset)
    gone = json.loads((audit.path / "run.json").read_text())
    gone["configuration_path"] = str(tmp_path / "gone.toml")
    with pytest.raises(RunError, match=r"gone\.toml"):
        write_export(replace(audit, info=gone), "coco", out)
    (tmp_path / "other.json").write_text('{"images": []}')
    with pytest.raises(AuditorError, match="no COCO file of Auditor"):
        read_coco(tmp_path / "other.json")
    assert not out.exists()


def test_a_label_called_like_a_region_is_one_category(run: auditor.Run, tmp_path: Path) -> None:
    config = photographs(tmp_path / "data")
    table = pd.read_parquet(config.path)
    table["label"] = ["coat", "hair"] * 9
    table.to_parquet(config.path)
    dataset = auditor.open_dataset(config, regions=COCO_ROLES)
    audit = audited(run, dataset, tmp_path / "run")
    write_export(audit, "coco", tmp_path / "regions.json", dataset=dataset)
    again = read_coco(tmp_path / "regions.json")
    assert again.cases["label"].tolist() == ["coat", "hair"] * 9
    for place in range(18):
        wanted, found = masks_of(dataset, place), masks_of(again, place)
        assert wanted.keys() == found.keys()
        assert all((wanted[name] == found[name]).all() for name in wanted)


# -- model card -----------------------------------------------------------------------------


def parsed(card: str) -> Any:
    """The front matter, by a reader of no more YAML than it is written in."""
    assert card.startswith("---\n")
    lines = card[4 : card.index("\n---\n") + 1].splitlines()

    def depth(line: str) -> int:
        return len(line) - len(line.lstrip(" "))

    def scalar(text: str) -> Any:
        assert text.startswith(('"', "{", "[")) or re.fullmatch(
            r"-?[\d.e+-]+|true|false|null", text
        )
        return json.loads(text)

    def block(at: int, indent: int) -> tuple[Any, int]:
        if lines[at][indent:].startswith("- "):
            items = []
            while at < len(lines) and depth(lines[at]) == indent and lines[at][indent] == "-":
                inner = lines[at][indent + 2 :]
                if inner.startswith('"'):
                    items.append(scalar(inner))
                    at += 1
                else:
                    lines[at] = " " * (indent + 2) + inner
                    item, at = block(at, indent + 2)
                    items.append(item)
            return items, at
        found: dict[str, Any] = {}
        while at < len(lines) and depth(lines[at]) == indent and lines[at][indent] != "-":
            match = re.fullmatch(r"([a-z_-]+):(?: (.+))?", lines[at][indent:])
            assert match, lines[at]
            assert match[1] not in found
            if match[2] is None:
                found[match[1]], at = block(at + 1, depth(lines[at + 1]))
            else:
                found[match[1]] = scalar(match[2])
                at += 1
        return found, at

    value, end = block(0, 0)
    assert end == len(lines)
    return value


def readers() -> Iterator[Callable[[str], Any]]:
    yield parsed
    try:
        import yaml
    except ImportError:
        return
    yield lambda card: yaml.safe_load(card[4 : card.index("\n---\n")])


def card_of(run: auditor.Run, path: Path) -> str:
    write_export(run, "modelcard", path)
    return path.read_text(encoding="utf-8")


def test_the_model_card_holds_the_numbers_of_the_run(run: auditor.Run, tmp_path: Path) -> None:
    card = card_of(run, tmp_path / "README.md")
    for read in readers():
        head = read(card)
        assert head == model_card.metadata(run)
        (index,) = head["model-index"]
        (result,) = index["results"]
        assert result["task"]["type"] == "image-classification"
        assert result["dataset"]["revision"] == run.info["identity"]["dataset"]
        accuracy, worst = result["metrics"]
        assert accuracy == {"type": "accuracy", "value": 80 / 110, "name": "Accuracy (n = 110)"}
        assert worst["type"] == "worst_group_accuracy"
        assert worst["value"] == run.by_group(["label", "tint"])["accuracy"].min() == 0
        assert worst["name"].startswith("Worst-group accuracy by label × tint: ")
    titles = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert titles == [
        "Intended use", "Model", "Evaluation data", "Results by group",
        "Known reliance on cues", "Limits", "Provenance",
    ]  # fmt: skip
    for row in run.by_group(["label", "tint"]).itertuples():
        assert f"| {row.n} | {row.judged} | {row.correct} | {row.accuracy:.1%} |" in card
        assert f"{row.low:.1%} to {row.high:.1%}" in card
    assert "It does not mean: " in card
    assert run.info["identity"]["weights"] in card
    assert run.info["identity"]["configuration"] in card
    assert run.key in card


def test_the_model_card_says_nothing_it_should_not(run: auditor.Run, tmp_path: Path) -> None:
    card = card_of(run, tmp_path / "README.md")
    assert re.search(r"\b(un|de)?biased\b|\bfair(ness)?\b", card, re.IGNORECASE) is None
    assert "annotated" in card
    assert run.info["image_root"] not in card
    assert str(run.path.parent) not in card
    assert "appendix" not in card
    assert "warnings first" not in card


def test_hostile_text_stays_text_in_the_model_card(run: auditor.Run, tmp_path: Path) -> None:
    evil = '---\nlicense: mit\n\u202e"<script>|`*[x](javascript:1)\\'
    table = pq.read_table(run.path / "cases.parquet")
    label = pa.array([evil if v == "red" else v for v in table["label"].to_pylist()])
    table = table.set_column(table.schema.get_field_index("label"), "label", label)

    def change(info: dict[str, Any]) -> None:
        info["model"]["checkpoint"] = evil + ".pt"
        info["model"]["classes"] = [evil, "green"]
        info["provenance"]["inputs"] = {evil: "00", "x" * 5000: "11"}
        info["verdict"]["text"] = evil

    card = card_of(made(run, tmp_path / "run", table, change), tmp_path / "README.md")
    assert "\u202e" not in card
    assert "<script>" not in card
    assert "\nlicense" not in card
    assert card.count("\n---\n") == 1  # the end of the front matter, and no other
    for read in readers():
        head = read(card)
        assert set(head) == {"pipeline_tag", "tags", "metrics", "model-index"}
        shown = evil.replace("\n", " ").replace("\u202e", "�")
        assert head["model-index"][0]["name"] == Path(shown + ".pt").stem
        assert "x" * 5000 in head["model-index"][0]["results"][0]["dataset"]["name"]


def test_a_model_card_without_a_prediction_has_no_metric(run: auditor.Run, tmp_path: Path) -> None:
    table = pq.read_table(run.path / "cases.parquet").slice(0, 3)
    table = table.set_column(
        table.schema.get_field_index("correct"), "correct", pa.nulls(3, pa.bool_())
    )
    blank = made(run, tmp_path / "run", table)
    (blank.path / "findings.json").write_text('{"schema_version": 2, "findings": []}')
    assert "model-index" not in parsed(card_of(blank, tmp_path / "README.md"))


def test_front_matter_of_every_kind_of_value() -> None:
    values = {
        "a": "x: #y", "b": 1e-7, "c": 3, "d": True, "e": None, "f": [], "g": {},
        "h": [{"i": [1.5, "z"], "j": {"k": -1e22}}, {"l": "tab\t"}],
    }  # fmt: skip
    text = front_matter(values)
    assert "b: 1.0e-07" in text
    assert "k: -1.0e+22" in text
    shown = json.loads(json.dumps(values).replace("\\t", " "))
    values["h"][0]["i"] = ["z"]  # type: ignore[index]
    assert parsed(front_matter(values))["h"][0]["i"] == ["z"]
    for read in list(readers())[1:]:
        assert read(text + "\n") == shown
    with pytest.raises(ValueError, match="nan"):
        front_matter({"a": math.nan})


# -- reviews --------------------------------------------------------------------------------


def test_all_events_of_the_reviews_come_back(run: auditor.Run, tmp_path: Path) -> None:
    again = made(run, tmp_path / "runs" / "run", pq.read_table(run.path / "cases.parquet"))
    reviews = Reviews.beside(again)
    out = tmp_path / "events.csv"
    none = write_export(again, "reviews", out).written
    assert none.rows == 0
    assert none.notes
    assert read_events(out) == []
    key = again.key
    for number, note in enumerate(text for text in HOSTILE if text):
        reviews.add(key, "run", f"{note}{number}", "Åsa", "unclear", ["=tag", "b"], note)
    reviews.add(key, "run", "0007", "'=Bo", "spurious_cue")
    reviews.add(key, "run", "0007", "'=Bo", "label_wrong", note="=1+1")
    assert reviews.undo(key, "'=Bo") is not None
    reviews.merge([Draft.of(key, "run", "1", "C", None, ["only, tags"], time="2026-05-09T09:00Z")])
    reviews.add("0" * 16, "other", "a", "C", "unclear")  # of another run
    events = reviews.events(key)
    assert write_export(again, "reviews", out, overwrite=True).written.rows == len(events)
    assert read_events(out) == events
    assert sum(event.undoes is not None for event in events) == 1
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name in ("case", "reviewer", "note", "tags", "run_name"):
            assert not row[name].lstrip(" \r\n").startswith(tuple("=+-@＝\t"))
    out.write_text("a,b\n", encoding="utf-8")
    with pytest.raises(ReviewError, match="has the columns a, b"):
        read_events(out)


# -- refusals, and writing whole or not at all ----------------------------------------------


def test_refusals_name_what_and_why(run: auditor.Run, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("kept")
    (tmp_path / "folder.csv").mkdir()
    for name, path, message in (
        ("xlsx", "a.xlsx", "no 'xlsx'; choose csv, parquet, json, coco, modelcard, reviews"),
        ("csv", "a.txt", r"a\.txt: csv is written .* ends in \.csv"),
        ("csv", "there.csv", "there.csv: exists"),
        ("csv", "folder.csv", "is a folder"),
        ("parquet", run.path / "cases.parquet", "lies in the run, which is never changed"),
        ("csv", run.path / "new" / "cases.csv", "lies in the run"),
    ):
        with pytest.raises(AuditorError, match=message):
            write_export(run, name, tmp_path / path, overwrite=path != "there.csv")
    with pytest.raises(AuditorError, match="only coco can be limited to flagged"):
        write_export(run, "csv", tmp_path / "a.csv", flagged=True)
    assert (tmp_path / "there.csv").read_text() == "kept"
    write_export(run, "csv", tmp_path / "there.csv", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "there.csv"]


@pytest.mark.parametrize("name", ["csv", "parquet", "json", "coco"])
def test_an_export_that_fails_leaves_the_old_file(
    name: str, run: auditor.Run, tmp_path: Path
) -> None:
    out = tmp_path / f"old{FORMATS[name].suffix}"
    out.write_text("old")

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_export(run, name, out, overwrite=True, progress=stop)
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    broken = tmp_path / "broken"
    shutil.copytree(run.path, broken)
    (broken / "cases.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(RunError, match=r"cases\.parquet: is damaged"):
        write_export(auditor.open_run(broken), name, out, overwrite=True)
    assert out.read_text() == "old"


# -- the command ----------------------------------------------------------------------------


def test_the_command_writes_every_format(
    run: auditor.Run, tmp_path: Path, auditor_cli: Callable[..., Any]
) -> None:
    for name, kept in FORMATS.items():
        out = tmp_path / f"{name}{kept.suffix}"
        called = auditor_cli("export", run.path, "--format", name, "--out", out)
        assert called.status == 0, called.err
        assert f"Wrote {out} (" in called.out
        assert called.err == ""
        again = auditor_cli("export", run.path, "--format", name, "--out", out)
        assert again.status == 2
        assert "exists" in again.err
        assert auditor_cli(
            "export", run.path, "--format", name, "--out", out, "--overwrite"
        ).status == 0  # fmt: skip
    flagged = tmp_path / "flagged.json"
    called = auditor_cli("export", run.path, "--format", "coco", "--out", flagged, "--flagged",
                         "--masks", "polygons")  # fmt: skip
    assert called.status == 0
    assert len(read_coco(flagged)) == run.cases["flag"].notna().sum()


def test_the_command_refuses_and_helps(
    run: auditor.Run, tmp_path: Path, auditor_cli: Callable[..., Any]
) -> None:
    refused = auditor_cli("export", tmp_path, "--format", "csv", "--out", tmp_path / "a.csv")
    assert refused.status == 2
    assert "is no run" in refused.err
    assert auditor_cli("export", run.path, "--format", "xml", "--out", "a").status == 2
    shown = auditor_cli("export", "--help").out
    assert "auditor export runs/first --format csv --out cases.csv" in shown
    assert all(name in shown for name in FORMATS)
    assert "export" in auditor_cli("--help").out


def test_the_command_shows_progress_once_it_takes_long(
    run: auditor.Run,
    tmp_path: Path,
    auditor_cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # By its name in the package stands the command, not the module.
    monkeypatch.setattr(sys.modules["auditor.cli.export"], "_PATIENCE", -1.0)
    called = auditor_cli("export", run.path, "--format", "coco", "--out", tmp_path / "a.json")
    assert "Exporting: 110 of 110 rows" in called.err
