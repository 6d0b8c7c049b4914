"""What the tests of all cases share: images, masks, cue sets, and who may donate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import (
    CueSet,
    DonorPool,
    Donors,
    Pair,
    Piece,
    Splicing,
    likeness,
    tone,
)
from auditor.pipeline.stock import Stock, Stocked
from auditor.thresholds import Thresholds
from auditor.types import SUBJECT, Mask

F64 = NDArray[np.float64]

INSIDE, ON = 0.7, 0.25
"""Shares of subject around a cue from which it lies inside of the subject, and on it."""


@dataclass(frozen=True)
class Suspect:
    """A case that is tested. Classes are positions in the model's."""

    position: int
    """In the dataset."""
    row: int
    """Among the cases of the audit."""
    case: str
    label: int
    pair: Pair

    @property
    def wrong(self) -> bool:
        """Whether it is misclassified."""
        return self.pair.first != self.label


@dataclass(frozen=True)
class Lenders:
    """Who may donate for one cue set by one attribute."""

    pool: DonorPool
    """Of the lenders."""
    positions: NDArray[np.intp]
    """[lenders] in the dataset."""
    ids: tuple[str, ...]
    values: NDArray[np.object_]
    """[cases of the audit] of the attribute; null where unknown."""
    labels: NDArray[np.object_]
    """[cases of the audit]."""
    clusters: NDArray[np.intp]
    """[cases of the audit]."""

    def draw(self, suspect: Suspect, looks: F64, seed: int, purpose: str) -> Donors:
        """The donors of one case that looks so; positions among the lenders."""
        row = suspect.row
        pool = DonorPool(
            np.append(self.pool.labels, self.labels[row]),
            np.append(self.pool.values, self.values[row]),
            np.append(self.pool.usable, False),
            np.append(self.pool.clusters, self.clusters[row]),
            None if self.pool.likeness is None else np.vstack([self.pool.likeness, looks]),
        )
        return pool.draw(len(self.positions), f"{suspect.case}\0{purpose}", seed)


@dataclass(frozen=True)
class Bench:
    """What the tests of all cases share."""

    stock: Stock
    sets: tuple[CueSet, ...]
    lenders: Mapping[tuple[str, str], Lenders]
    """By name of the cue set and attribute."""
    anchors: Mapping[str, str]
    """By name of the cue set, where it is aligned by one of its family."""
    among: Mapping[str, float]
    """By name of the cue set: the share of subject around it, 0..1, in the median image."""
    rest: str
    """What is not annotated. Where it is a cue too, it still takes the controls of others."""
    subjects: bool
    """Whether a subject is to be annotated at all."""
    cell: tuple[float, float]
    """Of the map, in pixels of the input."""
    seed: int
    thresholds: Thresholds

    splicing: Mapping[tuple[str, str], Splicing] = field(default_factory=dict)
    """By cue set and attribute: what putting in a cue does by itself, where it is known."""

    def looks(self, image: Stocked, cues: CueSet) -> F64:
        """How the image looks, as far as donors for that cue set should look like it."""
        if cues.regions:
            return likeness(self.piece(image, cues))
        # What a person wears is no cast: told from the surroundings, where there are any.
        around = tone(image.pixels, image.regions[self.rest] & image.valid)
        return around if np.isfinite(around).all() else tone(image.pixels, image.valid)

    def piece(self, image: Stocked, cues: CueSet) -> Piece:
        """An image as splicing takes it."""
        anchor = self.anchors.get(cues.name)
        none = np.zeros_like(image.valid)
        return Piece(
            image.pixels,
            union(image, cues.regions),
            none if anchor is None else image.regions[anchor],
            none if self.among.get(cues.name, 0) >= INSIDE else image.regions[SUBJECT],
        )


def union(image: Stocked, cues: Sequence[str]) -> Mask:
    """The pixels of any of the cues, [height, width]."""
    region: Mask = np.zeros_like(image.valid)
    for cue in cues:
        region |= image.regions[cue]
    return region
