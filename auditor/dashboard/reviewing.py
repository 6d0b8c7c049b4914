"""What reviewers said of one run's cases, beside its index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from auditor.dashboard.index import CaseIndex, Coded
from auditor.reviews import VERDICTS, Event, Reviews
from auditor.store import Run

_REVIEWERS = 4
_FEW = 32  # ids that are looked up one by one; more are found in one pass


class Reviewing:
    """The reviews of one run; for any thread, and beside other processes on the same file."""

    def __init__(self, run: Run, index: CaseIndex) -> None:
        self.run = run
        self.reviews = Reviews.beside(run)
        self._index = index
        self._lock = Lock()
        self._rows: dict[str, int] = {}
        self._seen = -1
        self._current = self.reviews.current(run.key).iloc[:0]
        self._own: dict[str, tuple[int, Coded]] = {}

    def current(self) -> pd.DataFrame:
        """The standing verdict of each case and reviewer; see `auditor.reviews.Reviews.current`."""
        return self._standing()[1]

    def _standing(self) -> tuple[int, pd.DataFrame]:
        """The id of the newest event, and what stands since."""
        with self._lock:
            newest = self._newest()
            if newest != self._seen:
                self._current = self.reviews.current(self.run.key)
                self._look_up(self._current["case"].tolist())
                self._seen = newest
            return self._seen, self._current

    def _newest(self) -> int:
        """The id of the run's newest event; 0 without one."""
        new = self.reviews.events(self.run.key, max(0, self._seen))
        return new[-1].id if new else max(0, self._seen)

    def verdicts(self, reviewer: str) -> Coded:
        """[cases] a reviewer's own verdicts; null where there is none, or only a note."""
        seen, current = self._standing()
        known = self._own.get(reviewer)
        if known is not None and known[0] == seen:
            return known[1]
        found = self._verdicts(current, reviewer)
        # Of a few reviewers: those who look at the run now.
        others = [item for item in self._own.items() if item[0] != reviewer]
        self._own = dict([*others, (reviewer, (seen, found))][-_REVIEWERS:])
        return found

    def _verdicts(self, current: pd.DataFrame, reviewer: str) -> Coded:
        own = current[(current["reviewer"] == reviewer) & current["verdict"].notna()]
        codes = np.full(len(self._index), -1, dtype=np.int32)
        places = {name: number for number, name in enumerate(VERDICTS)}
        for case, verdict in zip(own["case"], own["verdict"], strict=True):
            row = self._rows.get(case, -1)
            if row >= 0:
                codes[row] = places[verdict]
        return Coded(codes, tuple(VERDICTS))

    def judged_cases(self) -> pd.DataFrame:
        """`id`, `flag` and `evidence` of the flagged cases and of those that were reviewed.

        What `auditor.reviews.coverage` and `flag_agreement` need, without the other cases.
        """
        current = self.current()
        flag, evidence = (self._index.texts[name] for name in ("flag", "evidence"))
        reviewed = [self._rows[case] for case in current["case"].unique()]
        rows = np.union1d(np.flatnonzero(flag.codes >= 0), [row for row in reviewed if row >= 0])
        return pd.DataFrame(
            [(self._index.case(row), flag.at(row), evidence.at(row)) for row in rows.astype(int)],
            columns=["id", "flag", "evidence"],
            dtype=object,
        )

    def of_case(self, case: str) -> pd.DataFrame:
        """The standing verdicts of one case, the newest first."""
        current = self.current()
        return current[current["case"] == case].sort_values("id", ascending=False)

    def add(
        self, case: str, reviewer: str, verdict: str | None, tags: Sequence[str], note: str
    ) -> Event:
        """Record a verdict, or without one tags and a note. Raises `AuditorError`."""
        return self.reviews.add(
            self.run.key, self.run.path.name, case, reviewer, verdict, tuple(tags), note
        )

    def undo(self, reviewer: str) -> Event | None:
        """Take back the reviewer's newest standing event; None where there is none."""
        return self.reviews.undo(self.run.key, reviewer)

    def row(self, case: str) -> int | None:
        """The row of a reviewed case; None for one that the run does not have."""
        self._look_up([case])
        row = self._rows[case]
        return None if row < 0 else row

    def _look_up(self, cases: Iterable[str]) -> None:
        new = [case for case in dict.fromkeys(cases) if case not in self._rows]
        if len(new) <= _FEW:
            one_by_one = [self._index.row(case) for case in new]
            found = [-1 if row is None else row for row in one_by_one]
        else:
            # A set of the few, not of the million.
            among = pc.is_in(self._index.ids, value_set=pa.array(new))
            rows = np.flatnonzero(among.to_numpy(zero_copy_only=False)).tolist()
            places = {self._index.case(row): row for row in rows}
            found = [places.get(case, -1) for case in new]
        self._rows.update(zip(new, found, strict=True))
