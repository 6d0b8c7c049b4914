"""What an explanation method is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from auditor.cam.look import Look

Maps = Callable[[Look, Tensor], Tensor]
"""A look and [batch] class positions to raw signed maps of those classes, [batch, h, w]."""


@dataclass(frozen=True)
class Method:
    """One line of the table of methods."""

    title: str
    """As papers write it."""
    maps: Maps
    evidence: bool
    """Whether its maps may be held against regions to queue a case (docs/methods.md says why
    not, where not)."""
    passes: str
    """What it costs beside the forward pass that every audit makes, in passes an image: a
    formula of `channels` (of the layer), or a number."""
    needs: str
    """What it asks of the model, in a sentence's end; "nothing more" where any model serves."""
    resolution: Literal["layer", "input"] = "layer"
    """Where its maps live: at the layer's grid, or at the model's input."""
