"""A finished run held against a policy: every condition passed, failed or not decided.

A new condition is a function, and a line in `LIMITS` and in `CONDITIONS`; docs/check.md says what
each of them is.
"""

from __future__ import annotations

from auditor.policies.checking import CHECK_VERSION, EXIT_STATUS, Checked, check
from auditor.policies.conditions import CONDITIONS
from auditor.policies.outcome import Outcome
from auditor.policies.policy import LIMITS, Policy, read_policy
from auditor.policies.writing import github, junit, summary, table_rows

__all__ = [
    "CHECK_VERSION",
    "CONDITIONS",
    "EXIT_STATUS",
    "LIMITS",
    "Checked",
    "Outcome",
    "Policy",
    "check",
    "github",
    "junit",
    "read_policy",
    "summary",
    "table_rows",
]
