"""Values of a configuration: each function takes what TOML gave and returns it checked.

All raise `Unusable`, which says what would have been usable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from auditor.types import Size


class Unusable(Exception):
    """Says what would have been usable."""


def string(value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise Unusable("a string that is not empty")
    return value


def strings(value: Any) -> tuple[str, ...]:
    """A list of distinct strings that are not empty."""
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise Unusable('a list of strings, such as ["face", "hair"]')
    if len(set(value)) != len(value):
        raise Unusable("a list in which every name stands once")
    return tuple(value)


def string_table(value: Any) -> dict[str, str]:
    """A table of strings."""
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise Unusable("a table of strings")
    return dict(value)


def templates(value: Any) -> tuple[str, ...]:
    """Sentences with one `{}` each, at least one."""
    found = strings(value)
    if not found or any(text.count("{}") != 1 for text in found):
        raise Unusable('a list of sentences with one {} each, such as ["a photo of a {}."]')
    return found


def strings_table(value: Any) -> dict[str, tuple[str, ...]]:
    """A table of lists of strings."""
    if not isinstance(value, dict):
        raise Unusable('a table of lists, such as { trousers = ["pants", "jeans"] }')
    return {key: strings(names) for key, names in value.items()}


def index_table(value: Any) -> dict[int, str]:
    """A table from pixel values, 0 to 65535, to names."""
    if not isinstance(value, dict) or not all(
        k.isdecimal() and int(k) <= 65535 and isinstance(v, str) and v for k, v in value.items()
    ):
        raise Unusable('a table from pixel values to names, such as 13 = "face"')
    return {int(k): v for k, v in value.items()}


def whole_number(value: Any) -> int:
    """A whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Unusable("a whole number, 0 or more")
    return value


def positive_whole_number(value: Any) -> int:
    """A whole number, 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Unusable("a whole number, 1 or more")
    return value


def true_or_false(value: Any) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise Unusable("true or false")
    return value


def between(low: float, high: float) -> Callable[[Any], float]:
    """A reader of numbers between two bounds, both excluded."""

    def convert(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low < value < high:
            raise Unusable(f"a number between {low} and {high}, both excluded")
        return float(value)

    return convert


def one_of(*words: str) -> Callable[[Any], Any]:
    """A reader of one of these words."""

    def convert(value: Any) -> str:
        if value not in words:
            raise Unusable("one of " + ", ".join(f'"{word}"' for word in words))
        return str(value)

    return convert


def numbers(value: Any) -> tuple[float, ...]:
    """One or three numbers, a value for each channel."""
    if (
        not isinstance(value, list)
        or len(value) not in (1, 3)
        or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        or not all(-1e6 < v < 1e6 for v in value)  # neither nan nor inf, which TOML can say
    ):
        raise Unusable("a list of three numbers, or of one for a grey-scale model")
    return tuple(float(v) for v in value)


def positive_numbers(value: Any) -> tuple[float, ...]:
    """One or three numbers above 0."""
    found = numbers(value)
    if min(found) <= 0:
        raise Unusable("numbers above 0")
    return found


def side_or_size(value: Any) -> int | Size:
    """The shorter side in pixels, or (height, width)."""
    if isinstance(value, list) and len(value) == 2:
        return (positive_whole_number(value[0]), positive_whole_number(value[1]))
    if isinstance(value, list):
        raise Unusable("the shorter side in pixels, or [height, width]")
    return positive_whole_number(value)


def crop(value: Any) -> int | Size | Literal[False]:
    """A side, (height, width), or False for no crop."""
    return False if value is False else side_or_size(value)


def pad(value: Any) -> int | Literal["square"]:
    """Pixels on every side, or "square"."""
    if value == "square":
        return "square"
    try:
        return whole_number(value)
    except Unusable:
        raise Unusable('a number of pixels, or "square"') from None


def evidence_cases(value: Any) -> Any:
    """The word "suspects" or "all", or a number of cases."""
    if value in ("suspects", "all"):
        return value
    try:
        return whole_number(value)
    except Unusable:
        raise Unusable('"suspects", "all" or a number of cases (0 for none)') from None
