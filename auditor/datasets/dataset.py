"""A dataset: a listing, the roles of its regions, and the decoding of one case."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.configuration import Config, DatasetConfig
from auditor.datasets.images import Picture, orient, read_image
from auditor.datasets.listing import Listing, read_each
from auditor.errors import CaseError
from auditor.regions import RegionRoles, partition
from auditor.types import Mask, Size


class Case(NamedTuple):
    """One image with its regions, decoded."""

    picture: Picture
    atoms: NDArray[np.uint8] | None
    """[height, width] positions in `roles.names`; None where the masks are spoiled."""
    problem: CaseError | None
    """Why the masks are spoiled ("mask_mismatch"), or that there are none ("no_regions")."""


@dataclass(frozen=True)
class Dataset:
    """A listing with the roles of its regions. `cases` is documented at `Listing`."""

    config: DatasetConfig
    roles: RegionRoles
    listing: Listing
    source: Config | None = None
    """The whole configuration that it was opened from, if it was."""

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def cases(self) -> pd.DataFrame:
        """One row a case; see `Listing.cases`."""
        return self.listing.cases

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted(self.cases["label"].unique()))

    def read(self, position: int) -> Case:
        """Decode the image and the regions of one case.

        Raises `CaseError` ("unreadable") for an image that cannot be decoded; spoiled
        masks come back as the case's `problem`, since the image can still be classified.
        """
        picture = read_image(self.listing.image_path(position))
        try:
            masks = self.masks(position, picture.stored, picture.orientation)
        except CaseError as problem:
            return Case(picture, None, problem)
        label = str(self.cases["label"].iat[position])
        return Case(
            picture,
            partition(masks, self.roles, label, picture.size),
            self.lacks_regions(masks, label),
        )

    def masks(self, position: int, stored: Size, orientation: int) -> dict[str, Mask]:
        """The region masks of one case, as its image is displayed.

        `stored` is the (height, width) of the image as stored and `orientation` its EXIF
        orientation. Raises `CaseError` ("mask_mismatch") naming every mask that cannot be
        read or does not fit the image.
        """
        displayed = _displayed(stored, orientation)
        # A shape has no size of its own: it is drawn in the frame that it was annotated in.
        frame = displayed if self.config.mask_frame == "displayed" else stored
        drawn = self.listing.regions(position, frame)
        return read_each(
            {
                name: partial(self._upright, name, mask, stored, orientation)
                for name, mask in drawn.items()
            }
        )

    def lacks_regions(self, masks: dict[str, Mask], label: str) -> CaseError | None:
        """The problem ("no_regions") of a case whose masks leave nothing to be judged."""
        judged = self.roles.judged(label)
        if any(mask.any() for name, mask in masks.items() if name in judged):
            return None
        names = ", ".join(sorted(judged)) or "none configured"
        return CaseError("no_regions", f"none annotated of: {names}")

    def fingerprint(self, positions: NDArray[np.intp] | None = None) -> str:
        """SHA-256 over every case's row and the sizes of its image and mask files.

        Rows in order; a missing file counts as size -1. Contents are not read: hashing a
        million photographs would cost more than auditing them.
        """
        digest = hashlib.sha256()
        rows = self.cases if positions is None else self.cases.iloc[positions]
        where = range(len(self)) if positions is None else positions
        for position, row in zip(where, rows.itertuples(index=False), strict=True):
            digest.update(repr((tuple(row), self._sizes(int(position)))).encode())
        return digest.hexdigest()

    def contents(self, positions: NDArray[np.intp] | None = None) -> dict[str, str | None]:
        """SHA-256 over what lies in files, in the order of the ids: `images` and `masks`.

        As in `fingerprint`, sizes stand for contents, but nothing else of the dataset counts: not
        its order, nor which columns are read. `masks` is null where none are files of their own.
        """
        ids = self.cases["id"].astype(str).to_numpy()
        where = np.arange(len(self)) if positions is None else positions
        images, masks, drawn = hashlib.sha256(), hashlib.sha256(), False
        for position in where[np.argsort(ids[where], kind="stable")]:
            image, *regions = self._sizes(int(position))
            images.update(repr((ids[position], image)).encode())
            masks.update(repr((ids[position], regions)).encode())
            drawn = drawn or bool(regions)
        return {"images": images.hexdigest(), "masks": masks.hexdigest() if drawn else None}

    def _sizes(self, position: int) -> list[int]:
        """Bytes of a case's image file, then of its mask files; -1 for one that is missing."""
        files = (self.listing.image_path(position), *self.listing.region_files(position))
        return [_bytes_of(file) for file in files]

    def _upright(self, name: str, mask: Mask, stored: Size, orientation: int) -> Mask:
        """The mask as the image is displayed, whichever of the two frames it was drawn in."""
        fits_stored = mask.shape == stored
        fits_displayed = mask.shape == _displayed(stored, orientation)
        frame = self.config.mask_frame
        if orientation == 1 and fits_stored:
            return mask
        if frame == "auto" and fits_stored and fits_displayed:
            raise CaseError(
                "mask_mismatch",
                f"the image carries EXIF orientation {orientation} and the mask of "
                f"{name!r} fits it both as stored and as displayed; say which with "
                'dataset.mask_frame = "stored" or "displayed"',
            )
        if fits_stored and frame in ("auto", "stored"):
            return orient(mask, orientation)
        if fits_displayed and frame in ("auto", "displayed"):
            return mask
        height, width = _displayed(stored, orientation) if frame == "displayed" else stored
        seen = f" as {frame}" if orientation != 1 and frame != "auto" else ""
        raise CaseError(
            "mask_mismatch",
            f"the mask of {name!r} is {mask.shape[1]}×{mask.shape[0]} pixels (width×height), "
            f"the image{seen} {width}×{height}; export the mask at the image's size",
        )


def _displayed(stored: Size, orientation: int) -> Size:
    return (stored[1], stored[0]) if orientation >= 5 else stored


def _bytes_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1
