"""Which annotated regions are subject, which are cues, and how overlaps are settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.types import PADDING, SUBJECT, Mask, Rest, Size


@dataclass(frozen=True)
class RegionRoles:
    """The roles of annotated regions.

    `subject` holds the regions that should decide the label (`subject_by_label` where they
    differ by class), `cues` those that must not, each its own. `rest` names what nothing
    covers; it may itself be listed among the cues when it is declared background. Where
    annotations overlap, `precedence` says which side keeps the pixel; among the cues the
    first listed keeps it. `index` names the pixel values of indexed masks.
    """

    subject: tuple[str, ...] = ()
    cues: tuple[str, ...] = ()
    rest: Rest = "unannotated"
    subject_by_label: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    precedence: Literal["cues", "subject"] = "cues"
    index: Mapping[int, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The atoms of the partition, in the order of every array's region axis."""
        cues = tuple(cue for cue in self.cues if cue != self.rest)
        return (SUBJECT, *cues, self.rest, PADDING)

    @property
    def subject_names(self) -> frozenset[str]:
        """Every annotated region that is the subject of some label."""
        by_label = (name for names in self.subject_by_label.values() for name in names)
        return frozenset(self.subject) | frozenset(by_label)

    @property
    def named(self) -> frozenset[str]:
        """Every region that the annotations have to provide."""
        return (self.subject_names | frozenset(self.cues)) - {self.rest}

    def subject_of(self, label: str) -> tuple[str, ...]:
        """The regions that are the subject of an image with this label."""
        return self.subject_by_label.get(label, ()) if self.subject_by_label else self.subject

    def judged(self, label: str) -> frozenset[str]:
        """The annotated regions that count in an image with this label: subject and cues."""
        return (frozenset(self.subject_of(label)) | frozenset(self.cues)) - {self.rest}


def partition(
    masks: Mapping[str, Mask], roles: RegionRoles, label: str, size: Size
) -> NDArray[np.uint8]:
    """Split an image into atoms: each pixel belongs to exactly one.

    `masks` maps region names to [height, width] masks of one size; names without a role
    are left out. Returns a [height, width] array of positions in `roles.names`; padding
    does not occur, since it lies outside the image. At most 254 named cues.
    """
    names = roles.names
    atoms = np.full(size, names.index(roles.rest), dtype=np.uint8)
    subject = [(0, masks[name]) for name in roles.subject_of(label) if name in masks]
    # Painted from the last cue to the first, so that the first listed ends on top.
    cues = [
        (names.index(cue), masks[cue])
        for cue in reversed(roles.cues)
        if cue in masks and cue != roles.rest
    ]
    for code, mask in subject + cues if roles.precedence == "cues" else cues + subject:
        atoms[mask] = code
    return atoms
