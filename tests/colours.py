"""A world in which everything about an audit can be worked out by hand.

Images are 40×32 (width × height) of black with two coloured squares on the grid of 4×4
cells: the subject, red or green, and the cue, red or green. The model's two logits are the
mean red and the mean green of the picture, so it decides by whichever colour fills more of
it, and its maps are the colours themselves: a map's mass in a region is the region's share
of that colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from auditor.geometry import Preprocess
from auditor.models import Classifier

CELL, HEIGHT, WIDTH = 4, 8, 10  # cells
COLOURS = {"red": 0, "green": 1}


class Mean(nn.Module):
    """Channel means over 4×4 cells, then over the picture: logits (red, green)."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 2, CELL, CELL, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(1)
        with torch.no_grad():
            self.cells.weight.zero_()
            for channel in COLOURS.values():
                self.cells.weight[channel, channel] = 1 / CELL**2

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.cells(images)).flatten(1) * 100


def classifier(**changes: Any) -> Classifier:
    preprocess = Preprocess(
        resize=(HEIGHT * CELL, WIDTH * CELL), crop=None, mean=(0, 0, 0), std=(1, 1, 1)
    )
    given = {"module": Mean(), "classes": ("red", "green"), "preprocess": preprocess}
    return Classifier(**(given | {"layer": "cells"} | changes))


def draw(squares: dict[str, tuple[str, int, int, int, int]]) -> tuple[Image.Image, dict[str, Any]]:
    """Name to (colour, row, column, height, width in cells): the picture and its masks."""
    pixels = np.zeros((HEIGHT * CELL, WIDTH * CELL, 3), np.uint8)
    masks = {}
    for name, (colour, row, column, tall, wide) in squares.items():
        mask = np.zeros(pixels.shape[:2], bool)
        mask[row * CELL : (row + tall) * CELL, column * CELL : (column + wide) * CELL] = True
        pixels[mask, COLOURS[colour]] = 255
        masks[name] = mask
    return Image.fromarray(pixels), masks


def write_dataset(folder: Path, count: int, seed: int = 0, big_cues: float = 0.4) -> Path:
    """`count` pictures as a manifest; a `big_cues` share of cues outweighs the subject.

    The subject is 2×2 cells of the label's colour. The cue is of the other colour, 1×2
    cells (the model is right) or 2×3 (it is wrong). Squares never overlap.
    """
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = "red" if number % 2 else "green"
        other = "green" if label == "red" else "red"
        big = random.random() < big_cues
        tall, wide = (2, 3) if big else (1, 2)
        subject = ("subject", (label, *random.integers(0, (3, 4)), 2, 2))
        cue = ("cue", (other, 5 + int(random.integers(0, 4 - tall)), *random.integers(0, 8, 1)))
        squares = dict([subject, (cue[0], (*cue[1], tall, wide))])
        image, masks = draw(squares)
        name = f"{number:04d}"
        image.save(folder / f"{name}.png")
        row = {"image": f"{name}.png", "label": label, "size": "big" if big else "small"}
        for region, mask in masks.items():
            Image.fromarray(mask).save(folder / f"{name}.{region}.png")
            row[f"region.{region if region != 'subject' else 'thing'}"] = f"{name}.{region}.png"
        rows.append(row)
    path = folder / "manifest.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path
