"""Cues that nobody annotated: hints from clusters of maps, and of the features under them.

Spectral relevance analysis (Lapuschkin et al. 2019, Nature Communications 10:1096) of a finished
run. A cluster is a hint that a person follows by looking and annotating; it is never a finding.
"""

from __future__ import annotations

from auditor.discovery.options import DiscoveryOptions
from auditor.discovery.returning import add_region
from auditor.discovery.writing import Discovered, discover

__all__ = ["Discovered", "DiscoveryOptions", "add_region", "discover"]
