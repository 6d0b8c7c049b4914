"""How intervals are written in the text of a finding."""

from __future__ import annotations

from collections.abc import Callable

from auditor.language import Phrase, phrase


def percent(value: float) -> str:
    """A share as a percentage: 0.123 is "12.3%"."""
    return f"{value:.1%}"


def decimal(value: float) -> str:
    """A number with two decimals."""
    return f"{value:.2f}".replace("-", "−")


def points(value: float) -> str:
    """A difference of shares in percentage points, without the unit: 0.123 is "12.3"."""
    return f"{100 * value:.1f}".replace("-", "−")


def written_interval(
    interval: tuple[float, float] | None,
    clustered: bool = False,
    write: Callable[[float], str] = percent,
) -> Phrase:
    """A 95 % interval in words; it says where whole clusters were resampled for it."""
    if interval is None:
        return phrase("without an interval")
    low, high = (write(end) for end in interval)
    if clustered:
        return phrase("95 % interval over whole clusters {low} to {high}", low=low, high=high)
    return phrase("95 % interval {low} to {high}", low=low, high=high)
