"""Ablation-CAM: what the logit loses when a channel is taken away."""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.cam.look import Look, of_targets
from auditor.cam.methods.gradients import weighted
from auditor.cam.methods.pairs import by_pairs

ELEMENTS = 2**24
"""Numbers in the layer's outputs that go through the rest of a model at once (64 MB)."""


def ablationcam(look: Look, targets: Tensor) -> Tensor:
    """Ablation-CAM before its ReLU: Σ_k w_k A_k with w_k = y − y_k.

    y_k is the logit with channel k of the layer set to 0 in every cell of the grid (class and
    register tokens stay). Desai & Ramaswamy 2020 (WACV), who go on to divide w by y. That is left
    out: it turns the map of a class whose logit is below 0, and a number added to all logits,
    which changes no decision, would change the maps of two classes differently.
    """
    without = of_targets(look.once("ablationcam", _without), targets)
    whole = of_targets(look.logits.detach(), targets)
    return weighted(look.activations, whole[:, None] - without)


def _without(look: Look) -> Tensor:
    """The logits without each channel, [batch, channels, classes].

    Where nothing leads around the layer, what precedes it runs for one image alone.
    """
    output, activations = look.run.leaf.detach(), look.activations
    closes = look.closes()

    def answer(rows: Tensor, channels: Tensor) -> Tensor:
        cells = activations[rows]  # a copy
        cells[torch.arange(len(rows), device=rows.device), channels] = 0
        images = look.stranger if closes else look.images[rows]
        return look.resumed(look.layer.placed(cells, look.layer.rows(output, rows)), images)

    batch = len(activations)
    most = ELEMENTS * batch // output.numel() if closes else batch
    return by_pairs(look, answer, most)
