"""The report as one JSON-ready document, from which every other format is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from auditor.datasets import Dataset
from auditor.errors import AuditorError
from auditor.language import phrase, written
from auditor.report.appendix import appendix
from auditor.report.blocks import Block, fact
from auditor.report.examples import examples
from auditor.report.options import SECTIONS, ReportOptions
from auditor.report.outcomes import attention, cues, disparities, performance
from auditor.report.recommendations import recommendations
from auditor.report.review import COLUMNS, review
from auditor.report.schema import VERSION
from auditor.report.scope import collect, data, model, provenance, scope
from auditor.report.source import Source
from auditor.report.verdicts import limits, signoff, verdict
from auditor.store import Run

DOCUMENT_VERSION = VERSION
"""Grows when a reader of the JSON form would have to change."""

BUILDERS: Mapping[str, Callable[[Source], list[Block]]] = {
    "verdict": verdict,
    "scope": scope,
    "data": data,
    "model": model,
    "performance": performance,
    "disparities": disparities,
    "attention": attention,
    "cues": cues,
    "examples": examples,
    "review": review,
    "limits": limits,
    "recommendations": recommendations,
    "collect": collect,
    "provenance": provenance,
    "signoff": signoff,
    "appendix": appendix,
}
"""What makes each section of `SECTIONS`."""


def build(
    run: Run,
    options: ReportOptions | None = None,
    reviews: pd.DataFrame | None = None,
    dataset: Dataset | None = None,
) -> dict[str, Any]:
    """The document of a finished run: identity, then `sections`, each of blocks.

    Every number comes from the run's own files; `auditor.report.blocks` says what blocks hold.
    The builders give texts, which are written in `options.language` here, at the end.
    The same run and options give the same document: it holds no time of writing. `reviews` has
    a row for each current verdict of a reviewer, with the columns `case`, `reviewer`,
    `verdict`, `tags`, `note`, `time`. `dataset` is the run's, where it is open already; else it
    is opened from the run's configuration if pictures are wanted. Raises `AuditorError` for
    reviews without those columns and for a damaged run.
    """
    options = options or ReportOptions()
    if reviews is not None:
        missing = [name for name in COLUMNS if name not in reviews]
        if missing:
            raise AuditorError(
                f"the reviews lack the columns {', '.join(missing)}; they need "
                f"{', '.join(COLUMNS)}."
            )
    source = Source(run, options, reviews, dataset)
    left = [title for name, title in SECTIONS.items() if name not in options.sections]
    document: dict[str, Any] = {
        "document_version": DOCUMENT_VERSION,
        "language": options.language,
        "title": phrase("Audit report: {run}", run=run.path.resolve().name),
        "identity": _identity(run),
        "left_out": left,
        "sections": [
            {"name": name, "title": SECTIONS[name], "blocks": BUILDERS[name](source)}
            for name in options.sections
        ],
    }
    return dict(written(document, options.language))


def _identity(run: Run) -> list[dict[str, Any]]:
    """What was audited, in the few lines that stand at the head of every report."""
    info = run.info
    model, identity, made = info["model"], info["identity"], info["provenance"]
    inputs = list(made.get("inputs", {}))
    return [
        fact("run", phrase("Run"), run.path.resolve().name),
        fact("model", phrase("Model"), model.get("checkpoint") or model.get("architecture")),
        fact("weights", phrase("Weights, SHA-256"), identity.get("weights"), "hash"),
        fact("data", phrase("Data"), inputs or None),
        fact("dataset", phrase("Dataset, fingerprint"), identity.get("dataset"), "hash"),
        fact("cases", phrase("Cases"), info["counts"]["cases"], "count"),
        fact("created", phrase("Audited at"), made.get("created")),
        fact("auditor", phrase("Auditor"), identity.get("auditor")),
    ]
