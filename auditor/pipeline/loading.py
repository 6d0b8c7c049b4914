"""Decoding cases ahead of the model, in threads.

Pillow and NumPy let go of the interpreter lock while they decode, resize and pool, so
threads are enough, and nothing has to be copied between processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.datasets import Dataset
from auditor.errors import CaseError
from auditor.geometry import Placement, Preprocess
from auditor.thresholds import Thresholds
from auditor.types import CaseStatus, RegionStatus, Size


@dataclass(frozen=True)
class Loaded:
    """One case, ready for the model."""

    position: int
    status: CaseStatus
    message: str | None
    """Why the status is not `ok`."""
    pixels: NDArray[np.uint8] | None
    """[height, width, channels] of the model's input; None if the image is unreadable."""
    coverage: NDArray[np.float32] | None
    """[regions, h, w] at the map's resolution; None if there are no usable masks."""
    region_status: tuple[RegionStatus, ...] | None


@dataclass(frozen=True)
class Loader:
    """Reads cases of a dataset as one model takes them, with regions on one map's grid."""

    dataset: Dataset
    preprocess: Preprocess
    grid: Size
    thresholds: Thresholds
    workers: int
    overlap: bool
    """Decode the next batch while the model has this one. Pays where the model runs on
    another device; on the processor both would only fight for the same cores, and a network
    whose threads wait for each other loses more than decoding takes."""

    def __call__(self, batches: Iterable[Sequence[int]]) -> Generator[list[Loaded], None, None]:
        """Yield the cases of each batch of positions, in order."""
        waiting: deque[list[Future[Loaded]]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="auditor-load") as pool:
            try:
                for positions in batches:
                    waiting.append([pool.submit(self.load, position) for position in positions])
                    if len(waiting) > self.overlap:
                        yield [future.result() for future in waiting.popleft()]
                while waiting:
                    yield [future.result() for future in waiting.popleft()]
            finally:
                for future in (future for batch in waiting for future in batch):
                    future.cancel()

    def load(self, position: int) -> Loaded:
        """Decode one case; a spoiled one comes back with its status."""
        try:
            case = self.dataset.read(position)
        except CaseError as error:
            return Loaded(position, error.status, str(error), None, None, None)
        pixels = self.preprocess.pixels(case.picture.image)
        problem = case.problem
        status: CaseStatus = problem.status if problem else "ok"
        message = str(problem) if problem else None
        if case.atoms is None or status == "no_regions":
            return Loaded(position, status, message, pixels, None, None)
        placement = self.preprocess.placement(case.picture.size)
        names = self.dataset.roles.names
        coverage = placement.coverage(case.atoms, len(names), self.grid)
        counts = np.bincount(case.atoms.ravel(), minlength=len(names))
        statuses = tuple(
            self._region_status(placement, coverage[region], int(counts[region]), name)
            for region, name in enumerate(names)
        )
        return Loaded(position, status, message, pixels, coverage, statuses)

    def _region_status(
        self, placement: Placement, pooled: NDArray[np.float32], pixels: int, name: str
    ) -> RegionStatus:
        cells = float(pooled.sum(dtype=np.float64))
        if name == "padding":  # it is not in the source, so nothing of it is cropped
            pixels = int(cells > 1e-6)
        elif pixels and placement.retained(pooled, pixels) < self.thresholds.retained:
            return "cropped_out"
        if not pixels:
            return "absent"
        return "below_resolution" if cells < self.thresholds.cells else "ok"
