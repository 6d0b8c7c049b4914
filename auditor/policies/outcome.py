"""What a condition came to, and the rule by which a value is held against its limit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from auditor.language import Phrase, Series, Text, Words, clauses, phrase, sentences
from auditor.rates import Interval

Status = Literal["pass", "fail", "insufficient"]
Decide = Literal["interval", "estimate"]
Unit = Literal["share", "ratio", "count", "level", "grade"]

_TOLERANCE = 1e-9
"""0.8 - 0.7 is more than 0.1 in binary; no limit is meant that finely."""

_NAMED = 6
"""Groups that a sentence names; `Outcome.groups` names all of them."""


@dataclass(frozen=True)
class Outcome:
    """One condition of a policy, held against a run.

    `name` is the key of the policy, with what it is about in brackets where it is asked for more
    than once: "accuracy.worst_group_min (gender)". `value` is in `unit`: a share, 0 to 1; a
    ratio, 0 or more; a count; a level, 0 to 4; or a grade, "A" to "C". `low` and `high` bound its
    95 % interval. `n` counts the cases behind it. All four are null where they are undefined or
    do not apply; `message` then says why. `groups` names every group (cue set; of new failures
    every case) that made the condition fail, or that left it open, those that are too small
    among them, in English; empty where the condition is about none, and where it passed.
    """

    name: str
    status: Status
    unit: Unit
    limit: float | str
    message: Text
    """What was seen and what was asked for, apart from the language that it is written in."""
    value: float | str | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    groups: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What was seen and what was asked for, in English."""
        return str(self.message)

    def described(self) -> dict[str, Any]:
        """JSON-ready, in English: `text` in the place of `message`."""
        names = ("text" if field.name == "message" else field.name for field in fields(self))
        return {name: getattr(self, name) for name in names} | {"groups": list(self.groups)}


@dataclass(frozen=True)
class Bound:
    """A limit, the side of it that is asked for, and by what that is decided."""

    limit: float
    side: Literal["at most", "at least"]
    decide: Decide

    def status(self, value: float | None, interval: Interval | None) -> Status:
        """Where a value lies; on the limit is on the right side of it.

        By the interval: passed or failed only where all of it lies on one side. An interval
        without width is none: it comes from resamples that could not vary.
        """
        if value is None:
            return "insufficient"
        if self.decide == "estimate":
            low = high = value
        elif interval is None or not interval[0] < interval[1]:
            return "insufficient"
        else:
            low, high = interval
        if self.side == "at least":
            low, high, limit = -high, -low, -self.limit
        else:
            limit = self.limit
        if high <= limit + _TOLERANCE:
            return "pass"
        return "fail" if low > limit + _TOLERANCE else "insufficient"

    def asked(self, limit: str) -> Phrase:
        """What is asked for, the limit being written so."""
        if self.side == "at least":
            return phrase("Asked for: at least {limit}", limit=limit)
        return phrase("Asked for: at most {limit}", limit=limit)

    def worst(self, parts: Sequence[Part]) -> Part:
        """The part that lies furthest on the wrong side; one without a value only if all are."""
        sign = 1 if self.side == "at most" else -1
        return max(parts, key=lambda p: -math.inf if p.value is None else sign * p.value)


@dataclass(frozen=True)
class Part:
    """One group, comparison or cue set that a condition is asked of."""

    name: Words | None
    """Null for a part that is all of the cases."""
    told: Text
    """What was seen, with value and interval, without a full stop; where undefined, why."""
    value: float | None
    interval: Interval | None
    n: int | None


def of_parts(
    name: str,
    unit: Unit,
    bound: Bound,
    asked: Text,
    parts: Sequence[Part],
    open_groups: Sequence[Words] = (),
    remark: Text | None = None,
) -> Outcome:
    """The outcome of a condition that has to hold for every part.

    It fails where any part fails, passes where all pass, and is insufficient otherwise;
    `open_groups` are those that nothing can be said of, and keep it from passing. `asked` is the
    limit in words, without a full stop, `remark` whatever else has to be known, as sentences. The
    value shown is that of the worst part among those that decide.
    """
    statuses = [bound.status(part.value, part.interval) for part in parts]
    left_open: list[Status] = ["insufficient"] * len(open_groups)
    status = together([*statuses, *left_open])
    if not parts:
        told = sentences(phrase("Nothing can be said."), stopped(asked), remark)
        groups = tuple(str(group) for group in open_groups)
        return Outcome(name, "insufficient", unit, bound.limit, told, groups=groups)
    deciding = [part for part, own in zip(parts, statuses, strict=True) if own == status]
    worst = bound.worst(deciding or parts)
    limit = stopped(asked)
    if status == "insufficient" and deciding:
        limit = phrase("{asked}; {why}.", asked=asked, why=_undecided(worst))
    responsible = [part for part in deciding if part.name is not None and status != "pass"]
    others = [part.name for part in responsible if part is not worst and part.name is not None]
    too = None
    if others and status == "fail":
        too = phrase("Failed too: {groups}.", groups=named(others))
    elif others:
        too = phrase("Not decided either: {groups}.", groups=named(others))
    low, high = worst.interval or (None, None)
    left = open_groups if status == "insufficient" else ()
    return Outcome(
        name,
        status,
        unit,
        bound.limit,
        sentences(stopped(worst.told), limit, too, remark),
        worst.value,
        low,
        high,
        worst.n,
        tuple(str(group) for group in (*(part.name for part in responsible), *left)),
    )


def together(statuses: Iterable[Status]) -> Status:
    """Fail if any fails, else insufficient if any is (or if there are none), else pass."""
    seen = set(statuses)
    if "fail" in seen:
        return "fail"
    return "pass" if seen == {"pass"} else "insufficient"


def named(names: Sequence[Words]) -> Series:
    """Names for a sentence, the first few of many."""
    more = len(names) - _NAMED
    left = [phrase("and {n} more", n=more)] if more > 0 else []
    return clauses([*names[:_NAMED], *left])


def stopped(clause: Text) -> Phrase:
    """A clause with its full stop."""
    return phrase("{sentence}.", sentence=clause)


def _undecided(part: Part) -> Phrase:
    if part.value is None:
        return phrase("it is undefined, so nothing can be said")
    if part.interval is None or not part.interval[0] < part.interval[1]:
        return phrase("there is no interval, so nothing can be said")
    return phrase("the interval lies on both sides of that, so neither can be said")
