"""The document as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import count
from typing import Any

import jinja2
from markupsafe import Markup

from auditor.report import charts
from auditor.report.wording import NUMERIC, cell, lines, one_line, written

_LONGEST_WORD = 24  # characters

FINDING_WORDS = {"warning": "Warning", "notice": "Notice", "info": "Information"}


def html(document: Mapping[str, Any]) -> bytes:
    """A document of `build` as UTF-8 HTML; everything from outside is escaped."""
    numbers = count(1)

    def chart(block: Mapping[str, Any]) -> Markup:
        # Built as a tree of elements, whose texts are escaped when it is written.
        return Markup(charts.svg(block, next(numbers)))  # noqa: S704

    page = _template().render(document=document, chart=chart)
    return page.encode("utf-8", "replace")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("auditor.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell, "lines": lines, "shown": one_line, "written": written}
    environment.tests["longworded"] = _longworded
    environment.globals |= {"numeric": NUMERIC, "finding_words": FINDING_WORDS}
    return environment.get_template("report.html")


def _longworded(text: str) -> bool:
    """Whether a word has to be broken so that its cell does not widen the page."""
    return any(len(word) > _LONGEST_WORD for word in text.split())
