"""What a run's cases are filtered and sorted by, in memory; everything else stays on disk.

A case takes about 60 bytes and its id, so that a million of them fit many times into a server,
and any filter takes a few milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auditor.dashboard.filters import REVIEWED, UNKNOWN, UNREVIEWED, Filter
from auditor.dashboard.queries import selected
from auditor.errors import RunError
from auditor.store import Run

Bools = NDArray[np.bool_]
Rows = NDArray[np.int32]


@dataclass(frozen=True)
class Coded:
    """A column of few distinct texts."""

    codes: NDArray[np.int32]
    """[cases] places in `values`; -1 is null."""
    values: tuple[str, ...]

    def equals(self, value: str) -> Bools:
        """[cases]; `UNKNOWN` is null, and a value that does not occur is nowhere."""
        if value == UNKNOWN and UNKNOWN not in self.values:
            return np.asarray(self.codes < 0)
        code = self.values.index(value) if value in self.values else -2
        return np.asarray(self.codes == code)

    def at(self, row: int) -> str | None:
        """The value of one case."""
        code = int(self.codes[row])
        return None if code < 0 else self.values[code]

    def counts(self, rows: Rows | None = None) -> dict[str, int]:
        """How often each value occurs, most often first; nulls as `UNKNOWN`, last."""
        codes = self.codes if rows is None else self.codes[rows]
        counts = np.bincount(codes + 1, minlength=len(self.values) + 1)
        found = {v: int(n) for v, n in zip(self.values, counts[1:], strict=True) if n}
        found = dict(sorted(found.items(), key=lambda item: -item[1]))
        return found | ({UNKNOWN: int(counts[0])} if counts[0] else {})


@dataclass(frozen=True)
class CaseIndex:
    """The cases of a run, to be filtered, sorted and paged."""

    run: Run
    texts: Mapping[str, Coded]
    """`label`, `predicted`, `flag`, `evidence`, `cue`, `status`, `attribute.<name>`. A cue is the
    set that a case is flagged for, else the one that its map lies on."""
    correct: NDArray[np.int8]
    """[cases] 1 or 0; -1 without a prediction."""
    ids: pa.ChunkedArray = field(repr=False)
    order: Rows = field(repr=False)
    """Rows as a reviewer should take them: confirmed and probable cases by severity, those queued
    by their map by excess, then errors by confidence, then the rest as they come."""
    place: Rows = field(repr=False)
    """[cases] where each stands in `order`."""
    _found: OrderedDict[int | str, Bools] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )
    """The cases of findings and searches last asked for: a page is drawn again and again."""
    _known: OrderedDict[str, int] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )
    """The rows of the ids last told."""
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, run: Run) -> CaseIndex:
        """Read the columns that are needed of a run. Raises `RunError` for a damaged one."""
        attributes = [f"attribute.{name}" for name in run.info["attributes"]]
        texts = ["label", "predicted", "flag", "evidence", "cue", "map_cue", "status", *attributes]
        cues = [f"margin_excess.{cue}" for cue in run.info["regions"]["cues"]]
        numbers = ["correct", "severity", "confidence", *cues]
        file = run.path / "cases.parquet"
        try:
            # One after the other: all at once would need several times what is kept of them.
            table = pq.read_table(
                file, columns=["id", *texts, *numbers], read_dictionary=texts, pre_buffer=False
            )
        except (OSError, KeyError, pa.ArrowException) as error:
            raise RunError(f"{file}: is damaged ({error}); run the audit again.") from None
        coded = {name: _coded(table[name]) for name in texts}
        coded["cue"] = _either(coded["cue"], coded.pop("map_cue"), coded["evidence"])
        correct = _floats(table["correct"].cast(pa.int8()))
        severity, confidence = (_floats(table[name]) for name in ("severity", "confidence"))
        excess = np.full(len(table), np.nan, dtype=np.float32)
        for name, cue in zip(cues, run.info["regions"]["cues"], strict=True):
            # Maps queue for single cues alone.
            excess = np.where(coded["cue"].equals(cue), _floats(table[name]), excess)
        ids = table["id"].combine_chunks() if len(table) < _ONE_CHUNK else table["id"]
        del table
        order = _queue(coded, correct, severity, excess, confidence)
        place = np.empty_like(order)
        place[order] = np.arange(len(order), dtype=np.int32)
        return cls(
            run,
            coded,
            np.where(np.isnan(correct), -1, correct).astype(np.int8),
            ids,
            order,
            place,
        )

    def __len__(self) -> int:
        return len(self.order)

    @property
    def attributes(self) -> list[str]:
        """The names of the attributes."""
        return list(self.run.info["attributes"])

    def case(self, row: int) -> str:
        """The id of a case."""
        case = str(self.ids[row].as_py())
        self._remember(case, int(row))
        return case

    def row(self, case: str) -> int | None:
        """The row of an id; None where there is no such case."""
        # Most often one that was shown just before.
        known = self._known.get(case)
        if known is not None:
            return known
        row = int(pc.index(self.ids, case).as_py())
        if row < 0:
            return None
        self._remember(case, row)
        return row

    def _remember(self, case: str, row: int) -> None:
        with self._lock:
            self._known[case] = row
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def select(self, wanted: Filter, verdicts: Coded | None = None) -> Rows:
        """The rows that fulfil a filter, in the order of the queue.

        `verdicts` are the reviewer's own. Raises `RunError` for a finding that the run does not
        have or whose query cannot be read.
        """
        mask = np.ones(len(self), dtype=bool)
        for name in ("flag", "evidence", "cue", "label", "predicted", "status"):
            if value := getattr(wanted, name):
                mask &= self.texts[name].equals(value)
        if wanted.outcome:
            mask &= self.correct == (wanted.outcome == "correct")
        for name, value in wanted.group:
            column = self.texts.get(f"attribute.{name}")
            mask &= column.equals(value) if column is not None else False
        if wanted.verdict:
            mask &= _judged(verdicts, wanted.verdict, len(self))
        if wanted.text:
            mask &= self._once(wanted.text, lambda: self._holding(wanted.text))
        if wanted.finding is not None:
            mask &= self.finding(wanted.finding)
        return self.order[mask[self.order]]

    def finding(self, number: int) -> Bools:
        """[cases] those behind a finding; all where it is about all of them."""
        return self._once(number, lambda: self._behind(number))

    def _once(self, key: int | str, find: Callable[[], Bools]) -> Bools:
        """What `find` gives, kept for the next time."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        found = find()
        with self._lock:
            self._found[key] = found
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return found

    def _holding(self, text: str) -> Bools:
        found = pc.match_substring(self.ids, text, ignore_case=True)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)

    def _behind(self, number: int) -> Bools:
        findings = self.run.findings
        if number >= len(findings):
            raise RunError(f"{self.run.path}: has {len(findings)} findings, and none {number}.")
        query = findings[number].get("query")
        if not query:
            return np.ones(len(self), dtype=bool)

        def column(name: str) -> pd.Series:
            return self.run.read_cases([name])[name]

        return selected(query, column, len(self))


_ONE_CHUNK = 10_000_000
_KEPT = 8  # masks; of a million cases each takes 1 MB
_REMEMBERED = 4096  # ids
_AT_ONCE = 4096  # rows


def _coded(column: pa.ChunkedArray) -> Coded:
    """A dictionary column; "" counts as null, as it does in annotations."""
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunks
        return Coded(np.zeros(0, dtype=np.int32), ())
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    values = [str(value) for value in whole.dictionary.to_pylist()]
    ranked = sorted(range(len(values)), key=lambda place: values[place])
    kept = [place for place in ranked if values[place]]
    new = np.full(len(values) + 1, -1, dtype=np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    return Coded(new[codes], tuple(values[place] for place in kept))


def _either(cue: Coded, map_cue: Coded, evidence: Coded) -> Coded:
    """The cue of interventions, or for cases queued by their map the cue it lies on."""
    values = tuple(sorted({*cue.values, *map_cue.values}))
    place = {value: number for number, value in enumerate(values)}

    def renumbered(column: Coded) -> NDArray[np.int32]:
        new = np.array([*(place[value] for value in column.values), -1], dtype=np.int32)
        return np.asarray(new[column.codes])

    own, queued = renumbered(cue), renumbered(map_cue)
    use = (own < 0) & evidence.equals("attention")
    return Coded(np.where(use, queued, own).astype(np.int32), values)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float32]:
    values = column.cast(pa.float32()).to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float32)


def _queue(
    texts: Mapping[str, Coded],
    correct: NDArray[np.float32],
    severity: NDArray[np.float32],
    excess: NDArray[np.float32],
    confidence: NDArray[np.float32],
) -> Rows:
    flagged = texts["flag"].codes >= 0
    queued = texts["evidence"].equals("attention") & flagged
    told = flagged & ~queued
    errors = ~flagged & (correct == 0)
    parts = [
        _descending(told, severity),
        _descending(queued, excess),
        _descending(errors, confidence),
        np.flatnonzero(~(flagged | errors)),
    ]
    return np.concatenate(parts).astype(np.int32)


def _descending(mask: Bools, value: NDArray[np.float32]) -> NDArray[np.intp]:
    rows = np.flatnonzero(mask)
    return rows[np.argsort(-np.nan_to_num(value[rows], nan=-np.inf), kind="stable")]


def _judged(verdicts: Coded | None, wanted: str, count: int) -> Bools:
    if verdicts is None:
        return np.full(count, wanted == UNREVIEWED)
    if wanted in (REVIEWED, UNREVIEWED):
        return np.asarray((verdicts.codes >= 0) == (wanted == REVIEWED))
    return verdicts.equals(wanted)


def position(rows: Rows, row: int, place: Rows) -> int:
    """Where a case stands or would stand among selected rows, which are in the queue's order."""
    return bisect_left(rows, int(place[row]), key=lambda other: int(place[other]))


def neighbours(rows: Rows, row: int, place: Rows) -> tuple[int | None, int | None, int | None]:
    """Of a case among selected rows: its number from 0, the row before it and the one after.

    The number is None for a case that is not among them; its neighbours are those of the place
    that it would have.
    """
    at = position(rows, row, place)
    among = at < len(rows) and int(rows[at]) == row
    before = int(rows[at - 1]) if at > 0 else None
    following = at + 1 if among else at
    after = int(rows[following]) if following < len(rows) else None
    return (at if among else None), before, after


def next_among(rows: Rows, row: int, place: Rows, done: Bools) -> int | None:
    """The first selected row after `row`, then from the start, that is not `done` [cases]."""
    at = position(rows, row, place)
    # Most often one of the next few: all of a million would take longer than drawing the page.
    for part in (rows[at:], rows[:at]):
        for start in range(0, len(part), _AT_ONCE):
            some = part[start : start + _AT_ONCE]
            open_ = some[~done[some] & (some != row)]
            if len(open_):
                return int(open_[0])
    return None
