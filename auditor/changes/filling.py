"""Where a cue, its controls and the subject are filled, and the filled images."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.changes.anchoring import union
from auditor.changes.stock import Stocked
from auditor.evidence import (
    BORDER,
    FILLS,
    Controls,
    CueSet,
    Pixels,
    control_regions,
    dilated,
    generator,
    margin_of,
    near,
)
from auditor.types import SUBJECT, Mask


def cue_region(image: Stocked, cues: CueSet, cell: tuple[float, float]) -> Mask:
    """What is filled to take the cues out: dilated by a cell of the map, for what is next to them.

    `cell` is the map's (height, width) in pixels of the input. Empty where the cues are absent.
    """
    region = union(image, cues.regions)
    return dilated(region, cell) & image.valid if region.any() else region


def controls_of(
    image: Stocked,
    region: Mask,
    cues: CueSet,
    sets: Sequence[CueSet],
    rest: str,
    count: int,
    case: str,
    seed: int,
) -> Controls:
    """The same shape elsewhere, off the subject and every cue, as the case's own draw has it."""
    every_cue = tuple(cue for other in sets for cue in other.regions if cue != rest)
    # A control's own border would else be of the subject's colours, or of the cue's.
    occupied = near(image.regions[SUBJECT] | union(image, every_cue), BORDER)
    rng = generator(seed, case, cues.name, "fills")
    return control_regions(region, occupied, image.valid, count, rng)


def subject_region(image: Stocked, sets: Sequence[CueSet]) -> Mask:
    """What is filled to take the subject out: it and its outline, without the cues."""
    height, width = image.valid.shape
    region: Mask = near(image.regions[SUBJECT], margin_of((height, width))) & image.valid
    for cues in sets:
        region &= ~union(image, cues.regions)
    return region


def filled(image: Stocked, region: Mask, fill: str, number: int, case: str, seed: int) -> Pixels:
    """The image with a region filled; noise is the case's own draw of that number."""
    return FILLS[fill](image.pixels, region, generator(seed, case, fill, str(number)))
