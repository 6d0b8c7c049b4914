"""Cells of label × annotated values: which cases are in them, and how that is said."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from auditor.language import Phrase, counted, phrase
from auditor.rates import Rates


def annotated(values: pd.Series) -> pd.Series:
    """Values of an attribute as objects; null where nobody annotated it, "" included."""
    values = values.astype(object)
    return values.where(values.notna() & (values != ""), None)


def cell_columns(cases: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The columns that rates by `by` need; an annotation that is "" is null."""
    columns = {name: cases[name].astype(object) if name == "label" else annotated(cases[name])
               for name in by}  # fmt: skip
    columns["correct"] = cases["correct"]
    if "cluster" in cases:
        columns["cluster"] = cases["cluster"]
    return pd.DataFrame(columns)


def selected(column: str, value: object) -> str:
    """A pandas expression for the cases with that value; null is not annotated."""
    if pd.isna(value):
        return f"(`{column}`.isna() or `{column}` == '')"
    return f"`{column}` == {str(value)!r}"


def unit_words(rates: Rates) -> Phrase:
    """What counts as independent: "clusters" or "judged cases"."""
    return phrase("clusters") if rates.clustered else phrase("judged cases")


def counted_units(n: int, rates: Rates) -> Phrase:
    """So many of what counts as independent: "10 judged cases"."""
    return counted(n, "cluster" if rates.clustered else "judged case")


def crossed(attributes: Sequence[str]) -> Phrase:
    """What the cells of label × these attributes are by: "label × age × sex"."""
    if not attributes:
        return phrase("label")
    return phrase("label × {attributes}", attributes=" × ".join(attributes))
