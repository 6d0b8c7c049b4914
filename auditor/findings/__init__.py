"""What the measures mean: flags of cases, and statements about the run."""

from __future__ import annotations

from auditor.findings.conclusions import Finding, conclude
from auditor.findings.flags import (
    Judgement,
    References,
    judge_error,
    pattern,
    quadrant,
    reference_excess,
    region_p_values,
)
from auditor.findings.thresholds import THRESHOLDS, Thresholds

__all__ = [
    "THRESHOLDS",
    "Finding",
    "Judgement",
    "References",
    "Thresholds",
    "conclude",
    "judge_error",
    "pattern",
    "quadrant",
    "reference_excess",
    "region_p_values",
]
