from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from auditor.findings import Finding, Material, Shift, with_verdict
from auditor.findings.flagged import evidence_findings
from auditor.findings.harm import harms
from auditor.language import read
from auditor.thresholds import THRESHOLDS

GATES = [Finding("gate_chance", "info", "passed"), Finding("gate_classes", "info", "passed")]


def cases(caused: int = 40, other: int = 5, right: int = 60) -> pd.DataFrame:
    """Doctors and nurses by halves as men and women; nurses as men fail for the cue.

    Every group has `right` correct cases and `other` errors without a cause in the cue.
    """
    rows = []
    for label in ("doctor", "nurse"):
        for value in ("man", "woman"):
            harmed = caused if (label, value) == ("nurse", "man") else 0
            rows += [(label, value, True, None)] * right
            rows += [(label, value, False, "unsupported")] * other
            rows += [(label, value, False, "confirmed")] * harmed
    frame = pd.DataFrame(rows, columns=["label", "attribute.gender", "correct", "evidence"])
    frame["predicted"] = frame["label"]
    frame["flag"] = frame["evidence"].map({"confirmed": "spurious_error"})
    frame["cue"] = frame["flag"].map({"spurious_error": "hair"})
    frame["passes"] = np.where(frame["correct"], np.nan, 7.0)
    frame["stratum"] = np.where(frame["correct"], "rest", "error")
    return frame.assign(margin=2.0, reason="why")


def shift(frame: pd.DataFrame, effect: float, attribute: str | None = "gender") -> Shift:
    """Being drawn as a man adds `effect` to the logit of doctor."""
    rows = np.arange(len(frame))
    own = (frame["attribute.gender"] == "man").to_numpy()
    noise = np.random.default_rng(0).normal(0, 0.3, (len(frame), 2))
    raised, none = np.array([effect, 0.0]), np.zeros(2)
    with_cue = np.where(own[:, None], raised, none) + noise
    without = np.where(own[:, None], none, raised)
    if attribute is None:
        with_cue, without = raised + noise, np.zeros_like(noise)
    taken = (with_cue - without) @ [1.0, -1.0]
    return Shift("hair", attribute, rows, with_cue, without, taken)


def reached(frame: pd.DataFrame, shifts: tuple[Shift, ...], *findings: Finding):
    material = Material(
        frame, ("doctor", "nurse"), ("hair",), ("gender",), {"verified": True}, shifts=shifts
    )
    return with_verdict(material, [*(findings or GATES)], THRESHOLDS)


def test_confirmed_errors_and_a_harmed_group_are_level_4() -> None:
    frame = cases()
    findings, verdict = reached(frame, (shift(frame, 2.0),))
    assert (verdict.level, verdict.grade, verdict.cue) == (4, "A", "hair")
    assert findings[0].kind == "verdict"
    assert findings[0].severity == "warning"
    assert "'nurse' annotated as gender 'man' are classified right in 60 of 105" in verdict.text
    assert "40 of that group's 45 tested errors come right" in verdict.text
    assert verdict.value == pytest.approx(2.0, abs=0.1)
    assert verdict.threshold == pytest.approx(0.2)
    described = json.loads(json.dumps(verdict.described(), allow_nan=False))
    assert str(read(described["message"])) == described["text"] == verdict.text == findings[0].text
    (effect,) = [found for found in findings if found.kind == "effect"]
    assert (effect.cue, effect.attribute) == ("hair", "gender")


def test_without_confirmed_errors_a_harmed_group_is_level_3() -> None:
    frame = cases()
    frame.loc[frame["evidence"] == "confirmed", ["evidence", "flag", "cue"]] = [
        "unsupported", None, None,
    ]  # fmt: skip
    assert reached(frame, (shift(frame, 2.0),))[1].level == 3


def test_without_a_harmed_group_the_model_is_only_sensitive() -> None:
    frame = cases(caused=0)
    _, verdict = reached(frame, (shift(frame, 2.0),))
    assert verdict.level == 3
    assert "sensitive to the cue 'hair'" in verdict.text


def test_an_effect_that_does_not_matter_is_none() -> None:
    frame = cases(caused=0)
    _, verdict = reached(frame, (shift(frame, 0.1),))
    assert verdict.level == 1
    assert "would have been detected" in verdict.text
    # However sure one is of it.
    assert verdict.low is not None
    assert verdict.low > 0


def test_association_without_effect_is_level_2() -> None:
    frame = cases(caused=0)
    skewed = Finding("training_association", "notice", "go together")
    _, verdict = reached(frame, (shift(frame, 0.0),), *GATES, skewed)
    assert verdict.level == 2
    _, untested = reached(frame, (), *GATES, skewed)
    assert (untested.level, untested.grade) == (2, "C")
    assert "was not tested" in untested.text


def test_maps_alone_reach_no_more_than_level_2() -> None:
    queue = Finding("attention", "notice", "queued")
    _, verdict = reached(cases(), (), *GATES, queue)
    assert (verdict.level, verdict.grade) == (2, "C")


def test_nothing_tested_and_nothing_associated_is_insufficient() -> None:
    _, verdict = reached(cases(), ())
    assert (verdict.level, verdict.grade, verdict.value) == (0, "C", None)


def test_predictions_that_failed_their_gates_decide_nothing() -> None:
    frame = cases()
    failed = Finding("gate_classes", "warning", "another order")
    _, verdict = reached(frame, (shift(frame, 2.0),), GATES[0], failed)
    assert verdict.level == 0
    assert "did not pass their gates" in verdict.text


def test_a_model_at_chance_because_it_decides_by_the_cue_is_not_insufficient() -> None:
    frame = cases()
    chance = Finding("gate_chance", "warning", "at chance")
    _, verdict = reached(frame, (shift(frame, 2.0),), chance, GATES[1])
    assert verdict.level >= 3
    _, nothing = reached(frame, (shift(frame, 0.0),), chance, GATES[1])
    assert nothing.level == 0
    assert "did not pass their gates" in nothing.text
    order = Finding("gate_classes", "warning", "another order")
    assert reached(frame, (shift(frame, 2.0),), chance, order)[1].level == 0


def test_fills_are_grade_b_and_show_the_effect_of_being_there() -> None:
    frame = cases(caused=0)
    findings, verdict = reached(frame, (shift(frame, 2.0, None),))
    assert (verdict.level, verdict.grade) == (3, "B")
    (effect,) = [found for found in findings if found.kind == "effect"]
    assert effect.text.startswith("Cue 'hair' being there adds +1.95")
    assert (effect.cue, effect.attribute) == ("hair", None)


def test_cue_sets_are_named_as_a_sentence_has_them() -> None:
    frame = cases(caused=0)
    for cue, told in (
        ("hair", "the cue 'hair'"),
        ("hair+hat", "the cues 'hair' and 'hat'"),
        ("a+b+c", "the cues 'a' and 'b' and 'c'"),
    ):
        text = reached(frame, (replace(shift(frame, 2.0), cue=cue),))[1].text
        assert f"The model is sensitive to {told}: on average it moves the logit" in text


def test_groups_of_one_and_labels_of_one_value_do_no_harm() -> None:
    frame = cases(caused=0, other=0, right=1)
    assert harms(frame, ["gender"], THRESHOLDS) == []
    same = cases().assign(**{"attribute.gender": lambda f: f["label"]})
    assert harms(same, ["gender"], THRESHOLDS) == []
    assert harms(cases().assign(**{"attribute.gender": None}), ["gender"], THRESHOLDS) == []
    assert harms(cases().assign(correct=None), ["gender"], THRESHOLDS) == []


def test_no_wording_promises_the_absence_of_bias() -> None:
    frame = cases(caused=0)
    for shifts in ((), (shift(frame, 0.0),), (shift(frame, 2.0),)):
        text = reached(frame, shifts)[1].text.lower()
        assert not any(word in text for word in ("unbiased", "debiased", "fair"))
        assert "a cue that was not seen may still be used" in text


def test_cues_are_counted_over_what_is_confirmed_or_probable_alone():
    rows = [
        (False, "spurious_error", "confirmed", "hair"),
        (False, "spurious_error", "probable", "hair"),
        (False, "spurious_error", "attention", "shoes"),  # the map's word, not the changed pixels'
        (False, None, "unsupported", None),
        (True, "wrong_reason", "probable", "bag"),
        (True, None, "unsupported", None),
    ]
    told = pd.DataFrame(rows, columns=["correct", "flag", "evidence", "cue"])
    told["passes"], told["reason"] = 7, ""
    errors, correct = evidence_findings(told)
    assert errors.text.startswith("Of 4 errors whose pixels were changed, 1 is confirmed")
    assert errors.text.endswith("1 probable (at least half the margin): hair 2.")
    assert errors.value == 0.5
    assert correct.text.endswith("1 probable (at least half the margin): bag 1.")
    queued = told[told["evidence"].isin(["attention", "unsupported"])]
    (only,) = evidence_findings(queued[~queued["correct"]])
    assert only.text.endswith("0 probable (at least half the margin).")
