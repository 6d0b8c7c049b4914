"""Explanation methods: how a look at a model becomes the map of a class.

A new method is one file, or one formula in `gradients`, and one entry in `METHODS`.

Maps are evidence where they speak for the class that is asked about, and rest on what the
network has learned at every level from the layer to the logits; that they do for the model at
hand is measured by the gates of each audit. Grad-CAM is the default. What lacks one of the two
by its definition is a view: to be looked at, and never held against regions to queue a case.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from auditor.cam.methods.method import Method
from auditor.cam.methods.score import scorecam

__all__ = ["METHODS", "Method", "by_formula", "gradcam"]

_SIGNED = "activations that are nowhere below 0, as behind a ReLU; elsewhere {} may grow unbounded"

METHODS: Mapping[str, Method] = {
    "gradcam": Method(
        "Grad-CAM",
        by_formula(gradcam),
        True,
        "0",
        "nothing more",
        why="signed, of one class, and linear in the logit: margin maps are exact",
        source="Selvaraju et al. 2017, arXiv 1610.02391",
    ),
    "cam": Method(
        "CAM",
        cam,
        True,
        "0",
        "a head that is the mean over the layer's cells and one linear layer",
        why="the same map as Grad-CAM, read from the weights",
        source="Zhou et al. 2016, arXiv 1512.04150",
    ),
    "gradcam++": Method(
        "Grad-CAM++",
        by_formula(gradcam_plus_plus),
        True,
        "0",
        _SIGNED.format("a weight"),
        why="of one class; it counts only gradients above 0, so it sees less of what argues "
        "against a class",
        source="Chattopadhay et al. 2018, arXiv 1710.11063",
    ),
    "xgradcam": Method(
        "XGrad-CAM",
        by_formula(xgradcam),
        True,
        "0",
        _SIGNED.format("the weight of a channel whose cells cancel"),
        why="signed, of one class, and linear in the logit",
        source="Fu et al. 2020, arXiv 2008.02312",
    ),
    "hirescam": Method(
        "HiResCAM",
        by_formula(hirescam),
        True,
        "0",
        "nothing more",
        why="signed, of one class, and linear in the logit; complete where the head is linear",
        source="Draelos & Carin 2020, arXiv 2011.08891",
    ),
    "layercam": Method(
        "LayerCAM",
        by_formula(layercam),
        True,
        "0",
        "nothing more",
        why="of one class; it counts only gradients above 0, so it sees less of what argues "
        "against a class",
        source="Jiang et al. 2021, doi 10.1109/TIP.2021.3089943",
    ),
    "ablationcam": Method(
        "Ablation-CAM",
        ablationcam,
        True,
        "channels",
        "nothing more; where no path leads around the layer, what precedes it runs for few images "
        "only, and most of the cost falls away",
        why="signed, of one class, and linear in the logit, without any gradient",
        source="Desai & Ramaswamy 2020, WACV",
    ),
    "scorecam": Method(
        "Score-CAM",
        scorecam,
        True,
        "channels",
        "nothing more",
        why="of one class, without any gradient; no weight is below 0, so it sees less of what "
        "argues against a class",
        source="Wang et al. 2020, arXiv 1910.01279",
    ),
    "eigencam": Method(
        "Eigen-CAM",
        eigencam,
        False,
        "0",
        "nothing more",
        why="it shows what the layer answers to, whatever the class: its margin map is 0",
        source="Muhammad & Yeasin 2020, arXiv 2008.00299",
    ),
    "fullgrad": Method(
        "FullGrad",
        fullgrad,
        True,
        "6",
        "a network of convolutions, linear layers, batch normalisations, ReLUs and pooling alone",
        "input",
        why="signed, of one class, and linear in the logit; complete but for the biases of linear "
        "layers",
        source="Srinivas & Fleuret 2019, arXiv 1905.00780",
    ),
    "guidedbackprop": Method(
        "Guided Backprop",
        guidedbackprop,
        False,
        "6",
        "ReLUs (or ReLU6s), as modules or functions",
        "input",
        why="it stays much the same when the weights are randomised (Adebayo et al. 2018, arXiv "
        "1810.03292)",
        source="Springenberg et al. 2015, arXiv 1412.6806",
    ),
    "guidedgradcam": Method(
        "Guided Grad-CAM",
        guidedgradcam,
        False,
        "6",
        "ReLUs (or ReLU6s), as modules or functions",
        "input",
        why="it stays much the same when the weights are randomised, as Guided Backprop does "
        "(Adebayo et al. 2018, arXiv 1810.03292)",
        source="Selvaraju et al. 2017, arXiv 1610.02391",
    ),
    "counterfactual": Method(
        "Grad-CAM, counterfactual",
        by_formula(counterfactual),
        False,
        "0",
        "nothing more",
        why="by its meaning: it shows what argues against a class, which no decision rests on",
        source="Selvaraju et al. 2017, arXiv 1610.02391",
    ),
}
