"""What an export is made from, and what it came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from auditor.datasets import Dataset, open_dataset
from auditor.errors import RunError
from auditor.store import Run

MaskForm = Literal["compressed", "runs", "polygons"]

EXPORT_VERSION = 1
"""Grows when a reader of an export would have to change."""

Progress = Callable[[int, int], None]
"""Called with how many rows are done, and how many there are."""


@dataclass(frozen=True)
class Request:
    """A finished run, and what is wanted of it."""

    run: Run
    dataset: Dataset | None = None
    """Where the caller has it open; otherwise it is opened from the run's configuration."""
    flagged: bool = False
    """Whether only cases with a flag are wanted, those of the queue for a person among them."""
    masks: MaskForm = "compressed"
    """How COCO's masks are written: as run-length codes, in a string or a list of numbers, or as
    polygons around the same pixels."""
    progress: Progress = lambda _done, _total: None

    def opened(self) -> Dataset:
        """The dataset that the run audited. Raises `AuditorError` where it cannot be opened."""
        if self.dataset is not None:
            return self.dataset
        path = self.run.info.get("configuration_path")
        if path is None:
            raise RunError(
                f"{self.run.path}: was made from Python without a configuration file, which would "
                "say where its images are; export from Python, with dataset=."
            )
        if not Path(path).is_file():
            raise RunError(
                f"{path}: the configuration of {self.run.path} is there no more, which says where "
                "the images are; put it back, or export from Python, with dataset=."
            )
        return open_dataset(path)


@dataclass(frozen=True)
class Written:
    """What a format wrote."""

    rows: int
    """Cases, images or events in the file."""
    what: str
    """What they are, in the plural."""
    notes: tuple[str, ...] = ()
    """Sentences on what a reader of the file should know, such as images left out."""
