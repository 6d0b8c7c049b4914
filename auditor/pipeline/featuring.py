"""The features under the maps of a finished run, from the model that it audited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.cam import Layer, Look, inspected
from auditor.configuration import read_config
from auditor.datasets import Dataset, open_dataset
from auditor.datasets.images import read_image
from auditor.errors import CaseError, RunError
from auditor.models import Classifier, describe, load_classifier
from auditor.pipeline.computing import out_of_memory
from auditor.pipeline.devices import find_device
from auditor.pipeline.provenance import weights_sha256
from auditor.store import Run
from auditor.types import Floats

Progress = Callable[[int, int], None]

_BATCH = 32


@dataclass(frozen=True)
class Featuring:
    """The classifier and the dataset of a run, as they were when it was made."""

    classifier: Classifier
    dataset: Dataset
    layer: Layer
    progress: Progress = lambda _done, _total: None

    @classmethod
    def of(
        cls, run: Run, device: str = "auto", progress: Progress = lambda _done, _total: None
    ) -> Featuring:
        """Open what the run's configuration names.

        Raises `AuditorError`: `RunError` where the configuration is gone, or where the model's
        weights, the model or the dataset are not those that were audited, naming which.
        """
        path = run.info.get("configuration_path")
        if path is None or not Path(path).is_file():
            where = "it was made from Python" if path is None else f"{path} is there no more"
            raise RunError(
                f"{run.path}: no configuration says where its model is ({where}); put it back, or "
                "cluster by maps alone (--by maps)."
            )
        config = read_config(path)
        dataset, classifier = open_dataset(config), load_classifier(config)
        featuring = cls(classifier, dataset, _layer(run), progress)
        featuring._refuse_changed(run)
        classifier.module.to(find_device(device))
        return featuring

    def under(self, ids: Sequence[str], shares: Floats) -> NDArray[np.float32]:
        """The mean activation at the layer, weighted by each case's map: [cases, channels].

        `shares` is [cases, h, w], each summing to 1. Raises `RunError` where an image cannot be
        read any more.
        """
        at = {str(case): place for place, case in enumerate(self.dataset.cases["id"])}
        found = []
        with inspected(self.classifier.module):
            for start in range(0, len(ids), _BATCH):
                self.progress(start, len(ids))
                some = [at[case] for case in ids[start : start + _BATCH]]
                found.append(self._batch(some, shares[start : start + _BATCH]))
        self.progress(len(ids), len(ids))
        return np.concatenate(found)

    def _batch(self, positions: Sequence[int], shares: Floats) -> NDArray[np.float32]:
        pixels = np.stack([self._pixels(position) for position in positions])
        classifier = self.classifier
        with out_of_memory(len(pixels)), torch.inference_mode(False), torch.enable_grad():
            images = classifier.inputs(pixels)
            look = Look.at(classifier.module, classifier.logits, self.layer, images)
            weights = torch.from_numpy(np.ascontiguousarray(shares)).to(look.activations)
            mean = (look.activations * weights[:, None]).sum((2, 3))
        return np.asarray(mean.float().cpu().numpy())

    def _pixels(self, position: int) -> NDArray[np.uint8]:
        try:
            picture = read_image(self.dataset.listing.image_path(position))
        except CaseError as error:
            raise RunError(f"{error}; it could be read when the maps were made.") from None
        return self.classifier.preprocess.pixels(picture.image)

    def _refuse_changed(self, run: Run) -> None:
        before = run.info["identity"]
        at = {str(case): place for place, case in enumerate(self.dataset.cases["id"])}
        ids = run.read_cases(["id"])["id"].astype(str)
        same = all(case in at for case in ids)
        positions = np.array([at[case] for case in ids] if same else [], dtype=np.intp)
        now = {
            "weights": _weights(self.classifier),
            "model": describe(self.classifier),
            "dataset": self.dataset.fingerprint(positions) if same else None,
        }
        changed = [name for name, value in now.items() if before[name] != value]
        if changed:
            raise RunError(
                f"{run.path}: was made with another {' and '.join(changed)} than "
                f"{run.info['configuration_path']} names now (by hash), whose features would not "
                "belong to its maps; restore what was audited, audit again, or cluster by maps "
                "alone (--by maps)."
            )


def _weights(classifier: Classifier) -> str:
    """The hash that an audit identifies the weights by."""
    for name in ("checkpoint_sha256", "file_sha256"):
        if name in classifier.origin:
            return str(classifier.origin[name])
    return weights_sha256(classifier.module)


def _layer(run: Run) -> Layer:
    """The layer at which the run's maps were made."""
    told = run.info["layer"]
    height, width = told["grid"]
    return Layer(
        told["name"],
        told["layout"],
        (int(height), int(width)),
        int(told["prefix"]),
        told["follows"],
        told["chosen"],
    )
