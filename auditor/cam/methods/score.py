"""Score-CAM: what the logit is where an image is seen through a channel."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from auditor.cam.look import Look, of_targets
from auditor.cam.methods.gradients import weighted
from auditor.cam.methods.pairs import by_pairs


def scorecam(look: Look, targets: Tensor) -> Tensor:
    """Score-CAM before its ReLU: Σ_k α_k A_k, α the softmax over channels of y(X ∘ H_k) − y(0).

    Wang et al. 2020, arXiv 1910.01279, algorithm 1: H_k is the channel,
    enlarged to the image bilinearly and scaled from its minimum to its maximum; y is the logit.
    The baseline y(0), the same for every channel, falls out of the softmax and is not computed.
    A channel that is the same everywhere hides the whole image. Weights are above 0 for
    whatever class: what argues against one only weighs less.
    """
    scores = of_targets(look.once("scorecam", _scores), targets)
    return weighted(look.activations, scores.softmax(dim=1))


def _scores(look: Look) -> Tensor:
    """The logits of the images seen through each channel, [batch, channels, classes]."""
    activations, images = look.activations, look.images

    def answer(rows: Tensor, channels: Tensor) -> Tensor:
        masks = enlarged(activations[rows, channels], (images.shape[2], images.shape[3]))
        least, most = masks.amin((1, 2), keepdim=True), masks.amax((1, 2), keepdim=True)
        spread = (most - least).masked_fill(most == least, 1)
        return look.answers(images[rows] * ((masks - least) / spread)[:, None])

    # No more at once than a batch, which is known to fit the device.
    return by_pairs(look, answer, len(images))


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """[n, h, w] to [n, height, width], bilinearly, each cell's value at the cell's centre."""
    return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
