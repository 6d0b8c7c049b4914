"""Who may donate for each cue set, and what cues are aligned by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.evidence import (
    CueSet,
    DonorPool,
    near,
    shape_of,
    steadiest,
)
from auditor.evidence.donors import generator
from auditor.groups import cluster_numbers
from auditor.pipeline.bench import Bench, Lenders, union
from auditor.pipeline.computing import Work
from auditor.pipeline.stock import Stock
from auditor.thresholds import THRESHOLDS
from auditor.types import SUBJECT

LENDERS = 256
"""Images that may donate for one cue set, over all groups; at least `_FEWEST` a group."""
_FEWEST = 4
_SAMPLED = 48  # images that anchors are chosen on
_RING = 3.0  # pixels around a cue in which subject is looked for

LENDING = frozenset({"ok", "absent", "below_resolution"})
"""Statuses of a cue's region with which its image may lend it, or the lack of it."""


def bench_of(work: Work, stock: Stock, cases: pd.DataFrame, seed: int) -> Bench:
    """What the tests of an audit share.

    `cases`, in the audit's order, needs `id`, `label`, `status.<cue>`, `attribute.<name>`,
    `testable` and `chosen`, and `cluster` if there is one.
    """
    sets = work.sets
    wanted = bool(cases["chosen"].any())
    some = _some(cases["testable"].to_numpy(dtype=bool), seed) if wanted else []
    images = [stock[int(work.positions[row])] for row in some]
    anchors, among = {}, {}
    for cues in sets:
        shapes = {cue: [shape_of(image.regions[cue]) for image in images] for cue in cues.family}
        anchor = steadiest(shapes) if len(cues.family) > 1 else None
        if anchor is not None:
            anchors[cues.name] = anchor
        around = []
        for image in images:
            region = union(image, cues.regions)
            ring = near(region, _RING) & ~region
            if ring.any():
                around.append(float(image.regions[SUBJECT][ring].mean()))
        # The rest lies around the subject, not on it.
        if around and work.dataset.roles.rest not in cues.cues:
            among[cues.name] = float(np.median(around))
    size, grid = work.classifier.input_size, work.layer.grid
    bench = Bench(
        stock,
        sets,
        {},
        anchors,
        among,
        work.dataset.roles.rest,
        bool(work.dataset.roles.subject_names),
        (size[0] / grid[0], size[1] / grid[1]),
        seed,
        THRESHOLDS,
    )
    if not wanted:
        return bench
    lenders = {
        (cues.name, attribute): _lenders(work, cases, cues, attribute, seed)
        for cues in sets
        for attribute in cues.attributes
    }
    return replace(bench, lenders=_alike(bench, lenders, work.settings.threads))


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
