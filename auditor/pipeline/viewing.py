"""Maps of some cases by any method, for what is looked at beside the audit's own maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.cam import Explanation, Layer, Method, explain, inspected
from auditor.errors import ModelError, RunError
from auditor.pipeline.computing import Work, out_of_memory
from auditor.pipeline.loading import Loaded, Loader
from auditor.thresholds import THRESHOLDS


def explained(
    work: Work, layer: Layer, method: Method, pixels: NDArray[np.uint8], labels: Sequence[str]
) -> Explanation:
    """Maps of [images, height, width, channels] at a layer; the module has to be `inspected`."""
    classifier = work.classifier
    numbers = torch.tensor([classifier.classes.index(label) for label in labels])
    with out_of_memory(len(pixels)):
        return explain(
            classifier.module,
            classifier.logits,
            layer,
            classifier.inputs(pixels),
            numbers.to(classifier.device),
            method,
        )


def refusal(
    work: Work, layer: Layer, method: Method, pixels: NDArray[np.uint8], label: str
) -> str | None:
    """Why the model cannot serve a method at a layer, found with one image; None if it can.

    `pixels` is [height, width, channels].
    """
    try:
        with inspected(work.classifier.module):
            explained(work, layer, method, np.stack([pixels]), [label])
    except ModelError as error:
        return str(error)
    return None


def batches(work: Work, rows: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], list[Loaded]]]:
    """Cases as the model takes them: positions among the audited cases, and what was read."""
    loader = Loader(
        work.dataset,
        work.classifier.preprocess,
        work.layer.grid,
        THRESHOLDS,
        workers=work.settings.threads,
        overlap=work.classifier.device.type != "cpu",
    )
    size = work.settings.batch_size
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    with closing(loader([work.positions[part].tolist() for part in parts])) as read:
        yield from zip(parts, read, strict=True)


def pixels_of(work: Work, loaded: Sequence[Loaded]) -> NDArray[np.uint8]:
    """[cases, height, width, channels]. Raises `RunError` for an image that is gone since."""
    found = []
    for case in loaded:
        if case.pixels is None:
            raise RunError(
                f"{work.dataset.listing.image_path(case.position)}: cannot be read any more; it "
                "could when the maps were made. Restore it and run the audit again."
            )
        found.append(case.pixels)
    return np.stack(found)


def number(value: float) -> float | None:
    """A number as JSON has it: null where it is undefined."""
    return float(value) if np.isfinite(value) else None


def undefined(values: Sequence[float | None]) -> NDArray[np.float64]:
    """The numbers back, NaN for null."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
