"""An open run: its index, its pictures, and what reviewers said of it."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.dashboard.details import Details
from auditor.dashboard.index import CaseIndex
from auditor.dashboard.pictures import Pictures
from auditor.dashboard.reviewing import Reviewing
from auditor.store import Run


@dataclass(frozen=True)
class Opened:
    """What every session that looks at one run shares."""

    run: Run
    index: CaseIndex
    pictures: Pictures
    details: Details
    reviewing: Reviewing

    @classmethod
    def of(cls, run: Run) -> Opened:
        """Open a finished run. Raises `RunError` where its files are damaged."""
        index = CaseIndex.of(run)
        details = Details(run)
        return cls(run, index, Pictures(run, details), details, Reviewing(run, index))
