"""Guided Backprop, and its product with Grad-CAM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from auditor.cam.look import Look, of_targets
from auditor.cam.methods.gradients import gradcam
from auditor.cam.methods.score import enlarged
from auditor.errors import ModelError


def guidedbackprop(look: Look, targets: Tensor) -> Tensor:
    """Guided Backprop: ∂y/∂image with no ReLU letting a gradient below 0 pass, [batch, H, W].

    Springenberg et al. 2015, arXiv 1412.6806, figure 1: at each ReLU the gradient R becomes
    1[input > 0] · 1[R > 0] · R; at a ReLU6, 1[0 < input < 6] · 1[R > 0] · R. Summed over the
    image's channels. ReLUs are found as modules and as functions alike. Raises `ModelError`
    where the network has none.
    """
    guide = _Guide()
    with guide:
        images, output = look.from_images()
    if not guide.met:
        raise ModelError(
            "Guided Backprop needs ReLUs to guide the gradient at, and none runs in this model "
            "(networks of GELU or SiLU have none); choose another method."
        )
    logits = look.sign * look.to_logits(output)
    return _at_images(of_targets(logits, targets).sum(), images).sum(1)


def guidedgradcam(look: Look, targets: Tensor) -> Tensor:
    """Guided Grad-CAM: the ReLU of Grad-CAM, enlarged bilinearly, times Guided Backprop.

    Selvaraju et al. 2017, arXiv 1610.02391, section "Guided Grad-CAM"; [batch, H, W]. Signed, as
    Guided Backprop is. Raises `ModelError` where the network has no ReLU.
    """
    fine = guidedbackprop(look, targets)
    coarse = gradcam(look.activations, look.gradients(targets)).relu()
    return enlarged(coarse, (fine.shape[1], fine.shape[2])) * fine


def _at_images(scalar: Tensor, images: Tensor) -> Tensor:
    if not scalar.requires_grad:
        return torch.zeros_like(images)
    (gradient,) = torch.autograd.grad(scalar, [images], allow_unused=True)
    return torch.zeros_like(images) if gradient is None else gradient


class _Guide(TorchFunctionMode):
    """While it is entered, every ReLU passes on positive gradients alone.

    It stands between the model and torch, so that no module is touched and nothing is left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.met = 0
        """ReLUs that ran."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        ceiling = _ceiling(func, kwargs)
        if ceiling is None:
            return func(*args, **kwargs)
        self.met += 1
        values: Tensor = args[0] if args else kwargs["input"]
        guided: Tensor = _GuidedReLU.apply(values, ceiling)  # type: ignore[no-untyped-call]
        # What shares the tensor sees the change, as it does in the model.
        return values.copy_(guided) if func in _IN_PLACE or kwargs.get("inplace") else guided


_RELUS = {F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
_IN_PLACE = {torch.relu_, Tensor.relu_}


def _ceiling(func: Callable[..., Any], kwargs: Mapping[str, Any]) -> float | None:
    """Where a ReLU stops to rise; None for what is no ReLU."""
    if func in _RELUS:
        return torch.inf
    if func is F.relu6:
        return 6.0
    if func is F.hardtanh and kwargs.get("min_val") == 0:  # which nn.ReLU6 calls
        return float(kwargs["max_val"])
    return None


class _GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, ceiling: float) -> Tensor:
        ctx.save_for_backward((values > 0) & (values < ceiling))
        return values.clamp(0, ceiling)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (open_,) = ctx.saved_tensors
        return torch.where(open_, gradient.relu(), 0), None
