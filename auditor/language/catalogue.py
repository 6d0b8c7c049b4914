"""Translations, by the English sentence that they stand for.

A catalogue is a JSON object beside this module, `<language>.json`: English template to
translated template. Both are `str.format` templates with the same names in braces; a
translation may order them as its grammar wants, and write them with other format specifications.
tests/test_language.py holds that no sentence is missing, and none is left over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal, get_args

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
"""English, in which sentences are recorded, and those with a catalogue."""


def template_in(language: Language, template: str) -> str:
    """The template in that language.

    In English where the catalogue has none, as of a run that another version of Auditor wrote.
    """
    return template if language == "en" else catalogue(language).get(template, template)


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """English template to template; empty for English itself."""
    if language == "en":
        return {}
    file = resources.files(__package__).joinpath(f"{language}.json")
    content: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return content
