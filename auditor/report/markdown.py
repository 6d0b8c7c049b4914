"""The document as Markdown (CommonMark with GitHub's tables), without pictures and charts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from auditor.language import (
    Language,
    Phrase,
    Words,
    listed,
    phrase,
    sentences,
    spoken,
)
from auditor.language import written as in_language
from auditor.report.views import LIFT_COLUMNS
from auditor.report.wording import ARMS, EVIDENCE, NUMERIC, cell, lines, one_line, written

Block = Mapping[str, Any]

_SPECIAL = re.compile(r"([\\`*_{}\[\]#!|~$])")
_LIST = re.compile(r"^(\s*)(\d*)([-+=.)])(?=[\s=-]|$)")  # what makes a list, a rule or a heading


def markdown(document: Mapping[str, Any]) -> bytes:
    """A document of `build` as UTF-8 Markdown; everything from outside is escaped."""
    language: Language = document["language"]
    parts = [f"# {escaped(document['title'])}"]
    parts.append("\n".join(_facts({"facts": document["identity"]}, language)))
    if document["left_out"]:
        told = phrase("Sections left out: {sections}.", sections=listed(document["left_out"]))
        parts.append(_escaped(told, language))
    for section in document["sections"]:
        parts.append(f"## {escaped(section['title'])}")
        parts += [made for made in (drawn(block, language) for block in section["blocks"]) if made]
    return ("\n\n".join(parts) + "\n").encode("utf-8", "replace")


def drawn(block: Block, language: Language = "en") -> str:
    """One block as Markdown, its texts in that language."""
    return "\n".join(BLOCKS[block["kind"]](in_language(block, language), language))


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is: no markup, no links, no list, no table."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", text)
    # Where an address stands alone it would become a link.
    text = text.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")
    return _LIST.sub(r"\1\2\\\3", text)


def _escaped(words: Words, language: Language) -> str:
    return escaped(spoken(words, language))


def _heading(block: Block, _language: Language) -> Iterator[str]:
    yield f"### {escaped(block['text'])}"


def _text(block: Block, _language: Language) -> Iterator[str]:
    words = escaped(block["text"])
    yield f"> {words}" if block["tone"] != "plain" else words


def _list(block: Block, _language: Language) -> Iterator[str]:
    yield f"### {escaped(block['title'])}"
    yield ""
    yield from (f"- {escaped(item)}" for item in block["items"])


def _code(block: Block, _language: Language) -> Iterator[str]:
    yield f"### {escaped(block['title'])}"
    yield ""
    # Indented, since text from outside could end a fence.
    yield from (f"    {line}" for line in lines(block["text"]).split("\n"))


def _facts(block: Block, language: Language) -> Iterator[str]:
    if block.get("title"):
        yield f"### {escaped(block['title'])}"
        yield ""
    for one in block["facts"]:
        value = escaped(written(one["value"], one["unit"], language))
        reason = f" ({escaped(one['reason'])})" if one["reason"] else ""
        yield f"- {escaped(one['title'])}: {value}{reason}"


def _table(block: Block, language: Language) -> Iterator[str]:
    yield f"### {escaped(block['title'])}"
    yield ""
    if not block["rows"]:
        yield _escaped(phrase("None."), language)
        return
    columns = block["columns"]
    yield _line([escaped(column["title"]) for column in columns])
    yield _line(["---:" if column["unit"] in NUMERIC else "---" for column in columns])
    for row in block["rows"]:
        yield _line([escaped(cell(row, column, language)) for column in columns])
    if block["left_out"]:
        yield ""
        told = phrase(
            "{left:,} of {total:,} rows are left out here.",
            left=block["left_out"],
            total=block["total"],
        )
        yield _escaped(told, language)
    if block["note"]:
        yield ""
        yield escaped(block["note"])


_SEVERITIES: Mapping[str, Phrase] = {
    "warning": phrase("Warning"),
    "notice": phrase("Notice"),
    "info": phrase("Info"),
}


def _severity(one: Mapping[str, Any], language: Language) -> str:
    return _escaped(_SEVERITIES[one["severity"]], language)


def _findings(block: Block, language: Language) -> Iterator[str]:
    for one in block["findings"]:
        yield f"- **{_severity(one, language)}**: {escaped(one['text'])}"


def _chart(block: Block, language: Language) -> Iterator[str]:
    """Of most charts nothing: a table, or the sentences beside them, hold the same figures."""
    if block["chart"] == "counts":
        columns = [
            {"name": "label", "title": spoken(phrase("Label"), language), "unit": "text"},
            {"name": "value", "title": spoken(phrase("Annotated as"), language), "unit": "text"},
            {"name": "n", "title": spoken(phrase("Cases"), language), "unit": "count"},
        ]
        total = len(block["rows"]) + block["left_out"]
        yield from _table({**block, "columns": columns, "note": None, "total": total}, language)
    elif block["chart"] == "lifts":
        rows = [{**row, "grid": f"{row['height']} × {row['width']}"} for row in block["rows"]]
        columns = in_language(LIFT_COLUMNS, language)
        made = {"columns": columns, "rows": rows, "note": block["description"]}
        yield from _table({**block, **made, "total": len(rows) + block["left_out"]}, language)


def _verdict(block: Block, language: Language) -> Iterator[str]:
    yield f"**{escaped(block['text'])}**"
    yield ""
    for number, name in enumerate(block["levels"]):
        here = phrase("Level {number}: {name} ← this run", number=number, name=name)
        other = phrase("Level {number}: {name}", number=number, name=name)
        yield f"- {_escaped(here if number == block['level'] else other, language)}"
    yield ""
    yield _escaped(phrase("It means: {meaning}", meaning=block["means"]), language)
    yield ""
    yield _escaped(phrase("It does not mean: {meaning}", meaning=block["means_not"]), language)


def _examples(block: Block, language: Language) -> Iterator[str]:
    for one in block["examples"]:
        yield f"- **{escaped(str(one['id']))}**: {_escaped(_example(one, language), language)}"
        for told in _details(one, language):
            yield f"  - {_escaped(told, language)}"
        for review in one["reviews"]:
            told = phrase(
                "Reviewed: {verdict} by {reviewer}.",
                verdict=written(review["verdict"], language=language),
                reviewer=written(review["reviewer"], language=language),
            )
            yield f"  - {_escaped(told, language)} {escaped(review['note'] or '')}"


def _example(one: Mapping[str, Any], language: Language) -> Words:
    return sentences(
        phrase("{sentence}.", sentence=one["chosen"]),
        phrase(
            "Labelled {label}, predicted {predicted} with confidence {confidence}.",
            label=one["label"],
            predicted=one["predicted"],
            confidence=written(one["confidence"], "number", language),
        ),
        phrase(
            "Cue {cue}, evidence {evidence}, reliance {reliance}.",
            cue=written(one["cue"], language=language),
            evidence=EVIDENCE.get(one["evidence"]) or written(None),
            reliance=written(one["reliance"], "number", language),
        ),
        one["reason"] or "",
    )


def _details(one: Mapping[str, Any], language: Language) -> Iterator[Phrase]:
    if one["attributes"]:
        values = listed(
            f"{name} {written(value, language=language)}"
            for name, value in one["attributes"].items()
        )
        yield phrase("Annotated as: {values}", values=values)
    if one["pair"]:
        for arm, margins in zip(one["pair"]["arms"], one["pair"]["margins"], strict=True):
            values = listed(written(margin, "logits", language) for margin in margins)
            yield phrase("Margins, {arm}: {margins}", arm=ARMS[arm], margins=values)


def _recommendations(block: Block, language: Language) -> Iterator[str]:
    for one in block["recommendations"]:
        yield f"- **{_severity(one, language)}**: {escaped(one['text'])}"
        source = phrase(
            "From finding {number}, {kind}: {text}",
            number=one["finding"],
            kind=one["finding_kind"],
            text=one["finding_text"],
        )
        yield f"  - {_escaped(source, language)}"
        settled = phrase("Settled by: {what}", what=one["settled_by"])
        yield f"  - {_escaped(settled, language)}"


def _signoff(block: Block, _language: Language) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name in block["fields"]:
        yield f"| {escaped(name)} | |"


BLOCKS: Mapping[str, Callable[[Block, Language], Iterator[str]]] = {
    "chart": _chart,
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
"""What writes each kind of block, whose texts are written already."""


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
