"""What people decided about cases: kept beside the runs, counted, and exchanged as CSV."""

from __future__ import annotations

from auditor.reviews.agreement import (
    FLAGGED,
    QUEUED,
    Coverage,
    FlagAgreement,
    PairAgreement,
    coverage,
    flag_agreement,
    pair_agreement,
)
from auditor.reviews.events import SCHEMA_VERSION, Imported, Reviews
from auditor.reviews.exchange import COLUMNS, export_csv, import_csv, runs_beside
from auditor.reviews.verdicts import VERDICTS, Draft, Event

__all__ = [
    "COLUMNS",
    "FLAGGED",
    "QUEUED",
    "SCHEMA_VERSION",
    "VERDICTS",
    "Coverage",
    "Draft",
    "Event",
    "FlagAgreement",
    "Imported",
    "PairAgreement",
    "Reviews",
    "coverage",
    "export_csv",
    "flag_agreement",
    "import_csv",
    "pair_agreement",
    "runs_beside",
]
