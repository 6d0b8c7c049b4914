"""A classifier ready to be audited: network, class names, preprocessing, decision rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.errors import ModelError
from auditor.geometry import Preprocess
from auditor.types import Size


@dataclass(frozen=True)
class Classifier:
    """An `nn.Module` with the names of its classes and the preprocessing of its input.

    The module takes [batch, channels, height, width] and gives logits [batch, classes], or
    [batch, 1] for two classes, the second of which is the positive one. `layer` names the
    module whose output the maps are made at, or "auto". `threshold` is the deployed
    decision threshold on the second of two classes' probability; None is the larger logit.
    `origin` says where the weights come from (names and SHA-256), for the run's provenance.
    """

    module: nn.Module
    classes: tuple[str, ...]
    preprocess: Preprocess = field(default_factory=Preprocess)
    layer: str = "auto"
    threshold: float | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise ModelError(
                f"classes are {list(self.classes)}; name at least two, each once, in the order "
                "of the model's outputs (model.classes)."
            )
        if self.threshold is not None and len(self.classes) != 2:
            raise ModelError(
                f"model.threshold is {self.threshold}, but the model has {len(self.classes)} "
                "classes; a threshold decides between two."
            )
        if self.preprocess.input_size is None:
            raise ModelError(
                "the preprocessing gives every image its own size, and a batch needs one; set "
                'model.preprocess.crop, or resize = [height, width], or pad = "square".'
            )

    @property
    def input_size(self) -> Size:
        """(height, width) of the module's input."""
        size = self.preprocess.input_size
        assert size is not None  # held by __post_init__
        return size

    @property
    def channels(self) -> int:
        """Channels of the module's input, 3 or 1."""
        return len(self.preprocess.mean)

    @property
    def device(self) -> torch.device:
        """Where the module's parameters are; the CPU if it has none."""
        parameter = next(self.module.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Normalise [batch, height, width, channels] bytes on the module's device."""
        return normalised(pixels, self.preprocess, self.device)

    def logits(self, output: Any) -> Tensor:
        """Any model's output as logits whose largest is the decision: [batch, classes].

        A single logit y becomes the pair (-y/2, +y/2). A threshold t moves the second
        logit against the first by log(t / (1 - t)), so that the sign of their difference
        is the deployed decision. Gradients pass through. Raises `ModelError` for an output
        that does not fit the class list.
        """
        output = getattr(output, "logits", output)  # Hugging Face, and Inception in training
        if not isinstance(output, Tensor):
            raise ModelError(
                f"the model returns a {type(output).__name__}; it must return a tensor of logits."
            )
        logits: Tensor = output.float()
        if logits.ndim == 1 and len(self.classes) == 2:
            logits = logits[:, None]
        if logits.ndim != 2 or logits.shape[1] not in (
            {len(self.classes), 1} if len(self.classes) == 2 else {len(self.classes)}
        ):
            raise ModelError(
                f"the model gives {tuple(logits.shape)} outputs for a batch, but model.classes "
                f"names {len(self.classes)}: {_shortened(self.classes)}. Name every class of "
                "the model, in the order of its outputs."
            )
        if logits.shape[1] == 1:
            logits = torch.cat([-logits / 2, logits / 2], dim=1)
        if self.threshold is not None:
            offset = math.log(self.threshold / (1 - self.threshold)) / 2
            logits = logits + logits.new_tensor([offset, -offset])
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax of the model's own logits, the threshold's shift taken back: [batch, classes]."""
        if self.threshold is not None:
            offset = math.log(self.threshold / (1 - self.threshold)) / 2
            logits = logits - logits.new_tensor([offset, -offset])
        return torch.softmax(logits, dim=1)

    def check_labels(self, labels: tuple[str, ...], path: object) -> None:
        """Raise `ModelError` if the dataset holds a label that the model does not know."""
        unknown = [label for label in labels if label not in self.classes]
        if unknown:
            raise ModelError(
                f"{path}: the label {unknown[0]!r} is none of the model's classes "
                f"({_shortened(self.classes)})"
                + (f", nor are {len(unknown) - 1} other labels" if len(unknown) > 1 else "")
                + ". Correct dataset.label or model.classes, or leave those rows out."
            )


def normalised(pixels: NDArray[np.uint8], preprocess: Preprocess, device: torch.device) -> Tensor:
    """[batch, height, width, channels] bytes as [batch, channels, height, width] on a device."""
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
    mean, std = (
        torch.tensor(values, device=device).view(-1, 1, 1)
        for values in (preprocess.mean, preprocess.std)
    )
    # The same order of operations as torchvision's ToTensor and Normalize.
    return images.to(torch.float32).div_(255).sub_(mean).div_(std).contiguous()


def _shortened(names: tuple[str, ...], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
