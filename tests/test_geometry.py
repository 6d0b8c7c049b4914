"""Pixels against torchvision; areas by hand and against pixels that took the same way."""

import numpy as np
import pytest
from PIL import Image

from auditor.geometry import Preprocess

PLAIN = Preprocess(resize=None, crop=None)


def noise(height: int, width: int, mode: str = "RGB") -> Image.Image:
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8))


def pooled(pixels: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    height, width = pixels.shape[0] // grid[0], pixels.shape[1] // grid[1]
    return pixels.reshape(grid[0], height, grid[1], width).mean(axis=(1, 3))


@pytest.mark.parametrize("size", [(37, 91), (91, 37), (48, 48), (20, 31), (3, 7)])
@pytest.mark.parametrize("resize", [32, 31, (24, 40), None])
@pytest.mark.parametrize("crop", [28, 29, 50, (60, 10), None])
def test_pixels_equal_torchvision(size, resize, crop):
    operators = pytest.importorskip("auditor.models.operators")
    operators.torchvision()
    from torchvision.transforms import v2

    steps = [v2.Resize(resize, antialias=True)] if resize else []
    steps += [v2.CenterCrop(crop)] if crop else []
    image = noise(*size)
    expected = np.asarray(v2.Compose(steps)(image) if steps else image)
    found = Preprocess(resize=resize, crop=crop).pixels(image)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("interpolation", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
def test_every_interpolation_reaches_pillow(interpolation):
    image = noise(21, 34)
    expected = image.resize((20, 13), Image.Resampling[interpolation.upper()])
    preprocess = Preprocess(resize=(13, 20), crop=None, interpolation=interpolation)
    np.testing.assert_array_equal(preprocess.pixels(image), np.asarray(expected))


def test_a_grey_model_gets_one_channel():
    pixels = Preprocess(resize=None, crop=None, mean=(0.5,), std=(0.5,)).pixels(noise(3, 5))
    assert pixels.shape == (3, 5, 1)
    np.testing.assert_array_equal(pixels[..., 0], np.asarray(noise(3, 5).convert("L")))


def test_mean_and_std_must_have_as_many_values():
    with pytest.raises(ValueError, match="mean has 3 values and std 1"):
        Preprocess(std=(0.5,))


@pytest.mark.parametrize(
    ("preprocess", "expected"),
    [
        (Preprocess(), (224, 224)),
        (Preprocess(crop=(10, 20)), (10, 20)),
        (Preprocess(resize=(10, 20), crop=None), (10, 20)),
        (Preprocess(resize=10, crop=None, pad="square"), (10, 10)),
        (Preprocess(resize=10, crop=None), None),
    ],
)
def test_input_size(preprocess, expected):
    assert preprocess.input_size == expected


def test_short_side_and_truncated_long_side():
    # torchvision truncates: 32 · 91 / 37 = 78.7
    assert Preprocess(resize=32, crop=None).placement((37, 91)).resized == (32, 78)
    assert Preprocess(resize=32, crop=None).placement((91, 37)).resized == (78, 32)


def test_crop_offsets_round_half_to_even_as_torchvision_does():
    assert Preprocess(resize=None, crop=(2, 2)).placement((5, 7)).crop_at == (2, 2)
    assert Preprocess(resize=None, crop=(2, 2)).placement((3, 9)).crop_at == (0, 4)


def test_coverage_by_hand_without_resizing():
    atoms = np.array([[0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0]], dtype=np.uint8)
    coverage = PLAIN.placement((2, 6)).coverage(atoms, 3, (1, 3))
    np.testing.assert_allclose(coverage[0], [[3 / 4, 0, 1 / 4]])
    np.testing.assert_allclose(coverage[1], [[1 / 4, 1, 3 / 4]])
    assert not coverage[2].any()


def test_coverage_of_cells_that_split_pixels():
    # 3 pixels on 2 cells: the middle one lies half in each.
    atoms = np.array([[0, 1, 1]], dtype=np.uint8)
    coverage = PLAIN.placement((1, 3)).coverage(atoms, 3, (1, 2))
    np.testing.assert_allclose(coverage[0], [[2 / 3, 0]], rtol=1e-6)
    np.testing.assert_allclose(coverage[1], [[1 / 3, 1]], rtol=1e-6)


def test_square_padding_by_hand():
    place = Preprocess(resize=None, crop=None, pad="square").placement((1, 4))
    assert (place.padded, place.pad_at) == ((4, 4), (1, 0))  # 3 rows: 1 above, 2 below
    coverage = place.coverage(np.zeros((1, 4), dtype=np.uint8), 2, (4, 4))
    np.testing.assert_allclose(coverage[0], [[0] * 4, [1] * 4, [0] * 4, [0] * 4])
    np.testing.assert_allclose(coverage[1], 1 - coverage[0])


def test_padded_pixels_are_black_and_lie_where_coverage_says():
    preprocess = Preprocess(resize=None, crop=None, pad=2)
    image = Image.new("RGB", (3, 1), "white")
    pixels = preprocess.pixels(image)[..., 0]
    place = preprocess.placement((1, 3))
    coverage = place.coverage(np.zeros((1, 3), dtype=np.uint8), 2, (5, 7))
    assert pixels.shape == (5, 7)
    np.testing.assert_allclose(coverage[0], pixels / 255)


def test_a_crop_larger_than_the_image_pads_by_hand():
    # 3 rows in 4 leave the odd one below; 2 columns in 6 leave 2 on each side.
    preprocess = Preprocess(resize=None, crop=(4, 6))
    place = preprocess.placement((3, 2))
    assert place.crop_at == (0, -2)
    coverage = place.coverage(np.zeros((3, 2), dtype=np.uint8), 2, (4, 6))
    expected = np.zeros((4, 6))
    expected[:3, 2:4] = 1
    np.testing.assert_allclose(coverage[0], expected)
    assert coverage[1].mean() == pytest.approx(18 / 24)
    pixels = preprocess.pixels(Image.new("RGB", (2, 3), "white"))[..., 0]
    np.testing.assert_array_equal(pixels, expected * 255)


@pytest.mark.parametrize("size", [(333, 500), (480, 640), (37, 91), (91, 37)])
@pytest.mark.parametrize("grid", [(7, 7), (14, 14)])
def test_an_image_without_padding_has_none_not_a_trace(size, grid):
    atoms = np.random.default_rng(3).integers(0, 4, size).astype(np.uint8)
    coverage = Preprocess().placement(size).coverage(atoms, 5, grid)
    assert not coverage[-1].any()
    np.testing.assert_allclose(coverage.sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(resize=24, crop=21),
        Preprocess(resize=20, crop=28),
        Preprocess(resize=28, crop=None, pad="square"),
        Preprocess(resize=(14, 28), crop=(21, 14), pad=5),
    ],
)
def test_shares_sum_to_one_with_padding(preprocess):
    atoms = np.random.default_rng(3).integers(0, 3, (19, 31)).astype(np.uint8)
    coverage = preprocess.placement((19, 31)).coverage(atoms, 4, (7, 7))
    assert coverage.shape == (4, 7, 7)
    np.testing.assert_allclose(coverage.sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(resize=64, crop=56),
        Preprocess(resize=64, crop=56, pad=9),
        Preprocess(resize=56, crop=None, pad="square"),
        Preprocess(resize=(56, 70), crop=(56, 42)),
        Preprocess(resize=40, crop=56),
    ],
)
@pytest.mark.parametrize("size", [(120, 171), (171, 120)])
def test_coverage_agrees_with_the_region_sent_as_pixels(preprocess, size):
    mask = np.zeros(size, dtype=bool)
    mask[17:80, 41:102] = True
    mask[90:100, 20:115] = True
    image = Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB")
    cells = (7, 7)
    expected = pooled(preprocess.pixels(image)[..., 0] / 255, cells)
    found = preprocess.placement(size).pool(mask, cells)
    # Antialiasing blurs an edge over about a pixel of the input; a cell has 8 or so a side.
    np.testing.assert_allclose(found, expected, atol=0.06)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.004)


def test_box_downsampling_by_a_whole_factor_agrees_exactly():
    mask = np.zeros((24, 40), dtype=bool)
    mask[3:17, 5:31] = True
    preprocess = Preprocess(resize=(12, 20), crop=(8, 12), interpolation="box")
    pixels = preprocess.pixels(Image.fromarray(mask.astype(np.uint8) * 255))[..., 0] / 255
    found = preprocess.placement((24, 40)).pool(mask, (4, 6))
    np.testing.assert_allclose(found, pooled(pixels, (4, 6)), atol=1 / 255)


def test_a_flipped_mask_gives_flipped_coverage():
    mask = np.random.default_rng(5).random((18, 30)) < 0.4
    place = Preprocess(resize=(20, 28), crop=(14, 14)).placement((18, 30))
    np.testing.assert_allclose(
        place.pool(mask[:, ::-1], (7, 7)), place.pool(mask, (7, 7))[:, ::-1], atol=1e-6
    )


def test_retained_by_hand():
    mask = np.zeros((4, 8), dtype=bool)
    mask[:, :4] = True  # a centre crop of 4 keeps columns 2 to 5: half of it
    place = Preprocess(resize=None, crop=4).placement((4, 8))
    assert place.retained(place.pool(mask, (2, 2)), 16) == pytest.approx(0.5)
    enlarged = Preprocess(resize=8, crop=8).placement((4, 8))
    assert enlarged.retained(enlarged.pool(mask, (4, 4)), 16) == pytest.approx(0.5)
    whole = PLAIN.placement((4, 8))
    assert whole.retained(whole.pool(mask, (4, 4)), 16) == pytest.approx(1)
    outside = np.zeros((4, 8), dtype=bool)
    outside[:, 6:] = True
    assert place.retained(place.pool(outside, (2, 2)), 8) == 0


def test_retained_with_padding():
    mask = np.ones((2, 4), dtype=bool)
    place = Preprocess(resize=2, crop=None, pad="square").placement((2, 4))
    assert place.retained(place.pool(mask, (2, 2)), 8) == pytest.approx(1)


def test_atoms_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"atoms of \(3, 2\) do not fit an image of \(2, 3\)"):
        PLAIN.placement((2, 3)).coverage(np.zeros((3, 2), dtype=np.uint8), 2, (1, 1))
