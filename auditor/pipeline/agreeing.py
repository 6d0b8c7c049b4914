"""Errors judged again with other explanation methods, everything else being the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from auditor import measures
from auditor.cam import METHODS, Method, inspected
from auditor.correlations import rank_correlation
from auditor.errors import ModelError
from auditor.findings import Compared, MapChecks
from auditor.findings.gates import map_gates
from auditor.pipeline.checking import PASSES, added_up
from auditor.pipeline.computing import Progress, Work
from auditor.pipeline.finishing import MARGIN, Context, Evidence, finished
from auditor.pipeline.viewing import batches, explained, number, pixels_of, refusal, undefined
from auditor.store import Shard, Writer
from auditor.thresholds import THRESHOLDS
from auditor.types import SUBJECT

MOST = 500
"""Errors that are judged again; of more, a random sample."""
MOST_COSTLY = 32
"""The same with a method that runs the model once for every channel of the layer."""
GATED_COSTLY = 4
"""Images on which the gates of such a method are run."""

AGREEMENT = pa.schema(
    [
        ("id", pa.string()),
        ("method", pa.string()),
        ("map_evidence", pa.string()),
        ("map_cue", pa.string()),
        ("correlation", pa.float64()),
    ]
)
"""The columns of `agreement.parquet`; see docs/run-format.md."""

Check = Callable[[Method, int, Callable[[int], None]], MapChecks]
"""A method, the number of images at most, and whom to tell how many more are explained, to the
figures of its gates."""


@dataclass(frozen=True)
class Agreeing:
    """What further methods are compared on."""

    work: Work
    writer: Writer
    context: Context
    cases: pd.DataFrame
    """Of the finished run: `id`, `label`, `predicted`, `correct`, and `status`, `best_p` and
    `margin_excess` of the subject and each cue."""
    check: Check
    checked: int
    """Images that `check` has at most."""
    seed: int

    def run(self, names: Sequence[str], progress: Progress) -> tuple[list[Compared], pa.Table]:
        """Compare each method that is not compared yet, and write what it came to.

        Returns the comparisons and `agreement.parquet`. Costs for each method a forward pass of
        every error that is judged and the method's own passes, and its gates (`check_maps`).
        """
        samples = {name: self._sample(METHODS[name]) for name in names}
        sizes = {name: len(samples[name]) + PASSES * self._gated(METHODS[name]) for name in names}
        done, total = 0, sum(sizes.values())
        progress(0, total)
        found = []
        for name in names:
            content = self.writer.read_view(f"agreement-{name}")
            if content is None:
                told = partial(_further, progress, done, total)
                content = self._compare(METHODS[name], samples[name], told)
                self.writer.write_view(f"agreement-{name}", content)
            found.append(self._read(name, samples[name], content))
            done += sizes[name]
            progress(done, total)
        return found, self._table(found)

    def _sample(self, method: Method) -> NDArray[np.intp]:
        """Errors with regions, those that the audit's own maps can test first, in order."""
        errors = self._errors
        cues = self.work.dataset.roles.cues
        testable = np.zeros(len(self.cases), dtype=bool)
        for cue in cues:
            best, excess = (
                self.cases[f"{column}.{cue}"].to_numpy(dtype=np.float64, na_value=np.nan)
                for column in ("best_p", "margin_excess")
            )
            testable |= (best <= THRESHOLDS.alpha) & ~np.isnan(excess)
        mixed = np.random.default_rng([self.seed, 1]).permutation(errors)
        ordered = mixed[np.argsort(~testable[mixed], kind="stable")]
        return np.sort(ordered[: MOST_COSTLY if costly(method) else MOST])

    @property
    def _errors(self) -> NDArray[np.intp]:
        wrong = self.cases["correct"].eq(False).fillna(False).to_numpy(dtype=bool)
        return np.flatnonzero(wrong & self.cases[f"status.{SUBJECT}"].notna().to_numpy())

    def _gated(self, method: Method) -> int:
        return min(GATED_COSTLY, self.checked) if costly(method) else self.checked

    def _compare(
        self, method: Method, rows: NDArray[np.intp], progress: Callable[[int], None]
    ) -> dict[str, Any]:
        """What the method says of some errors, JSON-ready."""
        problem = self._problem(method)
        if problem is not None:
            return {"problem": problem}
        shard = self._shard(rows)
        own = self._judged(shard)
        try:
            maps = self._margin_maps(method, rows, progress)
            checks = self.check(method, self._gated(method), added_up(progress, len(rows)))
        except ModelError as error:  # a later image may show what the first did not
            return {"problem": str(error)}
        other = self._judged(self._with_margins(shard, maps))
        correlation = rank_correlation(shard.maps[:, MARGIN], maps)
        return {
            "problem": None,
            "own": [evidence for evidence, _ in own],
            "own_cues": [cue for _, cue in own],
            "other": [evidence for evidence, _ in other],
            "cues": [cue for _, cue in other],
            "correlation": [number(value) for value in correlation],
            "gates": self._gates(checks),
        }

    def _problem(self, method: Method) -> str | None:
        (able,) = np.nonzero(self.cases["predicted"].notna().to_numpy())
        rows = able[:1].astype(np.intp)
        for _, loaded in batches(self.work, rows):
            pixels = pixels_of(self.work, loaded)
            label = self.cases["label"].iloc[rows[0]]
            return refusal(self.work, self.work.layer, method, pixels[0], label)
        return None

    def _shard(self, rows: NDArray[np.intp]) -> Shard:
        """Those cases as they were computed."""
        first = 0
        parts: list[Shard] = []
        for place, members in enumerate(self.work.shards):
            inside = rows[(rows >= first) & (rows < first + len(members))] - first
            if len(inside) or not parts:  # an empty one has the columns
                shard = self.writer.read(place)
                parts.append(
                    Shard(shard.rows.take(inside), shard.maps[inside], shard.coverage[inside])
                )
            first += len(members)
        return Shard(
            pa.concat_tables([part.rows for part in parts]),
            np.concatenate([part.maps for part in parts]),
            np.concatenate([part.coverage for part in parts]),
        )

    def _judged(self, shard: Shard) -> list[tuple[str | None, str | None]]:
        """(map_evidence, map_cue) of each error, by the very rule of the audit."""
        if not len(shard.rows):
            return []
        nothing = Evidence({}, {}, (), void=False)
        rows, _ = finished(shard, self.context, self.work.dataset.roles, THRESHOLDS, nothing)
        columns = (rows[name].to_pylist() for name in ("map_evidence", "map_cue"))
        return list(zip(*columns, strict=True))

    def _margin_maps(
        self, method: Method, rows: NDArray[np.intp], progress: Callable[[int], None]
    ) -> NDArray[np.float64]:
        """[errors, h, w] raw and signed, at the audit's own layer."""
        found = [np.zeros((0, *self.work.layer.grid))]
        done = 0
        with threadpool_limits(1, user_api="blas"), inspected(self.work.classifier.module):
            for part, loaded in batches(self.work, rows):
                labels = self.cases["label"].iloc[part].tolist()
                pixels = pixels_of(self.work, loaded)
                maps = explained(self.work, self.work.layer, method, pixels, labels).maps
                found.append(maps[:, MARGIN].double().cpu().numpy())
                done += len(part)
                progress(done)
        return np.concatenate(found)

    def _with_margins(self, shard: Shard, margins: NDArray[np.float64]) -> Shard:
        """The same cases with other margin maps, and what the flag reads of them."""
        maps = shard.maps.copy()
        maps[:, MARGIN] = margins
        # As `rows.measure` does for the audit's own maps.
        excess = measures.excess(
            measures.mass(maps[:, MARGIN], shard.coverage), measures.area(shard.coverage)
        )
        rows = shard.rows
        for region, name in enumerate(self.work.dataset.roles.names):
            usable = np.array([status == "ok" for status in rows[f"status.{name}"].to_pylist()])
            column = f"margin_excess.{name}"
            values = np.where(usable, excess[:, region], np.nan)
            rows = rows.set_column(
                rows.schema.get_field_index(column),
                rows.schema.field(column),
                pa.array(values, pa.float64(), from_pandas=True),
            )
        return Shard(rows, maps, shard.coverage)

    def _gates(self, checks: MapChecks) -> list[dict[str, Any]]:
        """The gates of the maps as the audit's own maps have them, a row each."""
        classes = self.work.classifier.classes
        return [
            {
                "gate": found.kind,
                "outcome": outcome,
                "value": found.value,
                "low": found.low,
                "high": found.high,
            }
            for found, outcome in map_gates(self.cases, classes, THRESHOLDS, checks)
        ]

    def _read(self, name: str, rows: NDArray[np.intp], content: Mapping[str, Any]) -> Compared:
        method = METHODS[name]
        if content["problem"] is not None:
            return Compared(name, method.title, method.evidence, content["problem"])
        return Compared(
            name,
            method.title,
            method.evidence,
            None,
            rows,
            tuple(content["own"]),
            tuple(content["own_cues"]),
            tuple(content["other"]),
            tuple(content["cues"]),
            undefined(content["correlation"]),
            len(self._errors),
            tuple(content["gates"]),
        )

    def _table(self, found: Sequence[Compared]) -> pa.Table:
        """A row for each error and method that judged it, the audit's own method first."""
        ids = self.cases["id"]
        largest = max(found, key=lambda one: len(one.rows))
        own = zip(largest.rows, largest.own, largest.own_cues, strict=True)
        rows = [(ids.iloc[row], self.work.method, *told, None) for row, *told in own]
        if self.work.method in [one.method for one in found]:
            rows = []  # it is among them
        for one in found:
            judged = zip(one.rows, one.other, one.cues, one.correlation, strict=True)
            rows += [
                (ids.iloc[row], one.method, evidence, cue, number(correlation))
                for row, evidence, cue, correlation in judged
            ]
        named = [dict(zip(AGREEMENT.names, row, strict=True)) for row in rows]
        return pa.Table.from_pylist(named, schema=AGREEMENT)


def costly(method: Method) -> bool:
    """Whether it runs the model once for every channel of the layer."""
    return "channels" in method.passes


def _further(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)
