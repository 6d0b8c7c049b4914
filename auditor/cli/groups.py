"""Groups of cases as tables and sentences in a terminal call them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from auditor.language import Words, phrase

MOST_GROUPS = 12
"""Rows of a table of groups."""

PRECISION: Mapping[str, Words] = {
    "ok": "",
    "imprecise": phrase("imprecise"),
    "counts only": phrase("counts only"),
}
"""What stands beside a group's rate, by `auditor.groups.precision`."""


def group_name(label: str, attribute: str | None, value: str | None) -> Words:
    """A cell of label × an attribute, or of the label alone where that is null.

    Of a `value` that is null or "" it says that nobody annotated it.
    """
    if pd.isna(attribute):
        return label
    if pd.isna(value) or not value:
        return phrase("{label} · unannotated", label=label)
    return f"{label} · {value}"
