"""One statement about a run, with everything that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from auditor.language import Text

Severity = Literal["warning", "notice", "info"]


def written_p(p: float) -> str:
    """A p-value as tables have it: "< .001", ".034"."""
    return "< .001" if p < 0.001 else f"{p:.3f}".replace("0.", ".")


def p_equation(p: float) -> str:
    """A p-value as a sentence has it: "p < .001", "p = .034"."""
    return f"p {'' if p < 0.001 else '= '}{written_p(p)}"


@dataclass(frozen=True)
class Finding:
    """One statement, with everything that it rests on.

    `message` is what it says, apart from the language that it is written in; `value` is in the
    unit that it names; `low` and `high` bound its 95 % interval, `n` counts the cases behind it,
    `threshold` is what the value was held against. Each is null where it does not apply. `query`
    selects the cases in `cases.parquet` (a pandas expression); null where the finding is about
    all of them. `table` holds JSON-ready rows where the finding is one of those that come with a
    table, null elsewhere. `attribute` and `cue` (a cue, or a set of cues joined by "+") name what
    it is about; null where it is about none.
    """

    kind: str
    severity: Severity
    message: Text
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    threshold: float | None = None
    query: str | None = None
    table: tuple[Mapping[str, Any], ...] | None = None
    attribute: str | None = None
    cue: str | None = None

    @property
    def text(self) -> str:
        """What it says, in English."""
        return str(self.message)

    def described(self) -> dict[str, Any]:
        """JSON-ready, `text` and `message` (its template and values) beside each other."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        table = None if self.table is None else list(self.table)
        return {
            **given, "text": self.text, "message": self.message.described(), "table": table
        }  # fmt: skip


_ORDER: Mapping[Severity, int] = {"warning": 0, "notice": 1, "info": 2}


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Warnings first, then notices; within each in the order given."""
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])
