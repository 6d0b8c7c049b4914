"""The way of an image into the model, and of its regions along with it.

A preprocessing pads, resizes and crops. The image takes that way as pixels; a region takes
it as an area: every cell of a grid over the model's input is traced back to the rectangle
of the source that it shows, and holds the share of it that the region covers. So a mask is
never resampled, and pooling to the map's cells is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.types import Floats, Mask, Size

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocess:
    """Padding, then resizing, then a centre crop, as torchvision's presets do it.

    `pad` is a number of black source pixels on every side, or "square" for as many as make
    the image square (centred, the odd one at the bottom or right). `resize` is the length
    of the shorter side (the other one truncated to whole pixels, as in torchvision) or
    (height, width); `crop` a side or (height, width), black where the image is smaller.
    None leaves a step out. `mean` and `std` have three values, or one for a grey-scale
    model; the pixels are scaled to 0..1 before them.
    """

    resize: int | Size | None = 256
    crop: int | Size | None = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"
    pad: int | Literal["square"] = 0

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"mean has {len(self.mean)} values and std {len(self.std)}; give as many"
            )

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Preprocess:
        """From what `dataclasses.asdict` gave, by way of JSON or not.

        Raises `KeyError`, `TypeError` or `ValueError` for anything else.
        """
        resize, crop = (
            (value[0], value[1]) if isinstance(value := fields[name], list | tuple) else value
            for name in ("resize", "crop")
        )
        mean, std = tuple(fields["mean"]), tuple(fields["std"])
        if fields["interpolation"] not in INTERPOLATIONS:
            raise ValueError(f"interpolation is {fields['interpolation']!r}")
        return cls(resize, crop, mean, std, fields["interpolation"], fields["pad"])

    @property
    def mode(self) -> str:
        """The Pillow mode that the model sees: RGB, or L for a single channel."""
        return "RGB" if len(self.mean) == 3 else "L"

    @property
    def input_size(self) -> Size | None:
        """(height, width) of the model's input; None if it depends on the image."""
        if self.crop is not None:
            return _pair(self.crop)
        if isinstance(self.resize, tuple):
            return self.resize
        if self.pad == "square" and self.resize is not None:
            return _pair(self.resize)
        return None

    def placement(self, size: Size) -> Placement:
        """Where an image of `size` (height, width) comes to lie in the model's input."""
        return _placement(self.resize, self.crop, self.pad, size)

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """The model's input before normalisation, [height, width, channels], 0..255.

        Equals torchvision's `Resize` (antialiased, on the Pillow image) and `CenterCrop`.
        """
        image = image if image.mode == self.mode else image.convert(self.mode)
        place = self.placement((image.height, image.width))
        if place.padded != place.source:
            canvas = Image.new(self.mode, place.padded[::-1])
            canvas.paste(image, place.pad_at[::-1])
            image = canvas
        if place.resized != place.padded:
            image = image.resize(place.resized[::-1], INTERPOLATIONS[self.interpolation])
        top, left = place.crop_at
        if (top, left) != (0, 0) or place.input != place.resized:
            # Pillow fills what lies outside of the image with black, as torchvision does.
            image = image.crop((left, top, left + place.input[1], top + place.input[0]))
        array = np.asarray(image)
        return array if array.ndim == 3 else array[:, :, None]


@dataclass(frozen=True)
class Placement:
    """One image size's way into the model; all sizes and points are (height, width)."""

    source: Size
    padded: Size
    pad_at: Size  # where the source's corner lies in the padded image
    resized: Size
    crop_at: Size  # where the input's corner lies in the resized image; may be negative
    input: Size

    def coverage(self, atoms: NDArray[np.uint8], count: int, grid: Size) -> NDArray[np.float32]:
        """Each atom's share of every cell of a grid over the model's input.

        `atoms` is the source-sized array of `regions.partition`, whose last atom of `count`
        is padding. Returns [count, *grid], summing to 1 over the first axis.
        """
        if atoms.shape != self.source:
            raise ValueError(f"atoms of {atoms.shape} do not fit an image of {self.source}")
        rows, columns = self._weights(grid)
        result = np.empty((count, *grid), dtype=np.float32)
        for atom in range(count - 1):
            where = atoms == atom
            result[atom] = rows @ where.astype(np.float32) @ columns.T if where.any() else 0
        padding = 1 - result[:-1].sum(0)
        # What float32 leaves is no padding: a trace of area would get a lift of millions.
        result[-1] = np.where(padding > 1e-5, padding, 0)
        return result

    def pool(self, mask: Mask, grid: Size) -> NDArray[np.float32]:
        """The share of every cell of `grid` that a source-sized mask covers, [*grid]."""
        atoms = np.where(mask, np.uint8(0), np.uint8(1))
        return np.asarray(self.coverage(atoms, 3, grid)[0])

    def retained(self, pooled: Floats, pixels: int) -> float:
        """The share of a region of `pixels` source pixels, 1 or more, that the crop has kept.

        `pooled` is the region's coverage on any grid.
        """
        seen = float(pooled.mean(dtype=np.float64)) * self.input[0] * self.input[1]
        scale = self.resized[0] / self.padded[0] * self.resized[1] / self.padded[1]
        return min(1.0, seen / (pixels * scale))

    def _weights(self, grid: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, columns = (
            _overlaps(*axis)
            for axis in zip(
                self.source,
                self.padded,
                self.pad_at,
                self.resized,
                self.crop_at,
                self.input,
                grid,
                strict=True,
            )
        )
        return rows, columns


def _pair(side: int | Size) -> Size:
    return (side, side) if isinstance(side, int) else side


# Bounded: a dataset may hold a different size for every image.
@lru_cache(maxsize=256)
def _placement(
    resize: int | Size | None, crop: int | Size | None, pad: int | Literal["square"], source: Size
) -> Placement:
    height, width = source
    if pad == "square":
        side = max(height, width)
        padded, pad_at = (side, side), ((side - height) // 2, (side - width) // 2)
    else:
        padded, pad_at = (height + 2 * pad, width + 2 * pad), (pad, pad)
    if resize is None:
        resized = padded
    elif isinstance(resize, int):
        short, long = min(padded), max(padded)
        far = int(resize * long / short)
        resized = (resize, far) if padded[0] <= padded[1] else (far, resize)
    else:
        resized = resize
    wanted = resized if crop is None else _pair(crop)
    crop_at = (_crop_start(resized[0], wanted[0]), _crop_start(resized[1], wanted[1]))
    return Placement(source, padded, pad_at, resized, crop_at, wanted)


def _crop_start(length: int, wanted: int) -> int:
    # torchvision pads a smaller image by (wanted - length) // 2 before it crops.
    if wanted > length:
        return -((wanted - length) // 2)
    return round((length - wanted) / 2.0)


@lru_cache(maxsize=256)
def _overlaps(
    source: int, padded: int, pad_at: int, resized: int, crop_at: int, given: int, cells: int
) -> NDArray[np.float32]:
    """[cells, source]: the share of each cell of one axis that each source pixel fills."""
    edges = np.arange(cells + 1) * (given / cells)
    edges = (edges + crop_at) * (padded / resized) - pad_at
    pixels = np.arange(source)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    overlap[overlap < 1e-9] = 0  # apart, or touching but for rounding
    weights = np.asarray(overlap / np.diff(edges)[:, None], dtype=np.float32)
    weights.setflags(write=False)  # cached, and so shared
    return weights
