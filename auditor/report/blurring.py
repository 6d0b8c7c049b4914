"""A dataset whose images lack what a report must not show.

Regions are made unrecognisable in the image file's own pixels, before anything else is made of
them: whatever a report draws (the image, what lies under a map, a donor's cue in another image, a
fill) comes from pixels that no longer hold the region.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.datasets import Dataset
from auditor.datasets.dataset import Case
from auditor.errors import AuditorError, CaseError
from auditor.types import SUBJECT, Mask

BLOCKS = 4
"""Blocks along each side of the region's frame, at most: 16 colours are left of a region."""
MARGIN = 0.03
"""How far beyond the annotation, as a share of the image's shorter side: outlines are drawn
loosely."""
_LEAST_MARGIN = 3  # pixels


@dataclass(frozen=True)
class Blurred(Dataset):
    """The dataset, with the regions `hidden` unrecognisable wherever an image is read."""

    hidden: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset, hidden: tuple[str, ...]) -> Blurred:
        """The same cases. Raises `AuditorError` for a region that the dataset does not have."""
        known = sorted({SUBJECT, dataset.roles.rest, *dataset.roles.named})
        for name in hidden:
            if name not in known:
                raise AuditorError(
                    f"no region {name!r} can be blurred; the dataset has {', '.join(known)}."
                )
        return cls(dataset.config, dataset.roles, dataset.listing, dataset.source, hidden)

    def read(self, position: int) -> Case:
        """As `Dataset.read`, the hidden regions pixelated.

        Raises `CaseError` also where the masks cannot be read or a hidden region is not annotated:
        an image is rather not shown than shown as it is.
        """
        case = super().read(position)
        file = self.listing.image_path(position)
        if case.atoms is None:
            raise case.problem or CaseError("mask_mismatch", f"{file}: no masks can be read")
        masks = self.masks(position, case.picture.stored, case.picture.orientation)
        covered = np.zeros(case.picture.size, dtype=np.bool_)
        for name in self.hidden:
            inside = self._inside(name, masks, covered.shape)
            if not inside.any():
                raise CaseError(
                    "no_regions",
                    f"{file}: no {name} is annotated in it, so it cannot be made unrecognisable "
                    "and the image is not shown",
                )
            covered |= inside
        pixels = pixelated(np.asarray(case.picture.image), covered)
        return case._replace(picture=case.picture._replace(image=Image.fromarray(pixels)))

    def _inside(self, name: str, masks: dict[str, Mask], size: tuple[int, ...]) -> Mask:
        """The annotation itself: where regions overlap, each has its whole."""
        names = self.roles.subject_names if name == SUBJECT else {name}
        if name == self.roles.rest:
            names = set(masks)
        inside = np.zeros(size, dtype=np.bool_)
        for one in names & masks.keys():
            inside |= masks[one]
        return ~inside if name == self.roles.rest else inside


def pixelated(pixels: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """Pixels [height, width, channels] with those of the mask, and a margin, in coarse blocks.

    The frame around them is cut into `BLOCKS` × `BLOCKS` blocks, each of the mean colour of all
    pixels in it; a frame of under two pixels a block has fewer.
    """
    if not mask.any():
        return pixels
    # Here, since reading a document of the report needs no SciPy.
    from scipy.ndimage import maximum_filter  # noqa: PLC0415

    margin = max(_LEAST_MARGIN, round(MARGIN * min(mask.shape)))
    grown = maximum_filter(mask.astype(np.uint8), size=2 * margin + 1, mode="constant") > 0
    edges = []
    for axis in (1, 0):
        where = np.flatnonzero(grown.any(axis=axis))
        first, end = int(where[0]), int(where[-1]) + 1
        count = max(1, min(BLOCKS, (end - first) // 2))
        edges.append(np.linspace(first, end, count + 1).round().astype(int))
    made = pixels.copy()
    for top, bottom in zip(edges[0][:-1], edges[0][1:], strict=True):
        for left, right in zip(edges[1][:-1], edges[1][1:], strict=True):
            block = (slice(top, bottom), slice(left, right))
            mean = pixels[block].reshape(-1, pixels.shape[-1]).mean(axis=0)
            made[block][grown[block]] = np.rint(mean).astype(np.uint8)
    return made
