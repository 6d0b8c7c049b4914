"""Class maps: which cells of a layer's output speak for a class."""

from __future__ import annotations

from auditor.cam.explanation import Explanation, explain
from auditor.cam.layers import FOLLOWS, find_layer
from auditor.cam.leaf import inspected
from auditor.cam.look import Look
from auditor.cam.methods import METHODS, Method, gradcam
from auditor.cam.place import Layer

__all__ = [
    "FOLLOWS",
    "METHODS",
    "Explanation",
    "Layer",
    "Look",
    "Method",
    "explain",
    "find_layer",
    "gradcam",
    "inspected",
]
