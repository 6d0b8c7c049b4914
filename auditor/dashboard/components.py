"""Two parts of the pages that Streamlit does not have: a gallery of cases, and their viewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_WEB = Path(__file__).with_name("web")


@dataclass(frozen=True)
class Card:
    """A case in a gallery."""

    row: int
    src: str
    alt: str
    title: str
    lines: tuple[str, ...] = ()
    badges: tuple[tuple[str, str], ...] = ()
    """(kind, text) each; the kind is a class of gallery.css."""
    current: bool = False


@cache
def _component(name: str) -> Any:
    return st.components.v2.component(
        f"auditor_{name}",
        html=f'<div class="{name}"></div>',
        css=(_WEB / f"{name}.css").read_text(encoding="utf-8"),
        js=(_WEB / f"{name}.js").read_text(encoding="utf-8"),
    )


def gallery(
    cards: Sequence[Card],
    title: str,
    key: str,
    opened: Callable[[int], None],
    width: int = 170,
    strip: bool = False,
) -> None:
    """Show cards, each at least `width` pixels wide; `opened` is called with the row of one.

    In rows that fill the page, or as a `strip` in one row that can be scrolled.
    """

    def told() -> None:
        row = st.session_state[key].opened
        if row is not None:
            opened(int(row))

    _component("gallery")(
        key=key,
        data={
            "cards": [asdict(card) for card in cards],
            "title": title,
            "width": width,
            "strip": strip,
        },
        on_opened_change=told,
    )


def viewer(data: Mapping[str, Any], key: str) -> None:
    """Show a case's image; `data` as `auditor.dashboard.cards.viewer_data` gives it."""
    _component("viewer")(key=key, data=dict(data))
