"""What a condition came to, and the rule by which a value is held against its limit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

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
    do not apply; `text` then says why. `groups` names every group (cue set; of new failures
    every case) that made the condition fail, or that left it open, those that are too small
    among them; empty where the condition is about none, and where it passed.
    """

    name: str
    status: Status
    unit: Unit
    limit: float | str
    text: str
    value: float | str | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    groups: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "groups": list(self.groups)}


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

    def worst(self, parts: Sequence[Part]) -> Part:
        """The part that lies furthest on the wrong side; one without a value only if all are."""
        sign = 1 if self.side == "at most" else -1
        return max(parts, key=lambda p: -math.inf if p.value is None else sign * p.value)


@dataclass(frozen=True)
class Part:
    """One group, comparison or cue set that a condition is asked of."""

    name: str | None
    """Null for a part that is all of the cases."""
    told: str
    """What was seen, with value and interval, as a clause; where undefined, why."""
    value: float | None
    interval: Interval | None
    n: int | None


def of_parts(
    name: str,
    unit: Unit,
    bound: Bound,
    asked: str,
    parts: Sequence[Part],
    open_groups: Sequence[str] = (),
    remark: str = "",
) -> Outcome:
    """The outcome of a condition that has to hold for every part.

    It fails where any part fails, passes where all pass, and is insufficient otherwise;
    `open_groups` are those that nothing can be said of, and keep it from passing. `asked` is the
    limit in words, `remark` whatever else has to be known, as sentences. The value shown is that
    of the worst part among those that decide.
    """
    statuses = [bound.status(part.value, part.interval) for part in parts]
    left_open: list[Status] = ["insufficient"] * len(open_groups)
    status = together([*statuses, *left_open])
    if not parts:
        told = f"Nothing can be said. {asked}. {remark}".strip()
        return Outcome(name, "insufficient", unit, bound.limit, told, groups=tuple(open_groups))
    deciding = [part for part, own in zip(parts, statuses, strict=True) if own == status]
    worst = bound.worst(deciding or parts)
    text = f"{worst.told[:1].upper()}{worst.told[1:]}. {asked}"
    if status == "insufficient" and deciding:
        text += f"; {_undecided(worst)}."
    else:
        text += "."
    if len(parts) > 1 and deciding and status != "pass":
        others = [part.name for part in deciding if part is not worst and part.name]
        if others:
            verb = "Failed too" if status == "fail" else "Not decided either"
            text += f" {verb}: {named(others)}."
    low, high = worst.interval or (None, None)
    groups = [part.name for part in deciding if part.name and status != "pass"]
    if status == "insufficient":
        groups += open_groups
    return Outcome(
        name,
        status,
        unit,
        bound.limit,
        f"{text} {remark}".strip(),
        worst.value,
        low,
        high,
        worst.n,
        tuple(groups),
    )


def together(statuses: Iterable[Status]) -> Status:
    """Fail if any fails, else insufficient if any is (or if there are none), else pass."""
    seen = set(statuses)
    if "fail" in seen:
        return "fail"
    return "pass" if seen == {"pass"} else "insufficient"


def named(names: Sequence[str]) -> str:
    """Names for a sentence, the first few of many."""
    more = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _undecided(part: Part) -> str:
    if part.value is None:
        return "it is undefined, so nothing can be said"
    if part.interval is None or not part.interval[0] < part.interval[1]:
        return "there is no interval, so nothing can be said"
    return "the interval lies on both sides of that, so neither can be said"
