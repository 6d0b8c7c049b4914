"""What a reviewer can say about a case, before and after it is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

VERDICTS: Mapping[str, str] = MappingProxyType(
    {
        "spurious_cue": "Spurious cue",
        "other_cause": "Other cause",
        "label_wrong": "Label wrong",
        "mask_wrong": "Mask wrong",
        "unclear": "Unclear",
    }
)
"""Every verdict, in the order in which it is offered: name to what a person reads."""

LONGEST_NOTE = 32_000
"""Characters. A spreadsheet's cell holds 32,767 and cuts the rest without a word."""


@dataclass(frozen=True)
class Event:
    """One line of the log, as it stands in the file. Nothing ever changes it."""

    id: int
    """Ascending in the order of writing, over all runs and reviewers."""
    run: str
    """`Run.key`."""
    run_name: str
    """What the run's directory was called then; only for reading."""
    case: str
    reviewer: str
    verdict: str | None
    """A name in `VERDICTS`; null where only tags or a note were given, or for an undo."""
    tags: tuple[str, ...]
    note: str
    time: str
    """UTC, ISO 8601 with its offset, as in 2026-05-09T07:35:25.123+00:00."""
    undoes: int | None
    """The id of the event that this one takes back; null for all others."""


@dataclass(frozen=True)
class Draft:
    """What a reviewer says about a case, before it is written.

    `Draft.of` makes one of what was typed; `problems` says why one cannot be written.
    """

    run: str
    run_name: str
    case: str
    reviewer: str
    verdict: str | None
    tags: tuple[str, ...]
    note: str
    time: str | None
    """When it was decided, as in `Event`; null for now."""

    @classmethod
    def of(
        cls,
        run: str,
        run_name: str,
        case: str,
        reviewer: str,
        verdict: str | None,
        tags: Iterable[str] = (),
        note: str = "",
        time: str | None = None,
    ) -> Draft:
        """A draft in one way of writing.

        Reviewer and tags are stripped and composed (NFC), so that one name typed on two
        keyboards is one reviewer; empty and repeated tags are left out. The note is stripped,
        its lines end in a line feed. A time is brought to UTC. The case's id stays as it is.
        """
        named = (_composed(tag) for tag in tags)
        return cls(
            run,
            run_name,
            case,
            _composed(reviewer),
            verdict,
            tuple(dict.fromkeys(tag for tag in named if tag)),
            note.replace("\r\n", "\n").replace("\r", "\n").strip(),
            time and (_utc(time) or time),
        )

    @property
    def said(self) -> tuple[str | None, tuple[str, ...], str]:
        """Verdict, tags and note: two drafts that say the same are one decision."""
        return self.verdict, self.tags, self.note

    def problems(self) -> Iterator[str]:
        """What is wrong with it, each with the value and the remedy."""
        for what in ("run", "case", "reviewer"):
            if not getattr(self, what).strip():
                yield f"has no {what}; give one"
        if _controls(self.reviewer):
            yield f"has the reviewer {self.reviewer!r} with control characters; leave them out"
        if self.verdict is not None and self.verdict not in VERDICTS:
            yield f"has the unknown verdict {self.verdict!r}; give one of {', '.join(VERDICTS)}"
        if self.verdict is None and not self.tags and not self.note:
            yield "says nothing; give a verdict, a tag or a note"
        for tag in self.tags:
            if ";" in tag or _controls(tag):
                yield f"has the tag {tag!r}; leave out semicolons and control characters"
        if len(self.note) > LONGEST_NOTE:
            yield (
                f"has a note of {len(self.note):,} characters; shorten it to {LONGEST_NOTE:,}, "
                "which is what a spreadsheet keeps"
            )
        if self.time is not None and _utc(self.time) is None:
            yield (
                f"has the time {self.time!r}; give it with its offset, as in "
                f"{datetime(2026, 5, 9, 7, 35, tzinfo=UTC).isoformat()}, or leave it empty for now"
            )
        texts = (self.run, self.run_name, self.case, self.reviewer, self.note, *self.tags)
        if any(not _encodes(text) for text in texts):
            yield "holds half of a surrogate pair, which is no character; type that text again"


def now() -> str:
    """The time as `Event.time` has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _utc(time: str) -> str | None:
    """The time in UTC; None for what is no time or has no offset."""
    try:
        read = datetime.fromisoformat(time)
        if read.tzinfo is None:
            return None
        return read.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return None


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _controls(text: str) -> bool:
    """Whether a character starts a line or steers a terminal; joiners and marks are text."""
    return any(unicodedata.category(char) in {"Cc", "Zl", "Zp"} for char in text)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
