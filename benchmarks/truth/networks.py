"""The networks of the grid: two small ones of different make, and some of torchvision's.

`auditor audit` finds the small ones as `factory = "benchmarks.truth.networks:plain"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from auditor.scenes import LABELS


class Pooled(nn.Module):
    """Convolutions and a mean over the map: the logits are linear in it."""

    def __init__(self, features: nn.Module, width: int) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Linear(width, len(LABELS))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of [batch, 3, height, width]."""
        logits: Tensor = self.head(self.features(images).mean((2, 3)))
        return logits


def plain() -> nn.Module:
    """Strided convolutions and global average pooling; 12 × 12 cells at 96 pixels."""
    features = nn.Sequential(*_block(3, 16, 2), *_block(16, 32, 2), *_block(32, 64, 2))
    return Pooled(features.extend(_block(64, 64, 1)), 64)


def dense() -> nn.Module:
    """Max pooling and, as in VGG, dense layers that know places apart."""
    return nn.Sequential(
        *_block(3, 12, 2),
        *_block(12, 24, 1),
        nn.MaxPool2d(2),
        *_block(24, 48, 1),
        nn.MaxPool2d(2),
        *_block(48, 48, 1),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(48 * 16, 64),
        nn.ReLU(),
        nn.Linear(64, len(LABELS)),
    )


def _block(channels: int, width: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, width, 3, stride, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]


@dataclass(frozen=True)
class Network:
    """A network and how it is trained. Each was chosen once, on tuning seeds, for an accuracy
    near .9 where there is no cue.
    """

    name: str
    side: int
    """Of the scenes and of the input, in pixels."""
    per_class: int
    epochs: int
    learning_rate: float
    factory: bool = False
    """Whether it is a function of this module, not an architecture of torchvision's."""
    start: str | None = None
    """The file of ImageNet weights that it starts from; None for random ones."""


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network("plain", 96, 500, 8, 0.003, factory=True),
        Network("dense", 96, 500, 8, 0.003, factory=True),
        Network("shufflenet_v2_x0_5", 112, 600, 8, 0.004),
        Network("mobilenet_v2", 128, 300, 3, 0.001, start="mobilenet_v2_coral_ptq.pt"),
        Network("squeezenet1_0", 128, 300, 4, 0.0003, start="squeezenet1_0_deepcompression.pt"),
    )
}
FACTORIES = {"plain": plain, "dense": dense}
