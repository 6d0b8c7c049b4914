"""Flags, quadrants and patterns by hand, and the level of the attention test."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from auditor.findings import (
    Finding,
    Material,
    References,
    conclude,
    judge_error,
    pattern,
    quadrant,
    reference_excess,
    region_p_values,
)
from auditor.language import told

NAN = float("nan")
TWENTY = np.arange(20) / 20 - 0.5  # excess of 20 other images' regions: -.5 to .45


def judged(excess: list[float], outlines: list[list[float]] | None = None) -> tuple[object, ...]:
    cues = ("face", "hair", "bag")[: len(excess)]
    null = np.tile(TWENTY, (len(excess), 1))
    return judge_error(cues, np.array(excess), null, np.array(outlines or [excess]))


def test_attention_needs_the_corrected_level() -> None:
    # Above all 20 references: p = 1/21 = .048, which one cue passes.
    assert judged([0.5]) == ("spurious_error", "face", "attention", 1.0)
    # Reached by one of them: 2/21.
    assert judged([0.45]) == (None, None, "unsupported", None)
    # Two cues: Holm asks for .025 of the better one.
    assert judged([0.5, -0.4]) == (None, None, "unsupported", None)
    # A cue that cannot be tested is in no correction.
    assert judged([0.5, NAN]) == ("spurious_error", "face", "attention", 1.0)
    assert judged([NAN, 0.6]) == ("spurious_error", "hair", "attention", 1.0)
    assert judged([NAN, NAN]) == (None, None, "untestable", None)


def test_a_negative_excess_is_never_attention() -> None:
    null = np.full((1, 30), -0.9)
    found = judge_error(("face",), np.array([-0.1]), null, np.array([[-0.1]]))
    assert found == (None, None, "unsupported", None)


def test_the_larger_excess_wins_a_tie_of_p() -> None:
    null = np.tile(np.linspace(-1, 0, 99), (2, 1))
    found = judge_error(("face", "hair"), np.array([0.2, 0.3]), null, np.array([[0.2, 0.3]]))
    assert (found.cue, found.evidence) == ("hair", "attention")


def test_stability_counts_the_outlines_that_can_speak() -> None:
    # Stands, falls (reached by one reference), says nothing, stands.
    assert judged([0.5], [[0.6], [0.45], [NAN], [0.5]])[3] == pytest.approx(2 / 3)


def test_too_few_references_are_no_test() -> None:
    null = np.full((1, 18), -1.0)
    found = judge_error(("face",), np.array([0.9]), null, np.array([[0.9]]))
    assert found.evidence == "untestable"
    assert np.isnan(region_p_values(np.array([0.9]), null))[0]
    enough = np.full((1, 19), -1.0)
    assert region_p_values(np.array([0.9]), enough) == pytest.approx([1 / 20])


def test_reference_excess_by_hand() -> None:
    # A map on the first of four cells; reference regions on it, beside it, and over both.
    maps = np.array([[[2.0, 0, -1, 0]]])
    regions = np.array([[[1.0, 0, 0, 0]], [[0, 1, 0, 0]], [[1, 1, 0, 0]], [[1, 0, 0, 0]]])
    references = References(
        ("a", "b", "c", "d"), regions[:, None], np.array([[True], [True], [True], [False]])
    )
    found = reference_excess(["x"], maps, references)
    # (mass - area) / (1 - area): (1 - .25) / .75, -.25 / .75, (1 - .5) / .5; unusable.
    assert found[0, 0] == pytest.approx([1, -1 / 3, 1, NAN], nan_ok=True)
    # An image is no reference of its own.
    own = reference_excess(["c"], maps, references)
    assert own[0, 0] == pytest.approx([1, -1 / 3, NAN, NAN], nan_ok=True)


def test_without_an_effect_no_more_errors_are_queued_than_the_level_allows() -> None:
    # Maps and regions drawn independently of each other, with a strong bias to the centre.
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:6, :7]
    centre = np.exp(-((rows - 2.5) ** 2 + (columns - 3) ** 2) / 6)

    def region() -> np.ndarray:
        row, column = random.multinomial(1, (centre / centre.sum()).ravel()).argmax() // 7, 0
        column = random.integers(1, 5)
        mask = np.zeros((6, 7))
        mask[max(row - 1, 0) : row + 1, column : column + 2] = 1
        return mask

    count, queued = 600, 0
    coverage = np.stack([[region(), region()] for _ in range(count)])
    maps = centre * random.exponential(size=(count, 6, 7))
    references = References(tuple(map(str, range(60))), coverage[:60], np.ones((60, 2), dtype=bool))
    null = reference_excess([f"case {i}" for i in range(count)], maps, references)
    share = maps / maps.sum((1, 2), keepdims=True)
    mass = (share[:, None] * coverage).sum((2, 3))
    area = coverage.mean((2, 3))
    observed = (mass - area) / (1 - area)
    for case in range(60, count):
        found = judge_error(("a", "b"), observed[case], null[case], observed[case][None])
        queued += found.evidence == "attention"
    # Five standard errors above 5 %: a test that flagged 10 % would fail.
    assert queued / (count - 60) <= 0.05 + 5 * (0.05 * 0.95 / (count - 60)) ** 0.5
    # And it is not silent either: Holm over two cues gives up to 2 × 2.5 %.
    assert queued > 0


def test_quadrant() -> None:
    assert quadrant(True, 0.2, np.array([0.1, NAN])) == "reasonable_accurate"
    assert quadrant(False, 0.2, np.array([0.1])) == "reasonable_inaccurate"
    assert quadrant(True, 0.2, np.array([0.3])) == "unreasonable_accurate"
    assert quadrant(False, -0.1, np.array([])) == "unreasonable_inaccurate"
    # Nothing above chance, and a tie with a cue, is not reasonable.
    assert quadrant(True, 0.0, np.array([])) == "unreasonable_accurate"
    assert quadrant(True, 0.2, np.array([0.2])) == "unreasonable_accurate"
    assert quadrant(True, NAN, np.array([0.2])) is None


@pytest.mark.parametrize(
    ("iou", "saliency", "region", "right", "wrong"),
    [
        (0.6, 0.7, 0.8, "human_aligned", "confuser"),
        (0.2, 0.9, 0.2, "sufficient_subset", "insufficient_subset"),
        (0.2, 0.2, 0.9, "sufficient_context", "context_confusion"),
        (0.1, 0.2, 0.3, "context_dependent", "distractor"),
    ],
)
def test_pattern(iou: float, saliency: float, region: float, right: str, wrong: str) -> None:
    assert pattern(True, iou, saliency, region) == right
    assert pattern(False, iou, saliency, region) == wrong
    assert pattern(True, NAN, saliency, region) is None


def concluded(right: dict[tuple[str, str], tuple[int, int]], **columns: object) -> list[Finding]:
    """The findings of a model that is right on so many of so many, by label and ground."""
    rows = [
        {"label": label, "attribute.ground": ground, "correct": case < wins}
        for (label, ground), (wins, count) in right.items()
        for case in range(count)
    ]
    cases = pd.DataFrame(rows)
    other = cases["label"].map({"circle": "square", "square": "circle"})
    cases["predicted"] = cases["label"].where(cases["correct"], other)
    given = {
        "status": "ok",
        "status.subject": "ok",
        "flag": None,
        "cue": None,
        "evidence": None,
        "map_evidence": None,
        "map_cue": None,
    }
    cases = cases.assign(**(given | {"mass.subject": 0.5, "area.subject": 0.5} | columns))
    layer = {"verified": True}
    return conclude(Material(cases, ("circle", "square"), (), ("ground",), layer))


def by_kind(findings: list[Finding], kind: str) -> list[Finding]:
    return [finding for finding in findings if finding.kind == kind]


def test_a_model_that_decides_by_an_attribute_has_a_notable_worst_group() -> None:
    findings = concluded(
        {
            ("circle", "red"): (15, 15),
            ("circle", "blue"): (0, 15),
            ("square", "red"): (0, 15),
            ("square", "blue"): (15, 15),
        }
    )
    by_both, by_label = by_kind(findings, "worst_group")  # notices come first
    assert by_label.severity == "info"
    assert by_both.severity == "notice"
    # 0 of 15 against 30 of 45: C(30, 15) / C(60, 15), times 4 groups.
    assert "the other groups together 66.7% (p < .001, corrected for 4 groups)" in by_both.text
    (chance,) = by_kind(findings, "gate_chance")
    assert "it may decide by what tells the groups apart" in chance.text


def test_like_groups_have_no_notable_worst_one() -> None:
    findings = concluded(
        {
            ("circle", "red"): (27, 30),
            ("circle", "blue"): (26, 30),
            ("square", "red"): (28, 30),
            ("square", "blue"): (25, 30),
        }
    )
    assert {f.severity for f in by_kind(findings, "worst_group")} == {"info"}


def test_a_subject_that_cannot_be_measured_is_told_with_its_remedy() -> None:
    right = {("circle", "red"): (12, 12), ("square", "red"): (12, 12)}
    (found,) = by_kind(
        concluded(right, **{"status.subject": "below_resolution", "mass.subject": np.nan}),
        "subject_coverage",
    )
    assert found.severity == "warning"
    assert found.text == (
        "The subject could be measured in 0 of 24 cases (24 smaller than a cell of the "
        "map). Give a larger input, or a finer model.layer."
    )


# -- conclude, over whatever comes ---------------------------------------------------------


def whole(count: int = 120, seed: int = 0, **columns: object) -> pd.DataFrame:
    """Cases with two attributes and two cues, as an audit reads them."""
    random = np.random.default_rng(seed)
    label = random.choice(["circle", "square"], count)
    ground = np.where(random.random(count) < 0.8, label == "circle", label == "square")
    wrong = random.random(count) < np.where(ground == (label == "circle"), 0.1, 0.6)
    cases = {
        "label": label,
        "predicted": np.where(wrong == (label == "circle"), "square", "circle"),
        "correct": ~wrong,
        "attribute.ground": np.where(ground, "red", "blue"),
        "attribute.size": random.choice(["big", "small", ""], count),
        "status": "ok",
        "flag": None,
        "cue": None,
        "evidence": np.where(wrong, "unsupported", None),
        "map_evidence": np.where(wrong, "unsupported", None),
        "map_cue": None,
    }
    for region in ("subject", "ground", "tag"):
        cases |= {
            f"status.{region}": "ok",
            f"mass.{region}": random.random(count),
            f"area.{region}": 0.2,
            f"best_p.{region}": 0.01,
            f"margin_excess.{region}": 0.0,
        }
    cases["status.tag"] = random.choice(["ok", "absent"], count)
    return pd.DataFrame(cases).astype({"correct": object}).assign(**columns)


def said(cases: pd.DataFrame) -> list[Finding]:
    attributes = ("ground", "size")
    layer = {"verified": True}
    findings = conclude(Material(cases, ("circle", "square"), ("ground", "tag"), attributes, layer))
    for finding in findings:
        described = finding.described()
        assert json.loads(json.dumps(described, allow_nan=False)) == described
        assert str(told(described)) == finding.text
        assert not re.search(r"\b(nan|inf|unbiased|fair|debiased)\b", finding.text)
        if finding.value is not None and finding.low is not None:
            assert finding.low <= finding.value <= finding.high
    return findings


OF_ATTRIBUTES = ("association", "disparity")
ONE_A_SUBJECT = (*OF_ATTRIBUTES, "presence_association", "mass_difference")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attribute.ground": "red"},
        {"attribute.ground": None, "attribute.size": ""},
        {"attribute.ground": [f"image {i}" for i in range(120)]},
        {"attribute.ground": whole()["label"]},
        {"predicted": "circle", "correct": whole()["label"] == "circle"},
        {"correct": True, "evidence": None, "map_evidence": None, "map_cue": None},
        {"correct": False, "evidence": "unsupported", "map_evidence": "unsupported"},
        {"correct": None, "predicted": None, "evidence": None, "status": "nonfinite_logits"},
        {"label": "circle", "correct": whole()["predicted"] == "circle"},
        {"status.tag": None, "mass.tag": np.nan},
        {"cluster": ""},
        {"cluster": "one"},
        {"cluster": [f"person {i // 2}" for i in range(120)]},
        {"attribute.ground": None, "cluster": [f"person {i // 2}" for i in range(120)]},
    ],
)
def test_whatever_comes_every_finding_is_whole(changes: dict[str, object]) -> None:
    findings = said(whole(**changes))
    for kind in ONE_A_SUBJECT:  # of each attribute or cue, whether or not it can be said
        named = sorted(found.attribute or found.cue for found in by_kind(findings, kind))
        assert named == (["ground", "size"] if kind in OF_ATTRIBUTES else ["ground", "tag"]), kind


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_few_cases_are_whole_findings_too(count: int) -> None:
    assert said(whole(count))


def test_with_clusters_every_interval_says_so() -> None:
    findings = said(whole(240, cluster=[f"person {i // 3}" for i in range(240)]))
    for finding in findings:
        if finding.low is not None and finding.kind not in ("mass", "attention_cue"):
            assert "over whole clusters" in finding.text, finding.kind
    free = {finding.kind: finding for finding in said(whole(240))}
    together = {finding.kind: finding for finding in findings}
    assert together["accuracy"].value == free["accuracy"].value
    assert together["accuracy"].low != free["accuracy"].low


def test_copies_of_images_make_no_finding_surer() -> None:
    once = whole(240)
    people = [f"person {i}" for i in range(240)]
    six = pd.concat([once.assign(cluster=people)] * 6, ignore_index=True)
    for kind in ("accuracy", "disparity", "impact_ratio", "mass_difference"):
        for one, many in zip(by_kind(said(once), kind), by_kind(said(six), kind), strict=True):
            if one.low is not None:
                width, wide = one.high - one.low, many.high - many.low
                assert wide > 0.7 * width, kind
