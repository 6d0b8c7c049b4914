"""Blurring: nothing of a region is left in any picture of a report, donors' own included.

The world is that of tests/test_report.py, with noise in the blue channel of every cue and subject,
which the model does not look at: it is what must not come through.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import auditor
from auditor.errors import AuditorError
from auditor.report import ReportOptions, build, render
from auditor.report.blurring import BLOCKS, Blurred, pixelated
from tests.colours import CELL, HEIGHT, WIDTH, classifier
from tests.test_interventions import pairs, write
from tests.test_report import CONFIG, block

SIZE = (HEIGHT * CELL, WIDTH * CELL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    return textured(tmp_path_factory.mktemp("textured"))


def textured(folder: Path) -> auditor.Run:
    write(folder, pairs(12, 4))
    random = np.random.default_rng(0)
    for file in sorted(folder.glob("???.png")):
        pixels = np.asarray(Image.open(file)).copy()
        for region in ("cue", "thing"):
            inside = np.asarray(Image.open(folder / f"{file.stem}.{region}.png"))
            pixels[inside, 2] = 255 * random.integers(0, 2, int(inside.sum()))
        Image.fromarray(pixels).save(file)
    (folder / "audit.toml").write_text(CONFIG, encoding="utf-8")
    dataset = auditor.open_dataset(folder / "audit.toml")
    settings = auditor.Settings(evidence="all")
    return auditor.audit(classifier(), dataset, folder / "run", settings=settings)


def pixels(run: auditor.Run, case: str) -> NDArray[np.float64]:
    dataset = auditor.open_dataset(run.info["configuration_path"])
    position = int((dataset.cases["id"] == case).to_numpy().nonzero()[0][0])
    return np.asarray(dataset.read(position).picture.image, dtype=float)


def mask(run: auditor.Run, image: str, region: str) -> NDArray[np.bool_]:
    folder = Path(run.info["configuration_path"]).parent
    return np.asarray(Image.open(folder / f"{Path(image).stem}.{region}.png")) > 0


def shown(picture: dict[str, Any]) -> NDArray[np.float64]:
    """A picture's pixels at the size of the model's input."""
    content = base64.b64decode(picture["src"].partition(",")[2])
    image = Image.open(io.BytesIO(content)).convert("RGB")
    return np.asarray(image.resize(SIZE[::-1], Image.Resampling.BOX), dtype=float)


def likeness(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Correlation of two patches in the channel that holds the noise; 0 for a flat one."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 1e-6 else 0.0


def most_alike(picture: NDArray[np.float64], patch: NDArray[np.float64]) -> float:
    """The best likeness of a patch to any place of a picture: donors' cues are moved."""
    height, width = patch.shape
    windows = np.lib.stride_tricks.sliding_window_view(picture, (height, width))
    flat = windows.reshape(-1, height * width)
    flat = flat - flat.mean(1, keepdims=True)
    own = (patch - patch.mean()).ravel()
    norms = np.sqrt((flat**2).sum(1) * (own**2).sum())
    found = np.divide(flat @ own, norms, out=np.zeros(len(flat)), where=norms > 1e-6)
    return float(found.max())


def patch(run: auditor.Run, case: str, image: str, region: str) -> NDArray[np.float64]:
    rows, columns = np.nonzero(mask(run, image, region))
    return pixels(run, case)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 2]


def pictures(
    run: auditor.Run, blur: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], NDArray[np.float64], list[str]]]:
    """Every picture with the case and what donors may have lent to it."""
    document = build(run, ReportOptions(("examples",), 16, blur=blur))
    for case in block(document, "examples", "examples")["examples"]:
        assert case["problem"] is None
        assert [p["name"] for p in case["pictures"]] == ["image", "map", "same", "opposite"]
        for one in case["pictures"]:
            lent = re.findall(r"donor (\S+)\)", one["caption"])
            assert len(lent) == (one["name"] in ("same", "opposite"))
            yield one, shown(one), [case["id"], *lent]


@pytest.mark.parametrize("region", ["cue", "thing"])
def test_no_pixel_of_the_region_is_left_in_any_picture(run: auditor.Run, region: str) -> None:
    images = dict(zip(run.cases["id"], run.cases["image"], strict=True))
    for blur, bound in (((), None), ((region,), 0.55)):
        seen = {"image": [], "map": [], "same": [], "opposite": []}
        for one, made, sources in pictures(run, blur):
            # What a map is laid over is grey.
            channel = made.mean(-1) if one["name"] == "map" else made[..., 2]
            alike = max(
                most_alike(channel, patch(run, case, images[case], region)) for case in sources
            )
            seen[one["name"]].append(alike)
        if bound is None:  # the test sees what there is to see
            assert min(seen["image"]) > 0.7
            assert region == "thing" or min(seen["same"] + seen["opposite"]) > 0.7
        else:
            assert max(max(found) for found in seen.values()) < bound, seen


def test_a_report_depends_on_nothing_of_the_region_but_its_blocks(tmp_path: Path) -> None:
    """Other pixels with the same means give the same bytes."""
    run = textured(tmp_path)
    options = ReportOptions(("examples",), 8, blur=("cue",))
    made = []
    for turned in (False, True):
        if turned:
            for file in sorted(tmp_path.glob("???.png")):
                own = np.asarray(Image.open(file)).copy()
                inside = mask(run, file.name, "cue")
                before = pixelated(own, inside)
                # Within each block the pixels trade places.
                where = np.indices(SIZE).transpose(1, 2, 0) * 6
                named = pixelated(where.astype(np.uint8), inside)[inside] @ (1, 256)
                rows, columns = np.nonzero(inside)
                for one in np.unique(named):
                    at = np.flatnonzero(named == one)
                    own[rows[at], columns[at]] = own[rows[at], columns[at]][::-1]
                assert (pixelated(own, inside) == before).all()
                Image.fromarray(own).save(file)
        made.append(render(run, "json", options))
    assert made[0] == made[1]


def test_few_colours_are_left_and_the_rest_stays() -> None:
    random = np.random.default_rng(1)
    own = random.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    inside = np.zeros((60, 80), bool)
    inside[20:41, 30:57] = True
    made = pixelated(own, inside)
    assert len(np.unique(made[inside], axis=0)) <= BLOCKS**2
    assert (made[:17] == own[:17]).all()
    assert (made[17, 27:60] != own[17, 27:60]).any()  # the margin
    assert (made[16, :] == own[16, :]).all()
    assert abs(likeness(made[inside][:, 2].astype(float), own[inside][:, 2].astype(float))) < 0.3
    assert (pixelated(own, np.zeros_like(inside)) == own).all()
    corner = np.zeros_like(inside)
    corner[0, 0] = True
    assert (pixelated(own, corner)[0, 0] != own[0, 0]).any()


def test_regions_are_whole_where_others_overlap_them(tmp_path: Path) -> None:
    write(tmp_path, pairs(2, 1))
    everywhere = Image.fromarray(np.ones(SIZE, np.uint8) * 255)
    everywhere.save(tmp_path / "000.thing.png")  # the cue takes its pixels from the subject
    (tmp_path / "audit.toml").write_text(CONFIG, encoding="utf-8")
    dataset = auditor.open_dataset(tmp_path / "audit.toml")
    for name in ("thing", "subject"):
        hidden = Blurred.of(dataset, (name,)).read(0).picture.image
        assert len(np.unique(np.asarray(hidden).reshape(-1, 3), axis=0)) <= BLOCKS**2
    beyond = np.asarray(Blurred.of(dataset, ("background",)).read(1).picture.image)
    assert (beyond != np.asarray(dataset.read(1).picture.image)).any()


def test_a_picture_is_left_out_rather_than_shown(tmp_path: Path) -> None:
    run = textured(tmp_path)
    options = ReportOptions(("examples",), 32, blur=("cue",))
    cases = run.cases.set_index("id")
    # A case that lends its cue to the changed image of another one.
    hurt = next(lent[1] for _, _, lent in pictures(run, ("cue",)) if len(lent) > 1)
    for damage, told in ((b"no mask", "mask cannot be decoded"), (None, "no cue is annotated")):
        file = tmp_path / f"{Path(cases.loc[hurt, 'image']).stem}.cue.png"
        if damage is None:
            Image.fromarray(np.zeros(SIZE, np.uint8)).save(file)
        else:
            file.write_bytes(damage)
        examples = block(build(run, options), "examples", "examples")["examples"]
        by_id = {example["id"]: example for example in examples}
        assert by_id[hurt]["pictures"] == []
        assert told in by_id[hurt]["problem"]
        # Where it lends its cue, the changed image alone is missing, and it is said.
        missing = [e for e in examples if 0 < len(e["pictures"]) < 4]
        assert missing
        for example in missing:
            assert [p["name"] for p in example["pictures"]][:2] == ["image", "map"]
            assert f"donor {hurt}" in example["problem"]


def test_what_is_blurred_is_said_and_unknown_regions_are_refused(
    run: auditor.Run, tmp_path: Path, auditor_cli: Any
) -> None:
    document = build(run, ReportOptions(("examples",), 2, blur=("cue", "thing")))
    said = [b["text"] for b in document["sections"][0]["blocks"] if b["kind"] == "text"]
    assert any("cue, thing and a margin around are made unrecognisable" in text for text in said)
    with pytest.raises(AuditorError, match="no region 'face' can be blurred; the dataset has"):
        build(run, ReportOptions(blur=("face",)))
    out = tmp_path / "x.html"
    asked = ("report", run.path, "--out", out, "--sections", "examples", "--examples", "1")
    assert auditor_cli(*asked, "--blur", "cue", "--blur", "thing").status == 0
    assert "cue, thing and a margin" in out.read_text(encoding="utf-8")
    refused = auditor_cli(*asked, "--blur", "face", "--overwrite")
    assert (refused.status, refused.out) == (2, "")
    assert "no region 'face' can be blurred" in refused.err
