"""What only the whole dataset can say: the null of the attention test, centre bias, flags.

Reads the shards back one at a time, so memory does not grow with the number of cases.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from auditor import measures
from auditor.findings import (
    Judgement,
    References,
    judge_error,
    reference_excess,
    region_p_values,
)
from auditor.pipeline.deciding import Decided, Summary, decide
from auditor.pipeline.rows import SET_MEASURES
from auditor.regions import RegionRoles
from auditor.store import Shard
from auditor.thresholds import Thresholds
from auditor.types import MAPS, Floats

MARGIN = MAPS.index("margin")
_REFERENCE_BUDGET = 20_000  # images held as references, over all classes


@dataclass
class _Candidate:
    """Reference images of one class, those with the smallest hashes."""

    keys: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    coverage: list[Floats] = field(default_factory=list)
    usable: list[NDArray[np.bool_]] = field(default_factory=list)

    def offer(self, key: str, case: str, coverage: Floats, usable: NDArray[np.bool_]) -> None:
        self.keys.append(key)
        self.ids.append(case)
        self.coverage.append(coverage.copy())  # a view would keep its whole shard
        self.usable.append(usable)

    def trim(self, most: int) -> None:
        chosen = sorted(range(len(self.keys)), key=lambda i: (self.keys[i], self.ids[i]))[:most]
        self.keys = [self.keys[i] for i in chosen]
        self.ids = [self.ids[i] for i in chosen]
        self.coverage = [self.coverage[i] for i in chosen]
        self.usable = [self.usable[i] for i in chosen]


@dataclass(frozen=True)
class Evidence:
    """What the interventions contribute to each case."""

    tested: Mapping[str, Summary]
    """By case id."""
    strata: Mapping[str, str | None]
    """By case id; empty where nothing was to be tested."""
    sets: tuple[str, ...]
    void: bool
    """Whether the maps failed a gate, so that nothing rests on them."""

    def columns(
        self,
        ids: Sequence[str],
        correct: Sequence[bool | None],
        confidence: Sequence[float | None],
        judged: Mapping[int, Judgement],
    ) -> dict[str, Sequence[object] | Floats]:
        """The columns of flags and interventions, for the rows of a shard."""
        decided, told = [], []
        for row, case in enumerate(ids):
            judgement = judged.get(row)
            if judgement is not None and self.void:
                judgement = Judgement(None, None, "untestable", None)
            told.append(judgement)
            wrong = correct[row] is False
            decided.append(decide(wrong, confidence[row] or 0.0, judgement, self.tested.get(case)))
        found: dict[str, Sequence[object] | Floats] = {
            name: [getattr(case, name) for case in decided] for name in Decided._fields
        }
        found["map_evidence"] = [None if j is None else j.evidence for j in told]
        found["map_cue"] = [None if j is None else j.cue for j in told]
        found["stratum"] = [self.strata.get(case) for case in ids]
        tested = [self.tested.get(case) for case in ids]
        found["passes"] = [None if case is None else case.passes for case in tested]
        unknown = (np.nan,) * len(SET_MEASURES)
        for name in self.sets:
            values = np.array(
                [unknown if case is None else case.measures.get(name, unknown) for case in tested]
            ).reshape(len(ids), len(SET_MEASURES))
            found |= {f"{m}.{name}": values[:, i] for i, m in enumerate(SET_MEASURES)}
        return found


@dataclass(frozen=True)
class Context:
    """What the whole dataset contributes to each case."""

    mean_share: Floats
    """[h, w], the average of the predicted classes' normalised maps; NaN if there is none."""
    references: dict[str, References]
    """By label."""


def gather(
    shards: Iterator[Shard],
    labels: Sequence[str],
    roles: RegionRoles,
    seed: int,
    limits: Thresholds,
) -> Context:
    """Read every shard once.

    The reference images of a class are those whose id hashes lowest with the seed, so they
    do not depend on the order of cases or on where a run was interrupted.
    """
    most = min(
        limits.references, max(2 * limits.fewest_references, _REFERENCE_BUDGET // len(labels))
    )
    candidates: dict[str, _Candidate] = defaultdict(_Candidate)
    total: Floats | None = None
    count = 0
    for shard in shards:
        share = measures.positive_share(shard.maps[:, 0])
        seen = ~np.isnan(share[:, 0, 0])
        summed = share[seen].sum(0)
        total = summed if total is None else total + summed
        count += int(seen.sum())
        usable = _usable(shard.rows, roles)
        ids, names = (shard.rows[name].to_pylist() for name in ("id", "label"))
        for row in np.flatnonzero(usable.any(1)):
            key = hashlib.sha256(f"{seed}\0{ids[row]}".encode()).hexdigest()
            candidates[names[row]].offer(key, ids[row], shard.coverage[row], usable[row])
        for candidate in candidates.values():
            candidate.trim(most)
    assert total is not None
    grid = total.shape
    empty = np.empty((0, len(roles.names), *grid))
    references = {
        label: References(
            tuple(candidate.ids),
            np.stack(candidate.coverage) if candidate.ids else empty,
            np.stack(candidate.usable) if candidate.ids else np.empty((0, len(roles.names)), bool),
        )
        for label in labels
        for candidate in [candidates[label]]
    }
    return Context(total / count if count else np.full(grid, np.nan), references)


def finished(
    shard: Shard,
    context: Context,
    roles: RegionRoles,
    limits: Thresholds,
    evidence: Evidence,
) -> tuple[pa.Table, NDArray[np.float16]]:
    """A shard's rows with everything filled in, and its maps as they are stored."""
    rows = shard.rows
    regions = roles.names
    usable = _usable(rows, roles)
    columns: dict[str, Sequence[object] | Floats] = {}

    # Lift against the dataset's mean map: how much more than usual lies on the region.
    usual = np.einsum("hw,nrhw->nr", context.mean_share, np.nan_to_num(shard.coverage))
    mass = _columns(rows, "mass", regions)
    centre_lift = measures.lift(mass, np.where(usable, usual, np.nan))
    columns |= {f"centre_lift.{region}": centre_lift[:, i] for i, region in enumerate(regions)}

    margin_excess = _columns(rows, "margin_excess", regions)
    p, best_p = np.full_like(margin_excess, np.nan), np.full_like(margin_excess, np.nan)
    judged: dict[int, Judgement] = {}
    ids, labels, correct = (rows[name].to_pylist() for name in ("id", "label", "correct"))
    of_label: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        of_label[label].append(row)
    for label, members in of_label.items():
        maps = shard.maps[members, MARGIN]
        null = reference_excess([ids[row] for row in members], maps, context.references[label])
        p[members] = region_p_values(margin_excess[members], null, limits)
        best_p[members] = _best_p(
            shard, ids, members, usable[members], context.references[label], limits
        )
        for place, row in enumerate(members):
            if correct[row] is False and roles.cues:
                # Whether the test could speak depends on the regions alone, not on the map.
                testable = np.where(best_p[row] <= limits.alpha, margin_excess[row], np.nan)
                judged[row] = _judge(shard, row, testable, null[place], roles, limits)
    columns |= {f"p.{region}": p[:, i] for i, region in enumerate(regions)}
    columns |= {f"best_p.{region}": best_p[:, i] for i, region in enumerate(regions)}
    columns |= evidence.columns(ids, correct, rows["confidence"].to_pylist(), judged)

    scale = np.abs(np.nan_to_num(shard.maps)).max(axis=(1, 2, 3)).astype(np.float64)
    known = ~np.isnan(shard.maps[:, 0, 0, 0])
    columns["map_scale"] = np.where(known, scale, np.nan)
    divisor = np.where(scale > 0, scale, 1)[:, None, None, None]
    return _replaced(rows, columns), (shard.maps / divisor).astype(np.float16)


def _best_p(
    shard: Shard,
    ids: Sequence[str],
    members: list[int],
    usable: NDArray[np.bool_],
    references: References,
    limits: Thresholds,
) -> Floats:
    """The p-value of a margin map spread over a region alone: [cases, regions].

    The smallest that the test could give, or nearly; large where other images have their
    regions at the same place, so that no map could tell them apart.
    """
    best = np.full(usable.shape, np.nan)
    for region in range(usable.shape[1]):
        maps = np.nan_to_num(shard.coverage[members, region])
        alone = References(
            references.ids, references.coverage[:, [region]], references.usable[:, [region]]
        )
        null = reference_excess([ids[row] for row in members], maps, alone)
        area = measures.area(maps[:, None])
        own = measures.excess(measures.mass(maps, maps[:, None]), area)
        best[:, region] = region_p_values(own, null, limits)[:, 0]
    return np.where(usable, best, np.nan)


def _judge(
    shard: Shard,
    row: int,
    margin_excess: measures.F64,
    null: measures.F64,
    roles: RegionRoles,
    limits: Thresholds,
) -> Judgement:
    cues = [roles.names.index(cue) for cue in roles.cues]
    share = measures.positive_share(shard.maps[row, MARGIN])
    outlines = measures.perturbed(np.nan_to_num(shard.coverage[row, cues]))
    excess = np.stack(
        [
            measures.excess(np.einsum("hw,rhw->r", share, outline), outline.mean((1, 2)))
            for outline in outlines.values()
        ]
    )
    gone = np.stack([outline.sum((1, 2)) < limits.cells for outline in outlines.values()])
    return judge_error(
        roles.cues,
        margin_excess[cues],
        null[cues],
        np.where(gone, np.nan, excess),
        limits,
    )


def _usable(rows: pa.Table, roles: RegionRoles) -> NDArray[np.bool_]:
    """[cases, regions]: whether each region's status is `ok`."""
    statuses = [rows[f"status.{region}"].to_pylist() for region in roles.names]
    return np.array([[status == "ok" for status in column] for column in statuses]).T


def _columns(rows: pa.Table, measure: str, regions: Sequence[str]) -> measures.F64:
    """[cases, regions], NaN for null."""
    arrays = [rows[f"{measure}.{r}"].to_numpy(zero_copy_only=False) for r in regions]
    return np.stack(arrays, axis=1).astype(np.float64)


def _replaced(rows: pa.Table, columns: dict[str, Sequence[object] | Floats]) -> pa.Table:
    for name, values in columns.items():
        kind = rows.schema.field(name).type
        rows = rows.set_column(
            rows.schema.get_field_index(name),
            pa.field(name, kind),
            pa.array(values, kind, from_pandas=True),
        )
    return rows
