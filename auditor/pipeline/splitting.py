"""Parting a dataset into images to train on and images to validate on."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from auditor.errors import DatasetError
from auditor.groups import cluster_numbers

_Positions = NDArray[np.int64]


def split(
    cells: NDArray[np.str_], clusters: NDArray[np.str_] | None, share: float, seed: int
) -> tuple[_Positions, _Positions]:
    """Positions to train on and to validate on, both ascending, stratified by cell.

    `cells` says of each image what it is counted as, in words for a message ("the class
    'nurse'"). `share` of the images validate; where `clusters` names for each image those
    that it belongs with (empty for none), no cluster is in both parts, and the share is the
    nearest that whole folds give. Every cell is in both parts. Raises `DatasetError` where
    that cannot be.
    """
    owners = None if clusters is None else cluster_numbers(clusters)
    for cell, images in Counter(cells.tolist()).items():
        _require_two(cell, images, None if owners is None else owners[cells == cell])
    parts = _shuffled(cells, share, seed) if owners is None else _folds(cells, owners, share, seed)
    lacking: list[tuple[str, str]] = []
    for training, validation in parts:
        found = [
            (name, str(cell))
            for name, part in (("train on", training), ("validate on", validation))
            for cell in np.setdiff1d(cells, cells[part])
        ]
        if not found:
            return np.sort(training), np.sort(validation)
        lacking = lacking or found
    what, cell = lacking[0]
    together = "" if owners is None else " that keeps clusters whole"
    raise DatasetError(
        f"{cell} has {_images(int((cells == cell).sum()))}, and a split{together} with "
        f"finetune.validation = {share:g} leaves none to {what}; add images of it, or bring "
        "finetune.validation nearer to 0.5."
    )


def _require_two(cell: str, images: int, owners: NDArray[np.int64] | None) -> None:
    if images < 2:
        raise DatasetError(
            f"{cell} has {_images(images)}, too few to train on and to validate on; add images "
            "of it, or leave it out."
        )
    if owners is not None and len(set(owners.tolist())) < 2:
        raise DatasetError(
            f"{cell} has {images} images, all of one cluster, which cannot be in both parts of "
            "a split; add images of other clusters, or leave it out."
        )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _shuffled(
    cells: NDArray[np.str_], share: float, seed: int
) -> Iterator[tuple[_Positions, _Positions]]:
    try:
        training, validation = train_test_split(
            np.arange(len(cells)), test_size=share, stratify=cells, random_state=seed
        )
    except ValueError as error:  # fewer images than cells in one of the parts
        kinds = len(set(cells.tolist()))
        raise DatasetError(
            f"{len(cells)} images cannot be split with finetune.validation = {share:g} so that "
            f"both parts hold one of each of {kinds} ({error}); bring finetune.validation nearer "
            "to 0.5, or add images."
        ) from None
    yield training, validation


def _folds(
    cells: NDArray[np.str_], owners: NDArray[np.int64], share: float, seed: int
) -> Iterator[tuple[_Positions, _Positions]]:
    smaller = min(share, 1 - share)
    most = min(len(set(owners.tolist())), max(Counter(cells.tolist()).values()))
    folds = StratifiedGroupKFold(min(round(1 / smaller), most), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # That a fold may lack a cell; such a fold is not taken.
        warnings.simplefilter("ignore", UserWarning)
        parts = list(folds.split(cells, cells, owners))
    for rest, fold in parts:
        yield (rest, fold) if share <= 0.5 else (fold, rest)
