"""A Transformers image processor, said in Auditor's steps, and checked against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from auditor.errors import ModelError
from auditor.geometry import INTERPOLATIONS, Preprocess
from auditor.types import Size

_NAMES = {int(value): name for name, value in INTERPOLATIONS.items()}
_TOLERANCE = 4.0
"""Mean difference, in grey levels of 255, that other resampling code may cause."""


def mapped(processor: Any, source: str) -> Preprocess:
    """The preprocessing of an image processor, whose result on a test picture is compared.

    So a step that no key of its configuration tells (channels in another order, a crop of its
    own) is found as well. `source` names the model. Raises `ModelError` for what Auditor's
    steps cannot do.
    """
    told = processor.to_dict()
    try:
        found = _mapped(told)
    except _Unmapped as unmapped:
        raise _refusal(source, told, str(unmapped)) from None
    picture = _picture()
    ours = found.pixels(picture).astype(np.float64) / 255
    ours = (ours - found.mean) / found.std
    theirs = np.asarray(processor(images=picture, return_tensors="np")["pixel_values"][0])
    theirs = np.moveaxis(np.asarray(theirs, dtype=np.float64), 0, -1)
    if theirs.shape != ours.shape:
        raise _refusal(
            source, told, f"gives {theirs.shape[:2]} pixels where its keys say {ours.shape[:2]}"
        )
    away = float((np.abs(ours - theirs) * found.std).mean() * 255)
    if away > _TOLERANCE:
        raise _refusal(
            source,
            told,
            f"gives other pixels than its keys say (by {away:.0f} of 255 grey levels on average)",
        )
    return found


class _Unmapped(Exception):
    """Says what the processor does that Auditor's steps do not."""


def _mapped(told: Mapping[str, Any]) -> Preprocess:
    resize, crop = _resize_and_crop(told)
    if told.get("do_center_crop"):
        crop = _both(told["crop_size"])
    normalised = bool(told.get("do_normalize"))
    mean, std = (
        tuple(float(value) for value in values)
        for values in (
            (told["image_mean"], told["image_std"]) if normalised else ((0, 0, 0), (1, 1, 1))
        )
    )
    # (x · f − mean) / std of bytes x is (x / 255 − mean / 255f) / (std / 255f).
    factor = 255 * (told.get("rescale_factor", 1 / 255) if told.get("do_rescale", True) else 1.0)
    resample = told.get("resample", int(Image.Resampling.BILINEAR))
    if resample not in _NAMES:
        raise _Unmapped(f"resamples by {resample}")
    return Preprocess(
        resize=resize,
        crop=crop,
        mean=tuple(value / factor for value in mean),
        std=tuple(value / factor for value in std),
        interpolation=_NAMES[resample],
    )


def _resize_and_crop(told: Mapping[str, Any]) -> tuple[int | Size | None, Size | None]:
    if not told.get("do_resize"):
        return None, None
    size = {key: value for key, value in dict(told["size"]).items() if value is not None}
    if set(size) == {"height", "width"}:
        return (int(size["height"]), int(size["width"])), None
    if set(size) != {"shortest_edge"}:
        raise _Unmapped(f"resizes to {size}")
    side = int(size["shortest_edge"])
    if not told.get("crop_pct"):
        return side, None
    if side < 384:  # ConvNeXt's processor: a larger picture, its middle
        return int(side / told["crop_pct"]), (side, side)
    return (side, side), None


def _both(size: Mapping[str, Any]) -> Size:
    return int(size["height"]), int(size["width"])


def _picture() -> Image.Image:
    """A coloured, asymmetric picture, not square, without detail finer than resampling keeps."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)


def _refusal(source: str, told: Mapping[str, Any], what: str) -> ModelError:
    name = told.get("image_processor_type", "image processor")
    return ModelError(
        f"{source}: its {name} {what}, which [model.preprocess] cannot take over by itself; give "
        "resize, crop, mean and std there."
    )
