"""What the measures mean: flags of cases, statements about a run, and what two differ in."""

from __future__ import annotations

from auditor.findings.agreement import Compared, agreement_findings
from auditor.findings.collection import collection_plan
from auditor.findings.comparison import Comparison, Paired, compare
from auditor.findings.conclusions import conclude
from auditor.findings.depth import Sweep, depth_findings
from auditor.findings.effects import Shift
from auditor.findings.faithfulness import Faithful, Judged, faithfulness_findings
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
from auditor.findings.map_gates import voided
from auditor.findings.material import MapChecks, Material, Probed, Tie
from auditor.findings.pairing import changed_data
from auditor.findings.verdict import with_verdict

__all__ = [
    "Compared",
    "Comparison",
    "Faithful",
    "Finding",
    "Judged",
    "Judgement",
    "MapChecks",
    "Material",
    "Paired",
    "Probed",
    "References",
    "Shift",
    "Sweep",
    "Tie",
    "agreement_findings",
    "changed_data",
    "collection_plan",
    "compare",
    "conclude",
    "depth_findings",
    "faithfulness_findings",
    "judge_error",
    "pattern",
    "quadrant",
    "reference_excess",
    "region_p_values",
    "voided",
    "with_verdict",
]
