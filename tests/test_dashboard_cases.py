"""What the review desk shows, without Streamlit: filters, queries, the queue, single cases."""

from __future__ import annotations

import ast
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from auditor.dashboard.agreeing import review_summary
from auditor.dashboard.case import case_view
from auditor.dashboard.details import Details
from auditor.dashboard.filters import Filter
from auditor.dashboard.index import CaseIndex, Coded, neighbours, next_among
from auditor.dashboard.library import KEPT, Library
from auditor.dashboard.opened import Opened
from auditor.dashboard.overview import overview
from auditor.dashboard.queries import conditions, selected
from auditor.errors import AuditorError, RunError
from auditor.reviews import VERDICTS
from auditor.store import Run
from tests.dashboards import audited, invented
from tests.test_imports import MODULES


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("audit")
    return audited(folder / "data", folder / "runs" / "first")


# -- filters -------------------------------------------------------------------------------

FILTERS = [
    Filter(),
    Filter(flag="spurious_error", evidence="confirmed", cue="face+hair"),
    Filter(outcome="error", label="a&b=c", predicted="d e", status="ok", verdict="reviewed"),
    Filter(text=".*[x](y)", group=(("age", "none"), ("sex", "f")), finding=0),
    Filter(group=(("with.dot", "attribute.x"),), finding=12),
]


@pytest.mark.parametrize("wanted", FILTERS)
def test_a_filter_comes_back_from_its_address(wanted: Filter) -> None:
    params = wanted.params()
    assert all(isinstance(value, str) and value for value in params.values())
    assert Filter.read(params) == wanted
    assert Filter.read({**params, "run": "first", "case": "a", "page": "3"}) == wanted


@pytest.mark.parametrize(
    "params",
    [
        {"flag": ""},
        {"outcome": "both"},
        {"finding": "-1"},
        {"finding": "1.0"},
        {"finding": "x"},
        {"finding": "²"},
        {"finding": "٣"},
        {"finding": "9" * 5000},
        {"attribute.sex": ""},
        {"group": "x", "having": "y", "__class__": "z", "params": "w"},
    ],
)
def test_what_an_address_cannot_mean_is_left_out(params: dict[str, str]) -> None:
    assert Filter.read(params) == Filter()


def test_one_condition_is_changed_and_the_others_stay() -> None:
    wanted = Filter(flag="x", group=(("sex", "f"),), finding=2)
    assert wanted.having("label", "b") == replace(wanted, label="b")
    assert wanted.having("flag", "") == replace(wanted, flag="")


def test_a_filter_is_told_in_words() -> None:
    assert Filter().described() == ""
    told = Filter(outcome="error", flag="wrong_reason", group=(("sex", "f"),), text="x")
    assert told.described() == "errors, flag right for the wrong reason, sex = f, id holds “x”"


# -- queries -------------------------------------------------------------------------------

WRITTEN = {
    "_query(self.name, worst)": [
        "`label` == 'cat' and `attribute.sex` == 'f'",
        "`label` == 'cat' and (`attribute.sex`.isna() or `attribute.sex` == '')",
    ],
    "\"map_evidence == 'attention'\"": ["map_evidence == 'attention'"],
    "f\"map_evidence == 'attention' and map_cue == {cue!r}\"": [
        "map_evidence == 'attention' and map_cue == 'face'"
    ],
    "f'correct == False and `mass.{region}`.notna()'": ["correct == False and `mass.face`.notna()"],
    "f'status == {status!r}'": ["status == 'unreadable'"],
    "f\"`status.{region}` == 'ok'\"": ["`status.face` == 'ok'"],
    "f'`mass.{cue}`.notna() and correct.notna()'": ["`mass.face`.notna() and correct.notna()"],
    "f\"flag == {flag!r} and evidence in ['confirmed', 'probable']\"": [
        "flag == 'spurious_error' and evidence in ['confirmed', 'probable']"
    ],
    "' and '.join((selected(name, worst[name]) for name in by))": [
        "`label` == 'dog'",
        '`label` == "it\'s"',
        "`label` == 'a`b`c'",
        "`label` == '\\\\\\n'",
        "(`attribute.sex`.isna() or `attribute.sex` == '')",
    ],
    "' and '.join((selected(name, value) for name, value in by_value))": [
        "`label` == 'cat' and `attribute.sex` == 'm' and `attribute.sex` == ''"
    ],
}
"""How findings are written with a query, and what comes of it."""

CASES = [
    {"attribute.sex": "f", "flag": "spurious_error", "evidence": "confirmed", "correct": False},
    {"attribute.sex": "m", "flag": "spurious_error", "evidence": "attention", "correct": False},
    {"attribute.sex": "", "flag": "wrong_reason", "evidence": "probable"},
    {"label": "dog", "map_evidence": "attention", "map_cue": "face", "correct": False},
    {"label": "it's", "map_evidence": "attention", "map_cue": "hair", "mass.face": None},
    {"label": "a`b`c", "status": "unreadable", "correct": None, "predicted": None},
    {"label": "\\\n", "status.face": "absent", "mass.face": None, "correct": False},
    {"flag": "spurious_error", "evidence": "probable", "attribute.sex": None},
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return invented(tmp_path_factory.mktemp("small") / "run", CASES)


def test_the_queries_that_are_held_against_pandas_are_all_that_findings_write() -> None:
    found = {
        ast.unparse(keyword.value)
        for name, tree in MODULES.items()
        if name.startswith("auditor.findings")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "query"
    }
    assert found == set(WRITTEN)


@pytest.mark.parametrize("query", [query for form in WRITTEN.values() for query in form])
def test_a_query_that_findings_write_selects_what_pandas_does(small: Run, query: str) -> None:
    cases = small.cases
    mask = selected(query, lambda name: small.read_cases([name])[name], len(cases))
    assert cases["id"][mask].tolist() == cases.query(query)["id"].tolist()
    if "'m' and" not in query:
        assert mask.any()
        assert not mask.all()


def test_the_queries_of_an_audit_select_what_pandas_does(audit: Run) -> None:
    index = CaseIndex.of(audit)
    queries = {n: f["query"] for n, f in enumerate(audit.findings) if f.get("query")}
    assert len(queries) >= 8
    for number, query in queries.items():
        expected = audit.cases.query(query)["id"].tolist()
        assert audit.cases["id"][index.finding(number)].tolist() == expected


@pytest.mark.parametrize(
    "query",
    [
        "__import__('pathlib').Path({marker!r}).touch()",
        "label == __import__('pathlib').Path({marker!r}).touch()",
        "[open({marker!r}, 'w') for x in (1,)] == 1",
        "(lambda: open({marker!r}, 'w'))() == 1",
        "label == (lambda: 1)",
        "label == @open({marker!r}, 'w')",
        "@pd.compat.os.system('true')",
        "label.str.contains('a')",
        "label.notna('x')",
        "label.notna(x=1)",
        "label.str.notna()",
        "label.notna().any()",
        "label.notna",
        "label.__class__ == 'x'",
        "label[0] == 'x'",
        "label == predicted",
        "label == 'a' or label == 'b'",
        "label.isna() or predicted == ''",
        "label.isna() or label == 'x'",
        "label.isna() or label == '' or label == 'x'",
        "label.notna() or label == ''",
        "not label == 'a'",
        "label == f'{{1}}'",
        "label < 'a'",
        "'a' == label",
        "'a' < label < 'b'",
        "label in 'abc'",
        "label in label",
        "label == ['a']",
        "label == None",
        "label := 'a'",
        "label = 'a'",
        "import os",
        "label",
        "",
        "label == 'a",
        "label == '\x00'\x00",
        "`label == 'a'",
        "(" * 5000 + "label" + ")" * 5000,
        "label == " + "-" * 100_000 + "1",
    ],
)
def test_any_other_query_is_refused_and_nothing_of_it_is_run(
    small: Run, tmp_path: Path, query: str
) -> None:
    marker = tmp_path / "marker"
    text = query.replace("{marker!r}", repr(str(marker))).replace("{{1}}", "{1}")
    with pytest.raises(RunError, match="is none that Auditor writes"):
        conditions(text)
    assert not marker.exists()


def test_a_column_may_have_any_name_between_backticks() -> None:
    for name in ("attribute.it's", 'attribute."a" == "', "attribute.a\nb", "attribute.über"):
        (found,) = conditions(f"`{name}` == 'x'")
        assert (found.column, found.test, found.values) == (name, "==", ("x",))


def test_a_query_that_is_no_text_is_refused() -> None:
    with pytest.raises(RunError, match="is none that Auditor writes"):
        conditions(5)  # type: ignore[arg-type]


def test_a_query_about_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    run = invented(tmp_path / "run", CASES, [{"query": "nothing == 'x'"}])
    with pytest.raises(RunError):
        CaseIndex.of(run).finding(0)


# -- the queue -----------------------------------------------------------------------------

QUEUE = [
    {},  # a
    {"flag": "spurious_error", "evidence": "probable", "severity": 0.2, "correct": False},  # b
    {"correct": False, "confidence": 0.6, "predicted": "dog"},  # c
    {
        "flag": "spurious_error", "evidence": "attention", "map_cue": "face", "correct": False,
        "margin_excess.face": 0.3, "margin_excess.hair": 9.0,
    },  # d
    {"flag": "wrong_reason", "evidence": "confirmed", "severity": 0.9, "cue": "face+hair"},  # e
    {"correct": None, "predicted": None, "status": "unreadable", "confidence": None},  # f
    {
        "flag": "spurious_error", "evidence": "attention", "map_cue": "hair", "correct": False,
        "margin_excess.hair": 0.4, "attribute.sex": "m",
    },  # g
    {"correct": False, "confidence": 0.8, "evidence": "unsupported", "cue": "hair"},  # h
    {"flag": "spurious_error", "evidence": "confirmed", "severity": 0.2, "cue": "face"},  # i
    {"attribute.sex": "", "label": "none"},  # j
]  # fmt: skip


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> CaseIndex:
    cases = [{"attribute.sex": "f", **case} for case in QUEUE]
    cases[2]["attribute.sex"] = None  # type: ignore[call-overload]
    findings = [{"query": "flag == 'spurious_error' and evidence in ['confirmed']"}, {}]
    return CaseIndex.of(invented(tmp_path_factory.mktemp("queue") / "run", cases, findings))


def ids(index: CaseIndex, rows: np.ndarray) -> str:
    return "".join(index.case(row) for row in rows)


def test_flagged_cases_come_first_then_queued_ones_then_errors_then_the_rest(
    queue: CaseIndex,
) -> None:
    # By severity: e, then b and i, which are as severe, as they come; by excess of the cue that
    # the map lies on: g, d; by confidence: h, c; then as they come.
    assert ids(queue, queue.select(Filter())) == "ebigdhcafj"
    assert ids(queue, queue.order[queue.place]) == "abcdefghij"


@pytest.mark.parametrize(
    ("wanted", "query"),
    [
        (Filter(flag="spurious_error"), "flag == 'spurious_error'"),
        (Filter(flag="none"), "flag.isna()"),
        (Filter(evidence="attention"), "evidence == 'attention'"),
        (Filter(evidence="none"), "evidence.isna()"),
        (Filter(outcome="error"), "correct == False"),
        (Filter(outcome="correct"), "correct == True"),
        (Filter(label="none"), "label == 'none'"),  # a value of that name, no null
        (Filter(label="gone"), "label == 'gone'"),
        (Filter(predicted="dog"), "predicted == 'dog'"),
        (Filter(predicted="none"), "predicted.isna()"),
        (Filter(status="unreadable"), "status == 'unreadable'"),
        (Filter(group=(("sex", "f"),)), "`attribute.sex` == 'f'"),
        (Filter(group=(("sex", "none"),)), "`attribute.sex`.isna() or `attribute.sex` == ''"),
        (
            Filter(flag="spurious_error", outcome="error", group=(("sex", "f"),)),
            "flag == 'spurious_error' and correct == False and `attribute.sex` == 'f'",
        ),
        (Filter(finding=0), "flag == 'spurious_error' and evidence == 'confirmed'"),
        (Filter(finding=0, flag="wrong_reason"), "flag == 'x'"),
        (Filter(finding=1), "id == id"),  # about all cases
        (Filter(group=(("age", "f"),)), "id == ''"),
    ],
)
def test_a_filter_selects_what_pandas_does(queue: CaseIndex, wanted: Filter, query: str) -> None:
    expected = set(queue.run.cases.query(query)["id"])
    rows = queue.select(wanted)
    assert set(ids(queue, rows)) == expected
    assert queue.place[rows].tolist() == sorted(queue.place[rows].tolist())


def test_a_cue_is_that_of_interventions_or_else_of_the_map(queue: CaseIndex) -> None:
    assert ids(queue, queue.select(Filter(cue="face"))) == "id"
    assert ids(queue, queue.select(Filter(cue="hair"))) == "gh"
    assert ids(queue, queue.select(Filter(cue="face+hair"))) == "e"
    assert ids(queue, queue.select(Filter(cue="none"))) == "bcafj"


def test_a_finding_that_is_not_there_is_said(queue: CaseIndex) -> None:
    with pytest.raises(RunError, match="has 2 findings, and none 2"):
        queue.select(Filter(finding=2))


def test_values_are_counted_the_commonest_first_and_unknown_ones_last(queue: CaseIndex) -> None:
    sex = queue.texts["attribute.sex"]
    assert list(sex.counts().items()) == [("f", 7), ("m", 1), ("none", 2)]
    assert sex.counts(np.array([2, 6], dtype=np.int32)) == {"m": 1, "none": 1}
    assert (sex.at(9), sex.at(6)) == (None, "m")


def test_text_is_searched_letter_by_letter_whatever_its_case(tmp_path: Path) -> None:
    names = ["a.b", "axb", "A.B/c", "[x]", "x", "(y", "50%", "Ümlaut", "\\d", "4"]
    index = CaseIndex.of(invented(tmp_path / "run", [{"id": name} for name in names]))

    def found(text: str) -> list[str]:
        return [index.case(row) for row in index.select(Filter(text=text))]

    assert found("a.b") == ["a.b", "A.B/c"]
    assert found("[x]") == ["[x]"]
    assert found("(") == ["(y"]
    assert found("%") == ["50%"]
    assert found("üM") == ["Ümlaut"]
    assert found("\\d") == ["\\d"]
    assert found(".*") == []
    assert found("X") == ["axb", "[x]", "x"]


def test_rows_and_ids_are_looked_up_in_both_directions(queue: CaseIndex) -> None:
    assert [queue.case(row) for row in range(len(queue))] == list("abcdefghij")
    assert [queue.row(case) for case in "aej"] == [0, 4, 9]
    assert [queue.row(case) for case in ("", "z", "A", "ab")] == [None] * 4


def test_the_neighbours_of_a_case_are_those_of_its_place(queue: CaseIndex) -> None:
    rows = queue.select(Filter(outcome="error"))
    assert ids(queue, rows) == "bgdhc"

    def around(case: str) -> tuple[int | None, str | None, str | None]:
        row = queue.row(case)
        assert row is not None
        at, before, after = neighbours(rows, row, queue.place)
        return (
            at,
            None if before is None else queue.case(before),
            None if after is None else queue.case(after),
        )

    assert around("b") == (0, None, "g")
    assert around("d") == (2, "g", "h")
    assert around("c") == (4, "h", None)
    assert around("e") == (None, None, "b")  # not among them: before all
    assert around("i") == (None, "b", "g")  # between two
    assert around("j") == (None, "c", None)  # behind all
    none = np.zeros(0, dtype=np.int32)
    assert neighbours(none, 3, queue.place) == (None, None, None)


def test_the_next_open_case_is_looked_for_behind_and_then_from_the_start(
    queue: CaseIndex,
) -> None:
    rows = queue.select(Filter(outcome="error"))  # b g d h c

    def after(case: str, done: str) -> str | None:
        judged = np.array([name in done for name in "abcdefghij"])
        row = queue.row(case)
        assert row is not None
        found = next_among(rows, row, queue.place, judged)
        return None if found is None else queue.case(found)

    assert after("b", "") == "g"
    assert after("b", "gd") == "h"
    assert after("c", "") == "b"
    assert after("d", "hc") == "b"
    assert after("d", "bghc") is None  # itself is not next
    assert after("i", "") == "g"
    assert after("j", "b") == "g"


def test_a_damaged_table_is_said_when_a_run_is_opened(tmp_path: Path) -> None:
    run = invented(tmp_path / "run", CASES)
    file = run.path / "cases.parquet"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(RunError, match="is damaged"):
        Opened.of(run)
    file.unlink()
    with pytest.raises(RunError, match="is damaged"):
        Opened.of(run)


def test_a_table_without_a_column_is_said_when_a_run_is_opened(tmp_path: Path) -> None:
    run = invented(tmp_path / "run", CASES)
    file = run.path / "cases.parquet"
    pd.read_parquet(file).drop(columns="flag").to_parquet(file)
    with pytest.raises(RunError, match="is damaged"):
        Opened.of(run)


def test_a_run_without_cases_has_an_empty_queue(tmp_path: Path) -> None:
    run = invented(tmp_path / "run", [{}])
    file = run.path / "cases.parquet"
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    index = CaseIndex.of(run)
    assert len(index) == 0
    assert index.select(Filter(text="a", flag="none")).tolist() == []
    assert index.row("a") is None


# -- details -------------------------------------------------------------------------------


def test_a_row_is_read_from_its_row_group(tmp_path: Path) -> None:
    run = invented(tmp_path / "run", [{"margin": float(n)} for n in range(20)])
    assert pq.ParquetFile(run.path / "cases.parquet").num_row_groups == 7
    details = Details(run)
    for row in [*range(20), 0, 19, 3, 2]:  # more groups than are kept
        told = details.case(row)
        assert (told["margin"], told["id"]) == (row, chr(ord("a") + row))
    assert (told["flag"], told["correct"]) == (None, True)
    for row in (20, -1):
        with pytest.raises(RunError, match="has no rows"):
            details.case(row)


@pytest.mark.parametrize("size", [1, 5, 64])
def test_the_interventions_of_a_case_are_all_that_the_file_has(
    audit: Run, tmp_path: Path, size: int
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(audit.path, folder)
    file = folder / "interventions.parquet"
    pq.write_table(pq.read_table(file), file, row_group_size=size)
    details = Details(Run(folder, audit.info))
    whole = audit.interventions
    assert whole["case"].nunique() == 8
    for case in audit.cases["id"]:
        expected = whole[whole["case"] == case].reset_index(drop=True)
        found = details.interventions(case)
        assert list(found.columns) == list(expected.columns)
        assert len(found) == len(expected)
        if len(found):
            pd.testing.assert_frame_equal(found, expected)
    assert details.interventions("gone").empty


def test_margins_are_logits_of_two_classes_subtracted(audit: Run) -> None:
    made = pd.DataFrame({"logits": [np.array([5.0, 7.5]), np.array([1.0, -2.0])]})
    details = Details(audit)
    assert details.margins(made, "green", "red").tolist() == [2.5, -3.0]
    assert details.margins(made, "red", "green").tolist() == [-2.5, 3.0]


# -- one case ------------------------------------------------------------------------------


def test_an_error_that_its_cue_explains_by_hand(audit: Run) -> None:
    # Four cells of red, six of green of 80: logits 5 and 7.5. With a cue of the other tint, ten
    # of red: 12.5 and 0.
    view = case_view(audit, Details(audit), 4)
    assert (view.case, view.label, view.predicted, view.contrast) == ("004", "red", "green", "red")
    assert view.decision == "red, classified as green"
    assert (view.correct, view.maps, view.cue) == (False, True, "cue")
    assert (view.flag, view.evidence) == ("spurious error", "confirmed")
    assert view.margin == pytest.approx(2.5)
    assert view.confidence == pytest.approx(1 / (1 + np.exp(-2.5)))
    assert view.attributes == {"tint": "green"}
    (test,) = view.tests
    assert (test.cue, test.by) == ("cue", "exchanged by tint")
    assert [change.margin for change in test.before] == pytest.approx([2.5] * 3)
    assert [change.margin for change in test.after] == pytest.approx([-12.5] * 3)
    assert (test.mean_before, test.mean_after) == pytest.approx((2.5, -12.5))
    assert [change.turns for change in test.before] == [False] * 3
    assert [change.turns for change in test.after] == [True] * 3
    assert test.reliance == pytest.approx(15 / 2.5)
    assert (test.error, test.flips) == (0, 1)
    own = audit.interventions.query("case == '004'").reset_index(drop=True)
    for arm, changes in (("same", test.before), ("opposite", test.after)):
        rows = own[own["arm"] == arm]
        assert [change.number for change in changes] == rows.index.tolist()
        assert [change.donor for change in changes] == rows["donor"].tolist()
        assert [change.what for change in changes] == ["donor 1", "donor 2", "donor 3"]
    assert view.subject == ()
    regions = view.regions.set_index("region")
    assert regions.index.tolist() == ["subject", "cue", "background"]
    assert regions.loc["cue", "mass"] == pytest.approx(1)
    assert regions.loc["cue", "area (chance)"] == pytest.approx(6 / 80)
    assert regions.loc["cue", "lift"] == pytest.approx(80 / 6)
    assert regions.loc["subject", "mass"] == 0


def test_a_correct_case_shows_what_is_left_without_its_subject(audit: Run) -> None:
    view = case_view(audit, Details(audit), 8)
    assert (view.decision, view.flag) == ("green, classified right", "right for the wrong reason")
    assert len(view.subject) == 4
    assert {change.what for change in view.subject} == {
        "mean of the border", "blur", "noise", "painted in",
    }  # fmt: skip
    # Six cells of the cue's green are left, and of the subject what a blur leaves of it.
    assert all(7.5 - 1e-3 <= change.margin <= 12.5 for change in view.subject)
    assert not any(change.turns for change in view.subject)


def test_filled_cues_stand_beside_the_same_fill_elsewhere(tmp_path: Path) -> None:
    run = audited(tmp_path / "data", tmp_path / "run")
    rows = run.interventions
    changed = rows.assign(
        arm=rows["arm"].replace({"same": "control", "opposite": "fill"}),
        attribute=None,
        donor=None,
        fill=rows["fill"].where(~rows["arm"].isin(["same", "opposite"]), "noise"),
    )
    changed.to_parquet(run.path / "interventions.parquet")
    (test,) = case_view(run, Details(run), 4).tests
    assert test.by == "filled in four ways"
    assert [change.what for change in test.before] == [f"noise, elsewhere ({n})" for n in (1, 2, 3)]
    assert [change.what for change in test.after] == ["noise"] * 3
    assert [change.donor for change in test.after] == [None] * 3


def test_a_case_that_was_not_tested_has_no_tests(audit: Run) -> None:
    view = case_view(audit, Details(audit), 0)
    assert (view.tests, view.subject, view.flag, view.evidence) == ((), (), None, None)
    assert view.maps
    assert view.margin == pytest.approx(12.5)


def test_a_case_whose_image_is_unreadable_says_why(audit: Run) -> None:
    view = case_view(audit, Details(audit), 14)
    assert view.decision == "red, not classified"
    assert (view.predicted, view.contrast, view.margin, view.maps) == (None, None, None, False)
    assert "cannot be decoded" in (view.reason or "")
    measures = view.regions.drop(columns="region")
    assert measures.isna().all(axis=None)


def test_a_case_without_masks_has_maps_and_no_masses(audit: Run) -> None:
    view = case_view(audit, Details(audit), 15)
    assert view.decision == "green, classified right"
    assert view.reason == "none annotated of: cue, thing"
    assert view.regions["mass"].isna().all()


def test_an_annotation_that_is_empty_is_unknown(tmp_path: Path) -> None:
    run = invented(tmp_path / "run", [{"attribute.sex": ""}])
    invented_rows = pd.DataFrame({"case": pd.Series(dtype=str)})
    invented_rows.to_parquet(run.path / "interventions.parquet")
    assert case_view(run, Details(run), 0).attributes == {"sex": None}


# -- overview ------------------------------------------------------------------------------


def test_the_overview_says_what_the_run_recorded(audit: Run) -> None:
    seen = overview(audit)
    cases = audit.cases
    assert (seen.cases, seen.judged, seen.errors) == (16, 15, 6)
    assert seen.accuracy == 9 / 15
    assert seen.flagged == {"confirmed": 8, "probable": 0, "attention": 0}
    assert seen.tested == cases["passes"].notna().sum() == 8
    assert (seen.level, seen.grade) == (3, "A")
    assert seen.verdict == audit.info["verdict"]["text"] == audit.findings[0]["text"]
    assert seen.unjudged == {"no regions annotated": 1, "image unreadable": 1}


def test_every_finding_is_told_once_with_its_place(audit: Run) -> None:
    seen = overview(audit)
    told = [*seen.statements, *seen.worst, *seen.skew, *seen.gates]
    elsewhere = {"verdict", "accuracy", "not_judged"}
    assert sorted(statement.number for statement in told) == [
        number for number, f in enumerate(audit.findings) if f["kind"] not in elsewhere
    ]
    for statement in told:
        finding = audit.findings[statement.number]
        assert (statement.kind, statement.text) == (finding["kind"], finding["text"])
        assert statement.linked == (finding.get("query") is not None)
    assert {gate.kind for gate in seen.gates} == {
        "gate_chance", "gate_randomisation", "gate_noise", "gate_classes", "gate_maps",
    }  # fmt: skip
    assert {statement.kind for statement in seen.skew} == {"association"}


# -- library -------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_or_empty_has_no_runs(tmp_path: Path) -> None:
    assert Library(tmp_path / "none").entries() == []
    (tmp_path / "notes").mkdir()
    (tmp_path / "run.json").write_text("{}")
    assert Library(tmp_path).entries() == []


def test_finished_unfinished_and_damaged_runs_are_told_apart(tmp_path: Path) -> None:
    invented(tmp_path / "done", CASES)
    (tmp_path / "going.part").mkdir()
    (tmp_path / "done.part").mkdir()  # a remainder beside what is finished
    for name, content in {
        "broken": "{",
        "bytes": "\\ud800",
        "list": "[]",
        "old": json.dumps({"schema_version": 1}),
        "bare": json.dumps({"schema_version": 2}),
        "null": json.dumps({"schema_version": 2, "counts": None}),
        "text": json.dumps({"schema_version": 2, "counts": {"cases": "many"}}),
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
    (tmp_path / "headless").mkdir()
    (tmp_path / "headless" / "cases.parquet").write_bytes(b"")
    entries = {entry.name: entry for entry in Library(tmp_path).entries()}
    damaged = {"broken", "bytes", "list", "old", "bare", "null", "text", "headless"}
    assert {name: entry.state for name, entry in entries.items()} == {
        "done": "finished",
        "going": "unfinished",
        **dict.fromkeys(damaged, "damaged"),
    }
    assert entries["done"].cases == len(CASES)
    assert (entries["done"].level, entries["done"].problem) == (0, None)
    for name in damaged:
        assert str(tmp_path / name) in (entries[name].problem or "")


def test_a_folder_that_is_only_called_part_is_no_run(tmp_path: Path) -> None:
    (tmp_path / ".part").mkdir()
    assert Library(tmp_path).entries() == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../other/run",
        "run/",
        "/etc",
        "a/b",
        "run/../run",
        "run\0",
        "gone",
        "x" * 300,
    ],
    ids=repr,
)
def test_only_a_plain_name_of_the_folder_is_opened(tmp_path: Path, name: str) -> None:
    invented(tmp_path / "runs" / "run", CASES)
    invented(tmp_path / "other" / "run", CASES)
    with pytest.raises(RunError):
        Library(tmp_path / "runs").open(name)
    with pytest.raises(RunError):
        Library(tmp_path / "runs").open(str(tmp_path / "other" / "run"))


def test_a_link_is_neither_listed_nor_opened(tmp_path: Path) -> None:
    invented(tmp_path / "other" / "run", CASES)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "other" / "run")
    (tmp_path / "runs" / "link.part").symlink_to(tmp_path / "other")
    opened = Library(tmp_path / "runs")
    assert opened.entries() == []
    with pytest.raises(RunError, match="is a link"):
        opened.open("link")


def test_a_run_that_goes_away_while_the_folder_is_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invented(tmp_path / "done", CASES)
    (tmp_path / "going.part").mkdir()
    asked = Path.is_symlink

    def removed(path: Path) -> bool:
        found = asked(path)
        if path.name == "going.part":
            path.rmdir()
        return found

    monkeypatch.setattr(Path, "is_symlink", removed)
    assert [entry.name for entry in Library(tmp_path).entries()] == ["done"]
    assert not (tmp_path / "going.part").exists()


def test_an_unfinished_run_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "going.part").mkdir()
    with pytest.raises(RunError, match="is not finished yet"):
        Library(tmp_path).open("going")


def test_a_run_stays_open_until_it_is_replaced(tmp_path: Path) -> None:
    invented(tmp_path / "run", CASES)
    runs = Library(tmp_path)
    first = runs.open("run")
    assert runs.open("run") is first
    shutil.rmtree(tmp_path / "run")
    invented(tmp_path / "run", CASES[:3], seed=1)
    second = runs.open("run")
    assert second.run.key != first.run.key
    assert len(second.index) == 3


def test_only_a_few_runs_stay_open(tmp_path: Path) -> None:
    for number in range(KEPT + 1):
        invented(tmp_path / f"run{number}", CASES, seed=number)
    runs = Library(tmp_path)
    opened = [runs.open(f"run{number}") for number in range(KEPT)]
    assert runs.open("run0") is opened[0]
    runs.open(f"run{KEPT}")
    assert runs.open("run0") is opened[0]  # looked at last
    assert runs.open("run1") is not opened[1]


# -- reviewing -----------------------------------------------------------------------------


def coded(verdicts: Coded) -> dict[int, str]:
    rows = np.flatnonzero(verdicts.codes >= 0)
    return {int(row): str(verdicts.at(int(row))) for row in rows}


def test_reviewers_have_their_own_verdicts_and_undo_their_own(tmp_path: Path) -> None:
    run = invented(tmp_path / "run", CASES)
    opened = Opened.of(run)
    desk = opened.reviewing
    assert coded(desk.verdicts("ann")) == {}
    assert not (tmp_path / "reviews.sqlite").exists()
    desk.add("c", "ann", "spurious_cue", ["discuss"], "see the face")
    desk.add("a", "bob", "unclear", [], "")
    desk.add("c", "bob", "other_cause", [], "")
    desk.add("b", "ann", None, [], "only a note")
    assert coded(desk.verdicts("ann")) == {2: "spurious_cue"}
    assert coded(desk.verdicts("bob")) == {0: "unclear", 2: "other_cause"}
    assert coded(desk.verdicts("eve")) == {}
    told = desk.of_case("c")
    assert told["reviewer"].tolist() == ["bob", "ann"]
    assert told["note"].tolist() == ["", "see the face"]
    assert [desk.row(case) for case in ("a", "c", "gone")] == [0, 2, None]

    desk.add("c", "ann", "unclear", [], "")
    assert coded(desk.verdicts("ann")) == {2: "unclear"}
    undone = desk.undo("ann")
    assert undone is not None
    assert undone.case == "c"
    assert coded(desk.verdicts("ann")) == {2: "spurious_cue"}
    assert [event and event.case for event in (desk.undo("ann"), desk.undo("ann"))] == ["b", "c"]
    assert coded(desk.verdicts("ann")) == {}
    assert desk.undo("ann") is None
    assert coded(desk.verdicts("bob")) == {0: "unclear", 2: "other_cause"}


def test_verdicts_narrow_the_queue(tmp_path: Path) -> None:
    opened = Opened.of(invented(tmp_path / "run", CASES))
    opened.reviewing.add("a", "ann", "unclear", [], "")
    opened.reviewing.add("d", "ann", "label_wrong", [], "")

    def found(verdict: str, verdicts: Coded | None) -> set[str]:
        return set(ids(opened.index, opened.index.select(Filter(verdict=verdict), verdicts)))

    own = opened.reviewing.verdicts("ann")
    assert found("reviewed", own) == set("ad")
    assert found("unreviewed", own) == set("bcefgh")
    assert found("unclear", own) == {"a"}
    assert found("mask_wrong", own) == set()
    assert found("nonsense", own) == set()
    assert found("unreviewed", None) == set("abcdefgh")
    assert found("reviewed", None) == set()


def test_another_process_that_writes_is_noticed_and_other_runs_are_not(tmp_path: Path) -> None:
    first = Opened.of(invented(tmp_path / "one", CASES))
    beside = Opened.of(invented(tmp_path / "one", CASES))
    other = Opened.of(invented(tmp_path / "two", CASES, seed=2))
    assert coded(first.reviewing.verdicts("ann")) == {}
    beside.reviewing.add("b", "ann", "unclear", [], "")
    assert coded(first.reviewing.verdicts("ann")) == {1: "unclear"}
    assert coded(other.reviewing.verdicts("ann")) == {}
    beside.reviewing.undo("ann")
    assert coded(first.reviewing.verdicts("ann")) == {}


def test_a_verdict_about_a_case_that_the_run_lacks_is_passed_over(tmp_path: Path) -> None:
    opened = Opened.of(invented(tmp_path / "run", CASES))
    opened.reviewing.add("gone", "ann", "unclear", [], "")
    assert coded(opened.reviewing.verdicts("ann")) == {}


def test_many_verdicts_are_looked_up_at_once(tmp_path: Path) -> None:
    opened = Opened.of(invented(tmp_path / "run", [{"id": f"c{n:03d}"} for n in range(100)]))
    names = list(VERDICTS)
    for number in range(0, 80, 2):
        opened.reviewing.add(f"c{number:03d}", "ann", names[number % 5], [], "")
    fresh = Opened.of(opened.run).reviewing
    assert coded(fresh.verdicts("ann")) == {n: names[n % 5] for n in range(0, 80, 2)}


def test_what_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    desk = Opened.of(invented(tmp_path / "run", CASES)).reviewing
    with pytest.raises(AuditorError, match="unknown verdict 'good'"):
        desk.add("a", "ann", "good", [], "")
    with pytest.raises(AuditorError, match="says nothing"):
        desk.add("a", "ann", None, [], "")
    assert coded(desk.verdicts("ann")) == {}


def test_the_reviews_are_summed_up_for_the_first_page(tmp_path: Path) -> None:
    desk = Opened.of(invented(tmp_path / "run", CASES)).reviewing
    assert review_summary(desk) == []
    desk.add("b", "ann", None, [], "only a note")
    assert review_summary(desk) == []
    for case, reviewer, verdict in [
        ("a", "ann", "spurious_cue"),
        ("c", "ann", "other_cause"),
        ("d", "ann", "label_wrong"),
        ("a", "bob", "spurious_cue"),
        ("c", "bob", "spurious_cue"),
    ]:
        desk.add(case, reviewer, verdict, [], "")
    # Flagged with evidence: a, c and h. People decided a (flagged) and d (not) alone.
    assert desk.judged_cases()["id"].tolist() == ["a", "b", "c", "d", "h"]
    covered, precision, flags, pair = review_summary(desk)
    assert covered.startswith("Of 3 flagged cases (confirmed or probable) 2 are reviewed, 1 of")
    assert "100.0 % show a spurious cue (95 % interval" in precision
    assert flags == "Flags and people: Cohen's κ 1.00 over 2 cases."
    # Half agree, and half would by chance, since bob says the same of both.
    assert pair == "ann and bob: Cohen's κ 0.00 over 2 cases."
