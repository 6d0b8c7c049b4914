"""What is recorded of a case's decision can be read back, and said in another language."""

from __future__ import annotations

import pandas as pd
import pytest

import auditor
from auditor import reasons
from auditor.language import clauses
from auditor.reasons import REASONS, recognised

SAID = (
    *REASONS.values(),
    reasons.UNCHANGED,
    clauses([reasons.by_donors(1.234, 2, 0.9, 0.0125, 8), reasons.TURNED]),
    clauses([reasons.by_donors(-0.004, 2, -1e-9, 1e-6, 3), reasons.LITTLE]),
    clauses([reasons.by_donors(9, 2, 1, 0.1, 5), reasons.own_control(0.31)]),
    clauses([reasons.by_donors(9, 2, 1, 0.1, 5), reasons.TURNED, reasons.NO_SURER]),
    clauses([reasons.by_fills(3, 4, 0.75), reasons.over_fills(1.5, 0.25, 2)]),
    clauses(
        [
            reasons.by_fills(0, 4, 0),
            reasons.over_fills(float("nan"), 0.25, 2),
            reasons.CONTRIBUTING,
            reasons.FALLS,
        ]
    ),
)


@pytest.mark.parametrize("said", SAID, ids=str)
def test_every_reason_is_recognised(said) -> None:
    found = recognised(str(said))
    assert not isinstance(found, str)
    assert str(found) == str(said)
    assert not [part for part in getattr(found, "parts", ()) if isinstance(part, str)]
    assert not any(word in found.written("ja") for word in (" the ", " of ", "donors"))


def test_numbers_stay_in_their_places() -> None:
    found = recognised(str(reasons.by_donors(1.5, 2.25, 0.75, 0.01, 8)))
    assert found.values == {
        "effect": 1.5, "margin": 2.25, "least": 0.75, "level": 0.01, "donors": 8,
    }  # fmt: skip
    assert "2.25" in found.written("ja")


def test_what_another_version_said_stays_as_it_is() -> None:
    assert recognised("it was a Tuesday") == "it was a Tuesday"
    both = f"it was a Tuesday; {reasons.LITTLE}"
    assert str(recognised(both)) == both
    assert recognised(both).written("ja").startswith("it was a Tuesday；")


def test_every_reason_of_the_demo_is_recognised(demo_runs) -> None:
    for name in ("skewed", "rebalanced"):
        cases: pd.DataFrame = auditor.open_run(demo_runs / name).cases
        told = cases["reason"].dropna().unique()
        assert len(told) > 5
        for reason in told:
            found = recognised(reason)
            assert not isinstance(found, str)
            assert not [part for part in getattr(found, "parts", ()) if isinstance(part, str)]
