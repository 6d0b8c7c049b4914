"""What the measures mean: flags of cases, statements about a run, and what two differ in."""

from __future__ import annotations

from auditor.findings.collection import collection_plan
from auditor.findings.comparison import Comparison, Paired, compare
from auditor.findings.conclusions import conclude
from auditor.findings.effects import Shift
from auditor.findings.finding import Finding
from auditor.findings.flags import (
    Judgement,
    References,
    judge_error,
    pattern,
    quadrant,
    reference_excess,
    region_p_values,
)
from auditor.findings.gates import voided
from auditor.findings.material import MapChecks, Material, Probed, Tie
from auditor.findings.verdict import with_verdict

__all__ = [
    "Comparison",
    "Finding",
    "Judgement",
    "MapChecks",
    "Material",
    "Paired",
    "Probed",
    "References",
    "Shift",
    "Tie",
    "collection_plan",
    "compare",
    "conclude",
    "judge_error",
    "pattern",
    "quadrant",
    "reference_excess",
    "region_p_values",
    "voided",
    "with_verdict",
]
