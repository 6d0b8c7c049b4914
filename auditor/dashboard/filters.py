"""What a view of cases is narrowed to, and how an address says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from auditor.dashboard.words import EVIDENCE, FLAGS, STATUS

UNKNOWN = "none"
"""What an address says for a null: no flag, never tested, not annotated."""

REVIEWED, UNREVIEWED = "reviewed", "unreviewed"
OUTCOMES = ("error", "correct")

_ATTRIBUTE = "attribute."
_DIGITS = 9  # of a number in an address; Python refuses to read thousands of them


def whole(text: str) -> int | None:
    """A number in an address; None for anything else."""
    plain = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if plain else None


@dataclass(frozen=True)
class Filter:
    """All conditions have to hold; "" and None are no condition. Values are those of the run."""

    flag: str = ""
    """A flag, or `UNKNOWN`."""
    evidence: str = ""
    cue: str = ""
    """A cue set that a case is flagged for, or queued for by its map."""
    outcome: str = ""
    """One of `OUTCOMES`."""
    label: str = ""
    predicted: str = ""
    status: str = ""
    verdict: str = ""
    """The reviewer's own verdict, `REVIEWED` or `UNREVIEWED`."""
    text: str = ""
    """Found in the id, whatever its case."""
    group: tuple[tuple[str, str], ...] = ()
    """(attribute, value) pairs; `UNKNOWN` where not annotated."""
    finding: int | None = None
    """The place of a finding in the run's list, whose cases are shown."""

    @classmethod
    def read(cls, params: Mapping[str, str]) -> Filter:
        """From an address's parameters. What they do not know is left out, never an error."""
        given = {name: params.get(name, "") for name in _NAMES}
        group = tuple(
            sorted(
                (key.removeprefix(_ATTRIBUTE), value)
                for key, value in params.items()
                if key.startswith(_ATTRIBUTE) and value
            )
        )
        number = params.get("finding", "")
        if given["outcome"] not in OUTCOMES:
            given["outcome"] = ""
        return cls(**given, group=group, finding=whole(number))

    def having(self, name: str, value: str) -> Filter:
        """The same with one condition of a plain name changed."""
        given = {field: getattr(self, field) for field in _NAMES} | {name: value}
        return Filter(**given, group=self.group, finding=self.finding)

    def params(self) -> dict[str, str]:
        """The address's parameters; conditions that are not set are left out."""
        told = {name: value for name in _NAMES if (value := getattr(self, name))}
        told |= {_ATTRIBUTE + name: value for name, value in self.group}
        return told if self.finding is None else {**told, "finding": str(self.finding)}

    def described(self) -> str:
        """In words, for a heading; "" without conditions."""
        told = [
            f"{_WORDS[name]} {_VALUES.get(name, {}).get(value, value)}"
            for name in _NAMES
            if name not in ("text", "outcome") and (value := getattr(self, name))
        ]
        if self.outcome:
            told.insert(0, {"error": "errors", "correct": "correct cases"}[self.outcome])
        told += [f"{name} = {value}" for name, value in self.group]
        if self.text:
            told.append(f"id holds “{self.text}”")
        return ", ".join(told)


_NAMES: Sequence[str] = tuple(
    field.name for field in fields(Filter) if field.name not in ("group", "finding")
)
_VALUES: Mapping[str, Mapping[str, str]] = {"flag": FLAGS, "evidence": EVIDENCE, "status": STATUS}
_WORDS = {
    "flag": "flag",
    "evidence": "evidence",
    "cue": "cue",
    "label": "label",
    "predicted": "predicted",
    "status": "status",
    "verdict": "verdict",
}
