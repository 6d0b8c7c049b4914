"""Every fixed sentence of Auditor, found in its source: what each catalogue has to hold."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Formatter

import jinja2
from jinja2 import nodes

import auditor
from auditor.language.nouns import NOUNS

PACKAGE = Path(auditor.__file__).parent
IN_TEMPLATES = ("say", "pieces")
"""What a page's template calls to have a fixed sentence."""


class NoLiteralError(Exception):
    """A fixed sentence that is not written out where it is said, so that nobody can collect it."""


def templates() -> dict[str, str]:
    """Every English template, to the first place that says it."""
    found: dict[str, str] = {}
    for place, template in (*_in_nouns(), *_in_python(), *_in_pages()):
        found.setdefault(template, place)
    return found


def names(template: str) -> set[str]:
    """What stands in the braces of a template."""
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def of_python(source: str, place: str) -> Iterator[tuple[str, str]]:
    """The templates given to `phrase` in a module, each with where it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
            if name == "phrase":
                first = node.args[0] if node.args else None
                value = first.value if isinstance(first, ast.Constant) else None
                yield _literal(value, f"{place}:{node.lineno}")


def of_page(source: str, place: str) -> Iterator[tuple[str, str]]:
    """The templates given to `IN_TEMPLATES` in a page's template, each with where it stands."""
    for node in jinja2.Environment(autoescape=True).parse(source).find_all(nodes.Call):
        if isinstance(node.node, nodes.Name) and node.node.name in IN_TEMPLATES:
            first = node.args[0] if node.args else None
            value = first.value if isinstance(first, nodes.Const) else None
            yield _literal(value, f"{place}:{node.lineno}")


def _in_nouns() -> Iterator[tuple[str, str]]:
    for noun, both in NOUNS.items():
        yield from ((f"NOUNS[{noun!r}]", template) for template in both)


def _in_python() -> Iterator[tuple[str, str]]:
    for path in _files("*.py"):
        yield from of_python(path.read_text(encoding="utf-8"), _place(path))


def _in_pages() -> Iterator[tuple[str, str]]:
    for path in _files("*.html"):
        yield from of_page(path.read_text(encoding="utf-8"), _place(path))


def _files(pattern: str) -> Iterable[Path]:
    return sorted(PACKAGE.rglob(pattern))


def _place(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix()


def _literal(value: object, place: str) -> tuple[str, str]:
    if not isinstance(value, str):
        raise NoLiteralError(f"{place}: the sentence is no literal; write it out there.")
    return place, value
