"""Exports of a finished run for other tools, without torch; each can be read back.

A new format is one module with a function `(Request, Path) -> Written` and a line in `FORMATS`.
"""

from __future__ import annotations

from auditor.exports.coco import read_coco
from auditor.exports.csv_table import read_csv
from auditor.exports.json_document import read_json
from auditor.exports.parquet_table import read_parquet
from auditor.exports.request import EXPORT_VERSION, Request, Written
from auditor.exports.review_events import read_events
from auditor.exports.writing import FORMATS, Exported, Format, write_export

__all__ = [
    "EXPORT_VERSION",
    "FORMATS",
    "Exported",
    "Format",
    "Request",
    "Written",
    "read_coco",
    "read_csv",
    "read_events",
    "read_json",
    "read_parquet",
    "write_export",
]
