"""What an explanation method is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from auditor.cam.area import pooled
from auditor.cam.look import Look

Maps = Callable[[Look, Tensor], Tensor]
"""A look and [batch] class positions to raw signed maps of those classes, [batch, h, w]."""


@dataclass(frozen=True)
class Method:
    """One line of the table of methods."""

    title: str
    """As papers write it."""
    native: Maps
    """Its maps where they live (`resolution`). Raises `ModelError` where the model lacks what
    the method `needs`; leaves the module as it was, also after an exception."""
    evidence: bool
    """Whether its maps may be held against regions to queue a case; else it is a view, to be
    looked at and no more."""
    passes: str
    """What it costs beside the forward pass that every audit makes, in forward passes an image
    for the maps of all its classes, a gradient through the whole network counting as two: a
    formula of `channels` (of the layer), or a number. Gradients through the layers after this
    one are not counted."""
    needs: str
    """What it asks of the model, in a sentence's end; "nothing more" where any model serves."""
    resolution: Literal["layer", "input"] = "layer"
    """Where its maps live: at the layer's grid, or at the model's input."""
    why: str = ""
    """Why it is evidence, or why it is only a view; a sentence's end."""
    source: str = ""
    """The paper."""

    def maps(self, look: Look, targets: Tensor) -> Tensor:
        """Raw signed maps [batch, *layer.grid], as they are measured.

        Maps that live at the input are averaged over the area of each cell of the layer, as
        regions are, so that shares of their sums stay what they were.
        """
        maps = self.native(look, targets)
        return maps if self.resolution == "layer" else pooled(maps, look.layer.grid)
