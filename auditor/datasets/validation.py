"""Checking a dataset without a model: every label, image header and region."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auditor.datasets.dataset import Dataset
from auditor.datasets.images import read_header
from auditor.errors import CaseError

_BATCH = 512
"""Cases handed to the threads at a time; bounds the results held, and the wait on Ctrl-C."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a dataset.

    `path` is the file to mend, `id` the case (None where it concerns the dataset as a
    whole). What is `fatal` stops an audit; the rest spoils a case or a measure, which the
    audit records and counts as not judged (with `--strict`, it stops at a spoiled case).
    """

    path: Path
    id: str | None
    what: str
    fatal: bool

    def __str__(self) -> str:
        where = f"{self.path}: " if self.id is None else f"{self.path} (id {self.id!r}): "
        return where + self.what


def validate(
    dataset: Dataset,
    classes: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """Every problem of a dataset, in its order, and after them those of the whole.

    Reads labels, image headers and region masks, not the images' pixels. `classes` are
    those of the model, which every label must be one of; empty for any label. `progress`
    is called with the cases done and their number, in this thread.
    """
    problems: list[Problem] = []
    found: set[str] = set()
    total = len(dataset)
    check = partial(_check_case, dataset, frozenset(classes))
    with ThreadPoolExecutor() as pool:
        for start in range(0, total, _BATCH):
            batch = range(start, min(start + _BATCH, total))
            for position, (wrong, regions) in zip(batch, pool.map(check, batch), strict=True):
                problems += wrong
                found |= regions
                if progress is not None:
                    progress(position + 1, total)
    return problems + _of_the_whole(dataset, found)


def _check_case(
    dataset: Dataset, classes: frozenset[str], position: int
) -> tuple[list[Problem], frozenset[str]]:
    """The problems of one case, and the regions that it has."""
    row = dataset.cases.iloc[position]
    case, label = str(row["id"]), str(row["label"])
    image, listing = dataset.listing.image_path(position), dataset.config.path
    problems: list[Problem] = []
    if classes and label not in classes:
        problems.append(Problem(listing, case, _unknown_label(label, classes), fatal=True))
    problems += [
        Problem(listing, case, f"has no value for {name}", fatal=False)
        for name in map(str, row.index)
        if name.startswith("attribute.") and row[name] == ""
    ]
    try:
        stored, orientation = read_header(image)
        masks = dataset.masks(position, stored, orientation)
    except CaseError as error:
        what = str(error).removeprefix(f"{image}: ")
        return [*problems, Problem(image, case, what, fatal=False)], frozenset()
    lacking = dataset.lacks_regions(masks, label)
    if dataset.roles.named and lacking is not None:
        problems.append(Problem(image, case, f"has no region to judge, {lacking}", fatal=False))
    return problems, frozenset(name for name, mask in masks.items() if mask.any())


def _of_the_whole(dataset: Dataset, found: set[str]) -> list[Problem]:
    path = dataset.config.path
    if not dataset.roles.named:
        what = "[regions] names no region, so no map can be judged; name subject and cues"
        return [Problem(path, None, what, fatal=False)]
    return [
        Problem(
            path,
            None,
            f"the region {name!r} occurs in no image whose masks can be read; correct its name "
            "in [regions], or the annotations",
            fatal=False,
        )
        for name in sorted(dataset.roles.named - found)
    ]


def _unknown_label(label: str, classes: frozenset[str]) -> str:
    known = sorted(classes)
    near = difflib.get_close_matches(label, known, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"model.classes has {', '.join(known)}"
    return f"the label {label!r} is no class of the model; {remedy}"
