"""Interventions on the chosen cases: many courses at once, full batches, shards on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
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
from auditor.evidence import (
    CueSet,
    DonorPool,
    InterventionRow,
    Pair,
    estimate_donors,
    learn_splicing,
    near,
    shape_of,
    steadiest,
)
from auditor.evidence.donors import generator
from auditor.groups import cluster_numbers
from auditor.models import Classifier
from auditor.pipeline.computing import Progress, Work, out_of_memory
from auditor.pipeline.stock import Stock
from auditor.pipeline.trials import (
    Bench,
    Course,
    Examined,
    Job,
    Lenders,
    Recorded,
    Suspect,
    Trial,
    union,
)
from auditor.store import Writer
from auditor.thresholds import THRESHOLDS
from auditor.types import SUBJECT

CHUNK = 64
"""Cases that are tested side by side, and what a crash can lose."""

LENDERS = 256
"""Images that may donate for one cue set, over all groups; at least `_FEWEST` a group."""
PILOTS = 64
"""Cases of each stratum from which splicing is learnt, at most."""
_FEWEST = 4
_SAMPLED = 48  # images that anchors are chosen on
_RING = 3.0  # pixels around a cue in which subject is looked for

LENDING = frozenset({"ok", "absent", "below_resolution"})
"""Statuses of a cue's region with which its image may lend it, or the lack of it."""

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
    bench: Bench
    suspects: tuple[Suspect, ...]
    pilots: tuple[int, ...]
    """Places in `suspects` of a sample from which splicing is learnt,"""
    weights: tuple[float, ...]
    """and how many cases of the audit each stands for."""

    @classmethod
    def of(cls, work: Work, stock: Stock, cases: pd.DataFrame, seed: int) -> Interventions:
        """From the cases of the audit, in its order.

        `cases` needs `id`, `label`, `predicted`, `contrast`, `status.<cue>`, `attribute.<name>`,
        `testable` and `chosen`, and `cluster` if there is one.
        """
        sets = work.sets
        lenders = {
            (cues.name, attribute): _lenders(work, cases, cues, attribute, seed)
            for cues in sets
            for attribute in cues.attributes
        }
        rows = np.flatnonzero(cases["chosen"])
        some = _some(cases["testable"].to_numpy(dtype=bool), seed) if len(rows) else []
        images = [stock[int(work.positions[row])] for row in some]
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
            if around:
                among[cues.name] = float(np.median(around))
        size, grid = work.classifier.input_size, work.layer.grid
        bench = Bench(
            stock,
            sets,
            {},
            anchors,
            among,
            work.dataset.roles.rest,
            (size[0] / grid[0], size[1] / grid[1]),
            seed,
            THRESHOLDS,
        )
        if len(rows):
            bench = replace(bench, lenders=_alike(bench, lenders, work.settings.threads))
        classes = work.classifier.classes
        numbers = {name: number for number, name in enumerate(classes)}
        told = cases.iloc[rows]
        suspects = tuple(
            Suspect(
                int(work.positions[row]),
                int(row),
                case,
                numbers[label],
                Pair(numbers[predicted], numbers[contrast]),
            )
            for row, case, label, predicted, contrast in zip(
                rows, *(told[c] for c in ("id", "label", "predicted", "contrast")), strict=True
            )
        )
        strata = cases["stratum"]
        sizes = strata.value_counts()
        pilots = _pilots(strata.iloc[rows].to_list())
        of = strata.iloc[rows].iloc[list(pilots)]
        weights = sizes[of].to_numpy(dtype=float) / of.map(of.value_counts()).to_numpy(float)
        return cls(work, bench, suspects, pilots, tuple(weights.tolist()))

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
        settings = self.work.settings
        with (
            ThreadPoolExecutor(settings.threads, thread_name_prefix="auditor-change") as pool,
            threadpool_limits(1, user_api="blas"),
            inspected(self.work.classifier.module),
        ):
            recorded, bench = self._learnt(writer, pool) if missing else ({}, self.bench)
            for number in missing:
                before = done

                def told(finished: int, before: int = before) -> None:
                    progress(before + finished, len(self.suspects))

                courses = [
                    bench.examine(suspect, recorded.get(suspect.case, Recorded()))
                    for suspect in chunks[number]
                ]
                examined = drive(courses, self.work.classifier, settings.batch_size, pool, told)
                writer.write_trials(number, *_tables(examined))
                done += len(chunks[number])

    def _learnt(
        self, writer: Writer, pool: ThreadPoolExecutor
    ) -> tuple[dict[str, Recorded], Bench]:
        """A first look at the pilots, and the bench that knows what it tells of splicing."""
        pilots = [self.suspects[place] for place in self.pilots]
        table = writer.read_pilot()
        if table is None:
            rows = []
            for start in range(0, len(pilots), CHUNK):
                courses = [self.bench.pilot(suspect) for suspect in pilots[start : start + CHUNK]]
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
        for key, lenders in self.bench.lenders.items():
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
        return recorded, replace(self.bench, splicing=splicing)


def _pilots(strata: Sequence[str]) -> tuple[int, ...]:
    """Places of cases that are enough to learn from: of each stratum every so manieth."""
    places: list[int] = []
    for stratum in dict.fromkeys(strata):
        members = [place for place, name in enumerate(strata) if name == stratum]
        step = max(1, len(members) // PILOTS)
        places += members[::step][:PILOTS]
    return tuple(sorted(places))


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


def _lenders(work: Work, cases: pd.DataFrame, cues: CueSet, attribute: str, seed: int) -> Lenders:
    labels = cases["label"].to_numpy(dtype=object)
    column = cases[f"attribute.{attribute}"]
    values = column.astype(object).where(column.notna() & (column != ""), None).to_numpy()
    clusters = cluster_numbers(
        cases["cluster"] if "cluster" in cases else pd.Series([None] * len(cases))
    )
    usable = cases["testable"].to_numpy(dtype=bool)
    for cue in cues.regions:
        usable = usable & cases[f"status.{cue}"].isin(LENDING).to_numpy()
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    shuffled = generator(seed, "", "lenders").permutation(len(cases))
    for row in shuffled:
        if usable[row] and values[row] is not None:
            groups[str(labels[row]), str(values[row])].append(int(row))
    most = max(_FEWEST, LENDERS // max(1, len(groups)))
    chosen = np.array(
        sorted(row for members in groups.values() for row in members[:most]), dtype=np.intp
    )
    pool = DonorPool(
        labels[chosen], values[chosen], np.ones(len(chosen), dtype=np.bool_), clusters[chosen]
    )
    ids = tuple(cases["id"].iloc[chosen])
    return Lenders(pool, work.positions[chosen], ids, values, labels, clusters)


def _alike(
    bench: Bench, lenders: dict[tuple[str, str], Lenders], threads: int
) -> dict[tuple[str, str], Lenders]:
    """The lenders, with how each looks."""
    sets = {cues.name: cues for cues in bench.sets}
    found = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="auditor-lend") as pool:
        for (name, attribute), some in lenders.items():

            def look(position: int, cues: CueSet = sets[name]) -> NDArray[np.float64]:
                return bench.looks(bench.stock[position], cues)

            looks = list(pool.map(look, some.positions.tolist()))
            pool_of = replace(some.pool, likeness=np.stack(looks)) if looks else some.pool
            found[name, attribute] = replace(some, pool=pool_of)
    return found


def _some(testable: NDArray[np.bool_], seed: int) -> Iterator[int]:
    rows = np.flatnonzero(testable)
    drawn = generator(seed, "", "anchors").permutation(rows)[:_SAMPLED]
    return iter(sorted(drawn.tolist()))
