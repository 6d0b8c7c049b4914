"""What keeps a region from being changed."""

from __future__ import annotations

from auditor.reasons import Reason
from auditor.types import Mask


def region_problem(
    region: Mask, subject: Mask, valid: Mask, least_subject: float = 0.25
) -> Reason | None:
    """Why a region cannot be changed by itself; None where it can.

    All masks are [height, width]; `region` is what would be changed, as dilated. `valid` is
    the image without padding. `least_subject` is the share of the subject's pixels, 0..1,
    that has to stay outside the region; an image without a subject passes.
    """
    if not region.any():
        return "no_region"
    if not (valid & ~region).any():
        return "covers_image"
    pixels = int(subject.sum())
    if pixels and int((subject & ~region).sum()) < least_subject * pixels:
        return "covers_subject"
    return None
