"""Reports of a finished run: one document, written as HTML, PDF, Markdown or JSON, without torch.

A new format is a function from the document to bytes and a line in `FORMATS`; a new section a
function from the source to blocks and a line in `SECTIONS` and in `BUILDERS`.
"""

from __future__ import annotations

from auditor.report.document import BUILDERS, DOCUMENT_VERSION, build
from auditor.report.options import MOST_EXAMPLES, SECTIONS, ReportOptions
from auditor.report.schema import document_schema
from auditor.report.writing import FORMATS, available, render, write_report

__all__ = [
    "BUILDERS",
    "DOCUMENT_VERSION",
    "FORMATS",
    "MOST_EXAMPLES",
    "SECTIONS",
    "ReportOptions",
    "available",
    "build",
    "document_schema",
    "render",
    "write_report",
]
