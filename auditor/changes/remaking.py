"""The changed images of a finished run, made again to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditor.changes.anchoring import Anchoring
from auditor.changes.filling import controls_of, cue_region, filled, subject_region
from auditor.changes.stock import Stock
from auditor.datasets import Dataset
from auditor.errors import RunError
from auditor.evidence import CueSet, Pixels, cue_sets, prepare, splice, toned
from auditor.geometry import Preprocess
from auditor.store import Run


@dataclass(frozen=True)
class Remaker:
    """Makes the image of a row of `interventions.parquet` as the audit made it."""

    dataset: Dataset
    stock: Stock
    sets: Mapping[str, CueSet]
    """By name."""
    anchoring: Anchoring
    grid: tuple[int, int]
    """(height, width) of the maps."""
    controls: int
    seed: int

    @classmethod
    def of(cls, run: Run, dataset: Dataset) -> Remaker:
        """Of a run and the dataset that it audited. Raises `RunError` for runs of before."""
        info = run.info
        if "anchoring" not in info:
            raise RunError(
                f"{run.path}: does not record what its cues were aligned by, as runs now do; audit "
                "again to see changed images."
            )
        evidence = info["identity"]
        roles = dataset.roles
        sets = cue_sets(
            roles.cues, info["attributes"], evidence["donors"], roles.rest, evidence["tone"]
        )
        height, width = info["layer"]["grid"]
        return cls(
            dataset,
            Stock(dataset, Preprocess.read(info["model"]["preprocess"])),
            {cues.name: cues for cues in sets},
            Anchoring.read(info["anchoring"]),
            (height, width),
            int(info["thresholds"]["controls"]),
            int(info["seed"]),
        )

    def position(self, case: str) -> int:
        """Where a case is in the dataset. Raises `RunError` where it is there no more."""
        # Looked up in the column: a dictionary of a million ids would take 200 MB.
        found = (self.dataset.cases["id"] == case).to_numpy().nonzero()[0]
        if not len(found):
            raise RunError(
                f"the dataset holds no case {case!r} any more, which the run audited; restore the "
                "dataset, or audit again."
            )
        return int(found[0])

    def made(self, row: Mapping[str, Any]) -> Pixels:
        """The image [height, width, channels] of a row, with its columns as keys.

        Raises `RunError` or `CaseError` where images or masks are there no more.
        """
        case, arm = row["case"], row["arm"]
        image = self.stock[self.position(case)]
        if arm == "original":
            return image.pixels
        if arm == "subject":
            region = subject_region(image, tuple(self.sets.values()))
            return filled(image, region, row["fill"], 0, case, self.seed)
        cues = self.sets[row["cue"]]
        if arm in ("same", "opposite"):
            lent = self.stock[self.position(row["donor"])]
            if not cues.regions:
                looks = self.anchoring.looks
                return toned(image.pixels, looks(image, cues), looks(lent, cues))
            piece = self.anchoring.piece
            return splice(prepare(piece(image, cues)), piece(lent, cues))
        height, width = image.valid.shape
        region = cue_region(image, cues, (height / self.grid[0], width / self.grid[1]))
        number = int(row["number"])
        if arm == "control":
            controls = controls_of(
                image,
                region,
                cues,
                tuple(self.sets.values()),
                self.anchoring.rest,
                self.controls,
                case,
                self.seed,
            )
            region = controls.regions[number]
            number += 1  # the cue itself is the first place that is filled
        return filled(image, region, row["fill"], number, case, self.seed)
