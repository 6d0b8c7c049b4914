"""The orchestration of an audit."""

from __future__ import annotations

from auditor.pipeline.auditing import SHARD, Progress, Settings, audit

__all__ = ["SHARD", "Progress", "Settings", "audit"]
