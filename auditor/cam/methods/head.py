"""CAM: the weights of a last linear layer, laid over what it takes the mean of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from auditor.cam.look import Look
from auditor.cam.methods.gradients import weighted
from auditor.errors import ModelError


def cam(look: Look, targets: Tensor) -> Tensor:
    """CAM: Σ_k w_ck A_k / (h·w) with w_c the final linear layer's weights for the class.

    Zhou et al. 2016, arXiv 1512.04150, equation 2, whose sum over the cells is the logit where
    the layer is pooled by its sum; networks pool by the mean, hence the division. So scaled it
    is Grad-CAM exactly, and its cells sum to the logit without its bias. Raises `ModelError`
    where the model's logits are not linear in the mean of the layer's cells.
    """
    weights = look.once("cam", _weights)[targets.to(look.logits.device)]
    activations = look.activations
    return weighted(activations, weights) / activations[0, 0].numel()


def _weights(look: Look) -> Tensor:
    """The weight of each channel's mean in each logit, [classes, channels].

    Read from the last linear layer, after its input was found to be the means of the layer's
    cells, and the logits to be its output.
    """
    linear, given, made = _last_linear(look)
    means = look.activations.mean(dim=(2, 3))
    if given.shape != means.shape or not _close(given, means):
        raise _refused(look, "the last linear layer is given something else")
    try:
        logits = look.sign * look.to_logits(made).detach()
    except ModelError:
        raise _refused(look, "the last linear layer does not give the logits") from None
    if logits.shape != look.logits.shape or not _close(logits, look.logits.detach()):
        raise _refused(look, "what the last linear layer gives is changed before it is the logits")
    # Linear up to a constant, the pair of a single logit and a moved threshold included.
    weight = linear.weight.detach().T
    constant = look.to_logits(torch.zeros_like(weight[:1]))
    return look.sign * (look.to_logits(weight) - constant).T


def _last_linear(look: Look) -> tuple[nn.Linear, Tensor, Tensor]:
    """The linear layer that runs last, its input and its output for the batch."""
    seen: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def note(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(part, nn.Linear)
        seen.append((part, inputs[0].clone(), output.clone()))

    parts = [part for part in look.module.modules() if isinstance(part, nn.Linear)]
    hooks = [part.register_forward_hook(note) for part in parts]
    try:
        held = look.held(look.stranger)
    finally:
        for hook in hooks:
            hook.remove()
    # Here a path that hardly counts may pass: it changes the map by no more than that.
    if held is None or not _close(held, look.logits.detach()):
        raise _refused(look, "a path leads around the layer, or from it to no logit")
    if not seen:
        raise _refused(look, "it has no linear layer")
    return seen[-1]


def _close(some: Tensor, others: Tensor) -> bool:
    near = 1e-5 * float(others.nan_to_num(0, 0, 0).abs().max())
    return torch.allclose(some, others, 1e-4, near, True)


def _refused(look: Look, why: str) -> ModelError:
    return ModelError(
        "CAM needs a model that takes the mean over the cells of model.layer and then one linear "
        f"layer, and from {look.layer.name!r} on this model is not so: {why}. Name the layer "
        'whose output is pooled, or choose audit.method = "gradcam", which is the same map '
        "where CAM exists."
    )
