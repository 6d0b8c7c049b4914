"""Images and masks as the model takes them, read once and kept while they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from auditor.datasets import Dataset
from auditor.errors import RunError
from auditor.geometry import Preprocess
from auditor.types import PADDING, Mask

KEPT = 512
"""Images that stay in memory: about 0.2 MB each at 224 pixels."""

_HALF = 0.5


@dataclass(frozen=True)
class Stocked:
    """One image at the model's input; every array is [height, width] of that."""

    pixels: NDArray[np.uint8]
    """[height, width, channels]."""
    regions: Mapping[str, Mask]
    """Every region but padding. Cues hold each pixel that they share in: what is left of a cue
    at its edge still draws it. The others hold those that are mostly theirs."""
    valid: Mask
    """The image without its padding."""


class Stock:
    """Reads a case when it is asked for, and keeps the last `KEPT`."""

    def __init__(self, dataset: Dataset, preprocess: Preprocess) -> None:
        self._dataset = dataset
        self._preprocess = preprocess
        self._kept = lru_cache(maxsize=KEPT)(self._read)

    def __getitem__(self, position: int) -> Stocked:
        """The case at that position of the dataset. Raises `AuditorError` where it is spoiled."""
        return self._kept(position)

    def _read(self, position: int) -> Stocked:
        case = self._dataset.read(position)
        if case.atoms is None:
            raise RunError(
                f"{self._dataset.listing.image_path(position)}: its masks cannot be read any more; "
                "they could when the maps were made. Restore them and run the audit again."
            )
        pixels = self._preprocess.pixels(case.picture.image)
        size = pixels.shape[:2]
        names = self._dataset.roles.names
        placement = self._preprocess.placement(case.picture.size)
        coverage = placement.coverage(case.atoms, len(names), (size[0], size[1]))
        cues = set(self._dataset.roles.cues)
        regions = {
            name: coverage[number] > 0 if name in cues else coverage[number] >= _HALF
            for number, name in enumerate(names)
            if name != PADDING
        }
        return Stocked(pixels, regions, coverage[-1] < _HALF)
