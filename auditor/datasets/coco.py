"""The `coco` format: an instances JSON, its categories serving as regions and as labels.

An image's label is the field `dataset.label` of its entry in `images`. Where no entry has
it, the label is the image's one category among the label categories: those that `[regions]`
does not name; or, where categories named there are also keys of `subject_by_label`, these
keys. Attributes, cluster and split are fields of the entry, too; a field may lie directly in
it or in its "attributes" object. `[dataset.columns]` maps names to the file's own, also
`region.<name>` to a category. Images lie relative to `dataset.image_root`, by default to the
JSON's folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from auditor.configuration import DatasetConfig
from auditor.datasets.listing import (
    Listing,
    Regions,
    listed,
    of_split,
    read_each,
    require_regions,
    texts,
)
from auditor.datasets.masks import box, decode_rle, polygons
from auditor.errors import CaseError, DatasetError
from auditor.regions import RegionRoles
from auditor.types import Mask, Size


def open_coco(config: DatasetConfig, roles: RegionRoles) -> Listing:
    """List the images of an instances JSON, in its order.

    Masks are drawn at the height and width that an entry records. Raises `DatasetError`
    with path, value and remedy.
    """
    document = _Document(config.path)
    regions = {config.columns.get(f"region.{n}", n): n for n in roles.named}
    categories = frozenset(document.categories.values())
    named = frozenset(regions.get(category, category) for category in categories)
    require_regions(config.path, roles, named, "the categories")

    cases = of_split(_fields(config, document), config)
    kept = cases.index.to_numpy()
    if "label" not in cases:
        labelling = _label_categories(categories, set(regions), roles)
        labels = document.categories_of(kept, labelling)
        cases = cases.assign(label=_one_label_each(config, cases["image"], labels, labelling))
    first = ["id", "image", "label"]
    cases = cases[first + [name for name in cases if name not in first]].reset_index(drop=True)

    shapes = document.shapes(kept, regions)
    sizes = [document.sizes[position] for position in kept]

    def read(position: int, _size: Size) -> Regions:
        return read_each(
            {
                name: partial(_draw, config.path, annotations, sizes[position])
                for name, annotations in shapes[position].items()
            }
        )

    return Listing(
        cases=cases,
        image_root=config.path.parent if config.image_root is None else config.image_root,
        regions=read,
        region_files=lambda _position: (),
        sources=(config.path,),
        named=named,
    )


class _Shape(NamedTuple):
    """What an annotation encloses, packed: lists of Python numbers take eight times as much."""

    id: Any
    kind: str  # "polygons", "rle" or "box"
    data: Any
    size: Any = None  # of an RLE


class _Document:
    """The parsed file, its references checked. Raises `DatasetError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        document = _parse(path)
        for key in ("images", "annotations", "categories"):
            if not isinstance(document.get(key), list):
                raise DatasetError(
                    f"{path}: has no list {key!r}; it holds {listed(document) or 'nothing'}. Give "
                    "an instances file, or set dataset.format to another format."
                )
        self.images: list[dict[str, Any]] = document["images"]
        self.annotations: list[dict[str, Any]] = document["annotations"]
        self.categories: dict[int | str, str] = {}
        for where, category in _entries(path, "categories", document["categories"]):
            number = self._id(where, category)
            if number in self.categories:
                raise DatasetError(f"{path}: {where} repeats the id {number!r}; make ids unique.")
            self.categories[number] = str(self._get(where, category, "name"))
        self.sizes: list[Size] = []
        self.positions: dict[int | str, int] = {}
        for position, (where, entry) in enumerate(_entries(path, "images", self.images)):
            number = self._id(where, entry)
            if number in self.positions:
                raise DatasetError(
                    f"{path}: {where} repeats the id {number!r} of "
                    f"images[{self.positions[number]}]; make image ids unique."
                )
            self.positions[number] = position
            self.sizes.append(
                (self._side(where, entry, "height"), self._side(where, entry, "width"))
            )
        references = (("image", set(self.positions)), ("category", set(self.categories)))
        for where, annotation in _entries(path, "annotations", self.annotations):
            for what, known in references:
                name = f"{what}_id"
                value = self._id(where, annotation, name)
                if value not in known:
                    raise DatasetError(
                        f"{path}: {where} has the {name} {value!r}, which no {what} has; remove "
                        f"the annotation or add the {what}."
                    )

    def categories_of(self, kept: Iterable[int], wanted: frozenset[str]) -> list[set[str]]:
        """Those of the `wanted` categories that each of the `kept` images shows."""
        found: dict[int, set[str]] = {int(position): set() for position in kept}
        for annotation in self.annotations:
            names = found.get(self.positions[annotation["image_id"]])
            name = self.categories[annotation["category_id"]]
            if names is not None and name in wanted:
                names.add(name)
        return list(found.values())

    def shapes(
        self, kept: Iterable[int], regions: Mapping[str, str]
    ) -> list[dict[str, list[_Shape]]]:
        """Each of the `kept` images' shapes by region; `regions` maps categories to them."""
        found: dict[int, dict[str, list[_Shape]]] = {int(position): {} for position in kept}
        for number, annotation in enumerate(self.annotations):
            shapes = found.get(self.positions[annotation["image_id"]])
            region = regions.get(self.categories[annotation["category_id"]])
            if shapes is not None and region is not None:
                packed = self._pack(f"annotations[{number}]", annotation)
                shapes.setdefault(region, []).append(packed)
        return list(found.values())

    def _pack(self, where: str, annotation: dict[str, Any]) -> _Shape:
        given = annotation.get("segmentation")
        key = annotation.get("id", where)
        if isinstance(given, dict):
            counts = given.get("counts")
            if isinstance(counts, list):
                counts = _array(counts)
            return _Shape(key, "rle", counts, given.get("size"))
        parts = [part for part in given if part] if isinstance(given, list) else given
        if parts:
            arrays = [_array(part) for part in parts] if isinstance(parts, list) else [parts]
            return _Shape(key, "polygons", arrays)
        if annotation.get("bbox"):
            return _Shape(key, "box", annotation["bbox"])
        raise DatasetError(
            f"{self.path}: {where} (id {key!r}) has neither 'segmentation' nor 'bbox'; add one "
            "or remove the annotation."
        )

    def _get(self, where: str, record: dict[str, Any], key: str) -> Any:
        if record.get(key) is None:
            raise DatasetError(
                f"{self.path}: {where} has no {key!r}; it has {listed(record) or 'nothing'}. "
                "Complete the entry."
            )
        return record[key]

    def _id(self, where: str, record: dict[str, Any], key: str = "id") -> int | str:
        value = self._get(where, record, key)
        if not isinstance(value, int | str):
            raise DatasetError(
                f"{self.path}: {where} has the {key} {value!r}; give a whole number or a string."
            )
        return value

    def _side(self, where: str, entry: dict[str, Any], key: str) -> int:
        value = self._get(where, entry, key)
        if not isinstance(value, int | float) or value < 1 or value != int(value):
            raise DatasetError(
                f"{self.path}: {where} has the {key} {value!r}; give the image's pixels."
            )
        return int(value)


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            document = json.load(file)
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; correct dataset.path.") from None
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror}); dataset.path is the .json file."
        ) from None
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are ValueErrors
        raise DatasetError(
            f"{path}: is not JSON ({error}); give a COCO instances file, or set dataset.format to "
            "another format."
        ) from None
    if not isinstance(document, dict):
        raise DatasetError(
            f"{path}: holds a {type(document).__name__}, not an object with the lists 'images', "
            "'annotations' and 'categories'; give an instances file."
        )
    return document


def _entries(path: Path, name: str, entries: list[Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DatasetError(f"{path}: {name}[{number}] is {entry!r}; each entry is an object.")
        yield f"{name}[{number}]", entry


def _array(values: Any) -> Any:
    """A list of numbers as an array; anything else as it is, for the drawing to complain."""
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError):
        return values
    return array if array.dtype.kind in "iuf" else values


def _fields(config: DatasetConfig, document: _Document) -> pd.DataFrame:
    """The table of all images; without `label` if no entry has the field."""
    own = {"id": "id", "image": "file_name", "label": config.label}
    if config.split is not None:
        own["split"] = "split"
    if config.cluster is not None:
        own["cluster"] = config.cluster
    own |= {f"attribute.{attribute}": attribute for attribute in config.attributes}
    columns: dict[str, pd.Series[Any]] = {}
    for name, key in own.items():
        # Users map the words of a manifest, where an image's file is called `image`.
        word = "image" if name == "image" else key
        field = config.columns.get(word, key)
        values = [_field(entry, field) for entry in document.images]
        if values and all(value is None for value in values):
            if name == "label" and field == key:
                continue
            have = sorted({key for entry in document.images for key in _keys(entry)})
            raise DatasetError(
                f"{config.path}: no entry of 'images' has {field!r}, wanted as {name}; they have "
                f'{listed(have)}. Add it, or map it: [dataset.columns] {word} = "...".'
            )
        columns[name] = texts(pd.Series(values, dtype=None if values else "str"))
    return pd.DataFrame(columns)


def _field(entry: dict[str, Any], field: str) -> Any:
    value = entry.get(field)
    inner = entry.get("attributes")
    return inner.get(field) if value is None and isinstance(inner, dict) else value


def _keys(entry: dict[str, Any]) -> list[str]:
    inner = entry.get("attributes")
    return [*entry, *(inner if isinstance(inner, dict) else ())]


def _label_categories(
    categories: frozenset[str], regions: set[str], roles: RegionRoles
) -> frozenset[str]:
    keys = categories & set(roles.subject_by_label)
    # A category that is a region and a label at once says that the keys are the labels.
    return keys if keys & regions else categories - regions


def _one_label_each(
    config: DatasetConfig,
    images: pd.Series[Any],
    labels: list[set[str]],
    labelling: frozenset[str],
) -> list[str]:
    remedy = (
        f"Give every entry of 'images' a field {config.label!r}, or name under [regions] every "
        "category that is no label and annotate one label category an image."
    )
    if not labelling:
        raise DatasetError(
            f"{config.path}: no entry of 'images' has the label field {config.label!r}, and "
            f"[regions] names every category, so none is left as label. {remedy}"
        )
    unlabelled = [image for image, found in zip(images, labels, strict=True) if not found]
    ambiguous = [image for image, found in zip(images, labels, strict=True) if len(found) > 1]
    if unlabelled or ambiguous:
        counts = [
            f"{len(files)} images have {what}: {listed(files, most=5)}"
            for files, what in ((unlabelled, "none"), (ambiguous, "several"))
            if files
        ]
        raise DatasetError(
            f"{config.path}: the label is the one annotated category out of "
            f"{listed(sorted(labelling))}, but {'; '.join(counts)}. {remedy}"
        )
    return [next(iter(found)) for found in labels]


def _draw(path: Path, shapes: list[_Shape], size: Size) -> Mask:
    """All of a region's annotations in an image, united."""
    mask = np.zeros(size, dtype=np.bool_)
    for shape in shapes:
        try:
            mask |= _drawn(shape, size)
        except CaseError as error:
            raise CaseError("mask_mismatch", f"{path}: annotation {shape.id!r}: {error}") from None
    return mask


def _drawn(shape: _Shape, size: Size) -> Mask:
    if shape.kind == "rle":
        if shape.size is not None and shape.size != list(size):
            raise CaseError(
                "mask_mismatch",
                f"its RLE is of [height, width] {shape.size}, its image of {list(size)}",
            )
        if not isinstance(shape.data, str | np.ndarray):
            raise CaseError("mask_mismatch", "its RLE has no 'counts' that can be read")
        return decode_rle(shape.data, size)
    if shape.kind == "box":
        match shape.data:
            case [x, y, width, height]:
                return box(x, y, width, height, size)
        raise CaseError("mask_mismatch", f"its bbox {shape.data!r} is not [x, y, width, height]")
    parts = []
    for part in shape.data:
        if not isinstance(part, np.ndarray) or part.ndim != 1 or part.size % 2:
            raise CaseError("mask_mismatch", "a polygon of it is no flat list [x, y, x, y, ...]")
        parts.append(part.reshape(-1, 2))
    return polygons(parts, size)
