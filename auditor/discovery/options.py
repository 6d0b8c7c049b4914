"""What a discovery is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from auditor.errors import AuditorError

Kind = Literal["maps", "features"]
"""What cases are compared by: where their margin map lies, or what the model sees there."""

FEWEST = 20
"""Cases from which on they are clustered: below, four clusters would have under five each."""
FINE = 6
"""Cells of a map in height and width from which on nothing is said of its being coarse."""
MOST_CLUSTERS = 12
SHOWN = 24
"""Cases of a cluster on its contact sheet, those nearest its centre."""
OFF_SUBJECT = 12
"""Cases on the sheet of those whose maps lie least on the subject; `benchmarks.discovery_truth`
tells how the number was chosen."""


@dataclass(frozen=True)
class DiscoveryOptions:
    """Raises `AuditorError` for a number out of its bounds."""

    cases: Literal["errors", "all"] = "errors"
    by: Literal["maps", "features", "both"] = "both"
    clusters: int | None = None
    """2 to 12; None for as many as the eigengap says."""
    most: int = 2000
    """Cases that are clustered at most; of more, a random sample by the seed."""
    seed: int = 0
    images: bool = True
    """Whether contact sheets are drawn; without, nothing that is written holds a picture."""
    blur: tuple[str, ...] = ()
    """Annotated regions that are made unrecognisable on the contact sheets."""

    def __post_init__(self) -> None:
        if self.clusters is not None and not 2 <= self.clusters <= MOST_CLUSTERS:
            raise AuditorError(
                f"--clusters is {self.clusters}; give 2 to {MOST_CLUSTERS}, or auto."
            )
        if self.most < FEWEST:
            raise AuditorError(f"--most is {self.most}; give {FEWEST} or more.")
        if not 0 <= self.seed < 2**32:
            raise AuditorError(f"--seed is {self.seed}; give 0 to {2**32 - 1}.")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is clustered, in order."""
        return ("maps", "features") if self.by == "both" else (self.by,)
