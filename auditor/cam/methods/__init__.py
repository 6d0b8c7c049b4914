"""Explanation methods: how a look at a model becomes the map of a class.

A new method is one file, or one formula in `gradients`, and one line in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from auditor.cam.methods.gradients import by_formula, gradcam
from auditor.cam.methods.method import Method

__all__ = ["METHODS", "Method", "by_formula", "gradcam"]

METHODS: Mapping[str, Method] = {
    "gradcam": Method("Grad-CAM", by_formula(gradcam), True, "0", "nothing more"),
}
