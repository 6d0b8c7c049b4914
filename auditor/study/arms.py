"""The arms of the doctor/nurse study: which scenes each classifier is trained on.

After Selvaraju et al. (Grad-CAM, arXiv 1610.02391, §6.3): a classifier fine-tuned on image
search results in which 78 % of the doctors were men and 93 % of the nurses women, and then on
a set of the same size to which male nurses and female doctors had been added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.scenes import CUES, LABELS, Scene

Shares = tuple[float, float]
"""Share of the cue's first value ("man") among the first label (doctors) and the second."""

PAPER: Shares = (0.78, 0.07)


@dataclass(frozen=True)
class Arm:
    """One way of putting a training set together.

    `shares` is None for scenes in the cue's neutral form. Arms share their images as far as
    their shares allow, unless they are `fresh`.
    """

    name: str
    told: str
    shares: Shares | None
    cue: str = "head"
    fresh: bool = False

    @property
    def values(self) -> tuple[str, str]:
        """The two values of the cue."""
        return CUES[self.cue].values


ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("skewed", "78 % of doctors drawn as men, 93 % of nurses as women", PAPER),
        Arm("rebalanced", "the skewed set with images exchanged, class size kept", (0.5, 0.5)),
        Arm("even", "50/50, drawn afresh", (0.5, 0.5), fresh=True),
        Arm("placebo", "a corner tag drawn by chance, the same in both classes", (0.5, 0.5), "tag"),
        Arm("without", "cap and mask: no cue in training or test", None),
        Arm("60/40", "60 % of doctors as men, 60 % of nurses as women", (0.6, 0.4)),
        Arm("75/25", "75 % and 75 %", (0.75, 0.25)),
        Arm("90/10", "90 % and 90 %", (0.9, 0.1)),
    )
}
QUICK = ("skewed", "rebalanced", "even", "placebo")
"""The arms of `auditor study --quick`."""

_TRAINING, _TEST = range(2)
_AFRESH = 1_000_000  # first number of the scenes that no other arm uses


def training_scenes(arm: Arm, seed: int, per_class: int, strength: float) -> list[Scene]:
    """The scenes that an arm trains on, first all of the first label, then of the second.

    A group (label × value) of n images consists of the first n scenes of that group, so that
    from arm to arm images are exchanged, not drawn anew.
    """
    scenes = []
    for label_number, label in enumerate(LABELS):
        for value, count in _counts(arm, label_number, per_class).items():
            place = 2 if value is None else arm.values.index(value)
            scenes += [
                Scene(
                    label,
                    value,
                    (seed, _TRAINING, label_number, place, number + _AFRESH * arm.fresh),
                    arm.cue,
                    strength,
                )
                for number in range(count)
            ]
    return scenes


def _counts(arm: Arm, label_number: int, per_class: int) -> dict[str | None, int]:
    if arm.shares is None:
        return {None: per_class}
    first = round(arm.shares[label_number] * per_class)
    return dict(zip(arm.values, (first, per_class - first), strict=True))


def test_scenes(
    cue: str, value: str | None, seed: int, per_class: int, strength: float
) -> list[Scene]:
    """The test scenes, all with one value of the cue; the same scenes for every value.

    So the two sets of a cue's values are one balanced test, in which every scene stands
    beside itself with the cue swapped.
    """
    return [
        Scene(label, value, (seed, _TEST, label_number, number), cue, strength)
        for label_number, label in enumerate(LABELS)
        for number in range(per_class)
    ]
