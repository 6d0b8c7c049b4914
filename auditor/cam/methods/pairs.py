"""Asking a model once for every channel of every image, several at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.cam.look import Look

FEWEST = 16
"""Pairs of an image and a channel that go through the model at once, at least."""

Answer = Callable[[Tensor, Tensor], Tensor]
"""Positions of images and of channels, both [pairs], to logits [pairs, classes]."""


def by_pairs(look: Look, answer: Answer, most: int) -> Tensor:
    """Logits for each channel of each image, [batch, channels, classes].

    `most` pairs are asked for at once, but never fewer than `FEWEST`.
    """
    batch, channels = look.activations.shape[:2]
    pairs = torch.arange(batch * channels, device=look.images.device)
    chunks = torch.split(pairs, max(most, FEWEST))
    answers = torch.cat([answer(chunk // channels, chunk % channels) for chunk in chunks])
    return answers.view(batch, channels, -1)
