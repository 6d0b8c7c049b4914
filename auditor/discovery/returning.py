"""Finished annotations of a cluster, brought back into the whole dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from auditor.errors import AuditorError
from auditor.exports.json_document import dumped
from auditor.files import whole
from auditor.language import counted

_SHAPE = ("segmentation", "bbox", "area", "iscrowd")
_FINISHED = {
    "images": ("id", "file_name", "height", "width"),
    "annotations": ("image_id", "category_id"),
    "categories": ("id", "name"),
}
"""What every entry of a tool's lists must have."""
_EXPORTED = _FINISHED | {"annotations": ("id",)}


def add_region(
    exported: str | Path, finished: str | Path, category: str, region: str, out: str | Path
) -> int:
    """Write `out`: a run's COCO export with a further region, and return how many outlines it has.

    `exported` is what `auditor export --format coco` wrote, with all images, their labels,
    attributes and regions, which annotation tools drop. `finished` is the file of such a tool;
    its annotations of `category` become those of `region`, a cue, in the images whose `file_name`
    is the same, or a longer or shorter path to the same. `out` is opened as the export is, by
    format "coco". Raises `AuditorError` for another file, an unknown category, a region that is
    there already, an image of the tool's that the export lacks, has twice or has in another size,
    one with outlines and with mere boxes of the category, entries that lack what is read of them,
    an annotation of an image that is not in its file, and if `out` exists or cannot be written.
    """
    exported, finished, out = Path(exported), Path(finished), Path(out)
    if out.exists():
        raise AuditorError(f"{out}: exists; choose another name, or remove it.")
    base, given = _read(exported, _EXPORTED), _read(finished, _FINISHED)
    if not isinstance(base.get("info"), dict) or "auditor" not in base["info"]:
        raise AuditorError(f"{exported}: is no COCO file of `auditor export`; give one.")
    names = {one["name"]: one["id"] for one in given["categories"]}
    if category not in names:
        raise AuditorError(
            f"{finished}: has no category {category!r}; it has {', '.join(map(str, names))}."
        )
    if any(one["name"] == region for one in base["categories"]):
        raise AuditorError(f"{exported}: has a category {region!r} already; give another name.")
    places = _places(base, given, exported, finished)
    number = 1 + max((int(one["id"]) for one in base["categories"]), default=0)
    following = 1 + max((int(one["id"]) for one in base["annotations"]), default=0)
    drawn = [one for one in given["annotations"] if one["category_id"] == names[category]]
    for one in drawn:
        if one["image_id"] not in places:
            raise AuditorError(
                f"{finished}: has an annotation of {category!r} with image_id {one['image_id']!r}, "
                "and no image with this id; add the image, or remove the annotation."
            )
    _check_boxes(drawn, given["images"], category, finished)
    added = [
        {"id": following + n, "image_id": places[one["image_id"]], "category_id": number}
        | {key: one[key] for key in _SHAPE if key in one}
        for n, one in enumerate(drawn)
    ]
    base["annotations"] += added
    base["categories"].append({"id": number, "name": region, "supercategory": "cue"})
    base["info"]["auditor"]["regions"]["cues"].append(region)
    with whole(out) as part:
        part.write_text(dumped(base) + "\n", "ascii", newline="\n")
    return len(added)


def _places(
    base: Mapping[str, Any], given: Mapping[str, Any], exported: Path, finished: Path
) -> dict[Any, Any]:
    """From the image ids of the tool's file to those of the export."""
    by_path = {_path(one["file_name"]): one for one in base["images"]}
    by_end: dict[str, list[Path]] = {}
    for path in by_path:
        by_end.setdefault(path.name, []).append(path)
    places: dict[Any, Any] = {}
    taken = set()
    for image in given["images"]:
        name = image["file_name"]
        path = _path(name)
        found = [path] if path in by_path else _alike(path, by_end.get(path.name, []))
        if len(found) != 1:
            what = "has not" if not found else f"has as {' and as '.join(map(str, found))}"
            raise AuditorError(
                f"{finished}: has an image {name!r}, which {exported} {what}; upload images to "
                "the tool under the paths that the task names."
            )
        own = by_path[found[0]]
        sizes = [(one["height"], one["width"]) for one in (image, own)]
        if sizes[0] != sizes[1]:
            raise AuditorError(
                f"{finished}: {name!r} is {sizes[0]} there and {sizes[1]} (height, width) in "
                f"{exported}; annotate the images at their own size."
            )
        if own["id"] in taken:
            raise AuditorError(
                f"{finished}: has {own['file_name']!r} of {exported} twice, once as {name!r}; "
                "upload every image once."
            )
        places[image["id"]] = own["id"]
        taken.add(own["id"])
    return places


def _path(name: str) -> Path:
    """An image's name as a path; Label Studio puts it into an address, after `?d=`."""
    return Path(unquote(name.partition("?d=")[2]) if "?d=" in name else name)


def _alike(path: Path, others: Sequence[Path]) -> list[Path]:
    """Those that one of both paths ends in the other of."""
    parts = path.parts
    return [
        other
        for other in others
        for shorter in [min(len(parts), len(other.parts))]
        if parts[-shorter:] == other.parts[-shorter:]
    ]


def _check_boxes(
    drawn: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, Any]],
    category: str,
    file: Path,
) -> None:
    """Raise `AuditorError` for an image that has outlines of a category and mere boxes as well.

    A box is read as the region that it frames. Label Studio's converter adds one to every outline.
    """
    boxed = {one["image_id"] for one in drawn if not one.get("segmentation")}
    both = boxed & {one["image_id"] for one in drawn if one.get("segmentation")}
    if both:
        first = next(one["file_name"] for one in images if one["id"] in both)
        raise AuditorError(
            f"{file}: {counted(len(both), 'image')} {'has' if len(both) == 1 else 'have'} outlines "
            f"of {category!r} and boxes without an outline (first {first!r}), which would be read "
            "as filled regions; remove the boxes (in Label Studio, take <RectangleLabels> out of "
            "the configuration before annotating)."
        )


def _read(path: Path, needed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A COCO file, each entry of whose lists has what is `needed` there."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise AuditorError(f"{path}: no such file.") from None
    except ValueError as error:
        raise AuditorError(f"{path}: is not JSON ({error}); give a COCO file.") from None
    if not isinstance(document, dict) or not all(isinstance(document.get(k), list) for k in needed):
        raise AuditorError(f"{path}: lacks one of the lists {', '.join(needed)}; give a COCO file.")
    for kind, keys in needed.items():
        for place, entry in enumerate(document[kind]):
            lacking = [k for k in keys if not isinstance(entry, dict) or entry.get(k) is None]
            if lacking:
                raise AuditorError(
                    f"{path}: {kind}[{place}] lacks {', '.join(lacking)}; give a COCO file that "
                    "has it."
                )
    return document
