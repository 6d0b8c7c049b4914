"""Why errors cannot be tested by their margin maps: each cause counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auditor.findings.untestable import untestable_causes
from auditor.thresholds import THRESHOLDS

NAN = np.nan
GATE = "nothing rests on maps that fail a gate: mend what the gate's finding names"
SILENT = "the margin map has no positive evidence, so only changing pixels can tell"
PLACE = (
    "other images of the class show the cue at the same place, where no map could tell, so only "
    "changing pixels can"
)
FEW = "fewer than 19 other images of the class show the cue: audit more of them"
SMALL = "the cue is smaller than a cell of the map: give a larger input or a finer model.layer"
CROPPED = "the crop takes the cue away: see [model.preprocess]"
NONE = "no cue is annotated in the image, or its masks cannot be used"

Cue = tuple[str | None, float, float]
"""Status, smallest possible p-value, excess of the margin map."""


def told(*cases: tuple[Cue, Cue]) -> str:
    columns = {
        f"{column}.{cue}": [case[place][number] for case in cases]
        for place, cue in enumerate(("face", "hair"))
        for number, column in enumerate(("status", "best_p", "margin_excess"))
    }
    return str(untestable_causes(pd.DataFrame(columns), ("face", "hair"), THRESHOLDS))


ABSENT: Cue = ("absent", NAN, NAN)


@pytest.mark.parametrize(
    ("cue", "cause"),
    [
        (("ok", 0.05, 0.2), GATE),  # a test could speak, so its maps were void
        (("ok", 0.05, NAN), SILENT),
        (("ok", NAN, NAN), SILENT),
        (("ok", 0.1, -0.2), PLACE),
        (("ok", NAN, 0.2), FEW),
        (("below_resolution", NAN, NAN), SMALL),
        (("cropped_out", NAN, NAN), CROPPED),
        (ABSENT, NONE),
        ((None, NAN, NAN), NONE),
    ],
)
def test_each_cause(cue: Cue, cause: str) -> None:
    assert told((cue, ABSENT)) == f"{cause} (1)"
    assert told((ABSENT, cue)) == f"{cause} (1)"


def test_every_case_counts_once_for_the_cause_nearest_to_a_test() -> None:
    few: Cue = ("ok", NAN, 0.2)
    small: Cue = ("below_resolution", NAN, NAN)
    cropped: Cue = ("cropped_out", NAN, NAN)
    place: Cue = ("ok", 0.2, 0.1)
    assert told((few, place), (few, small), (small, few), (cropped, small), (ABSENT, ABSENT)) == (
        f"{PLACE} (1); {FEW} (2); {SMALL} (1); {NONE} (1)"
    )


def test_statuses_may_be_categories() -> None:
    cases = pd.DataFrame({"status.face": pd.Categorical(["absent", None])})
    cases[["best_p.face", "margin_excess.face"]] = NAN
    assert str(untestable_causes(cases, ("face",), THRESHOLDS)) == f"{NONE} (2)"
