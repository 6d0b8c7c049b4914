"""The document as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import count
from string import Formatter
from typing import Any

import jinja2
from markupsafe import Markup

from auditor.language import Language, Phrase, Words, listed, spoken, template_in
from auditor.language.text import Value
from auditor.report import charts
from auditor.report.wording import (
    EVIDENCE,
    NUMERIC,
    SEVERITIES,
    cell,
    lines,
    margins_of,
    one_line,
    written,
)

_LONGEST_WORD = 24  # characters


def html(document: Mapping[str, Any]) -> bytes:
    """A document of `build` as UTF-8 HTML; everything from outside is escaped."""
    numbers = count(1)

    def chart(block: Mapping[str, Any]) -> Markup:
        # Built as a tree of elements, whose texts are escaped when it is written.
        return Markup(charts.svg(block, next(numbers), document["language"]))  # noqa: S704

    page = _template().render(document=document, chart=chart)
    return page.encode("utf-8", "replace")


def pages_of(package: str) -> jinja2.Environment:
    """The templates of a package: everything is escaped, and nothing may be missing."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _template() -> jinja2.Template:
    environment = pages_of("auditor.report")
    environment.filters |= {
        "cell": _cell,
        "lines": lines,
        "listed": listed,
        "margins": margins_of,
        "shown": one_line,
        "spoken": _spoken,
        "written": _written,
    }
    environment.tests["longworded"] = _longworded
    environment.globals |= {
        "numeric": NUMERIC,
        "evidences": EVIDENCE,
        "severities": SEVERITIES,
        "say": _say,
        "pieces": _pieces,
    }
    return environment.get_template("report.html")


# The template is kept for all documents; a page's language comes with what it is rendered from.


def _language(context: jinja2.runtime.Context) -> Language:
    language: Language = context["document"]["language"]
    return language


@jinja2.pass_context
def _say(context: jinja2.runtime.Context, template: str, /, **values: Value) -> str:
    """A fixed sentence in the page's language; not markup, so that it is escaped."""
    return Phrase(template, values).written(_language(context))


@jinja2.pass_context
def _pieces(context: jinja2.runtime.Context, template: str) -> Iterable[tuple[str, str | None]]:
    """A fixed sentence whose values have markup: each text, and the name of what follows it."""
    parsed = Formatter().parse(template_in(_language(context), template))
    return ((text, name) for text, name, _, _ in parsed)


@jinja2.pass_context
def _spoken(context: jinja2.runtime.Context, words: Words) -> str:
    return spoken(words, _language(context))


@jinja2.pass_context
def _written(context: jinja2.runtime.Context, value: Any, unit: str = "text") -> str:
    return written(value, unit, _language(context))


@jinja2.pass_context
def _cell(
    context: jinja2.runtime.Context, row: Mapping[str, Any], column: Mapping[str, Any]
) -> str:
    return cell(row, column, _language(context))


def _longworded(text: str) -> bool:
    """Whether a word has to be broken so that its cell does not widen the page."""
    return any(len(word) > _LONGEST_WORD for word in text.split())
