"""The contract of every format: one dataset, kept in each of them, reads the same."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.configuration import DatasetConfig
from auditor.datasets import FORMATS, Dataset, open_dataset, validate
from auditor.regions import RegionRoles

ROLES = RegionRoles(subject=("coat",), cues=("face",))
SIZE = (4, 6)

# File below the class folder, label, and boxes [x, y, width, height] by region.
IMAGES = {
    "doctor/ä b.png": ("doctor", {"coat": [0, 2, 3, 2], "face": [2, 0, 2, 3]}),
    "doctor/日本語.png": ("doctor", {"coat": [1, 1, 4, 3]}),
    "nurse/🩺.png": ("nurse", {"coat": [0, 0, 2, 4], "face": [4, 0, 2, 1]}),
}


def mask_of(x: int, y: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[y : y + height, x : x + width] = True
    return mask


def save(path: Path, values: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return str(path)


def write_images(root: Path) -> None:
    for number, file in enumerate(IMAGES):
        save(root / file, np.full((*SIZE, 3), 40 * number, dtype=np.uint8))


def imagefolder(root: Path) -> DatasetConfig:
    write_images(root / "images")
    for file, (_, boxes) in IMAGES.items():
        for region, box in boxes.items():
            save(root / "masks" / region / file, mask_of(*box))
    return DatasetConfig(path=root / "images", format="imagefolder", masks=root / "masks")


def coco(root: Path) -> DatasetConfig:
    write_images(root)
    categories = {"coat": 3, "face": 4}
    annotations = []
    for number, (_, boxes) in enumerate(IMAGES.values()):
        for region, (x, y, width, height) in boxes.items():
            right, bottom = x + width, y + height
            outline = [x, y, right, y, right, bottom, x, bottom]
            annotations.append(
                {
                    "image_id": number,
                    "category_id": categories[region],
                    "segmentation": [outline],
                }
            )
    document = {
        "images": [
            {
                "id": number,
                "file_name": file,
                "height": SIZE[0],
                "width": SIZE[1],
                "label": label,
            }
            for number, (file, (label, _)) in enumerate(IMAGES.items())
        ],
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
        "annotations": annotations,
    }
    (root / "instances.json").write_text(json.dumps(document), encoding="utf-8")
    return DatasetConfig(path=root / "instances.json", format="coco")


def manifest(root: Path) -> DatasetConfig:
    write_images(root)
    rows = []
    for file, (label, boxes) in IMAGES.items():
        cells = {f"region.{region}": json.dumps({"box": box}) for region, box in boxes.items()}
        rows.append({"image": file, "label": label, **cells})
    pd.DataFrame(rows).to_csv(root / "test.csv", index=False)
    return DatasetConfig(path=root / "test.csv", format="manifest")


BUILDERS: dict[str, Callable[[Path], DatasetConfig]] = {
    "coco": coco,
    "imagefolder": imagefolder,
    "manifest": manifest,
}


@pytest.fixture(params=sorted(FORMATS))
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return open_dataset(BUILDERS[request.param](tmp_path), regions=ROLES)


def test_the_table_is_walked_whole():
    assert BUILDERS.keys() == FORMATS.keys()


def test_labels_and_images(dataset):
    assert len(dataset) == 3
    assert list(dataset.cases.columns) == ["id", "image", "label"]
    assert list(dataset.cases["image"]) == list(IMAGES)
    assert list(dataset.cases["label"]) == [label for label, _ in IMAGES.values()]
    assert dataset.labels == ("doctor", "nurse")
    assert dataset.cases["id"].is_unique
    assert all(isinstance(value, str) for row in dataset.cases.to_numpy() for value in row)


def test_pixels_and_regions(dataset):
    for position, (_, boxes) in enumerate(IMAGES.values()):
        case = dataset.read(position)
        assert case.problem is None
        assert np.asarray(case.picture.image)[0, 0].tolist() == [40 * position] * 3
        expected = np.full(SIZE, ROLES.names.index("unannotated"))
        expected[mask_of(*boxes["coat"])] = ROLES.names.index("subject")
        if "face" in boxes:
            expected[mask_of(*boxes["face"])] = ROLES.names.index("face")
        np.testing.assert_array_equal(case.atoms, expected)


def test_listing(dataset):
    listing = dataset.listing
    assert ROLES.named <= listing.named
    assert all(listing.image_path(position).is_file() for position in range(3))
    assert all(source.is_file() for source in listing.sources)
    # A region that the image lacks is left out, not an empty mask.
    assert set(listing.regions(1, SIZE)) == {"coat"}


def test_nothing_to_complain_about(dataset):
    assert validate(dataset, ["doctor", "nurse"]) == []


def test_the_fingerprint_follows_the_data(dataset):
    first = dataset.fingerprint()
    assert dataset.fingerprint() == first
    assert dataset.fingerprint(np.array([0, 1, 2])) == first
    assert dataset.fingerprint(np.array([0, 1])) != first
    with dataset.listing.image_path(2).open("ab") as file:
        file.write(b"more")
    assert dataset.fingerprint() != first


def test_every_format_works_without_regions(dataset):
    bare = open_dataset(dataset.config)
    case = bare.read(0)
    assert case.problem is not None
    assert case.problem.status == "no_regions"
    assert (case.atoms == bare.roles.names.index("unannotated")).all()
