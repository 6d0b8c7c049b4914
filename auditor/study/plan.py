"""What a study does, in one record; two studies of one plan can be put together."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from auditor.configuration import FinetuneConfig
from auditor.geometry import Preprocess
from auditor.scenes import STRENGTH


@dataclass(frozen=True)
class Plan:
    """Sizes and settings that the numbers of a study depend on."""

    per_class: int = 1000
    """Training images of each class, in every arm."""
    test_per_class: int = 500
    """Test scenes of each class; each is drawn with both values of the cue."""
    architecture: str = "shufflenet_v2_x0_5"
    side: int = 112
    """Side of the scenes in pixels, and of the network's input."""
    epochs: int = 8
    learning_rate: float = 0.002
    batch_size: int = 32
    strength: float = STRENGTH

    def sha256(self) -> str:
        """Of the plan's values: what cells of a study have to agree in."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def preprocess(self) -> Preprocess:
        """The way of a scene into the network: as it is drawn."""
        return Preprocess(resize=self.side, crop=self.side)

    def training(self, seed: int) -> FinetuneConfig:
        """From random weights, all of them trained, the last epoch kept."""
        return FinetuneConfig(
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            seed=seed,
        )
