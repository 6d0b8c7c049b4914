"""How values are written on pages. What data says is shown as text, never as markup."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&\"'])")


def plain(text: object) -> str:
    """Text for a place that reads Markdown, which shows it letter by letter."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def share(value: float | None, digits: int = 1) -> str:
    """A share 0..1 in percent; "not defined" for None."""
    return "not defined" if value is None else f"{value:.{digits}%}".replace("%", " %")


def number(value: float | None, digits: int = 2) -> str:
    """With so many digits; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def many(count: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun, thousands apart."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


EVIDENCE = {
    "confirmed": "confirmed",
    "probable": "probable",
    "attention": "map only",
    "unsupported": "unsupported",
    "untestable": "untestable",
}
"""The evidence levels as badges have them."""

FLAGS = {"spurious_error": "spurious error", "wrong_reason": "right for the wrong reason"}

STATUS = {
    "ok": "judged",
    "unreadable": "image unreadable",
    "mask_mismatch": "masks do not fit",
    "nonfinite_logits": "no finite output",
    "no_regions": "no regions annotated",
    "no_positive_evidence": "map without positive evidence",
}
"""What `status` means."""
