"""A run held against a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from auditor.errors import ConfigurationError
from auditor.policies.conditions import CONDITIONS
from auditor.policies.outcome import Outcome, Status, together
from auditor.policies.pairing import pair
from auditor.policies.policy import Policy
from auditor.store import Run

CHECK_VERSION = 1
"""Grows when a reader of the JSON form would have to change."""

EXIT_STATUS: Mapping[Status, int] = MappingProxyType({"pass": 0, "fail": 1, "insufficient": 3})
"""What `auditor check` exits with."""


@dataclass(frozen=True)
class Checked:
    """What became of every condition, in the order of `CONDITIONS`."""

    run: Path
    policy: Policy
    baseline: Path | None
    outcomes: tuple[Outcome, ...]

    @property
    def status(self) -> Status:
        """Fail if any condition fails, else insufficient if any is, else pass."""
        return together(outcome.status for outcome in self.outcomes)

    @property
    def exit_status(self) -> int:
        """0 passed, 1 failed, 3 too little evidence to say."""
        return EXIT_STATUS[self.status]

    def counted(self) -> Mapping[Status, int]:
        """How many conditions came to each status."""
        seen = [outcome.status for outcome in self.outcomes]
        return {status: seen.count(status) for status in EXIT_STATUS}

    def described(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "check_version": CHECK_VERSION,
            "status": self.status,
            "run": str(self.run),
            "baseline": None if self.baseline is None else str(self.baseline),
            "policy": {
                "path": str(self.policy.path),
                "sha256": self.policy.sha256,
                "decide": self.policy.decide,
                "min_n": self.policy.min_n,
            },
            "counts": dict(self.counted()),
            "outcomes": [outcome.described() for outcome in self.outcomes],
        }


def check(run: Run, policy: Policy, baseline: Run | None = None) -> Checked:
    """Hold a finished run against a policy.

    Raises `ConfigurationError` where the policy asks for a baseline and there is none, or the
    reverse, and where it names an attribute or a cue set that the run does not have; `RunError`
    for a baseline over another dataset, saying what differs, and for a damaged run.
    """
    if policy.needs_baseline and baseline is None:
        raise ConfigurationError(
            f"{policy.path}: asks for a comparison with a baseline; give one (--baseline RUN), or "
            "drop [baseline]."
        )
    if baseline is not None and not policy.needs_baseline:
        raise ConfigurationError(
            f"{policy.path}: asks nothing of the baseline {baseline.path}; add [baseline], or "
            "give none."
        )
    pairing = None if baseline is None else pair(baseline, run)
    outcomes = [
        outcome
        for name, condition in CONDITIONS.items()
        if name in policy.limits
        for outcome in condition(run, policy, pairing)
    ]
    return Checked(run.path, policy, None if baseline is None else baseline.path, tuple(outcomes))
