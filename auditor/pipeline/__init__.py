"""The orchestration of an audit."""

from __future__ import annotations

from auditor.pipeline.auditing import audit
from auditor.pipeline.computing import SHARD, Settings, Stage, Stages

__all__ = ["SHARD", "Settings", "Stage", "Stages", "audit"]
