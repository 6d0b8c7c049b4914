"""Every mode that Pillow opens, orientation, and files that are none."""

import contextlib
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from auditor.datasets.images import orient, read_header, read_image
from auditor.errors import CaseError

GREY = np.array([[0, 50, 100], [150, 200, 250]], dtype=np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def saved(path: Path, image: Image.Image | np.ndarray, **options: object) -> Path:
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(read_image(path).image)


def grey_as_rgb(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(values, dtype=np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp"])
def test_rgb(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path / f"a.{suffix}", COLOUR, **options)
    picture = read_image(path)
    np.testing.assert_array_equal(np.asarray(picture.image), COLOUR)
    assert (picture.stored, picture.size, picture.orientation) == ((2, 3), (2, 3), 1)


def test_bilevel(tmp_path):
    path = saved(tmp_path / "a.png", GREY > 100)
    np.testing.assert_array_equal(pixels(path), grey_as_rgb((GREY > 100) * 255))


def test_grey(tmp_path):
    np.testing.assert_array_equal(pixels(saved(tmp_path / "a.png", GREY)), grey_as_rgb(GREY))


def test_transparency_is_dropped_not_blended(tmp_path):
    alpha = np.array([[0, 128, 255], [0, 1, 254]], dtype=np.uint8)
    grey = saved(tmp_path / "la.png", np.stack([GREY, alpha], axis=-1))
    colour = saved(tmp_path / "rgba.png", np.dstack([COLOUR, alpha]))
    np.testing.assert_array_equal(pixels(grey), grey_as_rgb(GREY))
    np.testing.assert_array_equal(pixels(colour), COLOUR)


@pytest.mark.parametrize("transparency", [None, 1, bytes([255, 0, 128])])
def test_palette(tmp_path, transparency):
    image = Image.fromarray(np.array([[0, 1, 2], [2, 2, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 0, 255])
    options = {} if transparency is None else {"transparency": transparency}
    path = saved(tmp_path / "a.png", image, **options)
    colours = np.array([[10, 20, 30], [200, 0, 0], [0, 0, 255]], dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(pixels(path), colours[[[0, 1, 2], [2, 2, 1]]])


def test_cmyk_tiff(tmp_path):
    cmyk = np.zeros((2, 3, 4), dtype=np.uint8)
    cmyk[0, 1] = [0, 255, 255, 0]  # red
    cmyk[1, 2] = [0, 0, 0, 255]  # black
    found = pixels(saved(tmp_path / "a.tif", Image.fromarray(cmyk, mode="CMYK")))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[0, 1].tolist() == [255, 0, 0]
    assert found[1, 2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_jpeg_colour_spaces(tmp_path, mode):
    image = Image.new("RGB", (16, 8), (200, 60, 20)).convert(mode)
    found = pixels(saved(tmp_path / "a.jpg", image, quality=100)).astype(int)
    assert np.abs(found - [200, 60, 20]).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    values = np.array([[0, 257, 65535], [32768, 128, 129]], dtype=np.uint16)
    found = pixels(saved(tmp_path / f"a.{suffix}", values))
    # 128 and 129 lie on the two sides of half a grey level, 128.5.
    np.testing.assert_array_equal(found, grey_as_rgb([[0, 1, 255], [128, 0, 1]]))


def test_a_dark_sixteen_bit_image_stays_dark_in_either_byte_order(tmp_path):
    values = np.array([[0, 200, 255]], dtype=np.uint16)
    little = saved(tmp_path / "little.tif", values)
    big = tmp_path / "big.tif"
    Image.fromarray(values).save(big, big_endian=True)
    np.testing.assert_array_equal(pixels(little), grey_as_rgb([[0, 1, 1]]))
    np.testing.assert_array_equal(pixels(big), pixels(little))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 1, 0]], dtype=np.int32), [[0, 255, 0]]),
        (np.array([[0, 128, 255]], dtype=np.int32), [[0, 128, 255]]),
        (np.array([[0, 257, 65535]], dtype=np.int32), [[0, 1, 255]]),
        (np.array([[0, 0.5, 1]], dtype=np.float32), [[0, 128, 255]]),
        (np.array([[0, 127.6, 255]], dtype=np.float32), [[0, 128, 255]]),
    ],
)
def test_whole_numbers_and_fractions_by_their_range(tmp_path, values, expected):
    found = pixels(saved(tmp_path / "a.tif", values))
    np.testing.assert_array_equal(found, grey_as_rgb(expected))


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, 70000])
def test_numbers_that_are_no_brightness_are_refused(tmp_path, value):
    path = saved(tmp_path / "a.tif", np.array([[0, value]], dtype=np.float32))
    with pytest.raises(CaseError, match="are no brightness; convert the file"):
        read_image(path)


def test_of_an_animation_the_first_frame(tmp_path):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_equals_pillows(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path / f"a.{suffix}", COLOUR, exif=exif)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    picture = read_image(path)
    np.testing.assert_array_equal(np.asarray(picture.image), expected)
    assert (picture.stored, picture.orientation) == ((2, 3), orientation)
    assert picture.size == ((3, 2) if orientation >= 5 else (2, 3))
    assert read_header(path) == (picture.stored, picture.orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orient_turns_an_array_as_pillow_turns_an_image(orientation):
    image = Image.fromarray(GREY)
    image.getexif()[274] = orientation
    turned = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(orient(GREY, orientation), turned)  # six different values


def test_an_orientation_that_is_none_counts_as_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 9
    path = saved(tmp_path / "a.png", COLOUR, exif=exif)
    assert read_image(path).orientation == 1
    assert read_header(path) == ((2, 3), 1)


@pytest.mark.parametrize("name", ["ä ö.png", "日本語/写真.png", "with space/🩺.png", "%41#?.png"])
def test_any_path(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    np.testing.assert_array_equal(pixels(saved(path, COLOUR)), COLOUR)


@pytest.mark.parametrize("read", [read_image, read_header])
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "no such file"),
        (b"", "cannot"),
        (b"image,label\na.png,doctor\n", "cannot"),
        ("folder", "cannot"),
    ],
)
def test_files_that_are_no_images(tmp_path, read, content, cause):
    path = tmp_path / "a.jpg"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(CaseError, match=cause) as raised:
        read(path)
    assert raised.value.status == "unreadable"
    assert str(raised.value).startswith(f"{path}: ")
    assert str(raised.value).count(str(path)) == 1


def test_a_truncated_jpeg_is_unreadable(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    path = saved(tmp_path / "a.jpg", noise)
    path.write_bytes(path.read_bytes()[:-800])
    assert read_header(path) == ((64, 48), 1)
    with pytest.raises(CaseError, match="truncated") as raised:
        read_image(path)
    assert raised.value.status == "unreadable"


@pytest.mark.parametrize("read", [read_image, read_header])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_even_where_pillow_only_warns(tmp_path, monkeypatch, read):
    path = saved(tmp_path / "a.png", COLOUR)
    for most in (5, 2):  # Pillow warns above it, and refuses above twice as much
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(CaseError, match=r"6 pixels|more than 5") as raised:
            read(path)
        assert raised.value.status == "unreadable"


def test_reading_in_threads_leaves_the_warning_filters_alone(tmp_path):
    path = saved(tmp_path / "a.png", np.zeros((200, 300, 3), dtype=np.uint8))
    before = list(warnings.filters)

    def work() -> None:
        for _ in range(20):
            read_image(path)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif"])
def test_damaged_bytes_raise_nothing_but_case_errors(tmp_path, suffix):
    rng = np.random.default_rng(11)
    whole = saved(tmp_path / f"whole.{suffix}", rng.integers(0, 256, (9, 7), dtype=np.uint8))
    data = np.frombuffer(whole.read_bytes(), dtype=np.uint8)
    path = tmp_path / f"damaged.{suffix}"
    for _ in range(60):
        damaged = data.copy()
        damaged[rng.integers(0, len(data), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged[: rng.integers(1, len(data) + 1)].tobytes())
        for read in (read_image, read_header):
            with contextlib.suppress(CaseError):
                read(path)
