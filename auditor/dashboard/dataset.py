"""What the page about the dataset shows: what is in it, what goes together, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auditor.dashboard.columns import NOT_ANNOTATED, codes, names, pooled, read_columns
from auditor.store import Run
from auditor.types import SUBJECT

MOST_SHOWN = 8
"""Labels, and values of an attribute, that are shown one by one."""

AMONG = {
    "association": "audited images",
    "presence_association": "cue shown",
    "training_association": "training images",
}
"""The kinds of findings about label and something else, and what a table calls them."""

_COLLECT = {
    "collect": "audited images",
    "presence_collect": "cue shown",
    "training_collect": "training images",
}
NO_MASKS = "no masks"
"""What the coverage of a region says of cases whose regions were not measured at all."""

_STATUSES = ("ok", "absent", "cropped_out", "below_resolution")


@dataclass(frozen=True)
class Crossed:
    """How many images each cell of label × one attribute has."""

    attribute: str
    table: pd.DataFrame
    """One row a cell, also an empty one, in the order of labels, then values: `label`, `value`
    (null: not annotated), `n` (images) and `share` (of the images with that label, 0 to 1; the
    shares of a label sum to 1)."""
    unannotated: int
    """Images in which nobody annotated the attribute."""
    notes: tuple[str, ...]
    """Sentences about what is shown together."""


@dataclass(frozen=True)
class Collection:
    """What to collect so that label and something else no longer go together."""

    name: str | None
    """The attribute or the cue; null where the finding names none."""
    among: str
    """"audited images", "cue shown" or "training images"."""
    text: str
    exchanged: int
    """Images to exchange."""
    n: int
    """Images there are."""
    table: pd.DataFrame
    """One row a cell that changes or has images: `label`, `value`, `n`, `target`, `collect`
    (images to add) and `surplus` (images to take out)."""


def crossed(run: Run, attribute: str, most: int = MOST_SHOWN) -> Crossed:
    """Count the images of each label × value of an attribute, `most` of either one by one."""
    column = f"attribute.{attribute}"
    cases = read_columns(run, ["label", column])
    rows, labels, of_labels = pooled(cases["label"], most)
    columns, values, of_values = pooled(cases[column], most)
    counts = np.bincount(rows * len(values) + columns, minlength=len(labels) * len(values))
    counts = counts.reshape(len(labels), len(values))
    sizes = np.maximum(counts.sum(1, keepdims=True), 1)
    table = pd.DataFrame(
        {
            "label": pd.Series([label for label in labels for _ in values], dtype=object),
            "value": pd.Series(values * len(labels), dtype=object),
            "n": counts.ravel(),
            "share": (counts / sizes).ravel(),
        }
    )
    notes = [f"Labels: {of_labels}"] * bool(of_labels)
    notes += [f"Values of {attribute}: {of_values}"] * bool(of_values)
    missing = int((codes(cases[column]) < 0).sum())
    return Crossed(attribute, table, missing, tuple(notes))


def coverage(run: Run) -> pd.DataFrame:
    """How many cases are annotated with each attribute, and measured in each region.

    One row an attribute or region and status, statuses without a case left out: `what`
    ("attribute" or "region"), `name`, `status` ("annotated" or "not annotated" of an attribute;
    `ok`, `absent`, `cropped_out`, `below_resolution` or "no masks" of the subject and of each
    cue), `n` (cases) and `share` (of all cases, 0 to 1). Empty for a run without cases.
    """
    attributes = list(run.info["attributes"])
    regions = [SUBJECT, *(cue for cue in run.info["regions"]["cues"] if cue != SUBJECT)]
    rows: list[dict[str, object]] = []

    def add(what: str, name: str, counted: Mapping[str, int], total: int) -> None:
        rows.extend(
            {"what": what, "name": name, "status": status, "n": n, "share": n / total}
            for status, n in counted.items()
            if n
        )

    for name in attributes:
        code = codes(read_columns(run, [f"attribute.{name}"])[f"attribute.{name}"])
        known = int((code >= 0).sum())
        add("attribute", name, {"annotated": known, NOT_ANNOTATED: len(code) - known}, len(code))
    for name in regions:
        column = read_columns(run, [f"status.{name}"])[f"status.{name}"]
        code, values = codes(column), names(column)
        counts = np.bincount(code + 1, minlength=len(values) + 1)
        found = dict(zip(values, counts[1:].tolist(), strict=True))
        ordered = {status: found.get(status, 0) for status in (*_STATUSES, *found)}
        add("region", name, {**ordered, NO_MASKS: int(counts[0])}, len(code))
    return pd.DataFrame(rows, columns=["what", "name", "status", "n", "share"])


def associations(run: Run) -> pd.DataFrame:
    """Whether the label goes together with anything, from the run's findings.

    One row a finding of `AMONG`'s kinds, in their order: `among` ("audited images", "cue shown",
    "training images"), `name` (the attribute or cue; null where the finding names none),
    `value` (corrected Cramér's V, 0 to 1), `low`, `high` (95 %), `n` (images), `threshold`,
    `notable` (whether the finding is a notice), `reason` (why there is no value; null where
    there is one) and `text` (the finding).
    """
    rows = []
    for kind, among in AMONG.items():
        rows += [{"among": among, **_described(finding)} for finding in _findings(run, kind)]
    columns = ["among", "name", "value", "low", "high", "n", "threshold", "notable"]
    return _typed(pd.DataFrame(rows, columns=[*columns, "reason", "text"]))


def probes(run: Run) -> pd.DataFrame:
    """How well each region alone tells the label, from the run's findings.

    One row a region: `name`, `value` (balanced accuracy, 0 to 1), `low`, `high` (95 %), `n`
    (images), `threshold` (what permuted labels reach on average: chance), `notable`, `reason`
    (why there is no value, else null) and `text`.
    """
    rows = [_described(finding) for finding in _findings(run, "probe")]
    columns = ["name", "value", "low", "high", "n", "threshold", "notable", "reason", "text"]
    return _typed(pd.DataFrame(rows, columns=columns))


def collections(run: Run) -> list[Collection]:
    """The tables of what to collect, of audited images, cues and training images."""
    found = []
    for kind, among in _COLLECT.items():
        for finding in _findings(run, kind):
            rows = finding.get("table") or []
            columns = ["label", "value", "n", "target", "collect", "surplus"]
            found.append(
                Collection(
                    _name(finding),
                    among,
                    finding["text"],
                    int(finding["value"] or 0),
                    int(finding["n"] or 0),
                    pd.DataFrame(list(rows), columns=columns),
                )
            )
    return found


def _findings(run: Run, kind: str) -> list[dict[str, Any]]:
    return [finding for finding in run.findings if finding["kind"] == kind]


def _name(finding: Mapping[str, Any]) -> str | None:
    """The attribute or the cue that a finding is about; the runs of older versions do not say."""
    about = finding.get("attribute"), finding.get("cue")
    return next((str(name) for name in about if name is not None), None)


def _described(finding: Mapping[str, Any]) -> dict[str, object]:
    return {
        "name": _name(finding),
        **{key: finding[key] for key in ("value", "low", "high", "n", "threshold")},
        "notable": finding["severity"] == "notice",
        "reason": finding["text"] if finding["value"] is None else None,
        "text": finding["text"],
    }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers as floats, counts as whole numbers that may be null; texts as objects."""
    numbers = dict.fromkeys(("value", "low", "high", "threshold"), float)
    texts = dict.fromkeys(("name", "reason", "text"), object)
    table = table.astype({**numbers, **texts, "n": "Int64", "notable": bool})
    for name in texts:
        table[name] = table[name].where(table[name].notna(), None)
    return table
