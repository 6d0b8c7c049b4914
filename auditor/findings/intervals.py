"""How intervals and counts are written in the text of a finding."""

from __future__ import annotations

from collections.abc import Callable


def percent(value: float) -> str:
    """A share as a percentage: 0.123 is "12.3%"."""
    return f"{value:.1%}"


def decimal(value: float) -> str:
    """A number with two decimals."""
    return f"{value:.2f}"


def points(value: float) -> str:
    """A difference of shares in percentage points, without the unit: 0.123 is "12.3"."""
    return f"{100 * value:.1f}"


def written_interval(
    interval: tuple[float, float] | None,
    clustered: bool = False,
    write: Callable[[float], str] = percent,
) -> str:
    """A 95 % interval in words; it says where whole clusters were resampled for it."""
    if interval is None:
        return "without an interval"
    over = " over whole clusters" if clustered else ""
    return f"95 % interval{over} {write(interval[0])} to {write(interval[1])}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 case", "2 cases"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
