"""Fixed sentences in more than one language: what is said, apart from how it is written."""

from __future__ import annotations

from auditor.language.catalogue import LANGUAGES, Language, template_in
from auditor.language.nouns import counted
from auditor.language.text import (
    Phrase,
    Series,
    Text,
    Words,
    clauses,
    listed,
    phrase,
    read,
    sentences,
    spoken,
    told,
    written,
)

__all__ = [
    "LANGUAGES",
    "Language",
    "Phrase",
    "Series",
    "Text",
    "Words",
    "clauses",
    "counted",
    "listed",
    "phrase",
    "read",
    "sentences",
    "spoken",
    "template_in",
    "told",
    "written",
]
