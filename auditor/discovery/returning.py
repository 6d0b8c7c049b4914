"""Finished annotations of a cluster, brought back into the whole dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.errors import AuditorError
from auditor.exports.json_document import dumped

_SHAPE = ("segmentation", "bbox", "area", "iscrowd")


def add_region(
    exported: str | Path, finished: str | Path, category: str, region: str, out: str | Path
) -> int:
    """Write `out`: a run's COCO export with a further region, and return how many outlines it has.

    `exported` is what `auditor export --format coco` wrote, with all images, their labels,
    attributes and regions, which annotation tools drop. `finished` is the file of such a tool;
    its annotations of `category` become those of `region`, a cue, in the images whose `file_name`
    is the same. `out` is opened as the export is, by format "coco". Raises `AuditorError` for
    another file, an unknown category, a region that is there already, an image of the tool's that
    the export lacks or has in another size, and if `out` exists.
    """
    exported, finished, out = Path(exported), Path(finished), Path(out)
    if out.exists():
        raise AuditorError(f"{out}: exists; choose another name, or remove it.")
    whole, given = _read(exported), _read(finished)
    if not isinstance(whole.get("info"), dict) or "auditor" not in whole["info"]:
        raise AuditorError(f"{exported}: is no COCO file of `auditor export`; give one.")
    names = {one["name"]: one["id"] for one in given["categories"]}
    if category not in names:
        raise AuditorError(
            f"{finished}: has no category {category!r}; it has {', '.join(map(str, names))}."
        )
    if any(one["name"] == region for one in whole["categories"]):
        raise AuditorError(f"{exported}: has a category {region!r} already; give another name.")
    places = _places(whole, given, exported, finished)
    number = 1 + max((int(one["id"]) for one in whole["categories"]), default=0)
    following = 1 + max((int(one["id"]) for one in whole["annotations"]), default=0)
    added = [
        {"id": following + n, "image_id": places[one["image_id"]], "category_id": number}
        | {key: one[key] for key in _SHAPE if key in one}
        for n, one in enumerate(
            one for one in given["annotations"] if one["category_id"] == names[category]
        )
    ]
    whole["annotations"] += added
    whole["categories"].append({"id": number, "name": region, "supercategory": "cue"})
    whole["info"]["auditor"]["regions"]["cues"].append(region)
    with out.open("x", encoding="ascii", newline="\n") as file:
        file.write(dumped(whole) + "\n")
    return len(added)


def _places(
    whole: Mapping[str, Any], given: Mapping[str, Any], exported: Path, finished: Path
) -> dict[Any, Any]:
    """From the image ids of the tool's file to those of the export."""
    known = {one["file_name"]: one for one in whole["images"]}
    places = {}
    for image in given["images"]:
        name = image["file_name"]
        if name not in known:
            raise AuditorError(
                f"{finished}: has an image {name!r}, which {exported} has not; upload images to "
                "the tool under the paths that the task names."
            )
        sizes = [(one["height"], one["width"]) for one in (image, known[name])]
        if sizes[0] != sizes[1]:
            raise AuditorError(
                f"{finished}: {name!r} is {sizes[0]} there and {sizes[1]} (height, width) in "
                f"{exported}; annotate the images at their own size."
            )
        places[image["id"]] = known[name]["id"]
    return places


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise AuditorError(f"{path}: no such file.") from None
    except ValueError as error:
        raise AuditorError(f"{path}: is not JSON ({error}); give a COCO file.") from None
    lists = ("images", "annotations", "categories")
    if not isinstance(document, dict) or not all(isinstance(document.get(k), list) for k in lists):
        raise AuditorError(f"{path}: lacks one of the lists {', '.join(lists)}; give a COCO file.")
    return document
