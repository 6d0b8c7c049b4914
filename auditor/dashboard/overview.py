"""What the first page says of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditor.dashboard.words import STATUS
from auditor.store import Run

LEVELS = (
    "Insufficient evidence",
    "No reliance detected",
    "Association only",
    "Sensitive to the cue",
    "Errors caused by the cue harm a group",
)
"""What each level of a verdict says, in a few words."""


@dataclass(frozen=True)
class Statement:
    """A finding, with its place in the run's list."""

    number: int
    kind: str
    severity: str
    text: str
    linked: bool
    """Whether it is about some cases, which can be shown."""
    table: tuple[Mapping[str, Any], ...] | None


@dataclass(frozen=True)
class Overview:
    """What a reader takes home, and what it rests on."""

    level: int
    grade: str
    verdict: str
    accuracy: float | None
    """0..1 over the judged cases; None without any."""
    judged: int
    cases: int
    errors: int
    flagged: Mapping[str, int]
    """Cases by evidence: `confirmed`, `probable`, `attention`."""
    tested: int
    statements: tuple[Statement, ...]
    """Without what has a place of its own (verdict, accuracy, gates, worst group, skew); warnings
    first."""
    worst: tuple[Statement, ...]
    """The lowest accuracy by label, and by label and each attribute."""
    skew: tuple[Statement, ...]
    gates: tuple[Statement, ...]
    unjudged: Mapping[str, int]
    """Cases by status, in words."""


_ELSEWHERE = ("verdict", "accuracy", "worst_group", "not_judged")
_SKEW = ("association", "training_association")


def overview(run: Run) -> Overview:
    """From `run.json` and `findings.json` alone; no case is read."""
    info, counts = run.info, run.info["counts"]
    statements = [
        Statement(
            number,
            finding["kind"],
            finding["severity"],
            finding["text"],
            bool(finding.get("query")),
            None if finding.get("table") is None else tuple(finding["table"]),
        )
        for number, finding in enumerate(run.findings)
    ]
    accuracy = next((f["value"] for f in run.findings if f["kind"] == "accuracy"), None)
    gates = tuple(s for s in statements if s.kind.startswith("gate_") or s.kind == "layer")
    evidence = counts["evidence"]
    return Overview(
        int(info["verdict"]["level"]),
        str(info["verdict"]["grade"]),
        str(info["verdict"]["text"]),
        accuracy,
        int(counts["judged"]),
        int(counts["cases"]),
        int(counts["errors"]),
        {name: int(evidence.get(name, 0)) for name in ("confirmed", "probable", "attention")},
        int(counts["tested"]),
        tuple(s for s in statements if s.kind not in (*_ELSEWHERE, *_SKEW) and s not in gates),
        tuple(s for s in statements if s.kind == "worst_group"),
        tuple(s for s in statements if s.kind in _SKEW),
        gates,
        {STATUS.get(name, name): int(n) for name, n in counts["excluded"].items()},
    )
