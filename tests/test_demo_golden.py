"""What the report of the demo's run says, whole.

`pytest tests/test_demo_golden.py --update-golden` writes tests/golden/demo.* anew; look at the
difference before committing it. Convolutions add in another order on another processor, so
numbers are held to within `TOLERANCE`, and the words around them exactly.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor.report import ReportOptions, build
from tests.test_report import changed
from tests.test_report_golden import GOLDEN, as_golden, rounded

TOLERANCE = 0.02
"""Of a number, as a share of itself; small ones to a unit of their last digit."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?|(?<![\w.])\.\d+")


@pytest.fixture(scope="module")
def document(demo_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Without what differs from machine to machine, and without pictures' bytes."""
    run = auditor.open_run(demo_runs / "skewed")

    def settle(info: dict[str, Any], _cases: pd.DataFrame) -> None:
        info["identity"]["auditor"] = "0"
        info["provenance"] |= {
            "created": "2026-01-02T03:04:05+00:00", "command": ["auditor", "demo"],
            "hardware": {}, "versions": {},
        }  # fmt: skip

    settled = changed(run, tmp_path_factory.mktemp("settled") / "skewed", settle)
    made = build(settled, ReportOptions(examples=3))
    folder = str(Path(run.info["configuration_path"]).parent)
    return rounded(json.loads(json.dumps(made, ensure_ascii=False).replace(folder, "…")))


def differing(expected: str, found: str) -> list[str]:
    """The lines that differ by a word, or by more than rounding in a number."""
    lines = expected.splitlines(), found.splitlines()
    told = [
        f"{a!r} is now {b!r}" for a, b in zip(*lines, strict=False) if a != b and not _alike(a, b)
    ]
    if len(lines[0]) != len(lines[1]):
        told.append(f"{len(lines[0])} lines are now {len(lines[1])}")
    return told


def _alike(a: str, b: str) -> bool:
    if _NUMBER.sub("0", a) != _NUMBER.sub("0", b):
        return False
    pairs = zip(_NUMBER.findall(a), _NUMBER.findall(b), strict=True)
    return all(_close(one, other) for one, other in pairs)


def _close(a: str, b: str) -> bool:
    if "." not in a and "." not in b:
        return a == b  # a count
    digits = max((len(n.partition(".")[2]) for n in (a, b) if "e" not in n), default=6)
    return abs(float(a) - float(b)) <= max(TOLERANCE * abs(float(a)), 1.5 * 10**-digits)


def test_the_comparison_can_fail() -> None:
    said = "Reliance 0.512 in 41 of 43 errors, p = .034"
    assert differing(said, said) == []
    assert differing(said, said.replace("0.512", "0.513").replace(".034", ".035")) == []
    for was, now in (("0.512", "0.534"), ("41", "40"), (".034", ".037"), ("errors", "cases")):
        assert len(differing(said, said.replace(was, now))) == 1
    assert differing(said, f"{said}\nmore") == ["1 lines are now 2"]


@pytest.mark.parametrize("format", ["html", "md", "json"])
def test_the_report_of_the_demo_says_what_it_said(
    document: dict[str, Any],
    format: str,  # noqa: A002
    request: pytest.FixtureRequest,
) -> None:
    text = as_golden(document, format)
    file = GOLDEN / f"demo.{'html.txt' if format == 'html' else format}"
    if request.config.getoption("--update-golden"):
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"{file} is missing: call pytest with --update-golden"
    assert differing(file.read_text(encoding="utf-8"), text)[:10] == []
