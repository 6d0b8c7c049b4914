"""The document as Markdown (CommonMark with GitHub's tables), without pictures and charts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from auditor.report.wording import NUMERIC, cell, lines, one_line, written

Block = Mapping[str, Any]

_SPECIAL = re.compile(r"([\\`*_{}\[\]#!|~$])")
_LIST = re.compile(r"^(\s*)(\d*)([-+=.)])(?=[\s=-]|$)")  # what makes a list, a rule or a heading


def markdown(document: Mapping[str, Any]) -> bytes:
    """A document of `build` as UTF-8 Markdown; everything from outside is escaped."""
    parts = [f"# {escaped(document['title'])}"]
    parts.append("\n".join(_facts({"facts": document["identity"]})))
    if document["left_out"]:
        parts.append(f"Sections left out: {escaped(', '.join(document['left_out']))}.")
    for section in document["sections"]:
        parts.append(f"## {escaped(section['title'])}")
        for block in section["blocks"]:
            made = "\n".join(BLOCKS[block["kind"]](block))
            if made:
                parts.append(made)
    return ("\n\n".join(parts) + "\n").encode("utf-8", "replace")


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is: no markup, no links, no list, no table."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", text)
    # Where an address stands alone it would become a link.
    text = text.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")
    return _LIST.sub(r"\1\2\\\3", text)


def _heading(block: Block) -> Iterator[str]:
    yield f"### {escaped(block['text'])}"


def _text(block: Block) -> Iterator[str]:
    words = escaped(block["text"])
    yield f"> {words}" if block["tone"] != "plain" else words


def _list(block: Block) -> Iterator[str]:
    yield f"### {escaped(block['title'])}"
    yield ""
    yield from (f"- {escaped(item)}" for item in block["items"])


def _code(block: Block) -> Iterator[str]:
    yield f"### {escaped(block['title'])}"
    yield ""
    # Indented, since text from outside could end a fence.
    yield from (f"    {line}" for line in lines(block["text"]).split("\n"))


def _facts(block: Block) -> Iterator[str]:
    if block.get("title"):
        yield f"### {escaped(block['title'])}"
        yield ""
    for one in block["facts"]:
        value = escaped(written(one["value"], one["unit"]))
        reason = f" ({escaped(one['reason'])})" if one["reason"] else ""
        yield f"- {escaped(one['title'])}: {value}{reason}"


def _table(block: Block) -> Iterator[str]:
    yield f"### {escaped(block['title'])}"
    yield ""
    if not block["rows"]:
        yield "None."
        return
    columns = block["columns"]
    yield _line([escaped(column["title"]) for column in columns])
    yield _line(["---:" if column["unit"] in NUMERIC else "---" for column in columns])
    for row in block["rows"]:
        yield _line([escaped(cell(row, column)) for column in columns])
    if block["left_out"]:
        yield ""
        yield f"{block['left_out']:,} of {block['total']:,} rows are left out here."
    if block["note"]:
        yield ""
        yield escaped(block["note"])


def _findings(block: Block) -> Iterator[str]:
    for one in block["findings"]:
        yield f"- **{one['severity'].capitalize()}**: {escaped(one['text'])}"


def _chart(_block: Block) -> Iterator[str]:
    """Nothing: its table, or the sentences beside it, hold the same figures."""
    yield from ()


def _counts(block: Block) -> Iterator[str]:
    columns = [
        {"name": "label", "title": "Label", "unit": "text"},
        {"name": "value", "title": "Annotated as", "unit": "text"},
        {"name": "n", "title": "Cases", "unit": "count"},
    ]
    total = len(block["rows"]) + block["left_out"]
    yield from _table({**block, "columns": columns, "note": None, "total": total})


def _verdict(block: Block) -> Iterator[str]:
    yield f"**{escaped(block['text'])}**"
    yield ""
    for number, name in enumerate(block["levels"]):
        here = " ← this run" if number == block["level"] else ""
        yield f"- Level {number}: {escaped(name)}{here}"
    yield ""
    yield f"It means: {escaped(block['means'])}"
    yield ""
    yield f"It does not mean: {escaped(block['means_not'])}"


def _examples(block: Block) -> Iterator[str]:
    for one in block["examples"]:
        yield f"- **{escaped(str(one['id']))}**: {escaped(one['chosen'])}. " + escaped(
            f"Labelled {one['label']}, predicted {one['predicted']} with confidence "
            f"{written(one['confidence'], 'number')}. Cue {written(one['cue'])}, evidence "
            f"{written(one['evidence'])}, reliance {written(one['reliance'], 'number')}. "
            f"{one['reason'] or ''}"
        )
        annotated = [f"{name} {written(value)}" for name, value in one["attributes"].items()]
        if annotated:
            yield f"  - Annotated as: {escaped(', '.join(annotated))}"
        if one["pair"]:
            for arm, margins in zip(one["pair"]["arms"], one["pair"]["margins"], strict=True):
                told = ", ".join(written(margin, "logits") for margin in margins)
                yield f"  - Margins, {escaped(arm)}: {escaped(told)}"
        for review in one["reviews"]:
            told = f"{written(review['verdict'])} by {written(review['reviewer'])}"
            yield f"  - Reviewed: {escaped(told)}. {escaped(review['note'] or '')}"


def _recommendations(block: Block) -> Iterator[str]:
    for one in block["recommendations"]:
        yield f"- **{one['severity'].capitalize()}**: {escaped(one['text'])}"
        told = f"{one['finding']}, {one['finding_kind']}: {one['finding_text']}"
        yield f"  - From finding {escaped(told)}"
        yield f"  - Settled by: {escaped(one['settled_by'])}"


def _signoff(block: Block) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name in block["fields"]:
        yield f"| {escaped(name)} | |"


BLOCKS: Mapping[str, Callable[[Block], Iterator[str]]] = {
    "chart": lambda block: _counts(block) if block["chart"] == "counts" else _chart(block),
    "code": _code,
    "examples": _examples,
    "facts": _facts,
    "findings": _findings,
    "heading": _heading,
    "list": _list,
    "recommendations": _recommendations,
    "signoff": _signoff,
    "table": _table,
    "text": _text,
    "verdict": _verdict,
}
"""What writes each kind of block."""


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
