"""Masks by hand, and run-length codes and polygons against pycocotools."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.datasets.masks import (
    box,
    decode_rle,
    polygon,
    polygons,
    read_indexed,
    read_mask,
    read_shape,
)
from auditor.errors import CaseError

VALUES = np.array([[0, 1, 2], [13, 0, 0]], dtype=np.uint8)
INSIDE = VALUES != 0


def saved(path: Path, image: Image.Image | np.ndarray, **options: object) -> Path:
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def palette_image(positions: np.ndarray, colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(positions.astype(np.uint8)).convert("P")
    # `convert` from grey keeps the values as positions.
    image.putpalette([channel for colour in colours for channel in colour])
    return image


def drawn(mask: np.ndarray) -> list[str]:
    return ["".join("x" if inside else "." for inside in row) for row in mask]


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        INSIDE,
        VALUES,
        np.stack([VALUES, np.full_like(VALUES, 255)], axis=-1),
        np.stack([np.zeros_like(VALUES), VALUES, np.zeros_like(VALUES)], axis=-1),
        np.dstack([VALUES, VALUES, VALUES, np.full_like(VALUES, 255)]),
        VALUES.astype(np.uint16) * 256,
    ],
    ids=["1", "L", "LA", "RGB", "RGBA", "I;16"],
)
def test_binary_masks_of_every_mode(tmp_path, image):
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "a.png", image)), INSIDE)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_binary_masks_of_whole_numbers_and_fractions(tmp_path, dtype):
    np.testing.assert_array_equal(
        read_mask(saved(tmp_path / "a.tif", VALUES.astype(dtype))), INSIDE
    )


def test_no_data_is_outside(tmp_path):
    path = saved(tmp_path / "a.tif", np.array([[np.nan, 0, 0.5]], dtype=np.float32))
    assert drawn(read_mask(path)) == ["..x"]


def test_alpha_alone_makes_nothing_inside(tmp_path):
    grey = np.stack([np.zeros_like(VALUES), VALUES], axis=-1)
    assert not read_mask(saved(tmp_path / "a.png", grey)).any()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_colour_spaces_whose_black_is_not_zero(tmp_path, mode):
    image = Image.fromarray(INSIDE.astype(np.uint8) * 255).convert("RGB").convert(mode)
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "a.tif", image)), INSIDE)


def test_a_jpeg_mask_is_cut_at_half(tmp_path):
    inside = np.zeros((24, 40), dtype=bool)
    inside[3:13, 5:22] = True
    path = saved(tmp_path / "a.jpg", inside.astype(np.uint8) * 255, quality=70)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2  # it does ring
    np.testing.assert_array_equal(read_mask(path), inside)


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


@pytest.mark.parametrize(
    ("positions", "colours", "expected"),
    [
        ([[0, 1, 2]], [BLACK, WHITE, RED], ".xx"),
        ([[0, 1, 0]], [WHITE, BLACK], "x.x"),  # a shrunk PNG: black need not come first
        ([[0, 1, 2]], [WHITE, RED, (0, 9, 0)], ".xx"),  # no black: position 0
        ([[0, 1, 2]], [BLACK, BLACK, BLACK], ".xx"),  # nothing but black: position 0
        ([[1, 1, 1]], [WHITE, BLACK], "..."),
        ([[0, 0, 0]], [BLACK, WHITE], "..."),
        ([[1, 1, 1]], [BLACK, WHITE], "xxx"),
    ],
)
def test_palette_masks_go_by_colour(tmp_path, positions, colours, expected):
    path = saved(tmp_path / "a.png", palette_image(np.array(positions), colours))
    assert drawn(read_mask(path)) == [expected]


def test_a_one_bit_palette_file(tmp_path):
    image = palette_image(np.array([[0, 1, 1], [1, 0, 0]]), [BLACK, RED])
    path = saved(tmp_path / "a.png", image, bits=1, transparency=0)
    assert drawn(read_mask(path)) == [".xx", "x.."]
    assert drawn(read_indexed(path, {1: "face"})["face"]) == [".xx", "x.."]


INDEX = {1: "hair", 2: "hair", 13: "face", 14: "hat"}


@pytest.mark.parametrize(
    "image",
    [
        VALUES,
        palette_image(VALUES, [WHITE, BLACK, RED] * 5),
        np.stack([VALUES, np.full_like(VALUES, 255)], axis=-1),
        VALUES.astype(np.uint16),
    ],
    ids=["L", "P", "LA", "I;16"],
)
def test_indexed_masks(tmp_path, image):
    masks = read_indexed(saved(tmp_path / "a.png", image), INDEX)
    assert {name: drawn(mask) for name, mask in masks.items()} == {
        "hair": [".xx", "..."],
        "face": ["...", "x.."],
    }


def test_indexed_values_over_255(tmp_path):
    path = saved(tmp_path / "a.png", np.array([[0, 700]], dtype=np.uint16))
    assert drawn(read_indexed(path, {700: "face"})["face"]) == [".x"]


def test_an_indexed_bilevel_file(tmp_path):
    path = saved(tmp_path / "a.png", np.array([[False, True]]))
    assert drawn(read_indexed(path, {1: "face"})["face"]) == [".x"]


@pytest.mark.parametrize(
    ("name", "image", "what"),
    [
        ("a.png", np.zeros((2, 3, 3), dtype=np.uint8), "has 3 channels"),
        ("a.png", np.zeros((2, 3, 4), dtype=np.uint8), "has 4 channels"),
        ("a.jpg", np.zeros((2, 3), dtype=np.uint8), "is compressed with loss"),
        ("a.tif", np.full((2, 3), np.nan, dtype=np.float32), "holds fractions"),
    ],
)
def test_indexed_files_whose_values_mean_nothing(tmp_path, name, image, what):
    path = saved(tmp_path / name, image)
    with pytest.raises(CaseError, match=what) as raised:
        read_indexed(path, INDEX)
    assert raised.value.status == "mask_mismatch"
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("read", [read_mask, lambda path: read_indexed(path, INDEX)])
@pytest.mark.parametrize("content", [None, b"", b"text", b"\x89PNG\r\n\x1a\nshort"])
def test_mask_files_that_are_none(tmp_path, read, content):
    path = tmp_path / "ä mask.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CaseError) as raised:
        read(path)
    assert raised.value.status == "mask_mismatch"
    assert str(raised.value).startswith(f"{path}: ")


# -- shapes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((1, 0, 2, 1), [".xx..", ".....", "....."]),
        ((0.4, 1.4, 2, 1), [".....", "xx...", "....."]),
        ((0.5, 0.5, 2, 2), ["xx...", "xx...", "....."]),  # an edge on a centre: left and top
        ((0.51, 0.51, 2, 2), [".....", ".xx..", ".xx.."]),
        ((-3, -3, 4, 5), ["x....", "x....", "....."]),
        ((3, 1, 99, 99), [".....", "...xx", "...xx"]),
        ((1, 1, 0, 0), ["....."] * 3),
        ((0, 0, 0, 0), ["....."] * 3),
    ],
)
def test_boxes_by_hand(args, expected):
    assert drawn(box(*args, (3, 5))) == expected


@pytest.mark.parametrize("args", [(5, 0, 1, 1), (0, 3, 1, 1), (-2, 0, 2, 2), (0, -9, 5, 3)])
def test_boxes_outside_of_the_image_are_refused(args):
    with pytest.raises(CaseError, match=r"outside of the image, 5×3 pixels \(width×height\)"):
        box(*args, (3, 5))


@pytest.mark.parametrize("args", [(0, 0, -1, 1), (0, 0, 1, float("nan")), (0, "a", 1, 1)])
def test_boxes_that_are_none(args):
    with pytest.raises(CaseError) as raised:
        box(*args, (3, 5))
    assert raised.value.status == "mask_mismatch"


def test_a_triangle_by_hand():
    # Row y has its centre at y + 0.5, where the right edge lies at x = 6 - 1.5 (y + 0.5).
    mask = polygon([[0, 0], [6, 0], [0, 4]], (5, 7))
    assert drawn(mask) == ["xxxxx..", "xxxx...", "xx.....", "x......", "......."]


def test_a_polygon_takes_part_of_pixels_into_account():
    assert drawn(polygon([[0.4, 0], [2.6, 0], [2.6, 1], [0.4, 1]], (1, 4))) == ["xxx."]
    assert drawn(polygon([[0.6, 0], [2.4, 0], [2.4, 1], [0.6, 1]], (1, 4))) == [".x.."]


def test_a_notch_and_a_crossing():
    notch = [[0, 0], [6, 0], [6, 3], [4, 3], [4, 1], [2, 1], [2, 3], [0, 3]]
    assert drawn(polygon(notch, (3, 6))) == ["xxxxxx", "xx..xx", "xx..xx"]
    bow = [[0, 0], [6, 4], [6, 0], [0, 4]]
    assert drawn(polygon(bow, (4, 6))) == ["x....x", "xx..xx", "xx..xx", "x....x"]


@pytest.mark.parametrize("seed", range(20))
def test_a_box_equals_the_polygon_of_its_corners(seed):
    x, y, width, height = np.random.default_rng(seed).uniform(-2, 9, 4).round(seed % 3)
    width, height = abs(width) + 3, abs(height) + 3
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    size = (11, 13)
    np.testing.assert_array_equal(polygon(corners, size), box(x, y, width, height, size))
    np.testing.assert_array_equal(polygon(corners[::-1], size), box(x, y, width, height, size))


@pytest.mark.parametrize("seed", range(10))
def test_polygons_that_share_edges_neither_overlap_nor_leave_a_gap(seed):
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0], [17, 0], [17, 12], [0, 12]], dtype=float)
    middle = rng.uniform([4, 4], [13, 8])
    slices = [polygon([corners[i], corners[(i + 1) % 4], middle], (12, 17)) for i in range(4)]
    np.testing.assert_array_equal(np.sum(slices, axis=0), np.ones((12, 17)))


@pytest.mark.parametrize("seed", range(6))
def test_areas_are_right_on_average(seed):
    # Over a lattice of shifts the mean number of pixels is the area, by any fair rule.
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
    radii = rng.uniform(3, 11, 7)
    points = 16 + np.stack([radii * np.cos(angles), 0.7 * radii * np.sin(angles)], axis=1)
    x, y = points.T
    area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    shifts = (np.arange(16) + 0.5) / 16
    found = [polygon(points + np.array([dx, dy]), (33, 35)).sum() for dx in shifts for dy in shifts]
    assert np.mean(found) == pytest.approx(area, abs=0.1)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_areas_agree_with_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(4)
    ours, theirs = [], []
    for _ in range(200):
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        points = rng.uniform(14, 20, 2) + 12 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        mask = polygon(points, (34, 41))
        other = coco.decode(coco.frPyObjects([points.ravel().tolist()], 34, 41)[0]).astype(bool)
        ours.append(mask.sum())
        theirs.append(other.sum())
        edge = np.abs(np.diff(np.vstack([points, points[:1]]), axis=0)).sum()
        assert (mask ^ other).sum() <= 0.25 * edge  # they differ along the outline alone
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.005)


def test_polygons_are_united_and_cut_at_the_image():
    left, right = [[-5, -5], [2, -5], [2, 2], [-5, 2]], [[3, 1], [99, 1], [99, 99], [3, 99]]
    assert drawn(polygons([left, right], (3, 5))) == ["xx...", "xx.xx", "...xx"]
    twice = [[0, 0], [2, 0], [2, 2], [0, 2]]
    assert drawn(polygons([twice, twice], (2, 3))) == ["xx.", "xx."]


def test_a_large_polygon_is_drawn_within_its_bounds():
    angles = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    circle = np.stack([1500 + 900 * np.cos(angles), 1000 + 700 * np.sin(angles)], axis=1)
    assert polygon(circle, (2000, 3000)).sum() == pytest.approx(np.pi * 900 * 700, rel=1e-3)


def test_a_polygon_between_centres_is_empty():
    assert not polygon([[0.6, 0.6], [1.4, 0.6], [1.4, 1.4]], (3, 3)).any()


@pytest.mark.parametrize(
    ("points", "what"),
    [
        ([[0, 0], [1, 1]], r"3 or more points \[x, y\]"),
        ([[0, 0, 0]] * 3, r"not an array of \(3, 3\)"),
        ([0, 0, 2, 0, 2, 2], r"not an array of \(6,\)"),
        ([[0, 0], [1], [2, 2]], "no numbers"),
        ([[0, 0], [1, None], [2, 2]], "no pixel positions"),
        ([[0, 0], [1, float("inf")], [2, 2]], "no pixel positions"),
        ([[9, 9], [12, 9], [9, 12]], "outside of the image"),
    ],
)
def test_polygons_that_are_none(points, what):
    with pytest.raises(CaseError, match=what) as raised:
        polygon(points, (4, 6))
    assert raised.value.status == "mask_mismatch"


SQUARE = [[1, 0], [3, 0], [3, 1], [1, 1]]


@pytest.mark.parametrize(
    "shape",
    [
        {"box": [1, 0, 2, 1]},
        {"polygon": SQUARE},
        {"polygons": [SQUARE]},
        {"box": None, "polygon": SQUARE},  # as Parquet tables hold them
    ],
)
def test_shapes_in_cells(shape):
    assert drawn(read_shape(json.dumps(shape), (2, 4))) == [".xx.", "...."]


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("{", "is not JSON"),
        ('{"circle": [1, 2, 3]}', r"is no shape; write \{\"box\""),
        ('{"box": [1, 2, 3]}', "is no shape"),
        ('{"box": [0, 0, 1, 1], "polygon": [[0, 0], [1, 0], [1, 1]]}', "is no shape"),
        ("{}", "is no shape"),
        ('{"box": [1, 2, "a", 4]}', "cannot be drawn: coordinates that are no numbers"),
        ('{"polygon": [[0, 0], [1, 1]]}', "cannot be drawn: a polygon takes 3"),
        ('{"polygons": []}', "cannot be drawn: a list without a polygon"),
        ('{"box": [90, 0, 9, 9]}', "cannot be drawn: x 90 to 99, y 0 to 9 lies outside"),
    ],
)
def test_cells_that_hold_no_shape(cell, what):
    with pytest.raises(CaseError, match=what) as raised:
        read_shape(cell, (20, 30))
    assert raised.value.status == "mask_mismatch"
    assert cell in str(raised.value)


def test_a_long_cell_is_shortened():
    cell = json.dumps({"polygon": [[0, 0]] * 99, "box": [1]})
    with pytest.raises(CaseError) as raised:
        read_shape(cell, (20, 30))
    assert cell[:57] + "..." in str(raised.value)
    assert len(str(raised.value)) < 250


# -- run-length codes -------------------------------------------------------------------------


def runs_of(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed code, pixel by pixel."""
    runs, inside = [0], False
    for pixel in mask.T.ravel():
        if pixel != inside:
            runs.append(0)
            inside = not inside
        runs[-1] += 1
    return runs


def test_runs_by_hand():
    # Column by column: 1 outside, 3 inside, 2 outside.
    assert drawn(decode_rle([1, 3, 2], (2, 3))) == [".x.", "xx."]
    assert drawn(decode_rle([0, 6], (2, 3))) == ["xxx", "xxx"]


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("seed", range(30))
def test_random_masks_as_pycocotools_encodes_them(seed):
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    size = tuple(int(side) for side in rng.integers(1, 40, 2))
    mask = rng.random(size) < rng.choice([0, 0.02, 0.5, 0.98, 1])
    compressed = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")
    np.testing.assert_array_equal(decode_rle(compressed, size), mask)
    np.testing.assert_array_equal(decode_rle(runs_of(mask), size), mask)
    # And back: what pycocotools makes of the list is the same mask.
    theirs = coco.decode(coco.frPyObjects({"counts": runs_of(mask), "size": list(size)}, *size))
    np.testing.assert_array_equal(theirs.astype(bool), mask)


def test_a_large_mask_with_long_runs():
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((1500, 2100), dtype=bool)
    mask[200:1400, 300:2000] = True
    mask[700, 900] = False
    compressed = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")
    np.testing.assert_array_equal(decode_rle(compressed, mask.shape), mask)


@pytest.mark.parametrize(
    ("counts", "what"),
    [
        ([1, 3, 1], r"runs of 5 pixels in all, where 2×3 \(height×width\) are 6"),
        ([1, 3, 3], "runs of 7 pixels"),
        ([], "runs of 0 pixels"),
        ("", "runs of 0 pixels"),
        ([7, -1], "no numbers from 0 to 6"),
        ([1.5, 4.5], "no numbers from 0 to 6"),
        (["1", "5"], "no numbers from 0 to 6"),
        ([[1, 5]], "no numbers from 0 to 6"),
        ([10**30], "no numbers from 0 to 6"),
        ("1ü", "no compressed run-length code"),
        ("!!", "no compressed run-length code"),
        ("1P", "no compressed run-length code"),  # promises more
        ("P" * 13 + "1", "over 60 bits"),
    ],
)
def test_codes_that_do_not_fill_the_mask(counts, what):
    with pytest.raises(CaseError, match=what) as raised:
        decode_rle(counts, (2, 3))
    assert raised.value.status == "mask_mismatch"
