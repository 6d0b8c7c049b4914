"""Runs on disk: written so that a crash loses little, read without torch."""

from __future__ import annotations

from auditor.store.run import SCHEMA_VERSION, Run, open_run
from auditor.store.writer import Shard, Writer

__all__ = ["SCHEMA_VERSION", "Run", "Shard", "Writer", "open_run"]
