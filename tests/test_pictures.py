"""The pictures of a run: their sizes, what lies where in them, and that they stay bounded."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.dashboard import pictures
from auditor.dashboard.colours import CUE_COLOURS, SUBJECT_COLOUR
from auditor.dashboard.details import Details
from auditor.dashboard.pictures import SIDES, Frame, Pictures
from auditor.errors import AuditorError, RunError
from auditor.store import Run, open_run
from tests.colours import CELL
from tests.dashboards import audited, invented

RED, BLUE = (250, 10, 10), (10, 10, 250)


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("audit")
    return audited(folder / "data", folder / "run")


def of(run: Run) -> Pictures:
    return Pictures(run, Details(run))


def decoded(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    assert image.format == "WEBP"
    image.load()
    return image


def of_image(folder: Path, image: Image.Image, **options: Any) -> Pictures:
    """Of a run whose one case has that image."""
    folder.mkdir(exist_ok=True)
    image.save(folder / "x.png", **options)
    return of(invented(folder, [{}]))


# -- images --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((1000, 500), 240, (240, 120)),
        ((500, 1000), 720, (360, 720)),
        ((40, 32), 240, (40, 32)),  # never larger than it is
        ((3000, 3), 240, (240, 1)),
    ],
)
def test_the_longer_side_of_an_image_is_bounded(
    tmp_path: Path, size: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    image = decoded(of_image(tmp_path, Image.new("RGB", size, RED)).image(0, side))
    assert image.size == expected
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - RED).max() < 12


@pytest.mark.parametrize("mode", ["L", "LA", "P", "CMYK", "I;16", "1", "RGBA"])
def test_an_image_of_any_mode_is_shown(tmp_path: Path, mode: str) -> None:
    folder = tmp_path
    image = Image.new(mode, (30, 20))
    image.save(folder / "x.tif")
    run = invented(folder, [{"image": "x.tif"}])
    assert decoded(of(run).image(0, 240)).size == (30, 20)


def test_an_image_stands_as_its_camera_says(tmp_path: Path) -> None:
    # Stored lying, the top red; orientation 6 turns it clockwise, so that red lies right.
    stored = np.zeros((40, 80, 3), np.uint8)
    stored[:20], stored[20:] = RED, BLUE
    exif = Image.Exif()
    exif[274] = 6
    shown = of_image(tmp_path, Image.fromarray(stored), exif=exif)
    image = decoded(shown.image(0, 240))
    assert image.size == (40, 80)
    pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels[40, 35] - RED).max() < 25
    assert np.abs(pixels[40, 5] - BLUE).max() < 25
    assert image.getexif().get(274, 1) == 1  # or a browser would turn it again
    frame = shown.frame(0)
    assert (frame.width, frame.height) == (40, 80)


def test_what_an_image_file_tells_of_its_taking_is_left_out(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "where she lives"
    content = of_image(tmp_path, Image.new("RGB", (9, 9)), exif=exif).image(0, 240)
    assert b"where she lives" in (tmp_path / "x.png").read_bytes()
    assert b"where she lives" not in content


# -- frames --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "changes", "corners"),
    [
        # width × height, then left, top, right, bottom
        ((40, 32), {"resize": [32, 40]}, (0, 0, 1, 1)),
        ((40, 32), {"resize": [224, 224]}, (0, 0, 1, 1)),  # squeezed, all of it
        ((200, 100), {"crop": 100}, (0.25, 0, 0.75, 1)),
        ((100, 200), {"resize": 50, "crop": 50}, (0, 0.25, 1, 0.75)),
        # 256 of 512 × 256, of which the middle 224 × 224.
        ((1024, 512), {"resize": 256, "crop": 224}, (144 / 512, 16 / 256, 368 / 512, 240 / 256)),
        ((200, 100), {"pad": "square", "resize": 50}, (0, -0.5, 1, 1.5)),
        ((101, 100), {"pad": "square"}, (0, 0, 1, 1.01)),  # the odd one at the bottom
        ((40, 20), {"pad": 10}, (-0.25, -0.5, 1.25, 1.5)),
        ((40, 20), {"crop": [40, 80]}, (-0.5, -0.5, 1.5, 1.5)),  # more than there is
    ],
)
def test_where_the_models_input_lies_in_an_image(
    tmp_path: Path,
    size: tuple[int, int],
    changes: Mapping[str, Any],
    corners: tuple[float, float, float, float],
) -> None:
    Image.new("RGB", size).save(tmp_path / "x.png")
    run = invented(tmp_path, [{}])
    preprocess = {**run.info["model"]["preprocess"], **changes}
    model = {**run.info["model"], "preprocess": preprocess}
    frame = of(replace(run, info={**run.info, "model": model})).frame(0)
    assert frame == Frame(*size, *map(pytest.approx, corners))


# -- maps ----------------------------------------------------------------------------------


def mapped(folder: Path, *maps: np.ndarray) -> Pictures:
    return of(invented(folder, [{} for _ in maps], maps=np.stack(maps)))


def test_a_map_is_brightest_where_it_is_highest_and_clear_where_nothing_speaks(
    tmp_path: Path,
) -> None:
    maps = np.full((3, 2, 4), -1.0)
    maps[0, 0, 0] = 0.5  # predicted: top left
    maps[1, 0, 3] = 1.0  # contrast: top right
    maps[2, 1, 0] = 0.1  # margin: bottom left; scaled by its own highest value
    shown = mapped(tmp_path / "run", maps)
    for which, corner in (("predicted", (0, 0)), ("contrast", (0, 1)), ("margin", (1, 0))):
        opacity = np.asarray(decoded(shown.overlay(0, which)))[..., 3].astype(int)
        assert opacity.shape == (256, 256)
        ends = opacity[np.ix_([0, -1], [0, -1])]
        assert ends[corner] == 215
        assert (ends > 0).sum() == 1
    # Of the margin map: it fades within a quarter of the width and half of the height.
    assert opacity[255, 10] > opacity[255, 60] > opacity[255, 110] == 0
    assert opacity[250, 0] > opacity[150, 0] > opacity[50, 0] == 0


@pytest.mark.parametrize("value", [0.0, -0.5, np.nan, -np.inf])
def test_a_map_without_positive_evidence_is_an_error(tmp_path: Path, value: float) -> None:
    shown = mapped(tmp_path / "run", np.full((3, 2, 2), value))
    with pytest.raises(RunError, match="no positive evidence"):
        shown.overlay(0, "margin")


def test_a_map_of_another_case_is_another_picture_and_unknown_ones_are_refused(
    tmp_path: Path,
) -> None:
    shown = mapped(tmp_path / "run", np.eye(3)[:, None], np.ones((3, 1, 3)))
    assert shown.overlay(0, "margin") != shown.overlay(1, "margin")
    for which in ("", "label", "../predicted"):
        with pytest.raises(RunError, match="there is no map"):
            shown.overlay(0, which)


def test_a_row_that_is_not_there_is_refused(audit: Run) -> None:
    shown = of(audit)
    for row in (16, -1, 10**12):
        for make in (
            lambda r: shown.image(r, 240),
            shown.outlines,
            lambda r: shown.changed(r, 0),
            shown.frame,
        ):
            with pytest.raises(RunError, match="has no rows"):
                make(row)


# -- outlines ------------------------------------------------------------------------------


def test_outlines_run_along_the_regions_own_rims(audit: Run) -> None:
    # Case 001: subject at cell (1, 1), two cells a side; cue at (5, 1), two high, three wide.
    canvas = np.asarray(decoded(of(audit).outlines(1)))
    assert canvas.shape == (32, 40, 4)
    for (top, left, tall, wide), colour in (
        ((1, 1, 2, 2), SUBJECT_COLOUR),
        ((5, 1, 2, 3), CUE_COLOURS[0]),
    ):
        rim = np.zeros((32, 40), bool)
        rim[top * CELL : (top + tall) * CELL, left * CELL : (left + wide) * CELL] = True
        rim[
            top * CELL + 1 : (top + tall) * CELL - 1, left * CELL + 1 : (left + wide) * CELL - 1
        ] = 0
        drawn = (canvas == (*colour, 255)).all(axis=-1)
        np.testing.assert_array_equal(drawn, rim)
    coloured = canvas[..., 3] == 255
    dark = canvas[..., 3] == 150
    assert (coloured | dark | (canvas[..., 3] == 0)).all()
    assert not canvas[dark][:, :3].any()
    # The dark line runs beside the coloured one, and the middle of a region is clear.
    assert dark[3, 4]
    assert dark[5, 5]
    assert canvas[7, 7, 3] == 0


def test_the_border_of_an_image_is_no_rim(audit: Run) -> None:
    # Case 000: the subject lies in the top left corner.
    canvas = np.asarray(decoded(of(audit).outlines(0)))
    drawn = (canvas == (*SUBJECT_COLOUR, 255)).all(axis=-1)
    rim = np.zeros((32, 40), bool)
    rim[:8, 7] = rim[7, :8] = True
    np.testing.assert_array_equal(drawn, rim)


def test_outlines_of_a_case_without_masks_are_empty(audit: Run) -> None:
    assert not np.asarray(decoded(of(audit).outlines(15)).convert("RGBA"))[..., 3].any()


# -- changed images ------------------------------------------------------------------------


def test_a_changed_image_is_the_one_that_the_model_saw(audit: Run) -> None:
    shown = of(audit)
    remaker = shown.remaker()
    seen: set[bytes] = set()
    for case in ("004", "008"):
        row = int(case)
        made = audit.interventions.query(f"case == '{case}'")
        for number, entry in enumerate(made.to_dict("records")):
            content = shown.changed(row, number)
            pixels = remaker.made(entry)
            image = decoded(content).convert("RGB")
            assert image.size == (40, 32)
            difference = np.abs(np.asarray(image).astype(int) - pixels)
            assert difference.mean() < 12  # WebP blurs the edges of colours
            buffer = BytesIO()
            Image.fromarray(pixels).save(buffer, "WEBP", quality=80, method=2)
            assert content == buffer.getvalue()
            seen.add(content)
        for number in (-1, len(made)):
            with pytest.raises(RunError, match="changed images, and none"):
                shown.changed(row, number)
    # Of either case: as it is, with another cue, and for the correct one without its subject,
    # blurred or black.
    assert len(seen) == 6
    with pytest.raises(RunError, match="has 0 changed images"):
        shown.changed(0, 0)


# -- what is kept --------------------------------------------------------------------------


def test_what_was_made_is_kept_within_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        noise = rng.integers(0, 255, (60, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    run = invented(tmp_path, [{"image": f"{number}.png"} for number in range(6)])
    shown = of(run)
    sizes = [len(shown.image(row, SIDES[0])) for row in range(6)]
    assert shown._held == sum(sizes)
    bound = sum(sizes[3:]) + sizes[0] // 2
    monkeypatch.setattr(pictures, "CACHE_BYTES", bound)
    shown = of(run)
    made = [shown.image(row, SIDES[0]) for row in range(6)]
    assert list(map(len, made)) == sizes
    assert shown._held == sum(map(len, shown._cache.values())) == sum(sizes[3:])
    (tmp_path / "5.png").unlink()
    (tmp_path / "0.png").unlink()
    assert shown.image(5, SIDES[0]) == made[5]  # kept
    with pytest.raises(AuditorError, match=r"0\.png"):
        shown.image(0, SIDES[0])  # dropped
    monkeypatch.setattr(pictures, "CACHE_BYTES", 0)
    assert shown.image(3, SIDES[1]) == made[3]
    assert (shown._held, len(shown._cache)) == (0, 0)


# -- a dataset that is gone ----------------------------------------------------------------


@pytest.fixture
def copied(audit: Run, tmp_path: Path) -> Run:
    """The run and its dataset, to be spoiled."""
    shutil.copytree(audit.path.parent, tmp_path / "copy")
    run = open_run(tmp_path / "copy" / "run")
    data = tmp_path / "copy" / "data"
    info = {
        **run.info,
        "image_root": str(data),
        "configuration_path": str(data / "audit.toml"),
    }
    return replace(run, info=info)


def test_without_its_images_a_run_says_what_is_missing(copied: Run) -> None:
    assert decoded(of(copied).changed(4, 4)).size == (40, 32)
    shutil.rmtree(copied.info["image_root"])
    shown = of(copied)
    for make in (
        lambda: shown.image(0, 240),
        lambda: shown.frame(0),
        lambda: shown.outlines(0),
        lambda: shown.changed(4, 4),
    ):
        with pytest.raises(AuditorError, match="data"):
            make()
    assert decoded(shown.overlay(0, "predicted")).size == (256, 256)


def test_a_case_that_the_dataset_lost_is_said(copied: Run) -> None:
    manifest = Path(copied.info["image_root"]) / "manifest.csv"
    table = pd.read_csv(manifest, dtype=str)
    table[table["id"] != "004"].to_csv(manifest, index=False)
    shown = of(copied)
    for make in (lambda: shown.outlines(4), lambda: shown.changed(4, 4)):
        with pytest.raises(RunError, match="holds no case '004' any more"):
            make()
    assert decoded(shown.outlines(5)).size == (40, 32)


def test_a_run_made_without_a_configuration_says_so(copied: Run) -> None:
    shown = of(replace(copied, info={**copied.info, "configuration_path": None}))
    with pytest.raises(RunError, match="without a configuration"):
        shown.outlines(0)
    assert decoded(shown.image(0, 240)).size == (40, 32)


def test_an_image_that_cannot_be_decoded_is_said(audit: Run) -> None:
    with pytest.raises(AuditorError, match="cannot be decoded"):
        of(audit).image(14, 240)
