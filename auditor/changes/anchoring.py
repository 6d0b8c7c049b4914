"""How a cue of one image is laid onto another: what it is aligned by, and what it may cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.changes.stock import Stocked
from auditor.evidence import CueSet, Piece, likeness, near, shape_of, steadiest, tone
from auditor.types import SUBJECT, Mask

_INSIDE, _ON = 0.7, 0.25
"""Shares of subject around a cue from which it lies inside of the subject, and on it."""
_RING = 3.0  # pixels around a cue in which subject is looked for


@dataclass(frozen=True)
class Anchoring:
    """What an audit's cues are aligned by, learnt from some of its images."""

    anchors: Mapping[str, str]
    """By name of the cue set, where it is aligned by one of its family."""
    among: Mapping[str, float]
    """By name of the cue set: the share of subject around it, 0..1, in the median image."""
    rest: str
    """The region of what is not annotated."""

    @classmethod
    def of(cls, images: Sequence[Stocked], sets: Sequence[CueSet], rest: str) -> Anchoring:
        """From a sample of the images."""
        anchors, among = {}, {}
        for cues in sets:
            shapes = {
                cue: [shape_of(image.regions[cue]) for image in images] for cue in cues.family
            }
            anchor = steadiest(shapes) if len(cues.family) > 1 else None
            if anchor is not None:
                anchors[cues.name] = anchor
            around = []
            for image in images:
                region = union(image, cues.regions)
                ring = near(region, _RING) & ~region
                if ring.any():
                    around.append(float(image.regions[SUBJECT][ring].mean()))
            # The rest lies around the subject, not on it.
            if around and rest not in cues.cues:
                among[cues.name] = float(np.median(around))
        return cls(anchors, among, rest)

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Anchoring:
        """From what `described` gave."""
        return cls(dict(described["anchors"]), dict(described["among"]), str(described["rest"]))

    def described(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"anchors": dict(self.anchors), "among": dict(self.among), "rest": self.rest}

    def on_subject(self, cues: CueSet) -> bool:
        """Whether the cues lie on the subject, so that clearing them touches it."""
        return self.among.get(cues.name, 0.0) >= _ON

    def piece(self, image: Stocked, cues: CueSet) -> Piece:
        """An image as splicing takes it."""
        anchor = self.anchors.get(cues.name)
        none = np.zeros_like(image.valid)
        inside = self.among.get(cues.name, 0.0) >= _INSIDE
        return Piece(
            image.pixels,
            union(image, cues.regions),
            none if anchor is None else image.regions[anchor],
            none if inside else image.regions[SUBJECT],
        )

    def looks(self, image: Stocked, cues: CueSet) -> NDArray[np.float64]:
        """How the image looks, as far as donors for that cue set should look like it."""
        if cues.regions:
            return likeness(self.piece(image, cues))
        # What a person wears is no cast: told from the surroundings, where there are any.
        around = tone(image.pixels, image.regions[self.rest] & image.valid)
        return around if np.isfinite(around).all() else tone(image.pixels, image.valid)


def union(image: Stocked, cues: Sequence[str]) -> Mask:
    """The pixels of any of the cues, [height, width]."""
    region: Mask = np.zeros_like(image.valid)
    for cue in cues:
        region |= image.regions[cue]
    return region
