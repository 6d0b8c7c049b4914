"""What a report holds: its sections in order, and how many examples it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.errors import AuditorError
from auditor.language import LANGUAGES, Language, Phrase, phrase

SECTIONS: Mapping[str, Phrase] = {
    "verdict": phrase("Verdict"),
    "scope": phrase("What was audited, and what was not"),
    "data": phrase("Data and its skew"),
    "model": phrase("Model, method and gates"),
    "performance": phrase("Performance"),
    "disparities": phrase("Disparities between groups"),
    "attention": phrase("Attention against regions"),
    "cues": phrase("Cues that should not decide"),
    "examples": phrase("Examples"),
    "review": phrase("Human review"),
    "limits": phrase("Limits"),
    "recommendations": phrase("What to do next"),
    "collect": phrase("What to collect"),
    "provenance": phrase("Provenance"),
    "signoff": phrase("Sign-off"),
    "appendix": phrase("Appendix"),
}
"""Every section's title by its name, in the order in which a report has them by default."""

MOST_EXAMPLES = 60


@dataclass(frozen=True)
class ReportOptions:
    """What a report holds.

    `sections` are names of `SECTIONS`, in the order wanted; `examples` is the number of example
    cases, 0 to 60; `images` says whether examples show pictures. `blur` names regions that are
    made unrecognisable in every picture: annotated ones, "subject" for all of the subject, or what
    the run calls the rest. `assets` is the name of a ZIP archive that the report refers its reader
    to for the pictures of further flagged cases; null where there is none. `language` is
    that of every fixed sentence; names and notes stay as they are. Raises `AuditorError` for
    anything else.
    """

    sections: tuple[str, ...] = tuple(SECTIONS)
    examples: int = 12
    images: bool = True
    blur: tuple[str, ...] = ()
    assets: str | None = None
    language: Language = "en"

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise AuditorError(
                f"a report cannot be written in {self.language!r}; choose {', '.join(LANGUAGES)}."
            )
        for name in self.sections:
            if name not in SECTIONS:
                raise AuditorError(
                    f"a report has no section {name!r}; choose among {', '.join(SECTIONS)}."
                )
        if len(set(self.sections)) != len(self.sections):
            raise AuditorError(
                f"the sections {', '.join(self.sections)} name one twice; name each once."
            )
        if not self.sections:
            raise AuditorError(f"a report needs a section; choose among {', '.join(SECTIONS)}.")
        if not 0 <= self.examples <= MOST_EXAMPLES:
            raise AuditorError(
                f"a report shows 0 to {MOST_EXAMPLES} examples, not {self.examples}."
            )

    @property
    def shows_examples(self) -> bool:
        """Whether the report itself shows pictures of its examples."""
        return self.images and bool(self.examples) and "examples" in self.sections
