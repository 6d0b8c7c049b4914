"""Clusters as a task for annotation tools: a COCO file that proposes what the maps cover.

An instances file (https://cocodataset.org/#format-data). What a map covers is proposed as
polygons, in pixels of the image as it is displayed, for a person to correct; the regions that
are annotated already stand beside them, so that the file is a dataset by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from auditor.datasets import Dataset
from auditor.datasets.images import read_header
from auditor.datasets.masks import polygons
from auditor.discovery.clusters import HINT
from auditor.discovery.options import Kind
from auditor.discovery.outlines import covered, polygons_of
from auditor.discovery.selection import Selection
from auditor.discovery.spectral import Grouping
from auditor.errors import CaseError
from auditor.exports.identity import identity
from auditor.exports.outlines import extent, outlines
from auditor.exports.request import EXPORT_VERSION
from auditor.geometry import Preprocess
from auditor.store import Run
from auditor.types import Mask


def category(kind: Kind, number: int) -> str:
    """What a cluster's proposals are called in the file."""
    return f"proposed: {kind} cluster {number}"


@dataclass(frozen=True)
class Task:
    """A COCO document, and what could not be put into it."""

    document: dict[str, Any]
    problems: int
    """Images that cannot be read, and so are left out, or whose masks cannot be."""


def task(
    run: Run, dataset: Dataset, selection: Selection, groupings: Mapping[Kind, Grouping]
) -> Task:
    """The images of all clusters, with a category for each and one for each annotated region.

    Raises `RunError` by way of `places` for a case that the dataset holds no more.
    """
    preprocess = Preprocess.read(run.info["model"]["preprocess"])
    at = places(dataset)
    proposed = [category(kind, n) for kind, one in groupings.items() for n in _numbers(one)]
    names = [*sorted(dataset.listing.named), *proposed]
    numbers = {name: number for number, name in enumerate(names, 1)}
    attributes = list(run.info["attributes"])
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    problems = 0
    for row, case in enumerate(selection.cases.to_dict("records")):
        place = at[str(case["id"])]
        try:
            stored, orientation = read_header(dataset.listing.image_path(place))
        except CaseError:
            problems += 1
            continue
        size = stored if orientation < 5 else (stored[1], stored[0])
        masks: Mapping[str, Mask] = {}
        try:
            masks = dataset.masks(place, stored, orientation)
        except CaseError:
            problems += 1
        own = {f"attribute.{name}": _text(case[f"attribute.{name}"]) for name in attributes}
        cluster = {"auditor_cluster": _text(case["cluster"])} if "cluster" in case else {}
        images.append(
            {
                "id": len(images) + 1,
                "file_name": case["image"],
                "height": size[0],
                "width": size[1],
                "label": case["label"],
                "attributes": {"auditor_id": case["id"], **own, **cluster},
            }
        )
        parts = polygons_of(covered(selection.shares[row]), preprocess.placement(size))
        shapes = [
            *(_annotated(name, mask) for name, mask in masks.items() if mask.any()),
            *(
                shape
                for kind, grouping in groupings.items()
                for shape in _proposals(kind, int(grouping.clusters[row]), parts, size)
            ),
        ]
        for name, shape in shapes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": numbers[name],
                    **shape,
                }
            )
    categories = [
        {
            "id": number,
            "name": name,
            "supercategory": "proposal" if name in proposed else "region",
        }
        for name, number in numbers.items()
    ]
    info = _info(run, dataset, attributes, proposed)
    document = {
        "info": info,
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    return Task(document, problems)


def places(dataset: Dataset) -> Mapping[str, int]:
    """Where each case is in the dataset, by its id."""
    return {str(case): place for place, case in enumerate(dataset.cases["id"])}


def written_task(made: Task) -> str:
    """The document as JSON in ASCII, an entry a line."""
    document = made.document
    lists = ",\n".join(
        f'"{key}": [\n'
        + ",\n".join(json.dumps(one, allow_nan=False) for one in document[key])
        + "\n]"
        for key in ("images", "annotations", "categories")
    )
    return f'{{"info": {json.dumps(document["info"], allow_nan=False)},\n{lists}}}\n'


def _numbers(grouping: Grouping) -> range:
    return range(1, grouping.count + 1)


def _proposals(
    kind: Kind, number: int, parts: Sequence[list[float]], size: tuple[int, int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in parts:
        mask = polygons([np.reshape(part, (-1, 2))], size)
        if mask.any():
            said = {"proposal": True, "by": kind, "cluster": number}
            yield (
                category(kind, number),
                {"segmentation": [part], **extent(mask), "attributes": said},
            )


def _annotated(name: str, mask: Mask) -> tuple[str, dict[str, Any]]:
    # As polygons, which tools read that no run-length codes are known to.
    return name, {"segmentation": outlines(mask), **extent(mask), "attributes": {"proposal": False}}


def _info(
    run: Run, dataset: Dataset, attributes: Sequence[str], proposed: Sequence[str]
) -> dict[str, Any]:
    """What the file is, and how `auditor.exports.coco.read_coco` opens it as a dataset."""
    roles = asdict(dataset.roles)
    return {
        "description": (
            "Proposed annotations from `auditor discover`. " + HINT + " Correct every outline."
        ),
        "auditor": {
            "version": EXPORT_VERSION,
            "run": identity(run),
            "image_root": str(dataset.listing.image_root),
            "mask_frame": "displayed",
            "attributes": list(attributes),
            "cluster": "auditor_cluster" if run.info["clustered"] else None,
            "columns": {"id": "auditor_id"} | {n: f"attribute.{n}" for n in attributes},
            "regions": roles | {"cues": [*roles["cues"], *proposed]},
        },
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
