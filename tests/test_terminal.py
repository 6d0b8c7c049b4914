"""What is printed in a terminal: tables and paragraphs in columns, in either language."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import auditor
from auditor.cli.tables import display_width, print_table, wrapped
from auditor.language import read
from tests.conftest import Outcome, Project

Call = Callable[..., Outcome]

JAPANESE = {
    "Findings": "所見",
    "{cases:,} cases, {judged:,} judged, {errors:,} wrong · {method} at {layer} "
    "({rows}×{columns})": (
        "{cases:,}件のうち{judged:,}件を判定、誤り{errors:,}件（{layer}での{method}、{rows}×{columns}）"
    ),
    "and {n} findings without remark: {command}": "ほかに特記事項のない所見が{n}件：{command}",
    "Accuracy by {groups}": "{groups}ごとの正解率",
    "label × {attributes}": "ラベル × {attributes}",
    "group": "グループ",
    "counts only": "件数のみ",
    "Gate passed: no other order of model.classes would fit the labels much better.": (
        "ゲート通過：model.classesの並びは正しいようです。"
    ),
}


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("face", 4),
        ("正解率", 6),
        ("ｶﾅ", 2),
        ("（a）", 5),
        ("é", 1),
        ("e\u0301", 1),
        ("…", 1),
    ],
)
def test_the_columns_of_a_text(text: str, width: int):
    assert display_width(text) == width


def test_columns_stand_below_each_other_in_either_language(capsys: pytest.CaptureFixture[str]):
    print_table(("グループ", "正解", ""), [("看護師 · 男", "2/3", "x"), ("nurse", "10/12", "y")])
    lines = capsys.readouterr().out.splitlines()
    places = [
        display_width(line[: line.index(mark)])
        for line, mark in zip(lines, ("正解", "2/3", "10/12"), strict=True)
    ]
    assert places == [3 + 11 + 2] * 3
    assert display_width(lines[1]) == display_width(lines[2])
    assert all(line == line.rstrip() for line in lines)


def test_a_cell_that_is_too_long_loses_its_beginning(capsys: pytest.CaptureFixture[str]):
    print_table(("a", "b"), [("画像" * 20 + "終", "1"), ("x" * 50 + "end", "2"), ("p\x1b", "3")])
    _, japanese, english, hostile = capsys.readouterr().out.splitlines()
    # 43 columns beside the ellipsis hold 21 characters of two columns, and one stays free.
    assert japanese == "   …" + ("画像" * 20 + "終")[-21:] + "   1"
    assert english == "   …" + "x" * 40 + "end  2"
    assert hostile.startswith("   p� ")
    assert {display_width(line) for line in (japanese, english, hostile)} == {3 + 44 + 2 + 1}


def test_english_is_wrapped_at_spaces():
    lines = wrapped("word " * 40).splitlines()
    assert [len(line) for line in lines] == [94, 92, 17]
    assert all(line.startswith("   word") for line in lines[1:])


def test_japanese_is_wrapped_between_its_characters():
    text = "正解率は90.0%（95 %区間 85.0%～95.0%）です。" * 9
    lines = wrapped(text).splitlines()
    assert len(lines) == 5
    assert max(map(display_width, lines)) <= 96
    # No line is much shorter than it could be: at most one number is kept together.
    assert min(display_width(line) for line in lines[:-1]) >= 96 - 12
    assert all(line.startswith("   ") for line in lines[1:])
    joined = lines[0] + "".join(line[3:] for line in lines[1:])
    assert joined.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("shift", range(8))
def test_no_line_begins_with_a_full_stop_or_ends_with_an_opening_bracket(shift: int):
    text = "あ" * shift + "（正解率）、「ラベル」。" * 20
    for line in wrapped(text).splitlines():
        assert line.strip()[0] not in "）、」。"
        assert line[-1] not in "（「"
        assert display_width(line) <= 96


def test_what_has_no_place_to_break_stays_whole():
    assert wrapped("画 " + "x" * 200).splitlines() == ["画", "   " + "x" * 200]


@pytest.fixture
def in_japanese(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue of a few sentences; all others fall back to English."""
    monkeypatch.setattr(
        "auditor.language.catalogue.catalogue",
        lambda language: JAPANESE if language == "ja" else {},
    )


@pytest.mark.usefixtures("in_japanese")
def test_a_summary_in_japanese(auditor_cli: Call, project: Project):
    run = project.folder / "run"
    audited = auditor_cli("audit", project.config, "--out", run, "--language", "ja")
    assert audited.status == 0, audited.err
    shown = auditor_cli("show", run, "--language", "ja")
    assert shown == Outcome(0, audited.out, "")
    assert "12件のうち12件を判定、誤り0件（featuresでのgradcam、4×5）" in shown.out
    assert "\n所見\n" in shown.out
    assert "ラベル × toneごとの正解率" in shown.out
    assert "件数のみ" in shown.out
    assert f"件：auditor show {run} --all --language ja" in shown.out
    everything = auditor_cli("show", run, "--all", "--language", "ja")
    assert "ゲート通過：model.classesの並びは正しいようです。" in everything.out
    # A run is recorded in English, with what its sentences are made of.
    assert "Findings" in auditor_cli("show", run).out
    found = {one["kind"]: one for one in auditor.open_run(run).findings}["gate_classes"]
    assert str(read(found["message"])) == found["text"]
    as_json = auditor_cli("show", run, "--json", "--language", "ja").out
    assert json.loads(as_json)["findings"] == auditor.open_run(run).findings
    assert auditor_cli("show", run, "--language", "fr").status == 2


@pytest.mark.usefixtures("in_japanese")
def test_findings_without_messages_are_shown_as_they_are(auditor_cli: Call, project: Project):
    run = project.folder / "run"
    assert auditor_cli("audit", project.config, "--out", run).status == 0
    file = run / "findings.json"
    written = json.loads(file.read_text(encoding="utf-8"))
    for finding in written["findings"]:
        for key in ("message", "attribute", "cue"):
            del finding[key]
    file.write_text(json.dumps(written), encoding="utf-8")
    shown = auditor_cli("show", run, "--all", "--language", "ja")
    assert shown.status == 0
    assert "Gate passed: no other order of model.classes" in shown.out
