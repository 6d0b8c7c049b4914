"""What the interventions say of errors and correct cases, in the words of a finding."""

from __future__ import annotations

import pandas as pd

from auditor.findings.verdict import evidence_findings


def test_cues_are_counted_over_what_is_confirmed_or_probable_alone():
    rows = [
        (False, "spurious_error", "confirmed", "hair"),
        (False, "spurious_error", "probable", "hair"),
        (False, "spurious_error", "attention", "shoes"),  # the map's word, not the changed pixels'
        (False, None, "unsupported", None),
        (True, "wrong_reason", "probable", "bag"),
        (True, None, "unsupported", None),
    ]
    cases = pd.DataFrame(rows, columns=["correct", "flag", "evidence", "cue"])
    cases["passes"], cases["reason"] = 7, ""
    errors, correct = evidence_findings(cases)
    assert errors.text.startswith("Of 4 errors whose pixels were changed, 1 is confirmed")
    assert errors.text.endswith("1 probable (at least half the margin): hair 2.")
    assert errors.value == 0.5
    assert correct.text.endswith("1 probable (at least half the margin): bag 1.")
    queued = cases[cases["evidence"].isin(["attention", "unsupported"])]
    (only,) = evidence_findings(queued[~queued["correct"]])
    assert only.text.endswith("0 probable (at least half the margin).")
