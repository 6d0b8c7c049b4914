"""What the tests of all cases share: images, masks, cue sets, and who may donate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.changes import Anchoring, Stock
from auditor.evidence import CueSet, DonorPool, Donors, Pair, Splicing
from auditor.thresholds import Thresholds

F64 = NDArray[np.float64]


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
    attributed: bool
    """Whether the cues of a set that is found are tested one by one."""

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
    shown: NDArray[np.bool_]
    """[lenders] whether the cues are to be seen at all."""
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
    anchoring: Anchoring
    subjects: bool
    """Whether a subject is to be annotated at all."""
    cell: tuple[float, float]
    """Of the map, in pixels of the input."""
    seed: int
    thresholds: Thresholds

    splicing: Mapping[tuple[str, str], Splicing] = field(default_factory=dict)
    """By cue set and attribute: what putting in a cue does by itself, where it is known."""
