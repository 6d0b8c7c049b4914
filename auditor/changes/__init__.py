"""Changed images, made without torch: for an audit's tests, and again for whoever reads its run."""

from __future__ import annotations

from auditor.changes.anchoring import Anchoring, union
from auditor.changes.remaking import Remaker
from auditor.changes.stock import Stock, Stocked

__all__ = ["Anchoring", "Remaker", "Stock", "Stocked", "union"]
