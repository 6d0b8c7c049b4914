"""The `imagefolder` format: torchvision's layout, `path/<class>/**/<image>`.

`dataset.split` puts a folder between, `path/<split>/<class>/**/<image>`. Masks are PNG files
in a parallel tree, `dataset.masks`, in one of three layouts; `<image>` stands for the path
below the class without its suffix:

- `masks/<class>/<image>.png`, indexed, whose values `[regions.index]` names;
- `masks/<region>/<class>/<image>.png`, binary, a missing file meaning that the image lacks
  the region;
- `masks/<class>/<image>.png`, binary, where `[regions]` names exactly one region. A missing
  file means that the image lacks it if it is a cue, as many images lack a ruler or a tag;
  a missing mask of the subject, which every image shows, spoils the case.

With a split, each of these may begin with a folder of its name, at the top or below the
region. Attributes and clusters need the `manifest` format.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from auditor.configuration import DatasetConfig
from auditor.datasets.listing import (
    Listing,
    RegionFiles,
    RegionReader,
    Regions,
    listed,
    read_each,
    require_regions,
)
from auditor.datasets.masks import read_indexed, read_mask
from auditor.errors import DatasetError
from auditor.regions import RegionRoles
from auditor.types import Size

# As torchvision's `datasets.folder.IMG_EXTENSIONS`.
_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"])


def open_imagefolder(config: DatasetConfig, roles: RegionRoles) -> Listing:
    """List the images below the class folders, both sorted by name as torchvision does.

    Hidden files and folders are left out. Raises `DatasetError` with path and remedy.
    """
    _refuse_unavailable(config)
    top = _split_folder(config)
    classes = _folders(top)
    if not classes:
        raise DatasetError(
            f"{top}: holds no class folder; dataset.path is the folder of the class folders, "
            "<path>/<class>/<image>."
        )
    images: list[str] = []  # below the class folder's parent, posix
    labels: list[str] = []
    for label in classes:
        files = [file.relative_to(top).as_posix() for file in _images(top / label)]
        if not files:
            raise DatasetError(
                f"{top / label}: holds no image ({' '.join(sorted(_SUFFIXES))}); "
                "remove the folder or correct dataset.path."
            )
        images += files
        labels += [label] * len(files)
    prefix = "" if config.split is None else f"{config.split}/"
    paths = [prefix + image for image in images]
    cases = pd.DataFrame({"id": paths, "image": paths, "label": labels}, dtype="str")
    if config.split is not None:
        cases["split"] = config.split
    regions, files_of, named = _region_tree(config, roles, images)
    return Listing(
        cases=cases,
        image_root=config.path,
        regions=regions,
        region_files=files_of,
        sources=(),
        named=named,
    )


def _refuse_unavailable(config: DatasetConfig) -> None:
    for key in ("attributes", "cluster", "columns", "image_root"):
        if getattr(config, key):
            raise DatasetError(
                f"{config.path}: dataset.{key} is given, and folders of images cannot provide "
                'it; list the images in a table and set dataset.format = "manifest".'
            )
    if not config.path.is_dir():
        what = "is a file" if config.path.exists() else "no such folder"
        raise DatasetError(
            f"{config.path}: {what}; dataset.path is the folder of the class folders."
        )


def _split_folder(config: DatasetConfig) -> Path:
    if config.split is None:
        return config.path
    folder = config.path / config.split
    if not folder.is_dir():
        raise DatasetError(
            f"{config.path}: has no folder of the split {config.split!r}; it has "
            f"{listed(_folders(config.path)) or 'no folder at all'}. Correct dataset.split."
        )
    return folder


def _folders(path: Path) -> list[str]:
    return sorted(f.name for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))


def _images(folder: Path) -> Iterator[Path]:
    """The images below a class folder, in torchvision's order, links followed."""
    below = []
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below.append((root, files))
    for root, files in sorted(below):
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES:
                yield Path(root, name)


def _region_tree(
    config: DatasetConfig, roles: RegionRoles, images: list[str]
) -> tuple[RegionReader, RegionFiles, frozenset[str]]:
    """How the masks lie: the reader of a case, its files, and the regions there are."""
    if not roles.named:
        return (lambda _position, _size: {}), (lambda _position: ()), frozenset()
    if config.masks is None:
        raise DatasetError(
            f"{config.path}: [regions] names {listed(sorted(roles.named))} and there is no "
            f"dataset.masks; give the folder of the masks. {_LAYOUTS}"
        )
    if not config.masks.is_dir():
        raise DatasetError(f"{config.masks}: no such folder; correct dataset.masks.")
    top = _below_split(config.masks, config.split)

    def mask_file(folder: Path, position: int) -> Path:
        return folder / Path(images[position]).with_suffix(".png")

    if roles.index:
        named = frozenset(roles.index.values())
        require_regions(config.masks, roles, named, "the values of [regions.index]")
        return (
            lambda position, _size: read_indexed(mask_file(top, position), roles.index),
            lambda position: (mask_file(top, position),),
            named,
        )

    folders = _folders(top)
    if roles.named & set(folders):
        named = frozenset(folders)
        require_regions(config.masks, roles, named, "the folders")
        trees = {name: _below_split(top / name, config.split) for name in sorted(roles.named)}
        absence = True
    elif len(roles.named) == 1:
        (name,) = named = roles.named
        trees = {name: top}
        absence = name not in roles.subject_names
    else:
        raise DatasetError(
            f"{config.masks}: fits none of the layouts for the regions "
            f"{listed(sorted(roles.named))}; it holds {listed(folders) or 'no folder'}. {_LAYOUTS}"
        )
    for name, tree in trees.items():
        # Else a wrong suffix would pass for a region that no image has.
        if next(tree.rglob("*.png"), None) is None:
            raise DatasetError(
                f"{tree}: holds no .png, and so no mask of {name!r}; export the masks as PNG."
            )

    def files(position: int) -> tuple[Path, ...]:
        return tuple(mask_file(tree, position) for tree in trees.values())

    def regions(position: int, _size: Size) -> Regions:
        wanted = zip(trees, files(position), strict=True)
        return read_each(
            {
                name: partial(read_mask, file)
                for name, file in wanted
                if not absence or file.exists()
            }
        )

    return regions, files, named


_LAYOUTS = (
    "Masks lie in masks/<class>/<image>.png with [regions.index] naming the values; or in "
    "masks/<region>/<class>/<image>.png, one folder a region; or, where [regions] names one "
    "region only, in masks/<class>/<image>.png."
)


def _below_split(folder: Path, split: str | None) -> Path:
    inner = folder if split is None else folder / split
    return inner if inner.is_dir() else folder
