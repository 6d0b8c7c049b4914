"""The pictures of a run: thumbnails, maps, outlines and changed images, as WebP.

Made when a browser asks for them, kept within a bound. A picture is asked for by a row of the
run, never by a path.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.dashboard.colours import heat, region_colours
from auditor.dashboard.details import Details
from auditor.dashboard.memory import settle
from auditor.datasets import Dataset, open_dataset
from auditor.datasets.images import read_image
from auditor.errors import AuditorError, RunError
from auditor.geometry import Placement, Preprocess
from auditor.store import Run
from auditor.types import MAPS

if TYPE_CHECKING:
    from auditor.changes import Remaker

SIDES = (240, 720)
"""Longer sides in pixels that a picture is made at: in a gallery, and by itself."""
CACHE_BYTES = 16 << 20
"""Some 4,000 thumbnails. Browsers keep those that they have seen, too."""
_FRAMES = 1024  # kept
_MAP_SIDE = 256
_QUALITY = 80


@dataclass(frozen=True)
class Frame:
    """Where the model's input lies in an image, for what is laid over it.

    Shares of the image's width and height; beyond 0..1 where the input is padded.
    """

    width: int
    height: int
    left: float
    top: float
    right: float
    bottom: float


class Pictures:
    """The pictures of one run; for any thread."""

    def __init__(self, run: Run, details: Details) -> None:
        self.run = run
        self._details = details
        self._preprocess = Preprocess.read(run.info["model"]["preprocess"])
        self._cache: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._held = 0
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._lock = Lock()
        self._opening = Lock()
        self._remaker: Remaker | AuditorError | None = None

    # -- what a browser asks for ----------------------------------------------------------------

    def image(self, row: int, side: int) -> bytes:
        """The image of a case, its longer side at most `side`. Raises `AuditorError`."""
        return self._kept(("image", row, side), lambda: self._shrunk(row, side))

    def overlay(self, row: int, which: str) -> bytes:
        """One of the case's maps (`auditor.types.MAPS`) over the model's input, transparent where
        there is no positive evidence. Raises `RunError` where the case has no map.
        """
        return self._kept(("overlay", row, which), lambda: self._heated(row, which))

    def outlines(self, row: int) -> bytes:
        """The outlines of the case's regions over the whole image, transparent elsewhere.

        Raises `AuditorError` where the dataset cannot be read any more.
        """
        return self._kept(("outlines", row), lambda: self._outlined(row))

    def changed(self, row: int, number: int) -> bytes:
        """The image of the case's row `number` of `interventions.parquet`, as the model saw it.

        Raises `AuditorError` where the dataset cannot be read any more.
        """
        return self._kept(("changed", row, number), lambda: self._changed(row, number))

    def frame(self, row: int) -> Frame:
        """Where the model's input lies in the image of a case. Raises `AuditorError`."""
        with self._lock:
            known = self._frames.get(row)
        if known is not None:
            return known
        image = read_image(self._path(row)).image
        return self._framed(row, image)

    # -- making -----------------------------------------------------------------------------------

    def _shrunk(self, row: int, side: int) -> bytes:
        image = read_image(self._path(row)).image
        self._framed(row, image)
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return _webp(image)

    def _framed(self, row: int, image: Image.Image) -> Frame:
        """Kept, so that a case whose image was fetched ahead needs no reading of it to be shown."""
        frame = _frame(self._preprocess.placement((image.height, image.width)))
        with self._lock:
            self._frames[row] = frame
            while len(self._frames) > _FRAMES:
                self._frames.popitem(last=False)
        return frame

    def _heated(self, row: int, which: str) -> bytes:
        if which not in MAPS:
            raise RunError(f"there is no map {which!r}; there are {', '.join(MAPS)}.")
        # By a run of its own, whose file is closed again: the pages of a map that stays open
        # add up to all of it.
        stored = np.array(replace(self.run).maps[row, MAPS.index(which)], dtype=np.float32)
        highest = float(np.nanmax(stored)) if np.isfinite(stored).any() else 0.0
        if highest <= 0:
            raise RunError(f"case {row} has no positive evidence in the map of {which}.")
        small = Image.fromarray(np.maximum(np.nan_to_num(stored), 0) / highest)
        large = small.resize((_MAP_SIDE, _MAP_SIDE), Image.Resampling.BILINEAR)
        return _webp(Image.fromarray(heat(np.asarray(large)), "RGBA"))

    def _outlined(self, row: int) -> bytes:
        remaker = self.remaker()
        position = remaker.position(self._details.case(row)["id"])
        dataset = remaker.dataset
        read = dataset.read(position)
        if read.atoms is None:
            raise read.problem or RunError("the masks of this case cannot be read.")
        names = dataset.roles.names
        height, width = read.atoms.shape
        scale = min(1.0, SIDES[-1] / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        atoms = np.asarray(Image.fromarray(read.atoms).resize(size, Image.Resampling.NEAREST))
        canvas = np.zeros((*atoms.shape, 4), dtype=np.uint8)
        colours = region_colours(dataset.roles.cues)
        thick = max(1, round(max(size) / 300))
        for name, colour in colours.items():
            edge = _edge(atoms == names.index(name), thick)
            # A dark rim keeps a line visible on its own colour.
            canvas[_grown(edge, 1) & (canvas[..., 3] == 0)] = (0, 0, 0, 150)
            canvas[edge] = (*colour, 255)
        return _webp(Image.fromarray(canvas, "RGBA"), lossless=True)

    def _changed(self, row: int, number: int) -> bytes:
        made = self._details.interventions(self._details.case(row)["id"])
        if not 0 <= number < len(made):
            raise RunError(f"case {row} has {len(made)} changed images, and none {number}.")
        pixels = self.remaker().made(made.iloc[number].to_dict())
        return _webp(Image.fromarray(pixels.squeeze() if pixels.shape[-1] == 1 else pixels))

    # -- what they are made of --------------------------------------------------------------------

    def _path(self, row: int) -> Path:
        return Path(self.run.info["image_root"]) / self._details.image(row)

    def remaker(self) -> Remaker:
        """Reads the run's dataset, which is opened once. Raises `AuditorError` if it cannot be."""
        # Here, since it imports SciPy: a server should answer before that.
        from auditor.changes import Remaker  # noqa: PLC0415

        with self._opening:
            if self._remaker is None:
                try:
                    self._remaker = Remaker.of(self.run, _dataset(self.run))
                except AuditorError as error:
                    self._remaker = error
                settle()
            if isinstance(self._remaker, AuditorError):
                raise self._remaker
            return self._remaker

    def _kept(self, key: tuple[Any, ...], make: Callable[[], bytes]) -> bytes:
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        made = make()
        with self._lock:
            if key not in self._cache:
                self._cache[key] = made
                self._held += len(made)
            while self._held > CACHE_BYTES:
                _, dropped = self._cache.popitem(last=False)
                self._held -= len(dropped)
        return made


def _dataset(run: Run) -> Dataset:
    path = run.info["configuration_path"]
    if path is None:
        raise RunError(
            f"{run.path}: was made from Python without a configuration, so that its dataset "
            "cannot be opened for outlines and changed images."
        )
    return open_dataset(path)


def _frame(placement: Placement) -> Frame:
    """The input's corners, back through crop, resizing and padding, as shares of the source."""
    edges = []
    for axis in (0, 1):
        scale = placement.padded[axis] / placement.resized[axis]
        ends = (placement.crop_at[axis], placement.crop_at[axis] + placement.input[axis])
        edges.append(
            [(end * scale - placement.pad_at[axis]) / placement.source[axis] for end in ends]
        )
    (top, bottom), (left, right) = edges
    return Frame(placement.source[1], placement.source[0], left, top, right, bottom)


def _edge(mask: NDArray[np.bool_], thick: int) -> NDArray[np.bool_]:
    """The mask's rim, `thick` pixels inwards; the border of the image is no rim."""
    padded = np.pad(~mask, thick, mode="edge")
    return mask & _grown(padded, thick)[thick:-thick, thick:-thick]


def _grown(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    for _ in range(by):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask


def _webp(image: Image.Image, lossless: bool = False) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, lossless=lossless, method=2)
    return buffer.getvalue()
