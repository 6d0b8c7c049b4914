"""Region annotations as boolean masks: image files, boxes, polygons, run-length codes.

Shapes are drawn by one rule: a pixel belongs if its centre lies within. What lies on an edge
belongs to the shape on its right or below, so shapes that share an edge neither overlap nor
leave a gap, a box equals the polygon of its corners, and areas are right on average. (Drawing
libraries paint the outline as well and so enlarge every region by half a pixel.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.datasets.images import UNDECODABLE
from auditor.errors import CaseError
from auditor.types import Mask, Size

_LOSSY = ("JPEG", "MPO")


def read_mask(path: Path) -> Mask:
    """A binary mask file, [height, width]: every value but 0 is inside.

    An alpha channel is left out of account. Of a palette file the colours count, black
    being outside (programs that shrink PNG files choose the positions as they like); where
    it shows no black, or nothing else, position 0 is outside. Of a JPEG the values from 128
    up are inside, since its compression leaves no exact 0. Raises `CaseError`.
    """
    values, palette, lossy = _read_values(path)
    if palette is not None:
        return _lit(values, palette)
    if values.ndim == 3:
        values = values[..., : 3 if values.shape[2] >= 3 else 1].max(axis=2)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values)  # "no data" is outside
    return np.asarray(values >= 128 if lossy else values != 0)


def read_indexed(path: Path, index: Mapping[int, str]) -> dict[str, Mask]:
    """An indexed mask file: the pixels whose value `index` gives a name, by that name.

    The values are a palette file's positions, or the grey levels. Several may share a name;
    values without one belong to no region, and names without a pixel are left out. Raises
    `CaseError`, also for colours, fractions and JPEG, whose values would mean nothing.
    """
    values, _, lossy = _read_values(path)
    if values.ndim == 3 and values.shape[2] == 2:
        values = values[..., 0]  # the second one is alpha
    if values.ndim != 2 or values.dtype.kind == "f" or lossy:
        what = "is compressed with loss" if lossy else "holds fractions"
        what = f"has {values.shape[2]} channels" if values.ndim != 2 else what
        raise CaseError(
            "mask_mismatch",
            f"{path}: {what}; an indexed mask has one channel of whole numbers "
            "(save it as palette or grey-scale PNG)",
        )
    masks: dict[str, Mask] = {}
    for value, name in index.items():
        inside = values == value
        if inside.any():
            masks[name] = masks[name] | inside if name in masks else inside
    return masks


def read_shape(cell: str, size: Size) -> Mask:
    """A shape written as JSON in a table's cell, drawn on an image of `size` (height, width).

    {"box": [x, y, width, height]}, {"polygon": [[x, y], ...]}, or {"polygons": [...]} with
    several of them united; x to the right and y down from the image's corner, in pixels.
    Null members are left out of account. Raises `CaseError` naming the cell, shortened.
    """
    try:
        shape = json.loads(cell)
    except json.JSONDecodeError as error:
        raise _shape_error(cell, f"is not JSON ({error})") from None
    given = {k: v for k, v in shape.items() if v is not None} if isinstance(shape, dict) else {}
    try:
        match given:
            case {"box": [x, y, width, height], **rest} if not rest:
                return box(x, y, width, height, size)
            case {"polygon": list(points), **rest} if not rest:
                return polygon(points, size)
            case {"polygons": list(parts), **rest} if not rest:
                return polygons(parts, size)
    except CaseError as error:
        raise _shape_error(cell, f"cannot be drawn: {error}") from None
    raise _shape_error(
        cell,
        'is no shape; write {"box": [x, y, width, height]}, {"polygon": [[x, y], ...]} or '
        '{"polygons": [[[x, y], ...], ...]}',
    )


def box(x: float, y: float, width: float, height: float, size: Size) -> Mask:
    """The pixels of an image of `size` (height, width) whose centres lie in the box.

    The left and top edges belong to it, the right and bottom ones do not. Raises
    `CaseError` for numbers that are none, and for a box wholly outside of the image.
    """
    numbers = _coordinates([x, y, width, height])
    if numbers.shape != (4,) or min(numbers[2:]) < 0:
        raise CaseError("mask_mismatch", f"a box of width {width!r} and height {height!r}")
    corners = np.stack([numbers[:2], numbers[:2] + numbers[2:]])
    if min(numbers[2:]) > 0:
        _refuse_outside(corners, size)
    (left, top), (right, bottom) = _first_pixel(corners, (size[1], size[0]))
    mask = np.zeros(size, dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def polygon(points: Sequence[Sequence[float]] | NDArray[Any], size: Size) -> Mask:
    """The pixels of an image of `size` (height, width) whose centres lie in the polygon.

    `points` are [n, 2] corners (x, y), n at least 3; the last one is joined to the first.
    Parts that it encloses twice are outside (even-odd rule, as in COCO's own tools).
    Raises `CaseError` as `polygons` does.
    """
    return polygons([points], size)


def polygons(parts: Iterable[Sequence[Sequence[float]] | NDArray[Any]], size: Size) -> Mask:
    """Several polygons united.

    Raises `CaseError` for points that are no pairs of numbers, fewer than 3 of them, and
    for polygons that all lie wholly outside of the image.
    """
    outlines = [_coordinates(points) for points in parts]
    for points in outlines:
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            raise CaseError(
                "mask_mismatch",
                f"a polygon takes 3 or more points [x, y], not an array of {points.shape}",
            )
    if not outlines:
        raise CaseError("mask_mismatch", "a list without a polygon")
    _refuse_outside(np.concatenate(outlines), size)
    mask = np.zeros(size, dtype=np.bool_)
    for points in outlines:
        _fill(mask, points)
    return mask


def decode_rle(counts: Sequence[int] | NDArray[np.integer[Any]] | str, size: Size) -> Mask:
    """COCO's run-length code of a mask of `size` (height, width), both kinds.

    Runs outside and inside by turns, beginning outside, column by column: as a list, or as
    the compressed string. Raises `CaseError` unless they fill the mask exactly.
    """
    pixels = size[0] * size[1]
    runs = _decompress(counts) if isinstance(counts, str) else np.asarray(counts)
    # Empty lists come as floats; their sum is then wrong, which the message says best.
    whole = runs.ndim == 1 and (runs.dtype.kind in "iu" or not runs.size)
    if not whole or (runs.size and (int(runs.min()) < 0 or int(runs.max()) > pixels)):
        raise CaseError("mask_mismatch", f"runs that are no numbers from 0 to {pixels}")
    if int(runs.sum()) != pixels:
        raise CaseError(
            "mask_mismatch",
            f"runs of {int(runs.sum())} pixels in all, where {size[0]}×{size[1]} "
            f"(height×width) are {pixels}",
        )
    inside = (np.arange(len(runs)) & 1).astype(np.bool_)
    columns = np.repeat(inside, runs.astype(np.int64)).reshape(size[1], size[0])
    return np.ascontiguousarray(columns.T)


def _decompress(text: str) -> NDArray[np.int64]:
    """Runs from COCO's string: 5 bits a character from "0" up, the lowest first; 32 marks
    that more follow, 16 in the last one a negative number; from the fourth run on, each is
    the difference to the run two before it.
    """
    try:
        codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        codes = np.array([-1])
    if not codes.size:
        return codes
    ends = (codes & 32) == 0
    first = np.concatenate([[0], np.flatnonzero(ends)[:-1] + 1])
    number = np.cumsum(ends) - ends  # which run each character belongs to
    if codes.min() < 0 or codes.max() > 63 or not ends[-1]:
        raise CaseError("mask_mismatch", "a string that is no compressed run-length code")
    place = np.arange(len(codes)) - first[number]
    if place.max() > 11:  # 60 bits: what follows would overflow
        raise CaseError("mask_mismatch", "a run-length code with a run of over 60 bits")
    runs = np.add.reduceat((codes & 31) << (5 * place), first)
    last = np.flatnonzero(ends)
    runs -= ((codes[last] >> 4) & 1) << (5 * (place[last] + 1))
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return np.asarray(runs)


def _fill(mask: Mask, points: NDArray[np.float64]) -> None:
    """Add a polygon's inside to `mask`, row by row: each edge that passes a row's centre
    line turns the pixels right of it from outside to inside or back.
    """
    ends = np.stack([points, np.roll(points, -1, axis=0)])
    # Every edge from its upper end down, so that neighbours round a shared edge alike.
    upside_down = ends[0, :, 1] > ends[1, :, 1]
    ends[:, upside_down] = ends[::-1, upside_down]
    (x, y), (x_end, y_end) = ends[0].T, ends[1].T
    first, last = _first_pixel(y, mask.shape[0]), _first_pixel(y_end, mask.shape[0])
    crossed = last - first
    if not crossed.any():
        return
    edge = np.repeat(np.arange(len(points)), crossed)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed, crossed)
    along = (row + 0.5 - y[edge]) / (y_end - y)[edge]
    column = _first_pixel(x[edge] + along * (x_end - x)[edge], mask.shape[1])

    top, left = row.min(), column.min()
    window = mask[top : row.max() + 1, left : column.max()]
    turns = np.zeros((window.shape[0], window.shape[1] + 1), dtype=np.uint8)
    np.add.at(turns, (row - top, column - left), 1)  # only odd or even counts: may wrap
    window |= (np.cumsum(turns[:, :-1], axis=1, dtype=np.uint8) & 1).astype(np.bool_)


def _first_pixel(at: NDArray[np.float64], length: Any) -> NDArray[np.int64]:
    """The first pixel, 0 to `length`, whose centre lies at or after a coordinate."""
    return np.asarray(np.clip(np.ceil(at - 0.5), 0, length)).astype(np.int64)


def _coordinates(values: Any) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise CaseError("mask_mismatch", "coordinates that are no numbers") from None
    if not np.all(np.abs(numbers) < 2**31):  # false for NaN as well
        raise CaseError("mask_mismatch", "coordinates that are no pixel positions")
    return numbers


def _refuse_outside(points: NDArray[np.float64], size: Size) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    if (high <= 0).any() or low[0] >= size[1] or low[1] >= size[0]:
        raise CaseError(
            "mask_mismatch",
            f"x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g} lies outside of the "
            f"image, {size[1]}×{size[0]} pixels (width×height)",
        )


def _shape_error(cell: str, what: str) -> CaseError:
    short = cell if len(cell) <= 60 else cell[:57] + "..."
    return CaseError("mask_mismatch", f"the shape {short} {what}")


def _lit(positions: NDArray[Any], palette: NDArray[np.uint8]) -> Mask:
    """Inside by colour; see `read_mask`."""
    positions = positions if positions.ndim == 2 else positions[..., 0]
    lit = np.ones(256, dtype=np.bool_)
    lit[: len(palette)] = palette.any(axis=1)
    used = lit[np.unique(positions)]
    if not used.all() and (used.any() or len(used) == 1):
        return np.asarray(lit[positions])
    return np.asarray(positions != 0)


def _read_values(path: Path) -> tuple[NDArray[Any], NDArray[np.uint8] | None, bool]:
    """The file's values, its palette [n, 3] if it has one, and whether they are inexact."""
    try:
        with Image.open(path) as image:
            palette = None
            if image.mode in ("P", "PA"):
                image.load()
                palette = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
            if image.mode in ("CMYK", "YCbCr", "HSV", "LAB"):
                # Their black is not 0 in every channel.
                return np.asarray(image.convert("RGB")), None, image.format in _LOSSY
            return np.asarray(image), palette, image.format in _LOSSY
    except FileNotFoundError:
        raise CaseError("mask_mismatch", f"{path}: no such mask file") from None
    except UNDECODABLE as error:
        cause = str(error).replace(str(path), path.name)
        raise CaseError("mask_mismatch", f"{path}: mask cannot be decoded: {cause}") from None
