"""Text from outside (labels, paths, ids), made safe to print in a terminal."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    """One line without control characters, which could move the cursor or hide what stands
    beside them; each is replaced by �, as are marks that turn the writing direction.
    """
    return "".join(char if char.isprintable() else "�" for char in text)


def json_text(content: Any) -> str:
    """Indented JSON; whatever `printable` would replace is written as an escape."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
