"""Sheets of cases to look at by eye: with the photographs, and without a pixel of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from auditor import Dataset, Preprocess, Run
from auditor.types import MAPS

MARGIN = MAPS.index("margin")
SUBJECT_COLOUR, CUE_COLOUR, OTHER_COLOUR = (0, 150, 60), (0, 40, 255), (0, 200, 230)
MAP_COLOUR = (225, 20, 40)
A_PAGE, A_ROW = 6, 3


@dataclass(frozen=True)
class Audited:
    """A run with the dataset it was made of."""

    dataset: Dataset
    run: Run
    preprocess: Preprocess

    @cached_property
    def cases(self) -> pd.DataFrame:
        """The rows of the run, in the dataset's order."""
        assert self.run.cases["id"].tolist() == self.dataset.cases["id"].tolist()
        return self.run.cases

    def most_excess(self, position: int) -> tuple[str, float]:
        """The cue that a case is queued for, else the one with most of the margin map."""
        case = self.cases.iloc[position]
        cues = [case["cue"]] if isinstance(case["cue"], str) else self.dataset.roles.cues
        known = [(cue, float(case[f"margin_excess.{cue}"])) for cue in cues]
        known = [(cue, value) for cue, value in known if not np.isnan(value)]
        return max(known, key=lambda pair: pair[1], default=("none", -np.inf))

    def caption(self, position: int) -> str:
        """The id's last part, label, prediction, confidence, and the cue's share beside chance."""
        case, (cue, _) = self.cases.iloc[position], self.most_excess(position)
        told = f"{Path(case['id']).stem}: {case['label']} as {case['predicted']}"
        told += f" ({case['confidence']:.2f})"
        if cue == "none":
            return told
        return (
            f"{told}, {cue}: mass {case[f'margin_mass.{cue}']:.0%}, chance "
            f"{case[f'area.{cue}']:.0%}, p {case[f'p.{cue}']:.3f}, {case['evidence']}"
        )

    def outlines(self, position: int) -> tuple[Image.Image, np.ndarray]:
        """The photograph at the model's input, and which region each of its pixels shows."""
        case = self.dataset.read(position)
        assert case.atoms is not None
        pixels = self.preprocess.pixels(case.picture.image)
        place = self.preprocess.placement(case.picture.size)
        atoms = place.coverage(case.atoms, len(self.dataset.roles.names), pixels.shape[:2])
        return Image.fromarray(pixels), atoms.argmax(0)


def photo_sheets(audited: Audited, positions: Sequence[int], stem: Path) -> list[Path]:
    """Photograph beside photograph with map and outlines; pages of six cases."""
    for old in stem.parent.glob(f"{stem.name}_*.png"):
        old.unlink()
    pages: list[Path] = []
    for start in range(0, len(positions), A_PAGE):
        tiles = []
        for position in positions[start : start + A_PAGE]:
            photo, atoms = audited.outlines(position)
            seen = _with_map(photo, audited, position, atoms)
            tiles.append(_captioned([photo, seen], audited.caption(position), 2))
        pages.append(stem.with_name(f"{stem.name}_{len(pages) + 1}.png"))
        _grid(tiles, A_ROW).save(pages[-1])
    return pages


def bare_sheet(cases: Sequence[tuple[Audited, int]], path: Path) -> None:
    """Only map cells and outlines, on grey."""
    tiles = []
    for audited, position in cases:
        _, atoms = audited.outlines(position)
        grey = Image.new("RGB", atoms.shape[::-1], (235, 235, 235))
        tiles.append(
            _captioned([_with_map(grey, audited, position, atoms)], audited.caption(position), 4)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    _grid(tiles, 4).save(path, optimize=True)


def _with_map(
    image: Image.Image, audited: Audited, position: int, atoms: np.ndarray
) -> Image.Image:
    """The positive part of the margin map as whole cells, and the outlines over it."""
    share = np.maximum(np.asarray(audited.run.maps[position, MARGIN], dtype=np.float32), 0)
    strength = Image.fromarray((share / max(share.max(), 1e-9) * 160).astype(np.uint8))
    alpha = strength.resize(image.size, Image.Resampling.NEAREST)
    drawn = np.array(Image.composite(Image.new("RGB", image.size, MAP_COLOUR), image, alpha))
    roles, (cue, _) = audited.dataset.roles, audited.most_excess(position)
    for place, name in enumerate(roles.names):
        if name == "subject":
            drawn[_edge(atoms == place)] = SUBJECT_COLOUR
        elif name in roles.cues and name != roles.rest:
            drawn[_edge(atoms == place)] = CUE_COLOUR if name == cue else OTHER_COLOUR
    return Image.fromarray(drawn)


def _edge(inside: np.ndarray) -> np.ndarray:
    """The two outermost pixels of a region."""
    kept: np.ndarray = inside
    for _ in range(2):
        around = np.pad(kept, 1)
        kept = kept & around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.asarray(inside & ~kept)


def _captioned(images: Sequence[Image.Image], caption: str, lines: int) -> Image.Image:
    """Images side by side over their caption, wrapped to at most `lines`."""
    font = ImageFont.load_default(13)
    width, height = sum(image.width for image in images), images[0].height
    tile = Image.new("RGB", (width, height + 17 * lines + 6), "white")
    for number, image in enumerate(images):
        tile.paste(image, (number * image.width, 0))
    words, text = caption.split(" "), [""]
    for word in words:
        longer = f"{text[-1]} {word}".strip()
        if font.getlength(longer) > width - 4 and text[-1]:
            text.append(word)
        else:
            text[-1] = longer
    ImageDraw.Draw(tile).multiline_text(
        (2, height + 2), "\n".join(text[:lines]), fill="black", font=font, spacing=3
    )
    return tile


def _grid(tiles: Sequence[Image.Image], columns: int) -> Image.Image:
    """Tiles in rows, each row as high as its highest tile."""
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    width = max(sum(tile.width + 8 for tile in row) for row in rows)
    sheet = Image.new("RGB", (width, sum(max(t.height for t in row) + 8 for row in rows)), "white")
    top = 0
    for row in rows:
        left = 0
        for tile in row:
            sheet.paste(tile, (left, top))
            left += tile.width + 8
        top += max(tile.height for tile in row) + 8
    return sheet
