"""Small pictures of a case as data URIs: as the model takes it, its map, its changed images."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.changes import Stocked
from auditor.language import Words
from auditor.types import SUBJECT, Mask

LONGEST = 320
"""Pixels of a picture's longer side, at most."""
_SHORTEST = 128  # small inputs are drawn so large, at least, that outlines can be told
_QUALITIES = (70, 50, 30, 15)
_MOST_BYTES = 20_000  # of one picture: 60 examples of four stay well under 10 MB

# Okabe and Ito's colours, told apart by colour-blind readers too; the subject's is kept for it.
_SUBJECT_COLOUR = (0, 158, 115)
_CUE_COLOURS = ((230, 159, 0), (204, 121, 167), (86, 180, 233), (240, 228, 66), (213, 94, 0))

_HEAT = np.array(  # from nothing to most, of rising lightness
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=float
)


def outline_colours(regions: Mapping[str, Any]) -> dict[str, tuple[int, int, int]]:
    """The colour of each region that is outlined: the subject, then the cues in order."""
    cues = [cue for cue in regions["cues"] if cue != regions["rest"]]
    colours = {cue: _CUE_COLOURS[i % len(_CUE_COLOURS)] for i, cue in enumerate(cues)}
    return {SUBJECT: _SUBJECT_COLOUR, **colours}


def outlined(pixels: NDArray[np.uint8], image: Stocked, regions: Mapping[str, Any]) -> Image.Image:
    """Pixels [height, width, channels] at the size of a report, with the outlines of regions.

    The subject's is whole, those of cues are dashed.
    """
    picture = np.asarray(sized(pixels)).copy()
    size = picture.shape[1], picture.shape[0]
    for name, colour in outline_colours(regions).items():
        mask = np.asarray(
            Image.fromarray(image.regions[name]).resize(size, Image.Resampling.NEAREST)
        )
        inner = _inside(mask, 2)
        line, shadow = mask & ~inner, inner & ~_inside(inner, 1)
        if name != SUBJECT:
            rows, columns = np.indices(mask.shape)
            line = line & ((rows + columns) % 10 < 6)
        picture[shadow] = picture[shadow] // 3
        picture[line] = colour
    return Image.fromarray(picture)


def heated(pixels: NDArray[np.uint8], share: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """A map's positive evidence [cells, cells] laid over pixels, the most of it opaque.

    Scaled to its own maximum, for looking at alone; without positive evidence the pixels grey.
    """
    height, width = pixels.shape[:2]
    positive = np.clip(np.nan_to_num(share.astype(np.float32)), 0, None)
    most = float(positive.max(initial=0))
    level = positive / most if most else positive
    large = Image.fromarray(level).resize((width, height), Image.Resampling.BILINEAR)
    values = np.clip(np.asarray(large, dtype=float), 0, 1)
    stops = np.linspace(0, 1, len(_HEAT))
    heat = np.stack([np.interp(values, stops, _HEAT[:, channel]) for channel in range(3)], -1)
    grey = pixels.astype(float).mean(-1, keepdims=True).repeat(3, -1)
    weight = 0.15 + 0.65 * values[..., None]
    return np.asarray(np.clip(grey * (1 - weight) + heat * weight, 0, 255), dtype=np.uint8)


def sized(pixels: NDArray[np.uint8]) -> Image.Image:
    """Pixels [height, width, 1 or 3] as an RGB picture of a report's size."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    longer = max(picture.size)
    if longer < _SHORTEST:
        factor = -(-_SHORTEST // longer)
        picture = picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
        )
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return picture


def data_uri(picture: Image.Image) -> str:
    """A picture as WebP, coarser where it would be large."""
    content = b""
    while True:
        for quality in _QUALITIES:
            buffer = io.BytesIO()
            picture.save(buffer, "WEBP", quality=quality)
            content = buffer.getvalue()
            if len(content) <= _MOST_BYTES:
                return f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"
        picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))


def picture(name: str, caption: Words, alt: Words, image: Image.Image) -> dict[str, Any]:
    """A picture of an example: `name`, `caption`, `alt`, `src`, `width`, `height`."""
    return {
        "name": name,
        "caption": caption,
        "alt": alt,
        "src": data_uri(image),
        "width": image.width,
        "height": image.height,
    }


def _inside(mask: Mask, steps: int) -> Mask:
    """What is left of a mask when so many pixels are taken off its edge."""
    inner = mask
    for _ in range(steps):
        padded = np.pad(inner, 1, constant_values=False)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inner
