"""What is known of each explanation method without running it: names, kinds, costs, sources.

`auditor.cam.methods` has what computes their maps; whoever only names methods needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Explanation:
    """One line of the table of methods; the fields are those of `auditor.cam.Method`."""

    title: str
    """As papers write it."""
    evidence: bool
    """Whether its maps may be held against regions to queue a case; else it is a view."""
    passes: str
    """What it costs beside the forward pass of every audit, in forward passes an image: a
    formula of `channels` (of the layer), or a number."""
    needs: str
    """What it asks of the model, in a sentence's end."""
    resolution: Literal["layer", "input"] = "layer"
    """Where its maps live."""
    why: str = ""
    """Why it is evidence, or why it is only a view; a sentence's end."""
    source: str = ""
    """The paper."""


_SIGNED = "activations that are nowhere below 0, as behind a ReLU; elsewhere {} may grow unbounded"

EXPLANATIONS: Mapping[str, Explanation] = {
    "gradcam": Explanation(
        "Grad-CAM",
        True,
        "0",
        "nothing more",
        why="signed, of one class, and linear in the logit: margin maps are exact",
        source="Selvaraju et al. 2017, arXiv 1610.02391",
    ),
    "cam": Explanation(
        "CAM",
        True,
        "0",
        "a head that is the mean over the layer's cells and one linear layer",
        why="the same map as Grad-CAM, read from the weights",
        source="Zhou et al. 2016, arXiv 1512.04150",
    ),
    "gradcam++": Explanation(
        "Grad-CAM++",
        True,
        "0",
        _SIGNED.format("a weight"),
        why="of one class; it counts only gradients above 0, so it sees less of what argues "
        "against a class",
        source="Chattopadhay et al. 2018, arXiv 1710.11063",
    ),
    "xgradcam": Explanation(
        "XGrad-CAM",
        True,
        "0",
        _SIGNED.format("the weight of a channel whose cells cancel"),
        why="signed, of one class, and linear in the logit",
        source="Fu et al. 2020, arXiv 2008.02312",
    ),
    "hirescam": Explanation(
        "HiResCAM",
        True,
        "0",
        "nothing more",
        why="signed, of one class, and linear in the logit; complete where the head is linear",
        source="Draelos & Carin 2020, arXiv 2011.08891",
    ),
    "layercam": Explanation(
        "LayerCAM",
        True,
        "0",
        "nothing more",
        why="of one class; it counts only gradients above 0, so it sees less of what argues "
        "against a class",
        source="Jiang et al. 2021, doi 10.1109/TIP.2021.3089943",
    ),
    "ablationcam": Explanation(
        "Ablation-CAM",
        True,
        "channels",
        "nothing more; where no path leads around the layer, what precedes it runs for few images "
        "only, and most of the cost falls away",
        why="signed, of one class, and linear in the logit, without any gradient",
        source="Desai & Ramaswamy 2020, WACV",
    ),
    "scorecam": Explanation(
        "Score-CAM",
        True,
        "channels",
        "nothing more",
        why="of one class, without any gradient; no weight is below 0, so it sees less of what "
        "argues against a class",
        source="Wang et al. 2020, arXiv 1910.01279",
    ),
    "eigencam": Explanation(
        "Eigen-CAM",
        False,
        "0",
        "nothing more",
        why="it shows what the layer answers to, whatever the class: its margin map is 0",
        source="Muhammad & Yeasin 2020, arXiv 2008.00299",
    ),
    "fullgrad": Explanation(
        "FullGrad",
        True,
        "6",
        "a network of convolutions, linear layers, batch normalisations, ReLUs and pooling alone",
        "input",
        why="signed, of one class, and linear in the logit; complete but for the biases of linear "
        "layers",
        source="Srinivas & Fleuret 2019, arXiv 1905.00780",
    ),
    "guidedbackprop": Explanation(
        "Guided Backprop",
        False,
        "6",
        "ReLUs (or ReLU6s), as modules or functions",
        "input",
        why="it stays much the same when the weights are randomised (Adebayo et al. 2018, arXiv "
        "1810.03292)",
        source="Springenberg et al. 2015, arXiv 1412.6806",
    ),
    "guidedgradcam": Explanation(
        "Guided Grad-CAM",
        False,
        "6",
        "ReLUs (or ReLU6s), as modules or functions",
        "input",
        why="it stays much the same when the weights are randomised, as Guided Backprop does "
        "(Adebayo et al. 2018, arXiv 1810.03292)",
        source="Selvaraju et al. 2017, arXiv 1610.02391",
    ),
    "counterfactual": Explanation(
        "Counterfactual Grad-CAM",
        False,
        "0",
        "nothing more",
        why="by its meaning: it shows what argues against a class, which no decision rests on",
        source="Selvaraju et al. 2017, arXiv 1610.02391",
    ),
}
"""Every method by the name that a configuration gives it."""
