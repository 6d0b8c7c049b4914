"""CLIP: two encoders into one space, and the classifier that sentences make of them.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision"
(arXiv 2103.00020): a class is the mean direction of its sentences' embeddings, each normalised
(§3.1.4, prompt ensembling), and its logit the scaled cosine with the image's (§3.1.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from auditor.configuration import ModelConfig, PromptsConfig
from auditor.errors import ModelError
from auditor.geometry import Preprocess
from auditor.models.assembling import assembled, class_names
from auditor.models.classifier import Classifier, normalised


@dataclass(frozen=True)
class Clip:
    """A contrastive pair of encoders, loaded."""

    images: nn.Module
    """Normalised pixels [batch, channels, height, width] to embeddings [batch, dimensions]."""
    texts: Callable[[Sequence[str]], Tensor]
    """Sentences to embeddings [sentences, dimensions], of any length; no gradients."""
    scale: float
    """What cosines are multiplied by; the trained temperature's inverse."""
    bias: float
    """What is added to every logit, the same for all classes; 0 for all but SigLIP."""
    preprocess: Preprocess
    """How images come to the encoder, unless a configuration says otherwise."""
    origin: Mapping[str, Any]
    """Architecture, library and weights, for the provenance."""

    def looks(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Unit vectors of images, [batch, dimensions] on the CPU, without gradients.

        `pixels` is [batch, height, width, channels], as `preprocess` gives them.
        """
        device = next(self.images.parameters()).device
        with torch.inference_mode():
            embedded = self.images(normalised(pixels, self.preprocess, device)).float()
            return F.normalize(embedded, dim=-1).cpu()

    def directions(self, prompts: Mapping[str, Sequence[str]]) -> Tensor:
        """One unit vector for each entry of `prompts`, [entries, dimensions].

        The mean of its sentences' unit vectors, normalised again. Raises `ModelError` where
        an embedding is not finite.
        """
        found = []
        with torch.no_grad():
            for name, sentences in prompts.items():
                embedded = self.texts(sentences).float()
                direction = F.normalize(F.normalize(embedded, dim=-1).mean(0), dim=0)
                if not bool(torch.isfinite(direction).all()):
                    raise ModelError(
                        f"the text encoder gives no finite embedding for {name!r} "
                        f"({sentences[0]!r}); check model.checkpoint."
                    )
                found.append(direction)
        return torch.stack(found)


class Cosine(nn.Module):
    """Embeddings to logits: scale × cosine with each class's direction, plus the bias."""

    scale: Tensor
    bias: Tensor

    def __init__(self, directions: Tensor, scale: float, bias: float) -> None:
        super().__init__()
        # A parameter, so that randomising the weights begins with it, as with any head.
        self.weight = nn.Parameter(directions.clone())
        # Buffers: a random temperature would say nothing about what the weights have learned.
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("bias", torch.tensor(bias))

    def forward(self, embeddings: Tensor) -> Tensor:
        """[batch, dimensions] to [batch, classes]."""
        directions = F.normalize(self.weight, dim=-1)
        cosines = F.normalize(embeddings.float(), dim=-1) @ directions.T
        return self.scale * cosines + self.bias


class ZeroShot(nn.Module):
    """CLIP's image encoder with classes given by sentences."""

    def __init__(self, images: nn.Module, head: Cosine) -> None:
        super().__init__()
        self.images = images
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pixels [batch, channels, height, width] to logits [batch, classes]."""
        embeddings = self.images(images)
        if not isinstance(embeddings, Tensor) or embeddings.ndim != 2:
            raise ModelError(
                f"the image encoder gives a {type(embeddings).__name__}, not one vector an image; "
                "audit a CLIP model whose encoder pools its tokens."
            )
        logits: Tensor = self.head(embeddings)
        return logits


def sentences_of(classes: Sequence[str], prompts: PromptsConfig) -> dict[str, tuple[str, ...]]:
    """The sentences of each class: every word of it in every template."""
    return {
        name: tuple(
            # Not str.format, to which other braces of a name would mean something.
            template.replace("{}", word)
            for word in prompts.words.get(name, (name,))
            for template in prompts.templates
        )
        for name in classes
    }


def zero_shot(clip: Clip, model: ModelConfig, path: Path) -> Classifier:
    """The classifier that a configuration's classes and prompts make of CLIP.

    The text encoder runs once, here, and is not kept. `origin` holds every sentence and the
    scale. Raises `ModelError`.
    """
    classes = class_names(model, None, path)
    prompts = sentences_of(classes, model.prompts or PromptsConfig())
    try:
        directions = clip.directions(prompts)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    module = ZeroShot(clip.images, Cosine(directions, clip.scale, clip.bias))
    origin = {
        **clip.origin,
        "prompts": {name: list(sentences) for name, sentences in prompts.items()},
        "scale": clip.scale,
    }
    if clip.bias:
        origin["bias"] = clip.bias
    return assembled(module, classes, model, clip.preprocess, origin, path)
