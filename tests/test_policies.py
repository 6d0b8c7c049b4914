"""Runs held against policies: every condition by hand, and what others read of the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from auditor.errors import ConfigurationError, RunError
from auditor.policies import (
    CONDITIONS,
    LIMITS,
    Checked,
    Outcome,
    check,
    github,
    junit,
    read_policy,
    summary,
    table_rows,
)
from auditor.policies.contrasts import Contrast, differences, ratios
from auditor.policies.outcome import Bound
from auditor.rates import Rates
from auditor.statistics import paired_difference, rate_difference, rate_ratio, wilson
from auditor.store import Run, open_run
from tests.conftest import Outcome as Called
from tests.conftest import Project

Call = Callable[..., Called]
Groups = Mapping[tuple[str, str | None], tuple[int, int]]
"""(label, value) to (right, judged)."""

EVEN: Groups = {
    ("doctor", "man"): (90, 100),
    ("doctor", "woman"): (80, 100),
    ("nurse", "man"): (70, 100),
    ("nurse", "woman"): (88, 100),
}
EFFECT = {
    "kind": "effect",
    "cue": "face",
    "attribute": "gender",
    "text": "Cue 'face', annotated as man rather than another gender: moves the logit of 'doctor' "
    "against 'nurse' by +0.60 on average over all cases (95 % interval …",
    "value": 0.6,
    "low": 0.4,
    "high": 0.8,
    "n": 60,
}


def table(groups: Groups = EVEN) -> pd.DataFrame:
    rows = [
        {
            "label": label,
            "correct": number < right,
            "predicted": label if number < right else "other",
            "attribute.gender": value,
            "evidence": None if number < right else "unsupported",
            "passes": None if number < right else 7,
        }
        for (label, value), (right, judged) in groups.items()
        for number in range(judged)
    ]
    made = pd.DataFrame(rows).astype({"correct": object, "evidence": object})
    made.insert(0, "id", [f"case{number:03d}" for number in range(len(made))])
    for region in ("subject", "face"):
        made[f"mass.{region}"], made[f"area.{region}"] = 0.4, 0.2
    made["margin"], made["stratum"], made["reliance.face"] = 2.0, "rest", float("nan")
    return made


def write(
    path: Path, cases: pd.DataFrame, findings: list[dict[str, Any]] | None = None, **info: Any
) -> Run:
    path.mkdir()
    cases.to_parquet(path / "cases.parquet")
    judged = cases["correct"].notna()
    written = {
        "schema_version": 2,
        "counts": {"cases": len(cases), "judged": int(judged.sum()), "tested": 64},
        "verdict": {"level": 1, "grade": "A", "threshold": 0.2},
        "thresholds": {"effect": 0.1, "looks": [3, 5, 8]},
        "model": {"classes": ["doctor", "nurse"]},
        "attributes": ["gender"],
        "clustered": "cluster" in cases,
        "regions": {"cues": ["face"]},
        "cue_sets": [{"name": "face", "cues": ["face"], "attributes": ["gender"]}],
        "method": "gradcam",
        "seed": 0,
        "layer": {"name": "features", "grid": [7, 7]},
        "identity": {"dataset": "same", "weights": path.name, "configuration": "same"},
    }
    (path / "run.json").write_text(json.dumps(written | info))
    columns = "case cue arm attribute donor fill number logits".split()
    pd.DataFrame(columns=columns).to_parquet(path / "interventions.parquet")
    held = [EFFECT] if findings is None else findings
    (path / "findings.json").write_text(json.dumps({"findings": held}))
    return open_run(path)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write(tmp_path / "run", table())


@pytest.fixture
def held(tmp_path: Path) -> Callable[..., tuple[Outcome, ...]]:
    """Holds a run against a policy's text; the outcomes."""

    def against(run: Run, policy: str, baseline: Run | None = None) -> tuple[Outcome, ...]:
        path = tmp_path / "policy.toml"
        path.write_text(policy, encoding="utf-8")
        return check(run, read_policy(path), baseline).outcomes

    return against


Held = Callable[..., tuple[Outcome, ...]]


# -- the rule ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "status"),
    [
        ((0.5, 0.7), "pass"),
        ((0.5, 0.8), "pass"),  # on the limit is right
        ((0.5, 0.81), "insufficient"),
        ((0.8, 0.9), "insufficient"),
        ((0.81, 0.9), "fail"),
        (None, "insufficient"),
        ((0.7, 0.7), "insufficient"),  # an interval without width is none
    ],
)
def test_an_interval_decides_only_where_it_lies_on_one_side(interval, status):
    assert Bound(0.8, "at most", "interval").status(0.7, interval) == status
    turned = None if interval is None else (1 - interval[1], 1 - interval[0])
    assert Bound(1 - 0.8, "at least", "interval").status(0.3, turned) == status


def test_the_estimate_decides_by_itself_where_that_is_asked_for():
    at_most = Bound(0.1, "at most", "estimate")
    assert at_most.status(0.8 - 0.7, None) == "pass"  # 0.10000000000000009
    assert at_most.status(0.1001, (0.0, 1.0)) == "fail"
    assert at_most.status(None, None) == "insufficient"
    assert Bound(0.1, "at least", "estimate").status(0.0999, None) == "fail"


def test_every_condition_has_a_limit_a_function_and_a_place_in_the_docs():
    assert list(LIMITS) == list(CONDITIONS)
    told = (Path(__file__).parent.parent / "docs" / "check.md").read_text(encoding="utf-8")
    for name in LIMITS:
        assert f"`{name}`" in told, name


# -- the policy ----------------------------------------------------------------------------


def refused(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "policy.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as told:
        read_policy(path)
    return str(told.value).replace(f"{path}: ", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[acuracy]\nmin = 1.0", "acuracy is not a known key; did you mean accuracy?"),
        (
            "[accuracy]\nworst_grup_min = 0.5",
            "accuracy.worst_grup_min is not a known key; did you mean accuracy.worst_group_min?",
        ),
        ("[verdict]\nx = 1", "verdict.x is not a known key; known here: max_level."),
        ("[reliance]\nmax = 1\nby = ['a']", "reliance.by is not a known key; known here: by_cue"),
        ("", "asks for nothing, so every run would pass; give a condition ([verdict], "),
        ("min_n = 5\ndecide = 'estimate'", "asks for nothing"),
        ("[accuracy]", "[accuracy] asks for nothing; give min or worst_group_min."),
        ("[disparity]\nby = ['a']", "[disparity] asks for nothing"),
        ("[accuracy]\nmin = 0.5\nby = ['a']", "accuracy.by is given without a condition on groups"),
        ("accuracy = 0.5", "accuracy is 0.5; write it as a table: [accuracy]."),
        ("[accuracy]\nmin = 80", "accuracy.min is 80; give a number from 0 to 1."),
        ("[accuracy]\nmin = true", "accuracy.min is True; give"),
        ("[accuracy]\nmin = nan", "accuracy.min is nan; give"),
        ("[reliance]\nmax = inf", "reliance.max is inf; give a number, 0 or more."),
        ("[reliance]\nby_cue = {}", "reliance.by_cue is {}; give a table"),
        ("[reliance]\nby_cue = {a = -1}", "give a number, 0 or more."),
        ("[verdict]\nmax_level = 4", "verdict.max_level is 4; give 1, 2 or 3"),
        ("[evidence]\nmin_grade = 'C'", 'give one of "A", "B".'),
        ("[evidence]\nmin_tested = 0", "give a whole number, 1 or more."),
        ("[baseline]\nmax_new_failures = 0.5", "give a whole number, 0 or more."),
        ("min_n = 1\n[accuracy]\nmin = 0.5", "min_n is 1; give a whole number, 2 or more."),
        ("decide = 'mean'\n[accuracy]\nmin = 0.5", "decide is 'mean'; give one of \"interval\", "),
        ("[accuracy", "is not valid TOML"),
        (b"\xff", "is not UTF-8 text"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text, message):
    assert message in refused(tmp_path, text)


def test_a_policy_as_it_is_read(tmp_path: Path):
    path = tmp_path / "policy.toml"
    path.write_bytes(b'\xef\xbb\xbfdecide = "estimate"\n[accuracy]\nworst_group_min = 0\nby = []\n')
    policy = read_policy(path)
    assert (policy.decide, policy.min_n, policy.needs_baseline) == ("estimate", 10, False)
    assert (dict(policy.limits), dict(policy.by)) == (
        {"accuracy.worst_group_min": 0.0},
        {"accuracy": ()},
    )
    assert len(policy.sha256) == 64
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_policy(tmp_path / "none.toml")


# -- the verdict and its evidence ----------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "grade", "limit", "status"),
    [
        (1, "A", 3, "pass"),
        (2, "B", 2, "pass"),
        (3, "A", 3, "pass"),
        (3, "A", 2, "fail"),
        (4, "A", 3, "fail"),
        (2, "C", 1, "fail"),
        (0, "A", 3, "insufficient"),
        (2, "C", 3, "insufficient"),  # without changed pixels no level above 2 can be reached
        (2, "C", 2, "insufficient"),
    ],
)
def test_the_level_of_the_verdict(tmp_path: Path, held: Held, level, grade, limit, status):
    verdict = {"level": level, "grade": grade, "threshold": 0.2}
    found = held(write(tmp_path / "r", table(), verdict=verdict), f"[verdict]\nmax_level = {limit}")
    (outcome,) = found
    assert (outcome.status, outcome.value, outcome.limit) == (status, level, limit)


def test_level_4_cannot_be_ruled_out_without_groups(tmp_path: Path, held: Held):
    verdict = {"level": 3, "grade": "A", "threshold": 0.2}
    alone = write(tmp_path / "alone", table(), verdict=verdict, attributes=[])
    (outcome,) = held(alone, "[verdict]\nmax_level = 3")
    assert outcome.status == "insufficient"
    assert "Level 4 needs annotated groups" in outcome.text


def test_evidence_is_enough_or_insufficient_and_never_fails(run: Run, held: Held):
    for text, status in (
        ("min_grade = 'A'", "pass"),
        ("min_tested = 64", "pass"),
        ("min_tested = 65", "insufficient"),
        ("min_judged = 400", "pass"),
        ("min_judged = 401", "insufficient"),
    ):
        assert [o.status for o in held(run, f"[evidence]\n{text}")] == [status], text


def test_grade_b_is_less_than_grade_a(tmp_path: Path, held: Held):
    verdict = {"level": 1, "grade": "B", "threshold": 0.2}
    run = write(tmp_path / "r", table(), verdict=verdict)
    assert held(run, "[evidence]\nmin_grade = 'B'")[0].status == "pass"
    assert held(run, "[evidence]\nmin_grade = 'A'")[0].status == "insufficient"


# -- what cues do --------------------------------------------------------------------------


def test_reliance_is_the_effect_over_the_median_margin(run: Run, held: Held):
    # δ = 0.2 is a tenth of the median margin, 2: the effect is .3 of it, from .2 to .4.
    for limit, status in ((0.4, "pass"), (0.3, "insufficient"), (0.19, "fail")):
        (outcome,) = held(run, f"[reliance]\nmax = {limit}")
        assert (outcome.name, outcome.status) == ("reliance.max (face)", status)
        assert (outcome.value, outcome.low, outcome.high, outcome.n) == pytest.approx(
            (0.3, 0.2, 0.4, 60)
        )
        assert outcome.groups == (() if status == "pass" else ("face",))
    (estimated,) = held(run, 'decide = "estimate"\n[reliance]\nmax = 0.3')
    assert estimated.status == "pass"
    (few,) = held(run, "min_n = 61\n[reliance]\nmax = 0.9")
    assert (few.status, few.value) == ("insufficient", None)
    assert "60 cases tested on 'face', fewer than 61" in few.text


def test_the_size_of_a_negative_and_of_an_unclear_effect(tmp_path: Path, held: Held):
    for name, (value, low, high), expected in (
        ("negative", (-0.6, -0.8, -0.4), (0.3, 0.2, 0.4)),
        ("unclear", (0.1, -0.4, 0.6), (0.05, 0.0, 0.3)),
    ):
        finding = EFFECT | {"value": value, "low": low, "high": high}
        (outcome,) = held(write(tmp_path / name, table(), [finding]), "[reliance]\nmax = 0.5")
        assert (outcome.value, outcome.low, outcome.high) == pytest.approx(expected)


def test_a_limit_for_each_cue_set(tmp_path: Path, held: Held):
    sets = [("face+hair", ["face", "hair"]), ("face", ["face"]), ("hair", ["hair"])]
    sets += [("bag", ["bag"])]
    cue_sets = [{"name": name, "cues": cues, "attributes": []} for name, cues in sets]
    finding = EFFECT | {
        "cue": "face+hair",
        "attribute": None,
        "text": "Cue 'face+hair' being there adds +0.60 to … on average over",
    }
    run = write(tmp_path / "r", table(), [finding], cue_sets=cue_sets)
    joint, bag = held(run, "[reliance]\nmax = 0.5")
    # Those changed one by one only where their set had an effect have no average effect.
    assert (joint.name, joint.status) == ("reliance.max (face+hair)", "pass")
    assert (bag.name, bag.status, bag.groups) == ("reliance.max (bag)", "insufficient", ("bag",))
    assert "too few cases could be tested" in bag.text
    by_cue = '[reliance]\nmax = 0.5\nby_cue = { "face+hair" = 0.1, face = 0.1 }'
    found = {outcome.name: outcome for outcome in held(run, by_cue)}
    assert {name: outcome.status for name, outcome in found.items()} == {
        "reliance.max (bag)": "insufficient",
        "reliance.by_cue (face+hair)": "fail",
        "reliance.by_cue (face)": "insufficient",
    }
    assert (
        "only where a cue set that holds it had an effect" in found["reliance.by_cue (face)"].text
    )
    with pytest.raises(
        ConfigurationError, match=r"names 'hat'.*it has face\+hair, face, hair, bag"
    ):
        held(run, "[reliance]\nby_cue = { hat = 1 }")


def test_a_run_without_cues_or_margins_is_undefined(tmp_path: Path, held: Held):
    none = write(tmp_path / "none", table(), [], cue_sets=[])
    (outcome,) = held(none, "[reliance]\nmax = 0.5")
    assert (outcome.status, outcome.value) == ("insufficient", None)
    verdict = {"level": 0, "grade": "A", "threshold": 0.0}
    flat = write(tmp_path / "flat", table(), verdict=verdict)
    (outcome,) = held(flat, "[reliance]\nmax = 0.5")
    assert outcome.status == "insufficient"
    assert "the median margin is 0" in outcome.text


def caused(count: int, untestable: int = 0, untested: int = 0) -> pd.DataFrame:
    """72 errors of 400 cases, some confirmed or probable, some without an answer."""
    cases = table()
    wrong = np.flatnonzero(cases["correct"].eq(False))
    cases.loc[wrong[:count], "evidence"] = "confirmed"
    cases.loc[wrong[: count // 2], "evidence"] = "probable"
    cases.loc[wrong[72 - untestable :], "evidence"] = "untestable"
    cases.loc[wrong[: len(wrong)][::-1][:untested], "passes"] = None
    cases.loc[[0, 1], "evidence"] = "confirmed"  # correct cases are in none of it
    return cases


def test_the_share_of_errors_that_rest_on_a_cue(tmp_path: Path, held: Held):
    run = write(tmp_path / "r", caused(20, untestable=12))
    for limit, status in ((0.5, "pass"), (0.3, "insufficient"), (0.2, "fail")):
        (outcome,) = held(run, f"[spurious_errors]\nmax_share_of_errors = {limit}")
        assert (outcome.status, outcome.n) == (status, 60)
        assert outcome.value == pytest.approx(20 / 60)
        assert (outcome.low, outcome.high) == wilson(20, 60)
    (few,) = held(run, "min_n = 61\n[spurious_errors]\nmax_share_of_errors = 0.9")
    assert few.status == "insufficient"
    assert "Too few: 60 tested errors, fewer than 61." in few.text


def test_the_share_of_cases_counts_untested_errors_as_unknown(tmp_path: Path, held: Held):
    run = write(tmp_path / "r", caused(20, untestable=12))
    interval = (wilson(20, 400)[0], wilson(32, 400)[1])
    for limit, status in ((0.12, "pass"), (0.1, "insufficient"), (0.03, "fail")):
        (outcome,) = held(run, f"[spurious_errors]\nmax_share_of_cases = {limit}")
        assert (outcome.status, outcome.value, outcome.n) == (status, 20 / 400, 400)
        assert (outcome.low, outcome.high) == pytest.approx(interval)
    for limit, status in ((0.08, "pass"), (0.07, "insufficient"), (0.04, "fail")):
        (outcome,) = held(run, f'decide="estimate"\n[spurious_errors]\nmax_share_of_cases={limit}')
        assert outcome.status == status
        json.dumps(outcome.described(), allow_nan=False)


def test_a_model_without_errors_has_no_share_of_them(tmp_path: Path, held: Held):
    run = write(tmp_path / "r", table({("doctor", "man"): (50, 50), ("nurse", "man"): (50, 50)}))
    of_errors, of_cases = held(
        run, "[spurious_errors]\nmax_share_of_errors = 0.1\nmax_share_of_cases = 0.1"
    )
    assert (of_errors.status, of_errors.value) == ("insufficient", None)
    assert of_cases.status == "pass"


# -- accuracy ------------------------------------------------------------------------------


def test_accuracy(run: Run, held: Held):
    low, high = wilson(328, 400)
    for limit, status in (
        (low, "pass"),
        (0.82, "insufficient"),
        (high, "insufficient"),
        (0.9, "fail"),
    ):
        (outcome,) = held(run, f"[accuracy]\nmin = {limit}")
        assert (outcome.status, outcome.value, outcome.n) == (status, 0.82, 400)
        assert (outcome.low, outcome.high) == (low, high)
        assert outcome.groups == ()
    for limit, status in ((0.82, "pass"), (0.821, "fail")):
        assert held(run, f'decide = "estimate"\n[accuracy]\nmin = {limit}')[0].status == status


def test_cases_without_a_prediction_are_in_no_rate(tmp_path: Path, held: Held):
    cases = table()
    cases.loc[cases.index[:395], "correct"] = None
    (outcome,) = held(write(tmp_path / "r", cases), "[accuracy]\nmin = 0.1")
    assert (outcome.status, outcome.n) == ("insufficient", 5)
    assert "5 judged cases, fewer than 10" in outcome.text


def test_the_worst_group(run: Run, held: Held):
    each = 0.95**0.25
    (outcome,) = held(run, "[accuracy]\nworst_group_min = 0.55")
    assert (outcome.name, outcome.status) == ("accuracy.worst_group_min (gender)", "pass")
    assert (outcome.value, outcome.n, outcome.groups) == (0.7, 100, ())
    assert (outcome.low, outcome.high) == pytest.approx(wilson(70, 100, each))
    (outcome,) = held(run, "[accuracy]\nworst_group_min = 0.75")
    assert outcome.status == "insufficient"
    assert outcome.groups == ("label 'doctor', gender 'woman'", "label 'nurse', gender 'man'")
    (outcome,) = held(run, "[accuracy]\nworst_group_min = 0.85")
    assert (outcome.status, outcome.value) == ("fail", 0.7)
    assert outcome.groups == ("label 'nurse', gender 'man'",)
    assert "70 of 100 judged cases are right (70.0%" in outcome.text
    assert "at least 85.0%" in outcome.text
    (estimated,) = held(run, 'decide = "estimate"\n[accuracy]\nworst_group_min = 0.85')
    assert estimated.groups[0] == "label 'doctor', gender 'woman'"
    assert len(estimated.groups) == 2


def test_small_groups_keep_it_from_passing_and_are_named(tmp_path: Path, held: Held):
    groups = {**EVEN, ("nurse", "other"): (9, 9), ("nurse", None): (3, 3)}
    run = write(tmp_path / "r", table(groups))
    for decide in ("interval", "estimate"):
        (outcome,) = held(run, f'decide = "{decide}"\n[accuracy]\nworst_group_min = 0.5')
        assert outcome.status == "insufficient"
        assert outcome.groups == (
            "label 'nurse', gender 'other'",
            "label 'nurse', gender not annotated",
        )
        assert "Under 10 judged cases" in outcome.text
        assert "label 'nurse', gender 'other' (9)" in outcome.text
        # A failure is one all the same.
        (outcome,) = held(run, f'decide = "{decide}"\n[accuracy]\nworst_group_min = 0.95')
        assert outcome.status == "fail"
    (outcome,) = held(run, 'min_n = 2\ndecide = "estimate"\n[accuracy]\nworst_group_min = 0.5')
    assert outcome.status == "pass"


def test_groups_by_label_alone_and_by_what_is_unknown(tmp_path: Path, run: Run, held: Held):
    (outcome,) = held(run, "[accuracy]\nworst_group_min = 0.5\nby = []")
    assert (outcome.name, outcome.value) == ("accuracy.worst_group_min", 0.79)
    bare = write(tmp_path / "bare", table(), attributes=[])
    assert held(bare, "[accuracy]\nworst_group_min = 0.5")[0].value == 0.79
    with pytest.raises(ConfigurationError, match=r"accuracy.by holds 'age'.*it has gender\."):
        held(run, "[accuracy]\nworst_group_min = 0.5\nby = ['age']")
    names = table().assign(**{"attribute.gender": [f"n{i}" for i in range(400)]})
    (outcome,) = held(write(tmp_path / "n", names), "[accuracy]\nworst_group_min = 0.1")
    assert outcome.status == "insufficient"
    assert "too many to be groups" in outcome.text


# -- groups against each other -------------------------------------------------------------


def test_the_difference_between_groups(run: Run, held: Held):
    each = 0.95**0.5  # two comparisons: of two values there is one in each label
    low, high = rate_difference((88, 100), (70, 100), each)
    for limit, status in ((0.35, "pass"), (0.2, "insufficient"), (0.03, "fail")):
        (outcome,) = held(run, f"[disparity]\nmax_difference = {limit}")
        assert (outcome.name, outcome.status) == ("disparity.max_difference (gender)", status)
        assert (outcome.value, outcome.n) == (pytest.approx(0.18), 200)
        assert (outcome.low, outcome.high) == pytest.approx((low, high))
    assert "of images labelled 'nurse', 70 of 100 annotated as gender 'man'" in outcome.text.lower()
    for limit, status in ((0.18, "pass"), (0.17, "fail")):
        policy = f'decide = "estimate"\n[disparity]\nmax_difference = {limit}'
        assert held(run, policy)[0].status == status


def test_three_values_are_each_held_against_the_others(tmp_path: Path, held: Held):
    groups = {("a", "x"): (50, 100), ("a", "y"): (90, 100), ("a", "z"): (80, 100)}
    (outcome,) = held(write(tmp_path / "r", table(groups)), "[disparity]\nmax_difference = 0.1")
    assert (outcome.status, outcome.value, outcome.n) == ("fail", pytest.approx(0.35), 300)
    assert (outcome.low, outcome.high) == pytest.approx(
        tuple(-end for end in rate_difference((50, 100), (170, 200), 0.95 ** (1 / 3))[::-1])
    )
    assert "another gender" in outcome.text


def test_the_ratio_between_groups(run: Run, held: Held):
    low, high = rate_ratio((70, 100), (88, 100), 0.95**0.5)
    for limit, status in ((0.6, "pass"), (0.8, "insufficient"), (1.0, "fail")):
        (outcome,) = held(run, f"[disparity]\nmin_ratio = {limit}")
        assert (outcome.name, outcome.status) == ("disparity.min_ratio (gender)", status)
        assert outcome.value == pytest.approx(70 / 88)
        assert (outcome.low, outcome.high) == pytest.approx((low, high))


def test_a_group_of_which_none_is_recognised_fails_all_the_same(tmp_path: Path, held: Held):
    groups = {("a", "x"): (0, 50), ("a", "y"): (45, 50)}
    (outcome,) = held(write(tmp_path / "r", table(groups)), "[disparity]\nmin_ratio = 0.8")
    assert (outcome.status, outcome.value, outcome.low) == ("fail", 0.0, 0.0)
    root = 0.95**0.5
    assert outcome.high == pytest.approx(wilson(0, 50, root)[1] / wilson(45, 50, root)[0])
    none = write(tmp_path / "none", table({("a", "x"): (0, 50), ("a", "y"): (0, 50)}))
    (outcome,) = held(none, "[disparity]\nmin_ratio = 0.8")
    assert (outcome.status, outcome.value) == ("insufficient", None)
    assert "so there is no ratio" in outcome.text


def test_groups_that_are_all_right_have_a_ratio_with_an_interval(tmp_path: Path, held: Held):
    run = write(tmp_path / "r", table({("a", "x"): (50, 50), ("a", "y"): (50, 50)}))
    (outcome,) = held(run, "[disparity]\nmin_ratio = 0.8")
    assert (outcome.status, outcome.value) == ("pass", 1.0)
    assert outcome.low < 1 < outcome.high


def test_what_cannot_be_compared_is_named(tmp_path: Path, held: Held):
    groups = {
        ("a", "x"): (45, 50), ("a", "y"): (45, 50), ("a", "z"): (4, 4), ("a", None): (6, 7),
        ("b", "x"): (40, 50),
    }  # fmt: skip
    run = write(tmp_path / "r", table(groups))
    for outcome in held(run, "[disparity]\nmax_difference = 0.5\nmin_ratio = 0.1"):
        assert outcome.status == "insufficient"
        assert outcome.groups == ("label 'a', gender 'z'",)
        assert "label 'a', gender 'z' (4)" in outcome.text
        assert "in which nothing is compared: 'b'" in outcome.text
        assert "not compared: 7 judged cases" in outcome.text
    alone = write(tmp_path / "alone", table({("b", "x"): (40, 50)}))
    for outcome in held(alone, "[disparity]\nmax_difference = 0.5\nmin_ratio = 0.1"):
        assert (outcome.status, outcome.value) == ("insufficient", None)
    bare = write(tmp_path / "bare", table(), attributes=[])
    for outcome in held(bare, "[disparity]\nmax_difference = 0.5\nmin_ratio = 0.1"):
        assert outcome.status == "insufficient"
        assert "no attribute by which" in outcome.text


# -- clusters ------------------------------------------------------------------------------


def clustered(groups: Groups = EVEN, size: int = 10) -> pd.DataFrame:
    """Cases in clusters of one group, those right first: few clusters are mixed."""
    cases = table(groups)
    place = cases.groupby(["label", "attribute.gender"], dropna=False).cumcount() // size
    cases["cluster"] = cases["label"] + cases["attribute.gender"].fillna("") + place.astype(str)
    return cases


def test_clusters_widen_every_interval(tmp_path: Path, run: Run, held: Held):
    together = write(tmp_path / "c", clustered())
    policy = """
    [spurious_errors]
    max_share_of_cases = 0.2
    [accuracy]
    min = 0.8
    worst_group_min = 0.5
    [disparity]
    max_difference = 0.5
    min_ratio = 0.5
    """
    for alone, wider in zip(held(run, policy), held(together, policy), strict=True):
        assert wider.name == alone.name
        if wider.low == wider.value == 0:
            continue
        assert wider.high - wider.low > 1.5 * (alone.high - alone.low), wider.name
        assert "over whole clusters" in wider.text


def test_the_minimum_counts_clusters(tmp_path: Path, held: Held):
    together = write(tmp_path / "c", clustered(size=20))  # five clusters a group
    accuracy, group, difference = held(
        together, "[accuracy]\nmin = 0.1\nworst_group_min = 0.1\n[disparity]\nmax_difference = 1.0"
    )
    assert accuracy.status == "pass"
    assert (group.status, len(group.groups)) == ("insufficient", 4)
    assert "Under 10 clusters" in group.text
    assert (difference.status, difference.value) == ("insufficient", None)


def test_clusters_that_do_not_vary_say_nothing(tmp_path: Path, held: Held):
    # Every cluster has one right and one wrong: resampling clusters changes nothing.
    cases = table({("a", "x"): (20, 40)})
    cases["cluster"] = [str(number % 20) for number in range(40)]
    run = write(tmp_path / "r", cases)
    for outcome in held(run, "[accuracy]\nmin = 0.4\nworst_group_min = 0.4"):
        assert (outcome.status, outcome.value) == ("insufficient", 0.5)
        assert "no interval" in outcome.text


def test_contrasts_over_clusters_hold_what_they_should():
    random = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 120)
    clusters = np.arange(360) // 4
    chances = np.repeat(random.beta(8, 2, 90), 4)
    right = random.random(360) < chances
    rates = Rates.of(groups, right, 3, clusters)
    contrasts = [Contrast(0, (1, 2)), Contrast(1, (0, 2)), Contrast(2, (0, 1))]
    three, one = differences(rates, contrasts), differences(rates, contrasts[:1])
    assert three[0][0] < one[0][0] < one[0][1] < three[0][1]
    plain = rates.difference([0], [1, 2])
    assert one[0] == pytest.approx(plain, abs=0.02)
    low, high = ratios(rates, [Contrast(0, (1,))])[0]
    assert (low, high) == pytest.approx(rates.ratio([0], [1]), abs=0.03)
    # Where both sides agree, the closed form over clusters.
    every = Rates.of(groups, np.ones(360, dtype=bool), 3, clusters)
    assert differences(every, [Contrast(0, (1,))])[0] == rate_difference((30, 30), (30, 30))
    assert ratios(every, [Contrast(0, (1,))])[0][0] < 1
    none = Rates.of(groups, groups > 0, 3, clusters)
    assert ratios(none, [Contrast(0, (1,))])[0][0] == 0
    assert ratios(none, [Contrast(1, (0,))])[0] is None


# -- the baseline --------------------------------------------------------------------------


def changed(broken: int = 0, fixed: int = 0, lost: int = 0, base: pd.DataFrame | None = None):
    cases = (table() if base is None else base).copy()
    right = np.flatnonzero(cases["correct"].eq(True))
    wrong = np.flatnonzero(cases["correct"].eq(False))
    cases.loc[right[:broken], "correct"] = False
    cases.loc[wrong[:fixed], "correct"] = True
    cases.loc[right[::-1][:lost], "correct"] = None
    return cases


@pytest.mark.parametrize(
    ("broken", "lost", "limit", "status"),
    [
        (0, 0, 0, "pass"),
        (1, 0, 0, "fail"),
        (2, 0, 2, "pass"),
        (3, 0, 2, "fail"),
        (1, 1, 2, "pass"),
        (2, 1, 2, "insufficient"),  # the lost one may be a failure too
        (3, 1, 2, "fail"),
    ],
)
def test_new_failures(tmp_path: Path, run: Run, held: Held, broken, lost, limit, status):
    new = write(tmp_path / "new", changed(broken, 5, lost))
    (outcome,) = held(new, f"[baseline]\nmax_new_failures = {limit}", run)
    assert (outcome.status, outcome.value, outcome.n) == (status, broken, 400 - lost)
    if status == "fail":
        assert outcome.groups == ("case000", "case001", "case002")[:broken]
        assert "case000" in outcome.text


def test_the_share_of_new_failures(tmp_path: Path, run: Run, held: Held):
    new = write(tmp_path / "new", changed(10, 20, 8))
    for limit, status in ((0.06, "pass"), (0.03, "insufficient"), (0.01, "fail")):
        (outcome,) = held(new, f"[baseline]\nmax_new_failure_share = {limit}", run)
        assert (outcome.status, outcome.n) == (status, 320)
        assert outcome.value == 10 / 320
        assert (outcome.low, outcome.high) == wilson(10, 320)


def test_the_drop_of_accuracy_is_paired(tmp_path: Path, run: Run, held: Held):
    new = write(tmp_path / "new", changed(30, 10))
    low, high = paired_difference(298, 10, 30, 62)
    for limit, status in ((0.09, "pass"), (0.05, "insufficient"), (0.01, "fail")):
        (outcome,) = held(new, f"[baseline]\nmax_drop = {limit}", run)
        assert (outcome.status, outcome.value) == (status, pytest.approx(0.05))
        assert (outcome.low, outcome.high) == pytest.approx((low, high))
    (gained,) = held(run, "[baseline]\nmax_drop = 0", new)
    assert (gained.status, gained.value) == ("pass", pytest.approx(-0.05))


def test_the_baseline_over_clusters(tmp_path: Path, held: Held):
    base = write(tmp_path / "base", clustered())
    new = write(tmp_path / "new", changed(30, 10, base=clustered()))
    share, drop = held(new, "[baseline]\nmax_new_failure_share = 0.5\nmax_drop = 0.5", base)
    assert drop.value == pytest.approx(0.05)
    plain = paired_difference(298, 10, 30, 62)
    assert drop.high - drop.low > 1.3 * (plain[1] - plain[0])
    assert share.high - share.low > 1.3 * np.diff(wilson(30, 328))[0]
    same = write(tmp_path / "same", clustered())
    (unchanged,) = held(same, "[baseline]\nmax_drop = 0.2", base)
    assert (unchanged.status, unchanged.value) == ("pass", 0)
    assert (unchanged.low, unchanged.high) == paired_difference(40, 0, 0, 0)
    (few,) = held(same, "min_n = 41\n[baseline]\nmax_drop = 0.2", base)
    assert (few.status, few.value) == ("insufficient", None)
    assert "40 paired clusters, fewer than 41" in few.text


def test_nothing_judged_in_the_baseline_is_undefined(tmp_path: Path, run: Run, held: Held):
    none = write(tmp_path / "none", table().assign(correct=None))
    policy = "[baseline]\nmax_new_failures = 0\nmax_new_failure_share = 0.1\nmax_drop = 0.1"
    for outcome in held(run, policy, none):
        assert outcome.status == "insufficient", outcome.name


def test_a_baseline_over_another_dataset_is_refused(tmp_path: Path, run: Run, held: Held):
    policy = "[baseline]\nmax_new_failures = 0"
    renamed = write(tmp_path / "ids", table().assign(id=[f"x{i}" for i in range(400)]))
    with pytest.raises(RunError, match="first ids are 'case000' and 'x0'"):
        held(run, policy, renamed)
    labels = table()
    labels.loc[3, "label"] = "nurse"
    with pytest.raises(RunError, match=r"another label than .*case003"):
        held(run, policy, write(tmp_path / "labels", labels))
    identity = {"dataset": "f00d", "weights": "w", "configuration": "c"}
    other = write(tmp_path / "other", table(), identity=identity)
    with pytest.raises(RunError, match=r"the fingerprints differ \(f00d and same\)"):
        held(run, policy, other)
    with pytest.raises(RunError, match="is the run that is checked"):
        held(run, policy, run)


def test_a_baseline_that_is_missing_or_of_no_use_is_refused(run: Run, tmp_path: Path, held: Held):
    with pytest.raises(ConfigurationError, match="asks for a comparison with a baseline"):
        held(run, "[baseline]\nmax_drop = 0.1")
    with pytest.raises(ConfigurationError, match="asks nothing of the baseline"):
        held(run, "[accuracy]\nmin = 0.1", write(tmp_path / "base", table()))


# -- what others read ----------------------------------------------------------------------

MIXED = """
[evidence]
min_tested = 1000
[accuracy]
min = 0.5
worst_group_min = 0.95
"""
HOSTILE = "a,b:c%\r\n::error::\x1b[2J\x00\ufffe##[x]"


@pytest.fixture
def mixed(tmp_path: Path) -> Checked:
    groups = {(HOSTILE, "man"): (10, 50), (HOSTILE, "wo::man"): (20, 50)}
    hostile = write(tmp_path / "hostile", table(groups))
    path = tmp_path / "mixed.toml"
    path.write_text(MIXED.replace("0.5\n", "0.1\n"), encoding="utf-8")
    return check(hostile, read_policy(path))


def test_the_whole_fails_before_it_is_insufficient(mixed: Checked, tmp_path: Path, run: Run):
    assert [outcome.status for outcome in mixed.outcomes] == ["insufficient", "pass", "fail"]
    assert (mixed.status, mixed.exit_status) == ("fail", 1)
    assert summary(mixed) == "Failed: 1 passed, 1 failed, 1 not decided."
    assert [row[0] for row in table_rows(mixed)] == ["not decided", "passed", "failed"]


def test_json_goes_there_and_back(mixed: Checked):
    described = mixed.described()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert described["counts"] == {"pass": 1, "fail": 1, "insufficient": 1}
    assert described["policy"]["decide"] == "interval"
    fields = ["name", "status", "unit", "limit", "text", "value", "low", "high", "n", "groups"]
    for outcome, told in zip(mixed.outcomes, described["outcomes"], strict=True):
        assert list(told) == fields
        assert told == {name: getattr(outcome, name) for name in fields} | {
            "groups": list(outcome.groups)
        }


def test_junit_counts_and_parses(mixed: Checked):
    root = ET.fromstring(junit(mixed))  # noqa: S314 - our own
    assert root.tag == "testsuites"
    (suite,) = root
    for element in (root, suite):
        counts = [int(element.attrib[k]) for k in ("tests", "failures", "skipped", "errors")]
        assert counts == [3, 1, 1, 0]
    cases = suite.findall("testcase")
    assert [case.attrib["name"] for case in cases] == [
        "evidence.min_tested",
        "accuracy.min",
        "accuracy.worst_group_min (gender)",
    ]
    assert [case.attrib["classname"] for case in cases][1:] == ["auditor.accuracy"] * 2
    assert len(suite.findall("testcase/failure")) == 1
    assert len(suite.findall("testcase/skipped")) == 1
    assert "Asked for: at least 10.0%." in cases[1].findtext("system-out")
    assert "at least 95.0%" in suite.find("testcase/failure").attrib["message"]


def test_what_xml_forbids_is_left_out(tmp_path: Path):
    run = write(tmp_path / "r\x01un", table())
    path = tmp_path / "p.toml"
    path.write_text("[evidence]\nmin_tested = 1\n", encoding="utf-8")
    root = ET.fromstring(junit(check(run, read_policy(path))))  # noqa: S314
    found = {p.attrib["name"]: p.attrib["value"] for p in root.iter("property")}
    assert found["run"].endswith("/run")


def test_githubs_annotations_are_escaped(tmp_path: Path, held: Held):
    # Attributes are in titles; labels and values, as they are written, in messages.
    name = "g,e:n%d\ner"
    cases = table({(HOSTILE, "man"): (10, 50)}).rename(
        columns={"attribute.gender": f"attribute.{name}"}
    )
    run = write(tmp_path / "r", cases, attributes=[name])
    path = tmp_path / "p.toml"
    path.write_text("[evidence]\nmin_tested = 99\n[accuracy]\nworst_group_min = 0.9\n")
    failed, open_one = github(check(run, read_policy(path)))
    start = "::error title=auditor check%3A accuracy.worst_group_min (g%2Ce%3An%25d%0Aer) failed::"
    assert failed.startswith(start)
    message = failed.removeprefix(start)
    assert "%0A" not in message.replace("n%25d%0Aer", "")
    assert "10 of 50 judged cases are right (20.0%25" in message
    for line in (failed, open_one):
        assert "\n" not in line
        assert "\r" not in line
    assert open_one == (
        "::warning title=auditor check%3A evidence.min_tested not decided::64 cases had their "
        "pixels changed. Asked for: at least 99."
    )


# -- the command ---------------------------------------------------------------------------


def policy(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gate.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "status", "last"),
    [
        ("[accuracy]\nmin = 0.7", 0, "Passed: 1 passed."),
        ("[accuracy]\nmin = 0.9", 1, "Failed: 1 failed."),
        ("[accuracy]\nmin = 0.82", 3, "Too little evidence to say: 1 not decided."),
    ],
)
def test_the_exit_status_says_what_came_of_it(
    auditor_cli: Call, run: Run, tmp_path: Path, text, status, last
):
    called = auditor_cli("check", run.path, "--policy", policy(tmp_path, text))
    assert (called.status, called.err) == (status, "")
    assert called.out.rstrip().endswith(last)
    as_json = auditor_cli("check", run.path, "--policy", policy(tmp_path, text), "--json")
    assert as_json.status == status
    assert json.loads(as_json.out)["outcomes"][0]["name"] == "accuracy.min"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "{tmp}/none.toml"], "none.toml: cannot be read"),
        (["--policy", "{tmp}/gate.toml", "--baseline", "{tmp}/nowhere"], "nowhere: no such run"),
        (["--policy", "{tmp}/gate.toml", "--json", "--github"], "give one of them"),
        ([], "--policy"),
    ],
)
def test_unusable_input_is_status_2(
    auditor_cli: Call, run: Run, tmp_path: Path, arguments, message
):
    policy(tmp_path, "[accuracy]\nmin = 0.7")
    given = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    called = auditor_cli("check", run.path, *given)
    assert called.status == 2
    assert message in called.err
    assert called.out == ""
    assert "Traceback" not in called.err


def test_a_file_that_cannot_be_written_hides_no_outcome(
    auditor_cli: Call, run: Run, tmp_path: Path
):
    held = policy(tmp_path, "[accuracy]\nmin = 0.7")
    for name, why in ((held.name + "/x.xml", f"{held} is no folder"), ("", "it is a folder")):
        file = tmp_path / name
        called = auditor_cli("check", run.path, "--policy", held, "--junit", file, "--json")
        assert called.status == 2
        assert json.loads(called.out)["outcomes"][0]["status"] == "pass"
        assert called.err.startswith(f"auditor: {file}: cannot be written, since {why}; give")


def test_junit_is_replaced_and_folders_above_it_are_made(
    auditor_cli: Call, run: Run, tmp_path: Path
):
    held, file = policy(tmp_path, "[accuracy]\nmin = 0.7"), tmp_path / "new" / "deep" / "x.xml"
    for _ in range(2):
        called = auditor_cli("check", run.path, "--policy", held, "--junit", file)
        assert (called.status, called.err) == (0, "")
        assert file.read_bytes() == junit(check(run, read_policy(held)))
        file.write_text("former")


def test_a_real_run_is_checked(auditor_cli: Call, project: Project, tmp_path: Path):
    run = tmp_path / "runs" / "first"
    assert auditor_cli("audit", project.config, "--out", run).status == 0
    # All of 12 are right, which Wilson's interval bounds from below by 12 / (12 + 1.96²) = .757.
    asked = "[accuracy]\nmin = 0.75\n[verdict]\nmax_level = 3\n[reliance]\nmax = 0.1\n"
    asked += "[spurious_errors]\nmax_share_of_cases = 0.3\n"
    called = auditor_cli("check", run, "--policy", policy(tmp_path, asked), "--json")
    assert called.status in (1, 3)
    found = {outcome["name"]: outcome for outcome in json.loads(called.out)["outcomes"]}
    assert found["accuracy.min"]["status"] == "pass"
    assert found["accuracy.min"]["low"] == pytest.approx(12 / (12 + 1.959964**2))
    assert found["spurious_errors.max_share_of_cases"]["status"] == "pass"
    assert "verdict.max_level" in found
    assert "reliance.max (face)" in found
    assert (
        auditor_cli("check", run, "--policy", policy(tmp_path, "[accuracy]\nmin=1.0")).status == 3
    )


def test_what_is_printed_and_written_beside(auditor_cli: Call, mixed: Checked, tmp_path: Path):
    file = tmp_path / "check.xml"
    arguments = ("check", mixed.run, "--policy", mixed.policy.path, "--junit", file, "--github")
    called = auditor_cli(*arguments)
    assert called.status == 1
    assert file.read_bytes() == junit(mixed)
    lines = called.out.splitlines()
    # What GitHub would read as commands: only ours, and none between the two marks.
    token = lines[0].removeprefix("::stop-commands::")
    assert len(token) == 32
    end = lines.index(f"::{token}::")
    assert lines[end + 1 :] == github(mixed)
    assert any("worst_group_min" in line for line in lines[1:end])
    assert "\x1b" not in called.out
    assert "\x00" not in called.out
    again = auditor_cli(*arguments).out.splitlines()[0]
    assert again != lines[0]  # nobody can know it before


def test_the_example_policy_and_workflow_of_the_docs(run: Run, held: Held, tmp_path: Path):
    docs = Path(__file__).parent.parent / "docs"
    text = (docs / "check.md").read_text(encoding="utf-8")
    example = text[text.index("```toml") + 8 :]
    example = example[: example.index("```")]
    base = write(tmp_path / "base", table())
    found = [outcome.name for outcome in held(run, example, base)]
    assert len(found) == 11
    assert "spurious_errors.max_share_of_cases" in found
    workflow = (docs / "check-workflow.yml").read_text(encoding="utf-8")
    assert "auditor check" in workflow
    assert "--policy" in workflow
