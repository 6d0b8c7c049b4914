"""Recommendations: each rule by itself, on a run that has what it speaks of and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor.report import ReportOptions, build
from auditor.report.recommendations import RULES
from tests.test_report import audited, block, blocks, changed, reviews

ONLY = ReportOptions(("recommendations",), images=False)
QUIET = {
    "severity": "info", "text": "A finding.", "value": None, "low": None, "high": None, "n": 10,
    "threshold": None, "query": None, "table": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    return audited(tmp_path_factory.mktemp("world"), 12, 4)


@pytest.fixture
def quiet(run: auditor.Run, tmp_path: Path) -> auditor.Run:
    """A run of which nothing is to be said: grade A, level 1, nobody flagged."""

    def hush(info: dict[str, Any], cases: pd.DataFrame) -> None:
        info["verdict"] |= {"level": 1, "grade": "A"}
        cases["flag"] = None
        cases["flag"] = cases["flag"].astype("string")

    copy = changed(run, tmp_path / "quiet", hush)
    return saying(copy, {"kind": "verdict"})


def saying(run: auditor.Run, *found: Mapping[str, Any]) -> auditor.Run:
    """The run, with these findings instead of its own."""
    told = {"schema_version": 2, "findings": [QUIET | one for one in found]}
    (run.path / "findings.json").write_text(json.dumps(told))
    return auditor.open_run(run.path)


def altered(run: auditor.Run, **info: Any) -> auditor.Run:
    file = run.path / "run.json"
    known = json.loads(file.read_text())
    for key, value in info.items():
        known[key] = known[key] | value
    file.write_text(json.dumps(known))
    return auditor.open_run(run.path)


def advice(run: auditor.Run, given: pd.DataFrame | None = None) -> list[dict[str, Any]]:
    document = build(run, ONLY, given)
    if not any(b["kind"] == "recommendations" for b in blocks(document, "recommendations")):
        return []
    return block(document, "recommendations", "recommendations")["recommendations"]


def only(run: auditor.Run, rule: str, given: pd.DataFrame | None = None) -> dict[str, Any]:
    """The one recommendation that there is; it names its finding."""
    (one,) = advice(run, given)
    assert one["rule"] == rule
    found = run.findings[one["finding"] - 1]
    assert (one["finding_kind"], one["finding_text"]) == (found["kind"], found["text"])
    assert one["settled_by"].endswith(".")
    return one


def test_where_no_rule_applies_nothing_is_recommended(quiet: auditor.Run) -> None:
    assert advice(quiet) == []
    told = blocks(build(quiet, ONLY), "recommendations")
    assert "No rule of docs/report.md found anything to do next" in told[0]["text"]


@pytest.mark.parametrize(
    ("kind", "rule", "told"),
    [
        ("gate_chance", "check_setup", "order of model.classes"),
        ("gate_classes", "check_setup", "order of model.classes"),
        ("expected_accuracy", "check_setup", "order of model.classes"),
        ("gate_randomisation", "other_maps", "read nothing from the maps"),
        ("gate_maps", "other_maps", "read nothing from the maps"),
        ("gate_noise", "other_maps", "read nothing from the maps"),
        ("layer", "other_maps", "read nothing from the maps"),
        ("donor_tie", "tie_cues", "an attribute that it shows"),
        ("effect", "break_tie", "Do not rely on the model where this cue varies"),
    ],
)
def test_a_remarked_finding_is_followed(
    quiet: auditor.Run, kind: str, rule: str, told: str
) -> None:
    for severity in ("warning", "notice"):
        found = {"kind": kind, "severity": severity, "threshold": 0.25}
        one = only(saying(quiet, {"kind": "verdict"}, found), rule)
        assert (one["severity"], one["finding"]) == (severity, 2)
        assert told in one["text"]
    # Where it is passed or nothing was found, there is nothing to do.
    assert advice(saying(quiet, {"kind": kind, "threshold": 0.25})) == []


CELLS = [
    {"label": "red", "value": "green", "n": 4, "target": 8, "collect": 4, "surplus": 0},
    {"label": "red", "value": "red", "n": 12, "target": 8, "collect": 0, "surplus": 4},
    {"label": "green", "value": "red", "n": 1, "target": 1_010, "collect": 1_009, "surplus": 0},
]


@pytest.mark.parametrize("kind", ["collect", "presence_collect", "training_collect"])
def test_cells_to_collect_are_named_largest_first(quiet: auditor.Run, kind: str) -> None:
    found = {"kind": kind, "severity": "notice", "table": CELLS}
    one = only(saying(quiet, found), "collect")
    which = "training images" if kind == "training_collect" else "images"
    assert one["text"] == f"Collect 1,013 {which}: 1,009 green · red, 4 red · green."
    assert one["settled_by"] == "An association whose 95 % interval lies below 0.1."
    many = [{**CELLS[0], "value": str(n)} for n in range(20)]
    one = only(saying(quiet, {**found, "table": many}), "collect")
    assert one["text"].endswith("and 12 more.")
    assert advice(saying(quiet, {**found, "table": [CELLS[1]]})) == []


def test_flagged_cases_that_nobody_settled_are_to_be_reviewed(
    quiet: auditor.Run, run: auditor.Run
) -> None:
    def flags(flag: str, evidence: str) -> list[str]:
        cases = run.cases.copy()
        cases["flag"] = cases["flag"].where(cases.index < 3, None)
        cases.loc[:2, "flag"], cases.loc[:2, "evidence"] = flag, evidence
        cases.to_parquet(quiet.path / "cases.parquet")
        return cases["id"].tolist()[:3]

    for kind, flag, evidence in (
        ("spurious_error", "spurious_error", "confirmed"),
        ("wrong_reason", "wrong_reason", "probable"),
        ("attention", "spurious_error", "attention"),
    ):
        ids = flags(flag, evidence)
        flagged = saying(quiet, {"kind": kind, "severity": "notice"})
        assert "Review the 3 " in only(flagged, "review")["text"]
        given = reviews(
            (ids[0], "ana", "spurious_cue", (), ""),
            (ids[1], "ana", "unclear", (), ""),
            (ids[2], "ana", "spurious_cue", (), ""),
            (ids[2], "ben", "other_cause", (), ""),
        )
        assert "Review the 2 " in only(flagged, "review", given)["text"]
        settled = reviews(*((case, "ana", "spurious_cue", (), "") for case in ids))
        assert advice(flagged, settled) == []


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("unreadable", "Repair or remove the images"),
        ("mask_mismatch", "Export the masks"),
        ("nonfinite_logits", "no finite output"),
        ("no_regions", "Annotate subject or cues"),
    ],
)
def test_spoiled_cases_are_to_be_repaired(quiet: auditor.Run, status: str, told: str) -> None:
    spoiled = altered(quiet, counts={"excluded": {status: 7}})
    found = {"kind": "not_judged", "severity": "notice", "query": f"status == {status!r}"}
    one = only(saying(spoiled, found), "repair")
    assert told in one["text"]
    assert "7 cases" in one["text"]
    maps = {**found, "query": "status == 'no_positive_evidence'"}  # nothing can be done
    assert advice(saying(spoiled, maps)) == []


@pytest.mark.parametrize("region", ["subject", "cue"])
def test_regions_are_to_be_annotated_or_enlarged(quiet: auditor.Run, region: str) -> None:
    def statuses(**counts: int) -> None:
        cases = pd.read_parquet(quiet.path / "cases.parquet")
        given = [status for status, n in counts.items() for _ in range(n)]
        cases[f"status.{region}"] = given + [None] * (len(cases) - len(given))
        cases.to_parquet(quiet.path / "cases.parquet")

    kind = "subject_coverage" if region == "subject" else "cue_coverage"
    found = {"kind": kind, "query": f"`status.{region}` == 'ok'"}
    statuses(absent=20, ok=12)
    one = only(saying(quiet, {**found, "severity": "notice"}), "annotate")
    assert one["text"].startswith(f"Annotate {region!r} in the 20 cases that lack it")
    assert advice(saying(quiet, found)) == []  # few lack it
    statuses(below_resolution=20, ok=12)
    one = only(saying(quiet, found), "enlarge")
    assert one["severity"] == "notice"
    assert f"{region!r} is smaller than a cell of the map in 20 cases" in one["text"]
    statuses(below_resolution=10, ok=12)
    assert advice(saying(quiet, found)) == []


@pytest.mark.parametrize(("grade", "severity"), [("A", None), ("B", "info"), ("C", "notice")])
def test_weak_evidence_is_to_be_repeated_with_donors(
    quiet: auditor.Run, grade: str, severity: str | None
) -> None:
    graded = altered(quiet, verdict={"grade": grade})
    if severity is None:
        assert advice(graded) == []
    else:
        one = only(graded, "use_donors")
        assert (one["severity"], one["settled_by"]) == (severity, "A verdict of grade A.")


def test_too_little_evidence_asks_for_more_cases(quiet: auditor.Run) -> None:
    little = saying(altered(quiet, verdict={"level": 0}), {"kind": "verdict", "n": 9})
    assert "9 cases could be tested" in only(little, "more_evidence")["text"]
    gate = {"kind": "gate_chance", "severity": "warning"}
    assert only(saying(little, {"kind": "verdict", "n": 9}, gate), "check_setup")


def test_groups_are_to_be_looked_at_or_enlarged(quiet: auditor.Run) -> None:
    row = {"label": "red", "value": "green", "judged": 15, "rate": 0.5, "difference": -0.4,
           "difference_low": -0.6, "q": 0.001}  # fmt: skip
    found = {"kind": "disparity", "severity": "notice", "table": [row]}
    one = only(saying(quiet, found), "worse_groups")
    assert "red · green (15 judged)" in one["text"]
    small = {**row, "value": None, "q": 0.4}
    one = only(saying(quiet, {**found, "table": [small]}), "larger_groups")
    assert one["severity"] == "info"
    assert "red · unannotated (15 judged)" in one["text"]
    alike = {**row, "difference": 0.0, "difference_low": -0.05, "q": 1.0}
    assert advice(saying(quiet, {**found, "table": [alike]})) == []


def test_of_a_whole_audit_the_gravest_comes_first(run: auditor.Run) -> None:
    made = advice(run)
    assert {"break_tie", "review", "larger_groups"} <= {one["rule"] for one in made}
    severities = [("warning", "notice", "info").index(one["severity"]) for one in made]
    assert severities == sorted(severities)
    assert {one["rule"] for one in made} <= set(RULES)
    for one in made:
        assert one["finding_text"] == run.findings[one["finding"] - 1]["text"]
