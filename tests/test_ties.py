"""Does a cue look different for the values of the attribute that its donors are chosen by?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auditor.findings.material import Probed, Tie
from auditor.findings.ties import ties
from auditor.thresholds import THRESHOLDS


def cases(count: int = 120) -> pd.DataFrame:
    half = np.where(np.arange(count) % 2, "b", "a")
    other = np.where(np.arange(count) % 4 < 2, "x", "y")
    return pd.DataFrame(
        {"label": "one", "attribute.shown": half, "attribute.hidden": other, "status": "ok"}
    )


def probed(table: pd.DataFrame) -> Probed:
    """The hair is brighter by three deviations where `shown` is b, whatever `hidden` says."""
    random = np.random.default_rng(0)
    bright = 3.0 * (table["attribute.shown"] == "b").to_numpy()[:, None]
    features = random.normal(size=(len(table), 4)) + bright
    return Probed(np.arange(len(table)), {"hair": features.astype(np.float32)})


def test_a_tie_that_is_not_to_be_seen_is_a_notice():
    table = cases()
    pairs = [Tie("hair", "shown", True), Tie("hair", "hidden", True), Tie("hair", "hidden", False)]
    shown, hidden, tried = ties(table, probed(table), pairs, 0, THRESHOLDS)
    assert shown.severity == "info"
    assert shown.value > 0.9
    assert "which its look tells" in shown.text
    assert (shown.cue, shown.attribute) == ("hair", "shown")
    assert hidden.severity == "notice"
    assert hidden.value == pytest.approx(0.5, abs=0.15)
    assert "says nothing" in hidden.text
    # Where every attribute is tried, one that is not shown is no mistake.
    assert tried.severity == "info"


def test_too_few_values_are_said():
    table = cases()
    table["attribute.shown"] = ["a"] * 118 + ["b", ""]
    (found,) = ties(table, probed(cases()), [Tie("hair", "shown", True)], 0, THRESHOLDS)
    assert found.value is None
    assert found.n == 0
    assert "cannot be said, since fewer than two values" in found.text


def test_regions_without_features_and_runs_without_probes_say_nothing():
    table = cases()
    assert ties(table, None, [Tie("hair", "shown", True)], 0, THRESHOLDS) == []
    assert ties(table, probed(table), [Tie("face", "shown", True)], 0, THRESHOLDS) == []
