"""What is said, kept apart from the language that it is written in.

A `Phrase` is an English template and what stands in its braces; it is recorded as such in
`findings.json`, beside the English text, so that a finished run can be read in any language.
The values are data (names, labels, numbers), which no language changes, or texts themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from string import Formatter
from typing import Any, Literal, TypeAlias

import numpy as np

from auditor.language.catalogue import Language, template_in

Value: TypeAlias = "Text | str | int | float | None"
Between = Literal["sentences", "list", "clauses"]

_BETWEEN: Mapping[Between, Mapping[Language, str]] = {
    "sentences": {"en": " ", "ja": ""},
    "list": {"en": ", ", "ja": "、"},
    "clauses": {"en": "; ", "ja": "；"},
}


class _Numbers(Formatter):
    """`str.format`, but with a minus sign where numbers have a hyphen, as in tables and charts."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(value, format_spec)
        below = isinstance(value, Real) and text.lstrip().startswith("-")
        return text.replace("-", "−", 1) if below else text


_NUMBERS = _Numbers()


@dataclass(frozen=True)
class Phrase:
    """One fixed sentence, or part of one, with what stands in it."""

    template: str
    """English, for `str.format`; the key of its translations."""
    values: Mapping[str, Value]

    def __str__(self) -> str:
        return self.written("en")

    def written(self, language: Language) -> str:
        """The sentence in that language."""
        values = {name: _written(value, language) for name, value in self.values.items()}
        return _NUMBERS.vformat(template_in(language, self.template), (), values)

    def described(self) -> dict[str, Any]:
        """JSON-ready; `read` makes it a text again."""
        return {"template": self.template, "values": _described(self.values)}

    def each(self, change: Callable[[str], str]) -> Phrase:
        """The same with every piece of data that is a string changed."""
        return Phrase(self.template, {k: _each(v, change) for k, v in self.values.items()})


@dataclass(frozen=True)
class Series:
    """Texts one after another."""

    parts: tuple[Text | str, ...]
    between: Between

    def __str__(self) -> str:
        return self.written("en")

    def written(self, language: Language) -> str:
        """The texts in that language, with what it puts between them."""
        parts = (str(_written(part, language)) for part in self.parts)
        return _BETWEEN[self.between][language].join(parts)

    def described(self) -> dict[str, Any]:
        """JSON-ready; `read` makes it a text again."""
        parts = [part if isinstance(part, str) else part.described() for part in self.parts]
        return {"between": self.between, "parts": parts}

    def each(self, change: Callable[[str], str]) -> Series:
        """The same with every piece of data that is a string changed."""
        return Series(tuple(_each(part, change) for part in self.parts), self.between)


Text: TypeAlias = Phrase | Series
Words: TypeAlias = Phrase | Series | str
"""A text, or data: a string that no language changes."""


def phrase(template: str, /, **values: Value) -> Phrase:
    """A fixed sentence; `template` is English, written out as a literal where this is called.

    tests/test_language.py finds the literals, and asks every catalogue for them. NumPy's
    scalars become Python's.
    """
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
    return Phrase(template, plain)


def sentences(*parts: Words | None) -> Series:
    """Sentences after each other; those that are None are left out."""
    return Series(tuple(part for part in parts if part is not None), "sentences")


def listed(parts: Iterable[Words]) -> Series:
    """Names or phrases with commas between."""
    return Series(tuple(parts), "list")


def clauses(parts: Iterable[Words]) -> Series:
    """Parts of a sentence with semicolons between."""
    return Series(tuple(parts), "clauses")


def read(described: Mapping[str, Any]) -> Text:
    """A text from what its `described` gave."""
    if "parts" in described:
        return Series(tuple(_read(part) for part in described["parts"]), described["between"])
    values = {name: _read(value) for name, value in described["values"].items()}
    return Phrase(described["template"], values)


def told(finding: Mapping[str, Any]) -> Words:
    """What a recorded finding says: a text; its English words if no more was recorded."""
    message = finding.get("message")
    return str(finding["text"]) if message is None else read(message)


def spoken(words: Words, language: Language) -> str:
    """Words in that language; data as they are."""
    return words if isinstance(words, str) else words.written(language)


def written(tree: Any, language: Language) -> Any:
    """Mappings, lists and tuples with every text in them written in that language."""
    if isinstance(tree, Phrase | Series):
        return tree.written(language)
    if isinstance(tree, Mapping):
        return {key: written(value, language) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [written(value, language) for value in tree]
    return tree


def _written(value: Value, language: Language) -> str | int | float | None:
    return value.written(language) if isinstance(value, Phrase | Series) else value


def _described(values: Mapping[str, Value]) -> dict[str, Any]:
    return {
        name: value.described() if isinstance(value, Phrase | Series) else value
        for name, value in values.items()
    }


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Phrase | Series):
        return value.each(change)
    return change(value) if isinstance(value, str) else value


def _read(value: Any) -> Any:
    return read(value) if isinstance(value, Mapping) else value
