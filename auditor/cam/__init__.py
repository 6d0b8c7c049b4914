"""Class maps: which cells of a layer's output speak for a class."""

from __future__ import annotations

from auditor.cam.explanation import Explanation, explain
from auditor.cam.layers import FOLLOWS, Layer, find_layer
from auditor.cam.leaf import inspected
from auditor.cam.methods import METHODS, gradcam

__all__ = [
    "FOLLOWS",
    "METHODS",
    "Explanation",
    "Layer",
    "explain",
    "find_layer",
    "gradcam",
    "inspected",
]
