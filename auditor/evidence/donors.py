"""Whose pixels to put in: images with the opposite value of an attribute, and with the same.

Both arms have the same mix of classes, image by image: the first donor of one arm has the
class of the first donor of the other, and so on. So any number of first pairs has equal
mixes too, and a test may stop early without leaked subject pixels passing for the cue.

Of those who may donate, the ones that look like the image are taken, in both arms alike. What
an image looks like is told by numbers, and compared within a value of the attribute: a donor is
near if it stands among those of its value where the image stands among its own. So a colour
that is the cue itself does not choose donors that hardly differ from the image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.groups import cluster_numbers
from auditor.reasons import Reason
from auditor.thresholds import THRESHOLDS

F64 = NDArray[np.float64]


class Donors(NamedTuple):
    """The donors of one case, in pairs; positions in the pool's columns."""

    same: NDArray[np.intp]
    """[pairs]: images with the case's own value, the control."""
    opposite: NDArray[np.intp]
    """[pairs]: images with any other value; the class of each is that of its pair's other."""
    problem: Reason | None
    """Why there are none (`unknown_value`, `one_value`, `few_donors`); else None."""


@dataclass(frozen=True)
class DonorPool:
    """Who may donate for one attribute and one cue set.

    [images] each: `labels` and `values` of the attribute (None or NaN: unknown), `usable`
    whether the image shows the region that is to be lent, and `clusters` which images belong
    together, a number each.
    """

    labels: NDArray[np.object_]
    values: NDArray[np.object_]
    usable: NDArray[np.bool_]
    clusters: NDArray[np.intp]
    likeness: F64 | None = None
    """[images, numbers]: how each image looks, as `auditor.evidence.splicing.likeness` tells it, in
    any unit; NaN where unknown. Without it donors are drawn by chance alone."""

    @classmethod
    def of(
        cls,
        labels: Sequence[object] | pd.Series,
        values: Sequence[object] | pd.Series,
        usable: Sequence[bool] | NDArray[np.bool_],
        clusters: Sequence[object] | pd.Series | None = None,
        likeness: F64 | None = None,
    ) -> DonorPool:
        """From columns of one length, in the dataset's order. Raises `ValueError` otherwise.

        Without `clusters`, and where an image's cluster is unknown, it stands alone.
        """
        count = len(labels)
        alone = np.arange(count, dtype=np.intp)
        together = alone if clusters is None else cluster_numbers(clusters)
        pool = cls(
            pd.Series(list(labels), dtype=object).to_numpy(),
            pd.Series(list(values), dtype=object).to_numpy(),
            np.asarray(usable, dtype=np.bool_),
            together,
            None if likeness is None else np.asarray(likeness, dtype=np.float64),
        )
        lengths = {len(pool.labels), len(pool.values), len(pool.usable), len(pool.clusters)}
        if pool.likeness is not None:
            lengths.add(len(pool.likeness))
        if lengths != {count}:
            raise ValueError(f"the columns have lengths {sorted(lengths)}; give one row an image")
        return pool

    def draw(
        self,
        case: int,
        case_id: str,
        seed: int,
        same_usable: NDArray[np.bool_] | None = None,
        most: int = THRESHOLDS.donors,
        fewest: int = THRESHOLDS.fewest_donors,
    ) -> Donors:
        """Draw the donors of one case, the same ones for the same seed and case id.

        Never the case or one of its cluster, and in an arm no two of one class and cluster.
        Each class gets as equal a number of pairs as the images allow. `same_usable` is who
        may be a same-value donor, where that differs: a cue by presence has controls without
        it. `opposite` takes any other known value. With `likeness`, those of a class that are
        nearest to the case are taken, in an order by chance.
        """
        own = self.values[case]
        if pd.isna(own):
            return _none("unknown_value")
        known = ~pd.isna(self.values)
        others = known & (self.values != own)
        if not others.any():
            return _none("one_value")
        apart = self.clusters != self.clusters[case]
        apart[case] = False
        arms = (
            apart
            & known
            & (self.values == own)
            & (self.usable if same_usable is None else same_usable),
            apart & others & self.usable,
        )
        rng = generator(seed, case_id)
        drawn: dict[object, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}
        for label in sorted(set(self.labels[arms[0]]) & set(self.labels[arms[1]]), key=str):
            of_class = self.labels == label
            same, opposite = (self._apart(np.flatnonzero(arm & of_class), rng) for arm in arms)
            drawn[label] = same, opposite
        room = {label: min(len(same), len(opp)) for label, (same, opp) in drawn.items()}
        order = _in_turn(room, most, rng)
        if len(order) < fewest:
            return _none("few_donors")
        apart_from = self._differences(case)
        taken = {}
        for label, pair in drawn.items():
            count = order.count(label)
            nearest = (_nearest(arm, apart_from, count, rng) for arm in pair)
            taken[label] = iter(zip(*nearest, strict=True))
        pairs = np.array([next(taken[label]) for label in order], dtype=np.intp)
        return Donors(pairs[:, 0], pairs[:, 1], None)

    def _differences(self, case: int) -> F64 | None:
        """[images]: how much each differs from the case in its looks, each among its value."""
        if self.likeness is None:
            return None
        looks = np.zeros_like(self.likeness)
        for value in pd.unique(self.values[~pd.isna(self.values)]):
            rows = self.values == value
            looks[rows] = np.apply_along_axis(_standard, 0, self.likeness[rows])
        return np.asarray(((looks - looks[case]) ** 2).sum(1))

    def _apart(self, candidates: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
        """The candidates in random order, one of each cluster."""
        shuffled = rng.permutation(candidates)
        _, first = np.unique(self.clusters[shuffled], return_index=True)
        return np.asarray(shuffled[np.sort(first)], dtype=np.intp)


def generator(seed: int, case_id: str, *purpose: str) -> np.random.Generator:
    """A random generator of the audit's seed, one case and a purpose, on every machine alike.

    What one case draws depends neither on the other cases nor on their order.
    """
    text = "\0".join((str(seed), case_id, *purpose))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def _standard(numbers: F64) -> F64:
    """In standard deviations from their mean; 0 where unknown, and where all are equal."""
    known = np.isfinite(numbers)
    result = np.zeros(len(numbers))
    if known.any() and np.ptp(numbers[known]) > 0:
        result[known] = (numbers[known] - numbers[known].mean()) / numbers[known].std()
    return result


def _nearest(
    candidates: NDArray[np.intp], apart: F64 | None, count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """The `count` candidates that differ least, in random order; or simply the first."""
    if apart is None:
        return candidates[:count]
    order = np.argsort(apart[candidates], kind="stable")
    return np.asarray(rng.permutation(candidates[order[:count]]))


def _in_turn(room: dict[object, int], most: int, rng: np.random.Generator) -> list[object]:
    """Up to `most` classes, one after the other in a random order, each at most its room."""
    classes = list(room)
    turn = [classes[i] for i in rng.permutation(len(classes))]
    left = dict(room)
    order: list[object] = []
    while len(order) < most and any(left.values()):
        for label in turn:
            if left[label] and len(order) < most:
                left[label] -= 1
                order.append(label)
    return order


def _none(problem: Reason) -> Donors:
    nobody = np.zeros(0, dtype=np.intp)
    return Donors(nobody, nobody, problem)
