"""COCO: regions and flags, for annotation tools.

An instances file (https://cocodataset.org/#format-data). Every region mask of a case is an
annotation, as a run-length code or as polygons, in pixels of the image as it is displayed
(turned by its EXIF orientation), which is how annotation tools show it. What the audit said of
a case stands as attributes at its image and, since most tools show those alone, at each of its
annotations.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from auditor.configuration import DatasetConfig
from auditor.datasets import Dataset, open_dataset
from auditor.datasets.images import read_header
from auditor.errors import AuditorError, CaseError, DatasetError, RunError
from auditor.exports.cases import batches, count
from auditor.exports.identity import identity
from auditor.exports.json_document import dumped
from auditor.exports.outlines import extent, outlines
from auditor.exports.request import EXPORT_VERSION, MaskForm, Request, Written
from auditor.exports.rle import compressed, runs_of
from auditor.language import counted
from auditor.regions import RegionRoles
from auditor.types import Mask

SAID = (
    "id",
    "predicted",
    "confidence",
    "correct",
    "status",
    "flag",
    "evidence",
    "cue",
    "severity",
    "map_evidence",
    "map_cue",
    "cluster",
)
"""Columns of a case that become attributes, `auditor_<column>`; those that are null are left
out."""
_OWN_FIELDS = frozenset({"id", "file_name", "height", "width", "label", "attributes", "split"})
_TOLD_EVERY = 16  # cases
_SHARED = tuple(
    f"auditor_{name}" for name in ("predicted", "confidence", "flag", "evidence", "cue", "severity")
)
"""Those that stand at every annotation."""


def write(request: Request, file: Path) -> Written:
    """Write `images`, `annotations`, `categories` and `info`, one case at a time.

    Cases whose image cannot be read any more are left out, as an entry needs its size; those
    whose masks cannot be have no annotations. Both are counted, in `info` too. Raises
    `AuditorError` where the dataset cannot be opened, lacks a case of the run, or no image
    can be read.
    """
    run, dataset = request.run, request.opened()
    places = {case: place for place, case in enumerate(dataset.cases["id"])}
    categories = _categories(request, dataset)
    numbers = {entry["name"]: entry["id"] for entry in categories}
    names = _attribute_names(run.info["attributes"])
    total, done, images, shapes = count(run), 0, 0, 0
    problems = {"unreadable": 0, "mask_mismatch": 0}
    first_problem = ""
    seen: list[int] = []
    # Annotations come after all images, and wait in a file of their own.
    with (
        file.open("w", encoding="ascii", newline="\n") as out,
        tempfile.TemporaryFile("w+", encoding="ascii", newline="\n", dir=file.parent) as waiting,
    ):
        out.write('{"images": [')
        for case in _cases(request):
            place = places.get(case["id"])
            if place is None:
                raise RunError(
                    f"{dataset.config.path}: holds no case {case['id']!r} any more, which "
                    f"{run.path} audited; restore the dataset, or audit again."
                )
            seen.append(place)
            done += 1
            if done % _TOLD_EVERY == 0 or done == total:
                request.progress(done, total)
            if request.flagged and case["flag"] is None:
                continue
            try:
                stored, orientation = read_header(dataset.listing.image_path(place))
            except CaseError as problem:
                problems["unreadable"] += 1
                first_problem = first_problem or str(problem)
                continue
            masks: Mapping[str, Mask] = {}
            try:
                masks = dataset.masks(place, stored, orientation)
            except CaseError:
                problems["mask_mismatch"] += 1
            height, width = stored if orientation < 5 else (stored[1], stored[0])
            said = _said(case)
            images += 1
            entry = {
                "id": images,
                "file_name": case["image"],
                "height": height,
                "width": width,
                "label": case["label"],
                "attributes": {**{names[n]: case[f"attribute.{n}"] for n in names}, **said},
            }
            out.write(("\n" if images == 1 else ",\n") + dumped(entry))
            shared = {name: said[name] for name in _SHARED if name in said}
            for name, mask in masks.items():
                if not mask.any():
                    continue  # an outline of nothing is none that a tool could show
                shapes += 1
                annotation = {
                    "id": shapes,
                    "image_id": images,
                    "category_id": numbers[name],
                    **_shape(mask, request),
                    "attributes": shared,
                }
                waiting.write(("\n" if shapes == 1 else ",\n") + dumped(annotation))
        if problems["unreadable"] and not images:
            raise DatasetError(
                f"{dataset.listing.image_root}: no image could be read ({first_problem}); restore "
                "the images, or correct dataset.image_root in the configuration."
            )
        out.write('\n], "annotations": [')
        _append(waiting, out)
        changed = dataset.fingerprint(np.array(seen, dtype=np.intp)) != _fingerprint(request)
        info = _info(request, dataset, names, problems, changed)
        out.write(f'\n], "categories": {dumped(categories)},\n"info": {dumped(info)}}}\n')
    return Written(images, "images", tuple(_notes(problems, changed)))


def read_coco(path: str | Path) -> Dataset:
    """Open the dataset that `write` wrote, with the ids, attributes and regions it had.

    It is what `auditor.open_dataset` gives with format "coco" and the settings in `info`; see
    docs/export.md for them as a configuration. Raises `AuditorError` for another file.
    """
    path = Path(path)
    try:
        info = json.loads(path.read_text(encoding="utf-8")).get("info")
        told = info["auditor"]
        roles = told["regions"]
    except FileNotFoundError:
        raise AuditorError(f"{path}: no such file; give a file that Auditor exported.") from None
    except (ValueError, AttributeError, TypeError, KeyError):
        raise AuditorError(
            f"{path}: is no COCO file of Auditor, whose `info` says how to read it; open it with "
            'auditor.open_dataset and format "coco".'
        ) from None
    config = DatasetConfig(
        path=path.resolve(),
        format="coco",
        attributes=tuple(told["attributes"]),
        image_root=Path(told["image_root"]),
        cluster=told["cluster"],
        columns=told["columns"],
        mask_frame="displayed",
    )
    by_label = {label: tuple(names) for label, names in roles["subject_by_label"].items()}
    regions = RegionRoles(
        tuple(roles["subject"]),
        tuple(roles["cues"]),
        roles["rest"],
        by_label,
        roles["precedence"],
    )
    return open_dataset(config, regions=regions)


def _cases(request: Request) -> Iterator[dict[str, Any]]:
    attributes = [f"attribute.{name}" for name in request.run.info["attributes"]]
    cluster = ["cluster"] if request.run.info["clustered"] else []
    said = [name for name in SAID if name != "cluster"]
    columns = [*said, *cluster, "image", "label", *attributes]
    # Told here case by case: reading masks takes far longer than reading rows.
    quiet = Request(request.run)
    for batch in batches(quiet, columns):
        yield from batch.to_pylist()


def _said(case: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit says of a case, as attributes; what is undefined is left out."""
    said = {f"auditor_{name}": case.get(name) for name in SAID}
    return {
        name: value
        for name, value in said.items()
        if value is not None and value == value  # noqa: PLR0124 - NaN is not itself
    }


def _shape(mask: Mask, request: Request) -> dict[str, Any]:
    """Segmentation, area in pixels and the box [x, y, width, height] of a mask."""
    return {"segmentation": _segmentation(mask, request.masks), **extent(mask)}


def _segmentation(mask: Mask, form: MaskForm) -> dict[str, Any] | list[list[int]]:
    if form == "polygons":
        return outlines(mask)
    runs = runs_of(mask)
    counts = compressed(runs) if form == "compressed" else runs.tolist()
    return {"size": list(mask.shape), "counts": counts}


def _categories(request: Request, dataset: Dataset) -> list[dict[str, Any]]:
    """Regions first, those without a role after the others, then labels.

    A label called like a region is listed as the region alone: names must differ.
    """
    roles = dataset.roles
    subjects = sorted(roles.subject_names - {roles.rest})
    cues = [cue for cue in roles.cues if cue != roles.rest]
    kinds = dict.fromkeys(subjects, "subject") | dict.fromkeys(cues, "cue")
    for name in sorted(dataset.listing.named):
        kinds.setdefault(name, "region")
    for label in (*request.run.info["model"]["classes"], *dataset.labels):
        kinds.setdefault(label, "label")
    return [
        {"id": number, "name": name, "supercategory": kind}
        for number, (name, kind) in enumerate(kinds.items(), start=1)
    ]


def _attribute_names(attributes: list[str]) -> dict[str, str]:
    """Each annotated attribute's name in the file: its own, where nothing else has that."""
    taken = _OWN_FIELDS | {f"auditor_{name}" for name in SAID}
    return {name: f"attribute.{name}" if name in taken else name for name in attributes}


def _info(
    request: Request,
    dataset: Dataset,
    names: Mapping[str, str],
    problems: Mapping[str, int],
    changed: bool,
) -> dict[str, Any]:
    columns = {"id": "auditor_id"} | {own: name for own, name in names.items() if own != name}
    return {
        "description": "Regions and flags of an audit, from `auditor export --format coco`.",
        "auditor": {
            "version": EXPORT_VERSION,
            "run": identity(request.run),
            "flagged_only": request.flagged,
            "left_out": dict(problems),
            "dataset_changed": changed,
            "image_root": str(dataset.listing.image_root),
            "mask_frame": "displayed",
            "attributes": list(names),
            "cluster": "auditor_cluster" if request.run.info["clustered"] else None,
            "columns": columns,
            "regions": asdict(dataset.roles),
        },
    }


def _notes(problems: Mapping[str, int], changed: bool) -> Iterator[str]:
    if problems["unreadable"]:
        left = counted(problems["unreadable"], "case")
        yield f"Left out, since the image cannot be read: {left}."
    if problems["mask_mismatch"]:
        yield (
            "Without annotations, since a mask cannot be read: "
            f"{counted(problems['mask_mismatch'], 'image')}."
        )
    if changed:
        yield (
            "The dataset is not as it was audited (its fingerprint differs): masks are today's, "
            "flags those of the audit."
        )


def _fingerprint(request: Request) -> Any:
    return request.run.info["identity"]["dataset"]


def _append(waiting: IO[str], out: IO[str]) -> None:
    waiting.seek(0)
    shutil.copyfileobj(waiting, out)
