"""Training images of which label and attribute are independent, from images where they are not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.pipeline.training import Draw

_Positions = NDArray[np.int64]


def sampled(training: _Positions, labels: NDArray[np.int64], values: NDArray[np.str_]) -> Draw:
    """Draws an epoch in which every class keeps its size and shares it equally by value.

    `labels` and `values` (the attribute's) are those of all positions. What cannot be shared
    equally goes to the first values in order. A group with more images than its share gives
    others in every epoch; one with fewer repeats them, each as often as any other or once
    more.
    """
    shares: list[tuple[_Positions, int]] = []
    for groups in _by_label(training, labels, values):
        size, kinds = sum(map(len, groups)), len(groups)
        shares += [(g, size // kinds + (n < size % kinds)) for n, g in enumerate(groups)]

    def draw(generator: np.random.Generator) -> _Positions:
        drawn = []
        for group, wanted in shares:
            times, rest = divmod(wanted, len(group))
            drawn += [np.tile(group, times), generator.choice(group, rest, replace=False)]
        return np.asarray(generator.permutation(np.concatenate(drawn)), np.int64)

    return draw


def subsampled(
    training: _Positions, labels: NDArray[np.int64], values: NDArray[np.str_], seed: int
) -> _Positions:
    """Those that are left, ascending, if every group keeps as many as the smallest has.

    A group is the images of one label and one value of the attribute.
    """
    generator = np.random.default_rng(seed)
    groups = [group for groups in _by_label(training, labels, values) for group in groups]
    smallest = min(map(len, groups))
    kept = [generator.choice(group, smallest, replace=False) for group in groups]
    return np.sort(np.concatenate(kept))


def _by_label(
    training: _Positions, labels: NDArray[np.int64], values: NDArray[np.str_]
) -> list[list[_Positions]]:
    """For each label the positions of each value that the attribute has anywhere."""
    return [
        [
            training[(labels[training] == label) & (values[training] == value)]
            for value in np.unique(values[training])
        ]
        for label in np.unique(labels[training])
    ]
