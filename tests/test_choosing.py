from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auditor.evidence import CueSet, cue_sets, parent
from auditor.pipeline.choosing import choose
from auditor.thresholds import THRESHOLDS


def cases(errors: int, right: int, lost: int = 0) -> pd.DataFrame:
    """So many errors, correct cases with growing margins, and cases without a prediction."""
    correct: list[bool | None] = [False] * errors + [True] * right + [None] * lost
    return pd.DataFrame(
        {
            "id": [f"case {number}" for number in range(len(correct))],
            "correct": pd.array(correct, dtype="object"),
            "margin": [1.0] * errors + [float(n) for n in range(right)] + [np.nan] * lost,
            "testable": True,
        }
    )


def test_suspects_are_errors_and_the_least_sure_of_the_rest_are_sampled() -> None:
    given = cases(40, 2000, 3)
    chosen = choose(given, "suspects", 0, THRESHOLDS)
    errors, doubtful, rest = (chosen["stratum"] == name for name in ("error", "doubtful", "rest"))
    assert (errors.sum(), doubtful.sum(), rest.sum()) == (40, 10, 1990)
    assert chosen["stratum"].isna().sum() == 3
    assert chosen.loc[errors | doubtful, "chosen"].all()
    # The ten smallest margins among the correct.
    assert given.loc[doubtful, "margin"].tolist() == list(range(10))
    assert chosen.loc[rest, "chosen"].sum() == 64
    assert not chosen.loc[chosen["stratum"].isna(), "chosen"].any()


@pytest.mark.parametrize(
    ("wanted", "counts"),
    [
        ("all", {"error": 40, "doubtful": 10, "rest": 90}),
        (0, {}),
        (20, {"error": 15, "rest": 5}),
        (80, {"error": 40, "doubtful": 10, "rest": 30}),
        (500, {"error": 40, "doubtful": 10, "rest": 90}),
    ],
)
def test_a_budget(wanted: object, counts: dict[str, int]) -> None:
    chosen = choose(cases(40, 100), wanted, 0, THRESHOLDS)
    assert chosen.loc[chosen["chosen"], "stratum"].value_counts().to_dict() == counts


def test_who_is_drawn_depends_on_seed_and_id_alone() -> None:
    given = cases(0, 1000)
    chosen = choose(given, "suspects", 1, THRESHOLDS)["chosen"]
    order = np.random.default_rng(0).permutation(1000)
    shuffled = choose(given.iloc[order].reset_index(drop=True), "suspects", 1, THRESHOLDS)
    names = set(given.loc[chosen, "id"])
    assert set(given["id"].iloc[order].to_numpy()[shuffled["chosen"]]) == names
    other = choose(given, "suspects", 2, THRESHOLDS)["chosen"]
    assert set(given.loc[other, "id"]) != names


def test_cases_without_regions_are_in_no_stratum() -> None:
    given = cases(2, 3).assign(testable=[True, False, True, False, True])
    chosen = choose(given, "all", 0, THRESHOLDS)
    assert chosen["chosen"].tolist() == [True, False, True, False, True]
    assert chosen["stratum"].isna().tolist() == [False, True, False, True, False]


# -- cue sets ------------------------------------------------------------------------------


def names(sets: tuple[CueSet, ...]) -> dict[str, tuple[str, ...]]:
    return {cues.name: cues.attributes for cues in sets}


def test_cues_of_one_attribute_are_changed_together_first() -> None:
    sets = cue_sets(
        ("face", "hair", "tag"),
        ("gender", "age"),
        {"face": "gender", "hair": "gender"},
        "background",
    )
    assert names(sets) == {
        "face+hair": ("gender",),
        "face": ("gender",),
        "hair": ("gender",),
        "tag": ("gender", "age"),
    }
    assert parent(sets[1], sets) == sets[0]
    assert parent(sets[3], sets) is None
    assert parent(sets[0], sets) is None
    # Hair is long or short by the attribute itself: it is aligned by what stays.
    assert sets[2].family == ("face", "hair")
    assert sets[3].family == ("tag",)


def test_untied_cues_are_tried_with_every_attribute() -> None:
    sets = cue_sets(("a", "background", "b"), ("x", "y"), {}, "background")
    assert names(sets) == {
        "a+b": ("x", "y"),
        "a": ("x", "y"),
        "background": ("x", "y"),
        "b": ("x", "y"),
    }
    assert names(cue_sets(("a", "b"), (), {}, "background")) == {"a": (), "b": ()}
    assert cue_sets((), ("x",), {}, "background") == ()


def test_the_rest_is_not_tried_for_a_cast() -> None:
    sets = cue_sets(("tag", "background"), ("lamp", "site"), {}, "background", "lamp")
    assert names(sets) == {
        "tag": ("lamp", "site"),
        "background": ("site",),
        "tone": ("lamp",),
    }
    assert sets[-1].regions == ()
    tied = cue_sets(("background",), ("lamp",), {"background": "lamp"}, "background", "lamp")
    assert names(tied) == {"background": ("lamp",), "tone": ("lamp",)}
