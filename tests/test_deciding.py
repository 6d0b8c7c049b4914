from __future__ import annotations

import pandas as pd
import pytest

from auditor.findings import Judgement
from auditor.pipeline.deciding import Summary, decide, summarised

ATTENTION = Judgement("spurious_error", "hair", "attention", 0.8)
UNSUPPORTED = Judgement(None, None, "unsupported", None)


def summary(evidence: str, against: tuple[str, ...] = (), reliance: float = 0.8) -> Summary:
    return Summary(evidence, "face", "why", frozenset(against), reliance, 7)


def test_interventions_come_before_maps() -> None:
    found = decide(True, 0.9, ATTENTION, summary("confirmed"))
    assert found[:3] == ("spurious_error", "face", "confirmed")
    assert found.severity == pytest.approx(0.72)
    assert decide(False, 0.9, None, summary("probable"))[:3] == ("wrong_reason", "face", "probable")


@pytest.mark.parametrize(("rho", "severity"), [(-1.0, 0.0), (0.5, 0.45), (3.0, 0.9)])
def test_severity_is_reliance_clipped_times_confidence(rho: float, severity: float) -> None:
    assert decide(True, 0.9, None, summary("confirmed", reliance=rho)).severity == pytest.approx(
        severity
    )


def test_a_map_alone_queues_unless_interventions_spoke_against_its_cue() -> None:
    for inconclusive in (
        None,
        summary("unsupported"),
        summary("untestable"),
        summary("unsupported", against=("face",)),
    ):
        found = decide(True, 0.9, ATTENTION, inconclusive)
        assert found[:4] == ("spurious_error", "hair", "attention", None)
        assert found.stability == 0.8
    against = decide(True, 0.9, ATTENTION, summary("unsupported", against=("hair",)))
    assert against[:3] == (None, None, "unsupported")


def test_without_a_flag_the_evidence_says_why() -> None:
    assert decide(True, 0.9, UNSUPPORTED, None)[:3] == (None, None, "unsupported")
    assert decide(True, 0.9, UNSUPPORTED, summary("untestable"))[2:] == (
        "untestable", None, None, "why",
    )  # fmt: skip
    assert decide(False, 0.9, None, None) == (None,) * 6


def trial(
    case: str, cue: str, outcome: str, value: float | None, **more: object
) -> dict[str, object]:
    given = {"case": case, "cue": cue, "attribute": "a", "problem": None, "outcome": outcome}
    given |= {"against": False, "told": f"{cue} {outcome}", "value": value, "error": 0.5}
    given |= {"margin": 2.0, "flips": 1.0, "pairs": 3, "passes": 19}
    return given | more


def test_of_several_trials_the_strongest_evidence_speaks() -> None:
    found = summarised(
        pd.DataFrame(
            [
                trial("x", "face+hair", "confirmed", 3.0),
                trial("x", "face", "unsupported", 0.5, against=True),
                trial("x", "hair", "confirmed", 2.5),
                trial("y", "face+hair", "unsupported", -1.0, against=True),
                trial(
                    "z",
                    "face+hair",
                    "untestable",
                    None,
                    problem="few_donors",
                    error=None,
                    margin=None,
                    flips=None,
                ),
            ]
        )
    )
    assert found["x"].evidence == "confirmed"
    assert found["x"].cue == "face+hair"
    assert found["x"].reliance == 1.5
    assert found["x"].measures["hair"] == (1.25, 0.25, 1.0)
    assert found["x"].against == {"face"}
    assert found["y"].against == {"face", "hair"}
    assert found["y"].evidence == "unsupported"
    assert found["z"].evidence == "untestable"
    assert found["z"].reliance is None
    assert found["z"].measures == {}


def test_of_two_attributes_a_cue_keeps_the_one_that_says_more() -> None:
    found = summarised(
        pd.DataFrame(
            [
                trial("x", "tag", "unsupported", 0.2, attribute="a"),
                trial("x", "tag", "probable", 1.4, attribute="b"),
            ]
        )
    )
    assert found["x"].measures == {"tag": (0.7, 0.25, 1.0)}


def test_a_margin_of_zero_has_no_reliance() -> None:
    found = summarised(pd.DataFrame([trial("x", "tag", "unsupported", 0.2, margin=0.0)]))
    assert found["x"].reliance is None
