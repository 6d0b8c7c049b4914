"""Words shared by all of Auditor: array types, statuses, flags, and the order of maps.

Every vocabulary is written once, here; `cases.parquet` holds no other value.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]  # [height, width]
Floats: TypeAlias = NDArray[np.floating[Any]]
Size: TypeAlias = tuple[int, int]  # (height, width), always in this order

CaseStatus = Literal[
    "ok",
    "unreadable",
    "mask_mismatch",
    "nonfinite_logits",
    "no_regions",
    "no_positive_evidence",
]
RegionStatus = Literal["ok", "absent", "cropped_out", "below_resolution"]
Flag = Literal["spurious_error", "wrong_reason"]
Evidence = Literal["confirmed", "probable", "attention", "unsupported", "untestable"]
Rest = Literal["background", "unannotated"]

PREDICTED_STATUSES: frozenset[CaseStatus] = frozenset(
    {"ok", "mask_mismatch", "no_regions", "no_positive_evidence"}
)
"""Statuses of the cases that have a prediction, and so count towards accuracy."""

SUBJECT, PADDING = "subject", "padding"
RESERVED_REGIONS = frozenset({SUBJECT, PADDING, "background", "unannotated"})
"""Region names that Auditor gives a meaning to; an annotated region cannot be called so."""

MAPS = ("predicted", "contrast", "margin")
"""The maps of a case, in the order of `maps.npy`'s second axis."""
