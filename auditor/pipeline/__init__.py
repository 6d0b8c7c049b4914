"""The orchestration of an audit."""

from __future__ import annotations

from auditor.pipeline.auditing import audit
from auditor.pipeline.computing import SHARD, Progress, Settings

__all__ = ["SHARD", "Progress", "Settings", "audit"]
