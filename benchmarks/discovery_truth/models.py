"""Which networks are clustered, what they learn, and what they are tested on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from auditor.models.checkpoints import write_checkpoint
from auditor.scenes import CUES, LABELS, STRENGTH, Scene
from auditor.study.arms import training_scenes
from benchmarks.truth import grid
from benchmarks.truth.grid import UNBIASED, Cell
from benchmarks.truth.testing import PER_GROUP, balanced, write_scenes, write_test
from benchmarks.truth.training import Weights, scenes_sha256, trained_on
from benchmarks.truth.variants import as_drawn

MODELS = 10
PART = "in part"
_WITHOUT = 2  # in a scene's seed, where 0 and 1 stand for the cue's values


@dataclass(frozen=True)
class Plan:
    """How a training set is put together."""

    skew: str
    """Of `grid.SKEWS`, among the scenes that have the cue."""
    share: float = 1.0
    """Of the training scenes that have the cue at all; where it is below 1, so have half of the
    test scenes, and otherwise all."""


CONDITIONS: Mapping[str, Mapping[str, Plan]] = {
    **{skew: {cue: Plan(skew) for cue in ("tag", "head")} for skew in ("90/10", "78/93")},
    PART: {"tag": Plan("95/5", 0.5), "head": Plan("95/5", 0.7)},
    UNBIASED: {cue: Plan(UNBIASED) for cue in ("tag", "head")},
}
"""Name to cue to plan. The first was fixed before anything was clustered; see the package
for how the others were chosen, on tuning seeds."""


@dataclass(frozen=True)
class Model:
    """One network of a condition."""

    condition: str
    cell: Cell
    share: float = 1.0

    @property
    def name(self) -> str:
        """What its files are called."""
        return self.cell.name if self.share == 1 else f"{self.cell.name}_{self.share:g}"

    def training(self) -> list[Scene]:
        """First all of the first label; of each label those with the cue, then those without."""
        cell, per_class = self.cell, self.cell.net.per_class
        count = round(self.share * per_class)
        drawn = training_scenes(cell.arm, cell.seed, count, STRENGTH)
        scenes = []
        for place, label in enumerate(LABELS):
            scenes += drawn[place * count : (place + 1) * count]
            seed = (cell.seed, 0, place, _WITHOUT)
            scenes += [_without(cell.cue, label, seed, n) for n in range(per_class - count)]
        return scenes

    def testing(self) -> list[Scene]:
        """The balanced test of the cell, and as many scenes without the cue where it is in part."""
        cell = self.cell
        scenes = balanced(cell.cue, cell.seed, PER_GROUP)
        if self.share < 1:
            scenes += [
                _without(cell.cue, label, (cell.seed, 2, place, _WITHOUT), n)
                for place, label in enumerate(LABELS)
                for n in range(len(CUES[cell.cue].values) * PER_GROUP)
            ]
        return scenes

    def checkpoint(self, shared: Path, own: Path) -> Path:
        """Its weights, trained if they are not there yet; `shared` has those of whole cells."""
        if self.share == 1:
            return Weights(shared / "weights", shared / "none").trained(self.cell)
        cell = self.cell
        depends = [cell.cue, cell.arm.shares, cell.seed, asdict(cell.net), self.share]
        sha256 = hashlib.sha256(json.dumps([*depends, scenes_sha256()]).encode()).hexdigest()
        file = own / "weights" / f"{self.name}-{sha256[:12]}.pt"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_checkpoint(file, trained_on(self.training(), cell.net, cell.seed, None))
        return file

    def manifest(self, shared: Path, own: Path) -> Path:
        """Its test on disk, written if it is not there yet."""
        cell = self.cell
        folder = Path("tests", scenes_sha256()[:12], f"{cell.cue}_{cell.seed}_{cell.net.side}_")
        if self.share == 1:
            return write_test(shared / f"{folder}as-drawn", cell, as_drawn)
        return write_scenes(own / f"{folder}in-part", self.testing(), cell, as_drawn)


def has(scene: Scene, cue: str) -> bool:
    """Whether a scene has the cue: its two values can be told apart in it."""
    return scene.cue == cue and scene.value is not None


def _without(cue: str, label: str, seed: tuple[int, ...], number: int) -> Scene:
    """A scene without the cue, and with no other.

    No tag, and heads of both styles in turns, as by chance where there is a tag; for the head,
    cap and mask.
    """
    style = None if cue == "head" else CUES["head"].values[number % 2]
    return Scene(label, style, (*seed, number), "head", STRENGTH)


def models(seeds: Sequence[int], condition: str) -> list[Model]:
    """Half of them with each cue, and of each in turns of both makes.

    Those with a cue in part have the next ten seeds, so that no scene of theirs was looked at.
    """
    plans = CONDITIONS[condition]
    half, later = MODELS // len(plans), MODELS * (condition == PART)
    return [
        Model(
            condition,
            Cell(cue, plan.skew, seeds[later + part * half + n], grid.SMALL[n % 2]),
            plan.share,
        )
        for part, (cue, plan) in enumerate(plans.items())
        for n in range(half)
    ]
