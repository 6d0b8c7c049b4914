"""Interventions on the chosen cases: many courses at once, full batches, shards on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from auditor.cam import inspected
from auditor.changes import Stock
from auditor.evidence import (
    InterventionRow,
    Pair,
    estimate_donors,
    learn_splicing,
)
from auditor.models import Classifier
from auditor.pipeline.bench import Bench, Suspect
from auditor.pipeline.computing import Cases, Progress, Work, out_of_memory
from auditor.pipeline.course import Course, Job, examine, pilot
from auditor.pipeline.lending import anchoring_of, lenders_of
from auditor.pipeline.trials import Examined, Recorded, Trial
from auditor.store import Writer
from auditor.thresholds import THRESHOLDS

CHUNK = 64
"""Cases that are tested side by side, and what a crash can lose."""

PILOTS = 64
"""Cases of each stratum from which splicing is learnt, at most."""
INTERVENTIONS = pa.schema(
    [
        ("case", pa.string()),
        ("cue", pa.string()),
        ("arm", pa.string()),
        ("attribute", pa.string()),
        ("donor", pa.string()),
        ("fill", pa.string()),
        ("number", pa.int32()),
        ("logits", pa.list_(pa.float64())),
    ]
)
"""The columns of `interventions.parquet`; see `auditor.evidence.InterventionRow`."""

TRIALS = pa.schema(
    [
        ("case", pa.string()),
        ("cue", pa.string()),
        ("attribute", pa.string()),
        ("problem", pa.string()),
        ("outcome", pa.string()),
        ("against", pa.bool_()),
        ("told", pa.string()),
        ("value", pa.float64()),
        ("error", pa.float64()),
        ("margin", pa.float64()),
        ("flips", pa.float64()),
        ("pairs", pa.int32()),
        ("with_cue", pa.list_(pa.float64())),
        ("without_cue", pa.list_(pa.float64())),
        ("passes", pa.int32()),
    ]
)
"""What each trial came to, by cue set and attribute; see `auditor.pipeline.trials.Trial`.
`passes` is the number of images that its whole case had classified."""


@dataclass(frozen=True)
class Interventions:
    """The tests of an audit, ready to run."""

    work: Work
    cases: pd.DataFrame
    bench: Bench
    """Without lenders yet."""
    suspects: tuple[Suspect, ...]
    pilots: tuple[int, ...]
    """Places in `suspects` of a sample from which splicing is learnt,"""
    weights: tuple[float, ...]
    """and how many cases of the audit each stands for."""

    @classmethod
    def of(
        cls, work: Work, stock: Stock, cases: pd.DataFrame, wanted: Cases, seed: int
    ) -> Interventions:
        """From the cases of the audit, in its order.

        `cases` needs `id`, `label`, `predicted`, `contrast`, `status.<cue>`, `attribute.<name>`,
        `testable`, `stratum` and `chosen`, and `cluster` if there is one. Where all cases are
        `wanted`, every cue of a set that is found is tested by itself, otherwise on some cases.
        """
        rows = np.flatnonzero(cases["chosen"])
        size, grid = work.classifier.input_size, work.layer.grid
        bench = Bench(
            stock,
            work.sets,
            {},
            anchoring_of(work, stock, cases, seed),
            bool(work.dataset.roles.subject_names),
            (size[0] / grid[0], size[1] / grid[1]),
            seed,
            THRESHOLDS,
        )
        classes = work.classifier.classes
        numbers = {name: number for number, name in enumerate(classes)}
        told = cases.iloc[rows]
        most = len(rows) if wanted == "all" else THRESHOLDS.attributed
        attributed = _attributed(told["stratum"].to_list(), most)
        suspects = tuple(
            Suspect(
                int(work.positions[row]),
                int(row),
                case,
                numbers[label],
                Pair(numbers[predicted], numbers[contrast]),
                place in attributed,
            )
            for place, (row, case, label, predicted, contrast) in enumerate(
                zip(rows, *(told[c] for c in ("id", "label", "predicted", "contrast")), strict=True)
            )
        )
        strata = cases["stratum"]
        sizes = strata.value_counts()
        pilots = _pilots(strata.iloc[rows].to_list())
        of = strata.iloc[rows].iloc[list(pilots)]
        weights = sizes[of].to_numpy(dtype=float) / of.map(of.value_counts()).to_numpy(float)
        return cls(work, cases, bench, suspects, pilots, tuple(weights.tolist()))

    @property
    def chunks(self) -> list[tuple[Suspect, ...]]:
        """The cases of each chunk."""
        return [self.suspects[i : i + CHUNK] for i in range(0, len(self.suspects), CHUNK)]

    def run(self, writer: Writer, progress: Progress) -> None:
        """Test the cases of the chunks that are not written, and write them."""
        chunks = self.chunks
        missing = [n for n in range(len(chunks)) if not writer.has_trials(n)]
        done = len(self.suspects) - sum(len(chunks[number]) for number in missing)
        progress(done, len(self.suspects))
        if not missing:
            return
        settings = self.work.settings
        with (
            ThreadPoolExecutor(settings.threads, thread_name_prefix="auditor-change") as pool,
            threadpool_limits(1, user_api="blas"),
            inspected(self.work.classifier.module),
        ):
            lenders = lenders_of(
                self.work, self.bench.stock, self.bench.anchoring, self.cases, self.bench.seed
            )
            recorded, bench = self._learnt(writer, pool, replace(self.bench, lenders=lenders))
            for number in missing:
                before = done

                def told(finished: int, before: int = before) -> None:
                    progress(before + finished, len(self.suspects))

                courses = [
                    examine(bench, suspect, recorded.get(suspect.case, Recorded()))
                    for suspect in chunks[number]
                ]
                examined = drive(courses, self.work.classifier, settings.batch_size, pool, told)
                writer.write_trials(number, *_tables(examined))
                done += len(chunks[number])

    def _learnt(
        self, writer: Writer, pool: ThreadPoolExecutor, bench: Bench
    ) -> tuple[dict[str, Recorded], Bench]:
        """A first look at the pilots, and the bench that knows what it tells of splicing."""
        pilots = [self.suspects[place] for place in self.pilots]
        table = writer.read_pilot()
        if table is None:
            rows = []
            for start in range(0, len(pilots), CHUNK):
                courses = [pilot(bench, suspect) for suspect in pilots[start : start + CHUNK]]
                settings = self.work.settings
                rows += drive(
                    courses, self.work.classifier, settings.batch_size, pool, lambda _: None
                )
            table, _ = _tables(rows)
            writer.write_pilot(table)
        by_case: dict[str, list[InterventionRow]] = defaultdict(list)
        for content in table.to_pylist():
            by_case[content["case"]].append(
                InterventionRow(**(content | {"logits": tuple(content["logits"])}))
            )
        recorded = {case: Recorded.of(found) for case, found in by_case.items()}
        splicing = {}
        for key, lenders in bench.lenders.items():
            estimates, values, weights = [], [], []
            for suspect, weight in zip(pilots, self.weights, strict=True):
                found = recorded[suspect.case]
                same, opposite = found.arms.get(key, (None, None))
                if found.original is None or same is None or opposite is None:
                    continue
                if all(np.isfinite(logits).all() for logits in (found.original, same, opposite)):
                    estimates.append(estimate_donors(found.original, same, opposite, suspect.pair))
                    values.append(lenders.values[suspect.row])
                    weights.append(weight)
            learnt = learn_splicing(estimates, values, weights) if estimates else None
            if learnt is not None:
                splicing[key] = learnt
        return recorded, replace(bench, splicing=splicing)


def _pilots(strata: Sequence[str]) -> tuple[int, ...]:
    """Places of cases that are enough to learn from: of each stratum every so manieth."""
    places: list[int] = []
    for stratum in dict.fromkeys(strata):
        members = [place for place, name in enumerate(strata) if name == stratum]
        places += _spread(members, PILOTS)
    return tuple(sorted(places))


def _attributed(strata: Sequence[str], most: int) -> set[int]:
    """Places of the cases whose cues are told apart: errors first, spread over the data."""
    errors = [place for place, name in enumerate(strata) if name == "error"]
    others = [place for place, name in enumerate(strata) if name != "error"]
    chosen = _spread(errors, most)
    return {*chosen, *_spread(others, most - len(chosen))}


def _spread(places: Sequence[int], most: int) -> list[int]:
    return list(places[:: max(1, len(places) // most)][:most]) if most > 0 else []


def drive(
    courses: Sequence[Course],
    classifier: Classifier,
    batch_size: int,
    pool: ThreadPoolExecutor,
    finished: Callable[[int], None],
) -> list[Examined]:
    """Run courses side by side to their ends; what each returned, in order.

    All images that the courses wait for make up one queue, cut into batches, so that the model
    runs full whatever a single case asks for. `finished` is called with how many have ended.
    """
    results: dict[int, Examined] = {}
    waiting: dict[int, Sequence[Job]] = {}

    def advance(number: int, logits: NDArray[np.float64] | None) -> None:
        try:
            # Sending nothing starts a course, which ends at once if all is known of it.
            waiting[number] = courses[number].send(logits)  # type: ignore[arg-type]
        except StopIteration as ended:
            results[number] = ended.value

    for number in range(len(courses)):
        advance(number, None)
    finished(len(results))
    while waiting:
        asked, waiting = waiting, {}
        jobs = [job for queued in asked.values() for job in queued]
        logits = np.concatenate(
            [
                predict(classifier, np.stack(list(pool.map(_made, jobs[i : i + batch_size]))))
                for i in range(0, len(jobs), batch_size)
            ]
        )
        taken = 0
        for number, queued in asked.items():
            advance(number, logits[taken : taken + len(queued)])
            taken += len(queued)
        finished(len(results))
    return [results[number] for number in range(len(courses))]


def predict(classifier: Classifier, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Logits [images, classes] of [images, height, width, channels] by an inspected module."""
    with torch.inference_mode(), out_of_memory(len(pixels)):
        output = classifier.module(classifier.inputs(pixels))
        return np.asarray(classifier.logits(output).double().cpu().numpy())


def _made(job: Job) -> NDArray[np.uint8]:
    return job()


def _tables(examined: Sequence[Examined]) -> tuple[pa.Table, pa.Table]:
    rows = [asdict(row) for case in examined for row in case.rows]
    trials = [
        _trial(case.suspect.case, trial, len(case.rows))
        for case in examined
        for trial in case.trials
    ]
    return (
        pa.Table.from_pylist(rows, schema=INTERVENTIONS),
        pa.Table.from_pylist(trials, schema=TRIALS),
    )


def _trial(case: str, trial: Trial, passes: int) -> dict[str, Any]:
    effect = trial.effect
    return {
        "case": case,
        "cue": trial.cue,
        "attribute": trial.attribute,
        "problem": trial.problem,
        "outcome": trial.outcome,
        "against": trial.against,
        "told": trial.told,
        "value": effect.value if effect else None,
        "error": effect.error if effect else None,
        "margin": effect.margin if effect else None,
        "flips": trial.flips,
        "pairs": trial.pairs,
        "with_cue": trial.with_cue,
        "without_cue": trial.without_cue,
        "passes": passes,
    }
