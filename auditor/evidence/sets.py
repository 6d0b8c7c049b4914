"""Which cues are changed together, and by which attribute donors are chosen for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TONE = "tone"
"""The cue set of a colour cast: it fills the picture, and has no region."""


@dataclass(frozen=True)
class CueSet:
    """Cues that are changed in one go."""

    cues: tuple[str, ...]
    attributes: tuple[str, ...]
    """Attributes whose values the cues may show; empty where only fills are left."""
    family: tuple[str, ...]
    """The cues that show the same attribute, these among them: what they are aligned by."""

    @property
    def regions(self) -> tuple[str, ...]:
        """The cues that have masks: all but a colour cast."""
        return tuple(cue for cue in self.cues if cue != TONE)

    @property
    def name(self) -> str:
        """The cues joined by `+`, as columns have it."""
        return "+".join(self.cues)


def cue_sets(
    cues: Sequence[str],
    attributes: Sequence[str],
    donors: Mapping[str, str],
    rest: str,
    tone: str | None = None,
) -> tuple[CueSet, ...]:
    """The sets to test: those of several cues first, then every cue by itself.

    `donors` ties a cue to the attribute that it shows; a cue that it does not name is tried with
    every attribute. Cues that are tied to one attribute also make up a set, since a model may
    read either; where nothing is tied, all cues with a mask of their own (not `rest`) do. `tone`
    is the attribute that a colour cast over the whole image shows, if one is to be tested.
    """
    # In another cast than its subject, the rest alone is no cast, and nothing to be tried.
    untied = {cue: [a for a in attributes if cue != rest or a != tone] for cue in cues}
    tied = {cue: (donors[cue],) if cue in donors else tuple(untied[cue]) for cue in cues}
    own = [cue for cue in cues if cue != rest]
    families: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    if donors:
        for attribute in dict.fromkeys(donors[cue] for cue in cues if cue in donors):
            members = tuple(cue for cue in cues if donors.get(cue) == attribute)
            families.append((members, (attribute,)))
    elif attributes:
        families.append((tuple(own), tuple(attributes)))
    several = [CueSet(members, shown, members) for members, shown in families if len(members) > 1]
    family = {cue: members for members, _ in families for cue in members}
    return (
        *several,
        *(CueSet((cue,), tied[cue], family.get(cue, (cue,))) for cue in cues),
        *([CueSet((TONE,), (tone,), ())] if tone is not None else []),
    )


def parent(single: CueSet, sets: Sequence[CueSet]) -> CueSet | None:
    """The set of several cues that a single cue belongs to; None where there is none."""
    if len(single.cues) > 1:
        return None
    return next((s for s in sets if len(s.cues) > 1 and single.cues[0] in s.cues), None)
