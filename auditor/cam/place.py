"""A layer of a model, and how what it gives lies in space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from auditor.types import Size


@dataclass(frozen=True)
class Layer:
    """A layer and how its output is laid out in space."""

    name: str
    layout: Literal["NCHW", "NHWC", "tokens"]
    grid: Size
    """(height, width) of the map."""
    prefix: int = 0
    """Tokens before the grid's: class and register tokens."""
    follows: float | None = None
    """Correlation of a moved stimulus with the map's answer to it, -1 to 1, in the worse
    axis; None where the map gave no answer, or where the grid is a single cell."""
    chosen: Literal["auto", "named"] = "named"

    def spatial(self, values: Tensor) -> Tensor:
        """The layer's output, or a gradient shaped like it, as [batch, channels, h, w]."""
        if self.layout == "NCHW":
            return values
        if self.layout == "NHWC":
            return values.permute(0, 3, 1, 2)
        tokens = values[:, self.prefix :].transpose(1, 2)
        return tokens.reshape(*tokens.shape[:2], *self.grid)
