"""The YAML at the head of a model card, written so that no text in it can be anything else."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from auditor.report.wording import one_line

_MARKUP = {char: f"\\u{ord(char):04x}" for char in "<>&"}


def front_matter(values: Mapping[str, Any]) -> str:
    """A mapping of mappings, lists, texts and numbers as YAML between two lines of `---`.

    Keys are plain words. Texts stand in double quotes on one line, as JSON has them: YAML 1.2
    (section 7.3.1) reads that alike, and without control characters (each is replaced by �)
    no escape is left that the two read differently. What could begin markup is escaped. Raises
    `ValueError` for NaN and infinity.
    """
    return "\n".join(["---", *_mapping(values, 0), "---", ""])


def _mapping(values: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key, value in values.items():
        yield from _entry(f"{'  ' * depth}{key}:", value, depth)


def _entry(head: str, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield head
        yield from _mapping(value, depth + 1)
    elif isinstance(value, list) and value:
        yield head
        for one in value:
            yield from _item(one, depth)
    else:
        yield f"{head} {_scalar(value)}"


def _item(value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if not isinstance(value, Mapping):
        yield f"{indent}- {_scalar(value)}"
        return
    for number, line in enumerate(_mapping(value, depth + 1)):
        yield f"{indent}- {line[len(indent) + 2 :]}" if number == 0 else line


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        text = json.dumps(one_line(value), ensure_ascii=False)
        # For readers that know no front matter, and would show it as Markdown.
        return "".join(_MARKUP.get(char, char) for char in text)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number of a model card")
        written = repr(value)
        # YAML 1.1, which many readers follow, takes 1e-05 for a text.
        return written if "." in written else written.replace("e", ".0e")
    if isinstance(value, bool | int) or value is None:
        return json.dumps(value)
    return "{}" if isinstance(value, Mapping) else "[]"
