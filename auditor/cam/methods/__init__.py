"""Explanation methods: how a look at a model becomes the map of a class.

A new method is one file, or one formula in `gradients`, and one entry in `METHODS`, with what is
known of it in `auditor.explanations`.

Maps are evidence where they speak for the class that is asked about, and rest on what the
network has learned at every level from the layer to the logits; that they do for the model at
hand is measured by the gates of each audit. Grad-CAM is the default. What lacks one of the two
by its definition is a view: to be looked at, and never held against regions to queue a case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from auditor.cam.methods.ablation import ablationcam
from auditor.cam.methods.eigen import eigencam
from auditor.cam.methods.fullgradient import fullgrad
from auditor.cam.methods.gradients import (
    by_formula,
    counterfactual,
    gradcam,
    gradcam_plus_plus,
    hirescam,
    layercam,
    xgradcam,
)
from auditor.cam.methods.guided import guidedbackprop, guidedgradcam
from auditor.cam.methods.head import cam
from auditor.cam.methods.method import Maps, Method
from auditor.cam.methods.score import scorecam
from auditor.explanations import EXPLANATIONS

__all__ = ["METHODS", "Method", "by_formula", "gradcam"]

_MAPS: Mapping[str, Maps] = {
    "gradcam": by_formula(gradcam),
    "cam": cam,
    "gradcam++": by_formula(gradcam_plus_plus),
    "xgradcam": by_formula(xgradcam),
    "hirescam": by_formula(hirescam),
    "layercam": by_formula(layercam),
    "ablationcam": ablationcam,
    "scorecam": scorecam,
    "eigencam": eigencam,
    "fullgrad": fullgrad,
    "guidedbackprop": guidedbackprop,
    "guidedgradcam": guidedgradcam,
    "counterfactual": by_formula(counterfactual),
}

METHODS: Mapping[str, Method] = {
    key: Method(native=maps, **asdict(EXPLANATIONS[key])) for key, maps in _MAPS.items()
}
