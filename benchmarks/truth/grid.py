"""Which models are trained and audited: cue × skew × seed × network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

from auditor.scenes import CUES
from auditor.study.arms import PAPER, Arm, Shares
from benchmarks.truth.networks import NETWORKS, Network

SKEWS: Mapping[str, Shares] = {
    "50/50": (0.5, 0.5),
    "60/40": (0.6, 0.4),
    "65/35": (0.65, 0.35),
    "78/93": PAPER,
    "90/10": (0.9, 0.1),
    "95/5": (0.95, 0.05),
}
"""Share of the cue's first value among the first label and among the second. In the first there
is nothing to learn from the cue."""
UNBIASED = "50/50"

SEEDS: Mapping[str, range] = {"tuning": range(2000, 2020), "reporting": range(3000, 3200)}
"""Networks, thresholds and decisions are chosen on tuning seeds, and what is reported comes from
reporting seeds alone. The study has seeds of its own, from 0 and from 900 on."""

REGIONS: Mapping[str, tuple[str, ...]] = {
    cue: kind.regions or ("background",) for cue, kind in CUES.items()
}
"""The regions that an audit is told to be the cue. `cast` fills the picture: all that can be
named is the background."""


@dataclass(frozen=True)
class Cell:
    """One model: what it is trained on, with which seed, and which network it is."""

    cue: str
    skew: str
    seed: int
    network: str

    @property
    def name(self) -> str:
        """What files and `--cells` call it."""
        return f"{self.cue}_{self.skew.replace('/', '-')}_{self.seed}_{self.network}"

    @property
    def arm(self) -> Arm:
        """Its training set."""
        return Arm(self.skew, f"{self.cue}, {self.skew}", SKEWS[self.skew], self.cue)

    @property
    def net(self) -> Network:
        """Its network."""
        return NETWORKS[self.network]


SMALL = ("plain", "dense")
"""The networks of most cells, which take turns."""


def quick(seeds: range) -> list[Cell]:
    """Two models of each kind, for a quarter of an hour on two cores."""
    return [
        Cell(cue, skew, seed, network)
        for cue in CUES
        for skew in (
            (UNBIASED, "65/35", "78/93", "90/10") if cue == "head" else (UNBIASED, "78/93")
        )
        for seed, network in zip(seeds, SMALL, strict=False)
    ]


def full(seeds: range) -> list[Cell]:
    """The grid that is reported: 48 unbiased models, and three of every skew.

    Every model has a seed of its own as far as `seeds` reach, so that no two share a scene.
    """
    counts = {UNBIASED: 8} | {skew: 3 for skew in SKEWS if skew != UNBIASED}
    larger = {
        "shufflenet_v2_x0_5": "78/93",
        "mobilenet_v2": "90/10",
        "squeezenet1_0": "90/10",
    }
    turns = cycle(SMALL)
    kinds = [
        (cue, skew, next(turns))
        for cue in CUES
        for skew, count in counts.items()
        for _ in range(count)
    ]
    kinds += [(cue, skew, net) for net, skew in larger.items() for cue in ("tag", "head", "place")]
    return [
        Cell(cue, skew, seed, network)
        for (cue, skew, network), seed in zip(kinds, cycle(seeds), strict=False)
    ]
