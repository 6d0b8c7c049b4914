"""What a section is made of: blocks, JSON-ready, which every format draws in its own way.

A block is a dict with a `kind` and, except for headings and texts, a `name` that stays the
same from report to report:

| kind | holds |
|---|---|
| `heading` | `text` |
| `text` | `text`, and a `tone`: "plain", "note" or "warning" |
| `list` | `title`, `items`: sentences |
| `code` | `title`, `text`: lines as they are |
| `facts` | `title`, `facts`: `name`, `title`, `value`, `unit`, `reason` (why it is null) |
| `table` | `title`, `columns`, `rows` (dicts by column name), `total`, `left_out`, `note` |
| `findings` | `findings`: as in findings.json, without their tables |
| `chart` | `chart` (how it is drawn), `title`, `description`, `rows`, `left_out` |
| `verdict` | `level`, `grade`, `text`, `levels`, `means`, `means_not` |
| `examples` | `examples`, `legend` |
| `recommendations` | `recommendations`: see below |
| `signoff` | `fields`: names of the blanks |

A recommendation has the `rule` that it comes from, `severity`, `text`, `settled_by`, and what
it follows from: `finding` (its number in the appendix, from 1), `finding_kind`, `finding_text`.

A column has a `name`, a `title` and a `unit`, one of `auditor.report.wording.UNITS`; where it has
`to`, it is an interval from the value under `name` to the value under `to`. A row with an `outcome`
has a `state` beside it, the same in every language.

What a reader reads is `Words` here: `auditor.report.document` writes them in a language.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from auditor.language import Phrase, Series, Words, phrase, told

Block = dict[str, Any]

_FINDING = (
    "kind", "severity", "text", "value", "low", "high", "n", "threshold", "query", "attribute",
    "cue",
)  # fmt: skip
"""What a report tells of a finding."""

MOST_ROWS = 200
"""Rows of one table; what is left out is counted, and stands in the run's own files."""
MOST_CHARACTERS = 600
"""Of one cell; a note or a label can be of any length."""
MOST_IN_TITLE = 200
"""Characters of a title, which may hold a name of any length."""


def text(words: Words, tone: str = "plain") -> Block:
    """A paragraph; `tone` is "plain", "note" or "warning"."""
    return {"kind": "text", "tone": tone, "text": words}


def heading(words: Words) -> Block:
    """A heading inside of a section."""
    return {"kind": "heading", "text": cut(words, MOST_IN_TITLE)}


def bullets(name: str, title: Words, items: Sequence[Words]) -> Block:
    """Sentences below each other, under a title."""
    return {"kind": "list", "name": name, "title": cut(title, MOST_IN_TITLE), "items": list(items)}


def code(name: str, title: Words, lines: str, most: int = 20_000) -> Block:
    """Lines as they are, at most so many characters of them."""
    left = len(lines) - most
    shown: Words = lines
    if left > 0:
        shown = phrase("{lines}\n… {left:,} more characters", lines=lines[:most], left=left)
    return {"kind": "code", "name": name, "title": cut(title, MOST_IN_TITLE), "text": shown}


def fact(
    name: str, title: Words, value: object, unit: str = "text", reason: Words | None = None
) -> dict[str, Any]:
    """One value of a block of facts; `reason` says why it is null."""
    known = plain(value)
    return {
        "name": name,
        "title": cut(title, MOST_IN_TITLE),
        "value": known,
        "unit": unit,
        "reason": (reason or phrase("not recorded")) if known is None else None,
    }


def facts(name: str, title: Words, values: Sequence[dict[str, Any]]) -> Block:
    """Values with their names, below each other."""
    return {
        "kind": "facts",
        "name": name,
        "title": cut(title, MOST_IN_TITLE),
        "facts": list(values),
    }


def column(name: str, title: Words, unit: str = "text", to: str | None = None) -> dict[str, Any]:
    """A column of a table; with `to` an interval that ends at the value of that name."""
    made = {"name": name, "title": cut(title, MOST_IN_TITLE), "unit": unit}
    return made if to is None else {**made, "to": to}


def table(
    name: str,
    title: Words,
    columns: Sequence[dict[str, Any]],
    rows: Iterable[Mapping[str, Any]],
    note: Words | None = None,
    total: int | None = None,
    most: int = MOST_ROWS,
) -> Block:
    """Rows by column name, at most `most` of them; `total` is how many there are in truth."""
    kept = list(rows)
    total = len(kept) if total is None else total
    shown = [{key: _short(plain(value)) for key, value in row.items()} for row in kept[:most]]
    return {
        "kind": "table",
        "name": name,
        "title": cut(title, MOST_IN_TITLE),
        "columns": list(columns),
        "rows": shown,
        "total": total,
        "left_out": total - len(shown),
        "note": _short(note),
    }


def findings(name: str, found: Iterable[Mapping[str, Any]]) -> Block:
    """Findings as `findings.json` has them, without their tables."""
    return {"kind": "findings", "name": name, "findings": [finding(one) for one in found]}


def finding(found: Mapping[str, Any]) -> dict[str, Any]:
    """One finding without its table, its text still in every language."""
    known = {**found, "text": told(found)}
    return {key: plain(known.get(key)) for key in _FINDING}


def chart(
    name: str,
    drawn: str,
    title: Words,
    description: Words,
    rows: Sequence[Mapping[str, Any]],
    most: int = 24,
) -> Block:
    """A chart; `drawn` is one of `auditor.report.charts.CHARTS`, `rows` what that one takes."""
    shown = [{key: plain(value) for key, value in row.items()} for row in rows[:most]]
    return {
        "kind": "chart",
        "name": name,
        "chart": drawn,
        "title": cut(title, MOST_IN_TITLE),
        "description": description,
        "rows": shown,
        "left_out": len(rows) - len(shown),
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: numpy's and pandas' own become Python's, NaN and NA null.

    Texts stay texts, until the document is written in its language.
    """
    if isinstance(value, Phrase | Series):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)


def cut(words: Words, most: int = MOST_CHARACTERS) -> Words:
    """At most so many characters, with an ellipsis where there are more.

    Of a text only its data are cut: to what its English words leave, and never below a quarter.
    """
    if isinstance(words, Phrase | Series):
        left = most - len(str(words.each(lambda _: "")))
        room = max(left, most // 4)
        return words.each(lambda data: str(cut(data, room)))
    return words if len(words) <= most else words[: most - 1] + "…"


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(one) for one in value]
    return cut(value) if isinstance(value, str | Phrase | Series) else value
