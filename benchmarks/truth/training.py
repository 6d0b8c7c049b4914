"""The classifier of a cell: trained once, and kept by the hash of what its weights depend on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.configuration import (
    Config,
    DatasetConfig,
    FinetuneConfig,
    ModelConfig,
    PreprocessConfig,
)
from auditor.geometry import Preprocess
from auditor.models import Classifier
from auditor.models.checkpoints import Checkpoint, write_checkpoint
from auditor.pipeline.starting import start_from
from auditor.pipeline.training import train
from auditor.regions import RegionRoles
from auditor.scenes import CUES, LABELS, STRENGTH, Scene, draw
from auditor.study.arms import training_scenes
from benchmarks.truth.grid import Cell
from benchmarks.truth.networks import FACTORIES, Network

ATTRIBUTE = "value"
"""The attribute that says which of its values the cue has in an image."""


@dataclass(frozen=True)
class Weights:
    """Where trained weights lie, and where pretrained ones are looked for."""

    folder: Path
    pretrained: Path

    def file(self, cell: Cell) -> Path:
        """The checkpoint of a cell, whether it is there or not."""
        depends = [cell.cue, cell.arm.shares, cell.seed, asdict(cell.net), scenes_sha256()]
        sha256 = hashlib.sha256(json.dumps(depends).encode()).hexdigest()
        return self.folder / f"{cell.name}-{sha256[:12]}.pt"

    def start(self, cell: Cell) -> Path | None:
        """The file that the network of a cell starts from; None for random weights."""
        return self.pretrained / cell.net.start if cell.net.start else None

    def available(self, cell: Cell) -> bool:
        """Whether everything that training needs is there."""
        start = self.start(cell)
        return start is None or start.is_file()

    def trained(self, cell: Cell) -> Path:
        """The checkpoint of a cell, trained if it is not there yet."""
        file = self.file(cell)
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_checkpoint(file, trained(cell, self.start(cell)))
        return file


@cache
def scenes_sha256() -> str:
    """Of some scenes of every kind as they are drawn: other drawings ask for other weights."""
    digest = hashlib.sha256(str(STRENGTH).encode())
    for cue, kind in CUES.items():
        for label, value in product(LABELS, kind.values):
            picture = draw(Scene(label, value, (0,), cue), 64, masks=True)
            assert picture.regions is not None
            digest.update(picture.pixels.tobytes() + picture.regions.tobytes())
    return digest.hexdigest()


def trained(cell: Cell, start: Path | None) -> Checkpoint:
    """Train the network of a cell on its scenes."""
    scenes = training_scenes(cell.arm, cell.seed, cell.net.per_class, STRENGTH)
    return trained_on(scenes, cell.net, cell.seed, start)


def trained_on(scenes: list[Scene], net: Network, seed: int, start: Path | None) -> Checkpoint:
    """Train a network on scenes."""
    pixels = np.stack([draw(scene, net.side).pixels for scene in scenes])
    labels = np.array([LABELS.index(scene.label) for scene in scenes])
    settings = FinetuneConfig(
        start=start, epochs=net.epochs, learning_rate=net.learning_rate, seed=seed
    )
    classifier = _untrained(net, settings)

    def chosen(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        return pixels[positions]

    done = train(
        classifier, chosen, labels, np.arange(len(scenes)), np.arange(0, dtype=np.int64), settings
    )
    return Checkpoint(
        state=done.state,
        architecture=None if net.factory else net.name,
        classes=LABELS,
        preprocess=classifier.preprocess,
        training={"groups": {ATTRIBUTE: group_counts(scenes)}},
    )


def group_counts(scenes: list[Scene]) -> dict[str, dict[str, int]]:
    """Label to value to number of scenes."""
    counts = Counter((scene.label, str(scene.value)) for scene in scenes)
    values = sorted({value for _, value in counts})
    return {label: {value: counts[label, value] for value in values} for label in LABELS}


def _untrained(net: Network, settings: FinetuneConfig) -> Classifier:
    if net.factory:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            module = FACTORIES[net.name]()
        return Classifier(module, LABELS, Preprocess(resize=net.side, crop=net.side))
    here = Path(__file__)
    config = Config(
        path=here,
        sha256="",
        dataset=DatasetConfig(here, "manifest"),
        regions=RegionRoles(),
        model=ModelConfig(
            architecture=net.name, preprocess=PreprocessConfig(resize=net.side, crop=net.side)
        ),
        finetune=settings,
    )
    return start_from(config, LABELS).classifier
