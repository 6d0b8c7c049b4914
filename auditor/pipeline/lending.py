"""Who may donate for each cue set, and how they look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.changes import Anchoring, Stock, union
from auditor.evidence import CueSet, DonorPool
from auditor.evidence.donors import generator
from auditor.findings.cells import annotated
from auditor.groups import cluster_numbers
from auditor.pipeline.bench import Lenders
from auditor.pipeline.computing import Work

LENDERS = 256
"""Images that may donate for one cue set, over all groups; at least `_FEWEST` a group."""
_FEWEST = 4
_SAMPLED = 48  # images that anchors are chosen on

LENDING = frozenset({"ok", "absent", "below_resolution"})
"""Statuses of a cue's region with which its image may lend it, or the lack of it."""


def anchoring_of(work: Work, stock: Stock, cases: pd.DataFrame, seed: int) -> Anchoring:
    """What cues are aligned by, from some of the cases that are `testable`; `cases` as below."""
    rows = np.flatnonzero(cases["testable"]) if cases["chosen"].any() else np.arange(0)
    drawn = generator(seed, "", "anchors").permutation(rows)[:_SAMPLED]
    images = [stock[int(work.positions[row])] for row in sorted(drawn.tolist())]
    return Anchoring.of(images, work.sets, work.dataset.roles.rest)


def lenders_of(
    work: Work, stock: Stock, anchoring: Anchoring, cases: pd.DataFrame, seed: int
) -> dict[tuple[str, str], Lenders]:
    """Who may donate, by name of the cue set and attribute.

    `cases`, in the audit's order, needs `id`, `label`, `status.<cue>`, `attribute.<name>`,
    `testable` and `chosen`, and `cluster` if there is one.
    """
    clusters = cluster_numbers(
        cases["cluster"] if "cluster" in cases else pd.Series([None] * len(cases))
    )
    shuffled = generator(seed, "", "lenders").permutation(len(cases))
    lenders = {}
    with ThreadPoolExecutor(work.settings.threads, thread_name_prefix="auditor-lend") as pool:
        for cues in work.sets:

            def seen(position: int, cues: CueSet = cues) -> tuple[NDArray[np.float64], bool]:
                image = stock[position]
                return anchoring.looks(image, cues), bool(union(image, cues.regions).any())

            for attribute in cues.attributes:
                values = annotated(cases[f"attribute.{attribute}"]).to_numpy()
                chosen = _chosen(cases, cues, values, shuffled)
                positions = work.positions[chosen]
                looks = list(pool.map(seen, positions.tolist()))
                labels = cases["label"].to_numpy(dtype=object)
                lenders[cues.name, attribute] = Lenders(
                    DonorPool(
                        labels[chosen],
                        values[chosen],
                        np.ones(len(chosen), dtype=np.bool_),
                        clusters[chosen],
                        np.stack([look for look, _ in looks]) if looks else None,
                    ),
                    positions,
                    tuple(cases["id"].iloc[chosen]),
                    np.array([shown for _, shown in looks], dtype=np.bool_),
                    values,
                    labels,
                    clusters,
                )
    return lenders


def _chosen(
    cases: pd.DataFrame,
    cues: CueSet,
    values: NDArray[np.object_],
    shuffled: Sequence[int] | NDArray[np.intp],
) -> NDArray[np.intp]:
    """Rows of the lenders: of each class and value the first of `shuffled` that can be used."""
    labels = cases["label"].to_numpy(dtype=object)
    usable = cases["testable"].to_numpy(dtype=bool)
    for cue in cues.regions:
        usable = usable & cases[f"status.{cue}"].isin(LENDING).to_numpy()
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in shuffled:
        if usable[row] and values[row] is not None:
            groups[str(labels[row]), str(values[row])].append(int(row))
    most = max(_FEWEST, LENDERS // max(1, len(groups)))
    rows = sorted(row for members in groups.values() for row in members[:most])
    return np.array(rows, dtype=np.intp)
