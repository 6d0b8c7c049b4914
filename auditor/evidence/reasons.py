"""Why a case cannot be tested, in one vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from auditor.types import Mask

Reason = Literal[
    "no_region",
    "covers_subject",
    "covers_image",
    "no_subject",
    "on_subject",
    "no_place",
    "unknown_value",
    "one_value",
    "few_donors",
    "not_finite",
    "subject_not_removed",
]

REASONS: Mapping[Reason, str] = {
    "no_region": "the image does not show the cue's region, and neither do donors",
    "covers_subject": "the cue's region covers the subject: too little of it would be left",
    "covers_image": "the cue's region covers the image: nothing is left to fill it from",
    "no_subject": "nothing of the subject lies beside the cue: it is covered, or not annotated",
    "on_subject": "the cue lies on the subject in some images and is absent from others, so that "
    "exchanging it changes the subject too, and no control takes that out",
    "no_place": "the cue's region fits nowhere else in the image, so a fill has no control",
    "unknown_value": "the image's own value of the attribute is unknown",
    "one_value": "no image has another value of the attribute",
    "few_donors": "too few donors of either value have the same classes",
    "not_finite": "the model's output on the changed image is not finite",
    "subject_not_removed": "the subject could not be removed, so nothing shows what is left",
}
"""What each reason says to a reader."""


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
