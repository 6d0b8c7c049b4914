"""A layer of a model, and how what it gives lies in space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from auditor.types import Size


@dataclass(frozen=True)
class Layer:
    """A layer and how its output is laid out in space."""

    name: str
    layout: Literal["NCHW", "NHWC", "tokens", "LND"]
    """Of the output: "tokens" is [batch, tokens, channels], "LND" [tokens, batch, channels]."""
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
        if self.layout == "LND":
            values = values.transpose(0, 1)
        tokens = values[:, self.prefix :].transpose(1, 2)
        return tokens.reshape(*tokens.shape[:2], *self.grid)

    def rows(self, output: Tensor, rows: Tensor) -> Tensor:
        """Of those images alone, [rows] positions in the batch: the layer's output, as it lies."""
        return output[:, rows] if self.layout == "LND" else output[rows]

    def placed(self, cells: Tensor, output: Tensor) -> Tensor:
        """The layer's output with other cells: the inverse of `spatial`.

        `cells` is [batch, channels, h, w]; tokens before the grid's stay as in `output`.
        """
        if self.layout == "NCHW":
            return cells
        if self.layout == "NHWC":
            return cells.permute(0, 2, 3, 1)
        if self.layout == "LND":
            return torch.cat([output[: self.prefix], cells.flatten(2).permute(2, 0, 1)])
        return torch.cat([output[:, : self.prefix], cells.flatten(2).transpose(1, 2)], dim=1)
