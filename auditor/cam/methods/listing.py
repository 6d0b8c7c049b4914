"""The table of methods as text; printed by `python -m auditor.cam.methods.listing`."""

from __future__ import annotations

import sys

from auditor.cam.methods import METHODS


def table() -> str:
    """`METHODS` as the Markdown table of docs/methods.md, a row a method, no newline at the end."""
    rows: list[tuple[str, ...]] = [
        ("method", "key", "evidence or view", "passes", "needs", "at", "source")
    ]
    rows += [("---",) * len(rows[0])]
    for key, method in METHODS.items():
        held = "evidence" if method.evidence else "**view**"
        rows.append(
            (
                method.title,
                f"`{key}`",
                f"{held}: {method.why}",
                method.passes,
                method.needs,
                method.resolution,
                method.source,
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
