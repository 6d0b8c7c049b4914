"""What one changed image gave: the rows of `interventions.parquet`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Arm = Literal["original", "same", "opposite", "fill", "control", "subject"]
"""The image as it is; donors of the case's own value, donors of another; the cue filled, a
control region filled; the subject filled."""


@dataclass(frozen=True)
class InterventionRow:
    """One image and the logits that it got; a row of `interventions.parquet`."""

    case: str
    """The id of the audited image."""
    cue: str | None
    """The cue set: names joined by `+`; null for the image as it is and for its subject."""
    arm: Arm
    attribute: str | None
    """The attribute whose value donors were chosen by; null for fills."""
    donor: str | None
    """The id of the donor; null for fills."""
    fill: str | None
    """A name of `FILLS`; null for donors."""
    number: int
    """The donor's place in its arm, or the control's number, from 0; pairs share it."""
    logits: tuple[float, ...]
    """Finite or not, as the model gave them, in the order of the classes."""
