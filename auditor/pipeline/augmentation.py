"""Random changes to training images, made at the model's input.

The image has taken exactly the audit's way into the model before, so an augmentation never
changes what the model is audited on: no other crop, no other scale. A new one is a function
and a line in `AUGMENTATIONS`. Each takes a batch [n, height, width, channels], 0..255, and
gives a new one; what happens to which image comes from the generator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.errors import ConfigurationError

Augmentation: TypeAlias = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


def flip(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Mirror every second image or so, left to right."""
    chosen = generator.random(len(images)) < 0.5
    return np.where(chosen[:, None, None, None], images[:, :, ::-1], images)


def shift(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Move every image by up to an eighth of its height and width, its edges repeated."""
    count, height, width, _ = images.shape
    down = generator.integers(-(height // 8), height // 8, count, endpoint=True)
    right = generator.integers(-(width // 8), width // 8, count, endpoint=True)
    rows = np.clip(np.arange(height) - down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) - right[:, None], 0, width - 1)
    moved = images[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return np.asarray(moved, np.uint8)


def light(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Scale every image's brightness, and its contrast about its mean, by 0.75 to 1.25."""
    shape = (len(images), 1, 1, 1)
    brightness, contrast = generator.uniform(0.75, 1.25, (2, *shape)).astype(np.float32)
    mean = images.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float32)
    changed = (images - mean) * contrast + mean * brightness
    return np.asarray(np.clip(np.rint(changed), 0, 255), np.uint8)


def erase(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Paint a rectangle of every second image or so in that image's mean colour.

    Its sides are 1/8 to 1/2 of the image's, and it lies anywhere inside.
    """
    count, height, width, _ = images.shape
    inside = np.asarray(generator.random(count) < 0.5)[:, None, None]
    for axis, length in ((1, height), (2, width)):
        side = np.rint(length * generator.uniform(1 / 8, 1 / 2, count)).astype(np.int64)
        first = generator.integers(0, length - side, endpoint=True)
        places = np.arange(length)
        line = (places >= first[:, None]) & (places < (first + side)[:, None])
        inside = inside & np.expand_dims(line, 3 - axis)
    mean = np.rint(images.mean(axis=(1, 2), keepdims=True)).astype(np.uint8)
    return np.where(inside[..., None], mean, images)


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "erase": erase,
    "flip": flip,
    "light": light,
    "shift": shift,
}
"""What `finetune.augment` may name."""


def check_augmentations(names: Sequence[str]) -> None:
    """Raise `ConfigurationError` for a name that is not in the table."""
    for name in names:
        if name not in AUGMENTATIONS:
            raise ConfigurationError(
                f"finetune.augment names {name!r}, which is not known; choose from "
                f"{', '.join(AUGMENTATIONS)}."
            )
