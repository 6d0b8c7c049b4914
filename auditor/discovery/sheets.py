"""The contact sheet of a cluster: what its cases look like, and where the evidence lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from auditor.discovery.outlines import covered
from auditor.report.pictures import heated
from auditor.report.wording import one_line
from auditor.types import Floats

_SIDE = 168  # pixels of a picture's longer side
_COLUMNS = 4
_GAP, _INNER = 22, 4
_CAPTION = 46
_MARGIN = 28
_PAPER, _INK, _FAINT, _LINE = (255, 255, 255), (27, 31, 36), (89, 99, 110), (213, 218, 224)
_LARGE, _NORMAL, _SMALL = 22, 15, 13


@dataclass(frozen=True)
class Tile:
    """One case of a sheet."""

    pixels: NDArray[np.uint8] | None
    """[height, width, channels] as the model takes it; None where it cannot be shown."""
    share: Floats
    """[h, w] positive part of its margin map."""
    title: str
    subtitle: str


def sheet(title: str, lines: Sequence[str], mean: Floats, tiles: Sequence[Tile]) -> Image.Image:
    """A contact sheet: what the cluster is, its mean map, and its cases in a grid.

    Each case is shown twice: with an outline around what holds half of its map's maximum or
    more, and with its map laid over it. `mean` is [h, w]; there is at least one tile.
    """
    shown = next((tile.pixels for tile in tiles if tile.pixels is not None), None)
    height, width = _fitted(mean.shape if shown is None else shown.shape[:2])
    wide = 2 * width + _INNER
    columns = min(_COLUMNS, max(3, len(tiles)))
    rows = -(-len(tiles) // columns)
    across = 2 * _MARGIN + columns * wide + (columns - 1) * _GAP
    text_width = across - 2 * _MARGIN - width - _GAP
    paragraphs = [_wrapped(line, _font(_NORMAL), text_width) for line in lines]
    words = [line for paragraph in paragraphs for line in paragraph]
    head = max(height + 24, 38 + 22 * len(words))
    down = 2 * _MARGIN + head + _GAP + rows * (height + _CAPTION) + (rows - 1) * 8
    page = Image.new("RGB", (across, down), _PAPER)
    draw = ImageDraw.Draw(page)
    page.paste(mean_picture(mean, (height, width)), (_MARGIN, _MARGIN))
    draw.text((_MARGIN, _MARGIN + height + 4), "mean map", fill=_FAINT, font=_font(_SMALL))
    left = _MARGIN + width + _GAP
    draw.text((left, _MARGIN - 4), _cut(title, _font(_LARGE), text_width), _INK, _font(_LARGE))
    for number, line in enumerate(words):
        draw.text((left, _MARGIN + 34 + 22 * number), line, _INK, _font(_NORMAL))
    top = _MARGIN + head + _GAP // 2
    draw.line((_MARGIN, top, across - _MARGIN, top), _LINE)
    top += _GAP // 2
    for number, tile in enumerate(tiles):
        x = _MARGIN + number % columns * (wide + _GAP)
        y = top + number // columns * (height + _CAPTION + 8)
        _place(page, draw, tile, (x, y), (height, width))
    return page


def mean_picture(mean: Floats, size: tuple[int, int]) -> Image.Image:
    """A map [h, w] alone, at (height, width) pixels, its cells to be told."""
    grey = np.full((*mean.shape, 3), 40, dtype=np.uint8)
    cells = Image.fromarray(heated(grey, mean))
    return cells.resize((size[1], size[0]), Image.Resampling.NEAREST)


def outlined_evidence(pixels: NDArray[np.uint8], share: Floats) -> NDArray[np.uint8]:
    """Pixels [height, width, 3] with a line around the cells that hold half of the maximum."""
    size = pixels.shape[1], pixels.shape[0]
    mask = np.asarray(Image.fromarray(covered(share)).resize(size, Image.Resampling.NEAREST))
    # The picture's own border is drawn along, or the outline of a corner would be left open.
    inner = ndimage.binary_erosion(mask, iterations=2)
    shadow = inner & ~ndimage.binary_erosion(inner)
    drawn = pixels.copy()
    drawn[shadow] //= 4
    drawn[mask & ~inner] = (255, 255, 255)
    around = ndimage.binary_dilation(mask) & ~mask
    drawn[around] //= 4
    return drawn


def _place(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    tile: Tile,
    at: tuple[int, int],
    size: tuple[int, int],
) -> None:
    (x, y), (height, width) = at, size
    wide = 2 * width + _INNER
    if tile.pixels is None:
        draw.rectangle((x, y, x + width - 1, y + height - 1), (240, 242, 244))
        draw.text((x + 10, y + height // 2 - 8), "not shown", _FAINT, _font(_SMALL))
        page.paste(mean_picture(tile.share, size), (x + width + _INNER, y))
    else:
        pixels = _scaled(tile.pixels, size)
        page.paste(Image.fromarray(outlined_evidence(pixels, tile.share)), (x, y))
        page.paste(Image.fromarray(heated(pixels, tile.share)), (x + width + _INNER, y))
    draw.text((x, y + height + 4), _cut(tile.title, _font(_NORMAL), wide), _INK, _font(_NORMAL))
    line = _cut(tile.subtitle, _font(_SMALL), wide)
    draw.text((x, y + height + 24), line, _FAINT, _font(_SMALL))


def _scaled(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Pixels [height, width, 1 or 3] as RGB of that (height, width)."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    # Small inputs are enlarged as they are: smoothed, they would look like photographs.
    small = picture.width < size[1]
    how = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return np.asarray(picture.resize((size[1], size[0]), how))


def _fitted(shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) with the proportions of `shape`, the longer side `_SIDE`."""
    factor = _SIDE / max(shape[:2])
    return max(24, round(shape[0] * factor)), max(24, round(shape[1] * factor))


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")
_ASCII = {"→": "->", "…": "...", "–": "-", "−": "-", "×": "x"}


@cache
def _font(size: int) -> Font:
    """A font of this machine with many scripts, else Pillow's own, which has ASCII alone."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _cut(text: str, font: Font, width: int) -> str:
    """One line, shortened in its middle to fit: names often differ at both ends."""
    text = _plain(text, font)[:400]
    if font.getlength(text) <= width:
        return text
    dots = _plain("…", font)
    for kept in range(len(text) - 1, 0, -1):
        short = text[: -(-kept // 2)] + dots + (text[-(kept // 2) :] if kept > 1 else "")
        if font.getlength(short) <= width:
            return short
    return dots


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    """Lines of whole words that fit; a word that does not is shortened."""
    lines = [""]
    for word in _plain(text, font)[:2000].split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_cut(word, font, width))
    return [line for line in lines if line]


def _plain(text: str, font: Font) -> str:
    """One line without control characters, and without what the font would draw as boxes."""
    text = one_line(text)
    if text.isascii():
        return text
    box = bytes(font.getmask("\uffff"))
    drawn = (
        char if char.isascii() or bytes(font.getmask(char)) != box else _ASCII.get(char, "?")
        for char in text
    )
    return "".join(drawn)
