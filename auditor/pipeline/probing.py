"""Features of regions alone, for the question whether the data give the label away.

Some of a region's own pixels are looked at, as many in every image, drawn at random from the
image as it is stored, where the crop shows them: no pixel of a neighbour is mixed in, as
resizing would, and neither size, place nor outline of the region is among the features.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.datasets import Dataset
from auditor.errors import CaseError
from auditor.findings import Probed
from auditor.geometry import Placement, Preprocess
from auditor.pipeline.computing import Progress
from auditor.types import PADDING, SUBJECT, Floats

MOST = 2000
"""Images that are looked at, at most."""
MOST_PIXELS, FEWEST_PIXELS = 576, 32
"""Pixels of a region that are, the same number in every image: what 95 % of those that show
the region have, within these bounds. An image with fewer has no features of it."""

_LEVELS = 3  # of each channel, in the joint histogram: 27 bins
_BANDS = 4  # from top to bottom, and from left to right
_CHANNELS = 3
_FEATURES = 2 * _CHANNELS + _LEVELS**_CHANNELS + 2 * _BANDS * _CHANNELS


def probe_features(
    dataset: Dataset,
    preprocess: Preprocess,
    positions: NDArray[np.intp],
    progress: Progress | None = None,
    *,
    seed: int = 0,
    most: int = MOST,
    workers: int = 0,
) -> Probed:
    """Features of each cue and of the rest, of a random sample of at most `most` cases.

    `positions` are the places in the dataset of all audited cases, in the order of
    `Material.cases`; `Probed.rows` are places in `positions`. `progress` hears of the images.
    `workers` are threads that decode, 0 for one a core, at most 8.

    A row of NaN stands where an image is unreadable or has no usable regions, where it shows
    none or too few pixels of the region, and for the rest also where the subject is not
    annotated, since the rest would then hold it. The features are those of `region_features`.
    """
    rows = np.arange(len(positions), dtype=np.intp)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    probe = _Probe(_without_labels(dataset), preprocess, seed)
    found: list[list[_Pixels]] = []
    if progress:
        progress(0, len(rows))
    pool = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1), "auditor-probe")
    try:
        for pixels in pool.map(probe, positions[rows].tolist()):
            found.append(pixels)
            if progress:
                progress(len(found), len(rows))
    finally:
        pool.shutdown(cancel_futures=True)
    features = {
        name: _features([pixels[place] for pixels in found])
        for place, name in enumerate(probe.regions)
    }
    return Probed(rows, features)


class _Pixels(NamedTuple):
    """Some of a region's pixels, in random order."""

    colours: NDArray[np.uint8]
    """[pixels, 3]"""
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


def _features(drawn: Sequence[_Pixels]) -> NDArray[np.float32]:
    """[images, features], all from the same number of pixels."""
    found = np.full((len(drawn), _FEATURES), np.nan, dtype=np.float32)
    sizes = np.array([len(pixels.colours) for pixels in drawn], dtype=np.intp)
    if not sizes.any():
        return found
    usual = int(np.quantile(sizes[sizes > 0], 0.05, method="lower"))
    count = max(usual, FEWEST_PIXELS)
    for image in np.flatnonzero(sizes >= count).tolist():
        colours, rows, columns = drawn[image]
        found[image] = region_features(colours[:count], rows[:count], columns[:count])
    return found


@dataclass(frozen=True)
class _Probe:
    dataset: Dataset
    preprocess: Preprocess
    seed: int

    @property
    def regions(self) -> tuple[str, ...]:
        """The cues, and the rest."""
        return tuple(n for n in self.dataset.roles.names if n not in (SUBJECT, PADDING))

    def __call__(self, position: int) -> list[_Pixels]:
        """Pixels of each region."""
        none = np.empty(0, dtype=np.int32)
        found = [_Pixels(np.empty((0, _CHANNELS), np.uint8), none, none) for _ in self.regions]
        try:
            case = self.dataset.read(position)
        except CaseError:
            return found
        if case.atoms is None:
            return found
        names = self.dataset.roles.names
        window = _window(self.preprocess.placement(case.picture.size))
        atoms, colours = case.atoms[window], np.asarray(case.picture.image)[window]
        random = np.random.default_rng((self.seed, position))
        has_subject = bool((case.atoms == names.index(SUBJECT)).any())
        for place, name in enumerate(self.regions):
            if name == self.dataset.roles.rest and not has_subject:
                continue
            flat = np.flatnonzero(atoms == names.index(name))
            chosen = random.choice(flat, min(len(flat), MOST_PIXELS), replace=False)
            rows, columns = np.unravel_index(chosen, atoms.shape)
            found[place] = _Pixels(
                colours[rows, columns], rows.astype(np.int32), columns.astype(np.int32)
            )
        return found


def region_features(
    colours: NDArray[np.uint8], rows: NDArray[np.int32], columns: NDArray[np.int32]
) -> NDArray[np.float32]:
    """What some pixels of a region look like, [features].

    `colours` is [pixels, 3], RGB; `rows` and `columns` say where they lie. Mean and standard
    deviation of each channel; shares of a histogram of 3 × 3 × 3 colours; and the mean colours
    of four bands from top to bottom and four from left to right. A band holds a quarter of the
    pixels, wherever they lie, so that no band is empty and none tells of the outline. Channels
    are scaled to 0..1.
    """
    values = colours.astype(np.float32) / 255
    levels = np.minimum((values * _LEVELS).astype(np.intp), _LEVELS - 1)
    bins = (levels * _LEVELS ** np.arange(_CHANNELS)).sum(1)
    histogram = np.bincount(bins, minlength=_LEVELS**_CHANNELS) / len(values)
    bands = [
        part.mean(0)
        for axis in (rows, columns)
        for part in np.array_split(values[np.argsort(axis, kind="stable")], _BANDS)
    ]
    parts: Sequence[Floats] = [values.mean(0), values.std(0), histogram, *bands]
    return np.concatenate(parts).astype(np.float32)


def _without_labels(dataset: Dataset) -> Dataset:
    """The dataset with one subject for all labels: where each label has its own, the rest of
    an image would tell its label by what it leaves out.
    """
    roles = dataset.roles
    subject = tuple(sorted(roles.subject_names))
    return replace(dataset, roles=replace(roles, subject=subject, subject_by_label={}))


def _window(placement: Placement) -> tuple[slice, slice]:
    """Where the crop looks in the source, whole pixels that lie in it."""
    slices = []
    for source, padded, pad_at, resized, crop_at, given in zip(
        placement.source,
        placement.padded,
        placement.pad_at,
        placement.resized,
        placement.crop_at,
        placement.input,
        strict=True,
    ):
        scale = padded / resized
        start = int(np.ceil(crop_at * scale - pad_at - 1e-9))
        stop = int(np.floor((crop_at + given) * scale - pad_at + 1e-9))
        slices.append(slice(max(start, 0), max(min(stop, source), 0)))
    return slices[0], slices[1]
