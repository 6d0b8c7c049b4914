"""What trials are made of and come to: donors put in, earlier looks, outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import (
    Donors,
    Effect,
    InterventionRow,
    Outcome,
    Pixels,
)
from auditor.pipeline.bench import Lenders, Suspect
from auditor.reasons import Reason

F64 = NDArray[np.float64]

RANKS: Mapping[Outcome, int] = {"untestable": 0, "unsupported": 1, "probable": 2, "confirmed": 3}


@dataclass(frozen=True)
class Trial:
    """What one cue set came to on one case, by one attribute's donors or by fills."""

    cue: str
    attribute: str | None
    problem: Reason | None
    outcome: Outcome
    against: bool
    """Whether it speaks against the cue, not merely fails to speak for it."""
    told: str
    effect: Effect | None = None
    flips: float | None = None
    """Share of the changes that turn the decision, less that of the controls."""
    pairs: int = 0
    """Donors an arm, or fills."""
    with_cue: tuple[float, ...] | None = None
    """Mean logits [classes] under the control: of the first same-value donors, as many as the
    first look has, whenever it stopped; or with the fills elsewhere."""
    without_cue: tuple[float, ...] | None = None
    """The same of opposite-value donors, or with the cue filled."""


@dataclass(frozen=True)
class Examined:
    """A case, tested."""

    suspect: Suspect
    trials: tuple[Trial, ...]
    rows: tuple[InterventionRow, ...]


@dataclass(frozen=True)
class Exchange:
    """One case's donors for one cue set."""

    cue: str
    attribute: str
    lenders: Lenders
    drawn: Donors
    spliced: Callable[[int], Pixels]
    """The case with a lender's cue."""
    got: tuple[list[F64], list[F64]] = field(default_factory=lambda: ([], []))
    """Logits so far, of the same arm and of the opposite one."""

    @property
    def pairs(self) -> int:
        """Donors in each arm."""
        return len(self.drawn.same)

    def logits(self) -> tuple[F64, F64]:
        """[pairs so far, classes] of each arm."""
        return np.stack(self.got[0]), np.stack(self.got[1])


@dataclass(frozen=True)
class Recorded:
    """What an earlier look at a case gave, not to be asked again."""

    original: F64 | None = None
    """[classes] of the image as it is."""
    arms: Mapping[tuple[str, str], tuple[F64, F64]] = field(default_factory=dict)
    """By cue set and attribute: [pairs, classes] of the same arm and of the opposite one."""

    @classmethod
    def of(cls, rows: Sequence[InterventionRow]) -> Recorded:
        """From the rows of one case."""
        original: F64 | None = None
        arms: dict[tuple[str, str], tuple[list[F64], list[F64]]] = {}
        for row in rows:
            logits = np.array(row.logits)
            if row.arm == "original":
                original = logits
            elif row.arm in ("same", "opposite") and row.cue and row.attribute:
                pair = arms.setdefault((row.cue, row.attribute), ([], []))
                pair[row.arm == "opposite"].append(logits)
        stacked = {key: (np.stack(a), np.stack(b)) for key, (a, b) in arms.items()}
        return cls(original, stacked)
