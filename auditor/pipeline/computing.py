"""The long part of an audit: batches of cases to shards of rows and maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from auditor.cam import METHODS, Layer, explain, inspected
from auditor.configuration import AuditConfig
from auditor.datasets import Dataset
from auditor.errors import CaseError, ModelError
from auditor.evidence import CueSet
from auditor.models import Classifier
from auditor.pipeline.loading import Loaded, Loader
from auditor.pipeline.rows import measure, schema, table
from auditor.store import Shard, Writer
from auditor.thresholds import THRESHOLDS
from auditor.types import CaseStatus

SHARD = 256
"""Cases in a shard: what a crash can lose. Batches never cross its border, so that a
continued run computes the very batches that an uninterrupted one does."""

Cases = Literal["suspects", "all"] | int
"""Which cases are tested by changing their pixels; see `Settings.evidence`."""

Stage = Literal[
    "maps",
    "references",
    "checks",
    "changes",
    "judging",
    "agreement",
    "layers",
    "faithfulness",
    "probes",
]
"""What an audit is at: maps of all images; a first way through them for what they are held
against; the gates of the maps; changing the pixels of some; the last way through; where asked
for, the maps of other methods, those of other layers, and how faithful maps are; features of
regions alone."""

Stages = Callable[[Stage, int, int], None]
"""Called with (stage, cases done, cases in all), also once at a stage's start."""

Progress = Callable[[int, int], None]
"""The same of one stage."""

_SPOILED: frozenset[CaseStatus] = frozenset({"unreadable", "mask_mismatch", "nonfinite_logits"})


@dataclass(frozen=True)
class Settings:
    """What may differ between two audits of the same thing without changing the result
    beyond rounding, and what narrows it.
    """

    limit: int | None = None
    """Audit a random sample of so many cases (by the audit's seed); None for all."""
    device: str = "auto"
    """A torch device, or "auto": CUDA where there is one, else the CPU."""
    workers: int = 0
    """Threads that decode images; 0 for one a core, at most 8."""
    batch_size: int = 32
    """More than 256 counts as 256."""
    fresh: bool = False
    """Throw an unfinished run of that name away instead of continuing it."""
    strict: bool = False
    """Stop at the first case that is unreadable, mismatched or not finite."""
    evidence: Cases | None = None
    """Which cases are tested by changing their pixels: "suspects" and a random sample, "all",
    at most so many, 0 for none; None for what the configuration says."""
    methods: tuple[str, ...] | None = None
    """Further methods that errors are judged with; None for what the configuration says."""
    layers: bool | None = None
    """Whether maps are also made at layers over the depth of the model; None likewise."""
    faithfulness: int | None = None
    """Cases on which the faithfulness of the maps is measured, 0 for none; None likewise."""

    @property
    def threads(self) -> int:
        """How many threads make images."""
        return self.workers or min(8, os.cpu_count() or 1)


DEFAULTS = Settings()


@dataclass(frozen=True)
class Views:
    """What an audit looks at beside its own maps, where it is asked to; no flag rests on it."""

    methods: tuple[str, ...] = ()
    """Further methods that errors are judged with."""
    layers: bool = False
    """Whether maps are made at layers over the depth of the model."""
    faithfulness: int = 0
    """Cases on which the faithfulness of the maps is measured."""

    @classmethod
    def of(cls, asked: AuditConfig, settings: Settings) -> Views:
        """What the configuration asks for, and the settings in its place."""
        return cls(
            asked.methods if settings.methods is None else tuple(dict.fromkeys(settings.methods)),
            asked.layers if settings.layers is None else settings.layers,
            asked.faithfulness if settings.faithfulness is None else settings.faithfulness,
        )

    @property
    def stages(self) -> list[Stage]:
        """The stages of the audit, in their order."""
        unasked: dict[Stage, bool] = {
            "agreement": not self.methods,
            "layers": not self.layers,
            "faithfulness": not self.faithfulness,
        }
        return [stage for stage in get_args(Stage) if not unasked.get(stage)]

    def described(self) -> dict[str, Any]:
        """JSON-ready, as `run.json` and a run's identity have it."""
        return {
            "methods": list(self.methods),
            "layers": self.layers,
            "faithfulness": self.faithfulness,
        }


@dataclass(frozen=True)
class Work:
    """The cases to audit, and everything that turns one into a row."""

    classifier: Classifier
    dataset: Dataset
    layer: Layer
    method: str
    settings: Settings
    positions: NDArray[np.intp]
    sets: tuple[CueSet, ...] = ()
    """The cue sets that interventions change."""

    @property
    def shards(self) -> list[NDArray[np.intp]]:
        """The positions of each shard."""
        return [self.positions[i : i + SHARD] for i in range(0, len(self.positions), SHARD)]

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that the cases are disaggregated by."""
        return self.dataset.config.attributes

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows."""
        cluster = "cluster" in self.dataset.cases
        sets = [cues.name for cues in self.sets]
        return schema(self.attributes, cluster, self.dataset.roles.names, sets)

    def compute(self, writer: Writer, progress: Progress) -> None:
        """Compute and write the shards that are missing."""
        missing = [number for number in range(len(self.shards)) if not writer.has(number)]
        done = len(self.positions) - sum(len(self.shards[number]) for number in missing)
        progress(done, len(self.positions))
        loader = Loader(
            self.dataset,
            self.classifier.preprocess,
            self.layer.grid,
            THRESHOLDS,
            workers=self.settings.threads,
            overlap=self.classifier.device.type != "cpu",
        )
        # One stream over all shards. Closed at once when anything goes wrong, so that no
        # thread reads on.
        stream = loader(batch for number in missing for batch in self._batches(number))
        # NumPy's own threads, started by each of the loader's, would fight for the cores.
        one_thread = threadpool_limits(1, user_api="blas")
        with one_thread, inspected(self.classifier.module), closing(stream) as loaded:
            for number in missing:
                parts: list[Shard] = []
                for batch in islice(loaded, len(self._batches(number))):
                    parts.append(self._batch(batch))
                    done += len(batch)
                    progress(done, len(self.positions))
                writer.write(
                    number,
                    Shard(
                        pa.concat_tables([part.rows for part in parts]),
                        np.concatenate([part.maps for part in parts]),
                        np.concatenate([part.coverage for part in parts]),
                    ),
                )

    def _batches(self, number: int) -> list[list[int]]:
        shard, size = self.shards[number].tolist(), self.settings.batch_size
        return [shard[i : i + size] for i in range(0, len(shard), size)]

    def _batch(self, loaded: Sequence[Loaded]) -> Shard:
        classes = self.classifier.classes
        count, grid = len(loaded), self.layer.grid
        roles = self.dataset.roles
        cases = self.dataset.cases.iloc[[case.position for case in loaded]]
        status = [case.status for case in loaded]
        message = [case.message for case in loaded]
        columns: dict[str, Any] = {
            name: cases[name].tolist() for name in cases.columns if name != "split"
        }
        columns |= {"predicted": [None] * count, "contrast": [None] * count}
        columns |= {"confidence": np.full(count, np.nan), "margin": np.full(count, np.nan)}
        columns["correct"] = [None] * count
        maps = np.full((count, 3, *grid), np.nan, np.float32)

        seen = [place for place, case in enumerate(loaded) if case.pixels is not None]
        if seen:
            pixels = np.stack([loaded[p].pixels for p in seen])  # type: ignore[misc]
            labels = torch.tensor([classes.index(columns["label"][place]) for place in seen])
            answer = self._explain(pixels, labels)
            for row, place in enumerate(seen):
                if not answer.finite[row]:
                    status[place] = "nonfinite_logits"
                    message[place] = f"the model's output is {answer.logits[row].tolist()}"
                    continue
                label = columns["label"][place]
                predicted = classes[answer.predicted[row]]
                columns["predicted"][place] = predicted
                columns["contrast"][place] = classes[answer.contrast[row]]
                columns["confidence"][place] = answer.confidence[row]
                columns["margin"][place] = answer.margin[row]
                columns["correct"][place] = predicted == label
                maps[place] = answer.maps[row]

        coverage = np.full((count, len(roles.names), *grid), np.nan, np.float32)
        for place, case in enumerate(loaded):
            if case.coverage is not None:
                coverage[place] = case.coverage
        region_status = [case.region_status for case in loaded]
        measured = measure(
            maps,
            coverage,
            region_status,
            [right is True for right in columns["correct"]],
            roles,
            THRESHOLDS,
        )
        columns |= measured.columns
        columns["quadrant"] = measured.quadrants
        columns["pattern"] = measured.patterns
        for i, region in enumerate(roles.names):
            columns[f"status.{region}"] = [s[i] if s else None for s in region_status]
        for place, positive in enumerate(measured.positive):
            if status[place] == "ok" and not positive:
                status[place] = "no_positive_evidence"
                message[place] = "the predicted class's map is nowhere above 0"
        if self.settings.strict:
            self._refuse(loaded, status, message)
        columns |= {"status": status, "message": message}
        return Shard(table(columns, self.schema), maps, coverage)

    def _explain(self, pixels: NDArray[np.uint8], labels: torch.Tensor) -> _Answer:
        classifier = self.classifier
        with out_of_memory(len(pixels)):
            found = explain(
                classifier.module,
                classifier.logits,
                self.layer,
                classifier.inputs(pixels),
                labels.to(classifier.device),
                METHODS[self.method],
            )
        logits = found.logits.double()
        finite = torch.isfinite(logits).all(1) & torch.isfinite(found.maps).flatten(1).all(1)
        pair = torch.stack([found.predicted, found.contrast], dim=1)
        chosen = logits.gather(1, pair)
        probabilities = classifier.probabilities(logits)
        return _Answer(
            logits.cpu().numpy(),
            found.predicted.cpu().numpy(),
            found.contrast.cpu().numpy(),
            probabilities.gather(1, pair[:, :1])[:, 0].cpu().numpy(),
            (chosen[:, 0] - chosen[:, 1]).cpu().numpy(),
            finite.cpu().numpy(),
            found.maps.float().cpu().numpy(),
        )

    def _refuse(
        self,
        loaded: Sequence[Loaded],
        status: Sequence[CaseStatus],
        message: Sequence[str | None],
    ) -> None:
        for case, found, told in zip(loaded, status, message, strict=True):
            if found in _SPOILED:
                image = self.dataset.listing.image_path(case.position)
                raise CaseError(found, f"{image}: {found}: {told} (refused by --strict)")


@contextmanager
def out_of_memory(count: int) -> Iterator[None]:
    """Say what to do where the device has no room for `count` images at once."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise ModelError(
            f"the device has too little memory for {count} images at once; give a "
            "smaller --batch-size."
        ) from None


@dataclass(frozen=True)
class _Answer:
    """A batch's explanation in NumPy; [cases] each but `logits` and `maps`."""

    logits: NDArray[np.float64]
    predicted: NDArray[np.int64]
    contrast: NDArray[np.int64]
    confidence: NDArray[np.float64]
    margin: NDArray[np.float64]
    finite: NDArray[np.bool_]
    maps: NDArray[np.float32]
