"""What a report shows of other layers, other methods and faithfulness, where a run has them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import torch
from torch import Tensor, nn

import auditor
from auditor.configuration import DatasetConfig
from auditor.report import ReportOptions, build, document_schema
from auditor.report.charts import svg
from auditor.report.html import html
from auditor.report.lifts import _wrapped
from auditor.report.markdown import markdown
from auditor.report.wording import written
from tests.colours import Mean, classifier
from tests.test_agreement import ROLES, world  # noqa: F401 - a fixture
from tests.test_language import SENTENCE, Call, strings
from tests.test_report import assert_harmless, block, blocks

ENGLISH = ReportOptions(("attention", "appendix"), images=False)
JAPANESE = ReportOptions(("attention", "appendix"), images=False, language="ja")


class Twice(nn.Module):
    """The world's model behind a layer that changes nothing, so that there are two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Conv2d(3, 3, 1, bias=False)
        self.late = Mean()
        with torch.no_grad():
            self.early.weight.copy_(torch.eye(3)[:, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return self.late(self.early(images))


def audited(manifest: Path, out: Path, **settings: Any) -> auditor.Run:
    dataset = auditor.open_dataset(DatasetConfig(path=manifest, format="manifest"), regions=ROLES)
    model = classifier(module=Twice(), layer="late.cells")
    given = auditor.Settings(evidence=0, **settings)
    return auditor.audit(model, dataset, out, settings=given)


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:  # noqa: F811
    out = tmp_path_factory.mktemp("runs") / "run"
    methods = ("layercam", "eigencam", "cam")
    return audited(world, out, methods=methods, layers=True, faithfulness=4)


def table_of(run: auditor.Run, kind: str) -> list[dict[str, Any]]:
    return [row for found in run.findings if found["kind"] == kind for row in found["table"]]


def drawn(chart: dict[str, Any], language: Any = "en") -> ElementTree.Element:
    return ElementTree.fromstring(svg(chart, 1, language))  # noqa: S314 - made here


def of(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [found for found in root.iter() if kind in (found.get("class") or "").split()]


# -- layers ----------------------------------------------------------------------------------


def test_the_chart_has_the_figures_of_the_finding(run: auditor.Run) -> None:
    document = build(run, ENGLISH)
    jsonschema.Draft202012Validator(document_schema()).validate(document)
    rows = block(document, "attention", "layers")["rows"]
    assert [(row["region"], row["cue"], row["layer"], row["own"]) for row in rows] == [
        ("subject", False, "early", False),
        ("subject", False, "late.cells", True),
        ("cue", True, "early", False),
        ("cue", True, "late.cells", True),
    ]
    found = {(r["region"], r["place"], r["outcome"]): r for r in table_of(run, "layers")}
    for row in rows:
        for outcome in ("errors", "correct"):
            own = found[row["region"], row["place"], outcome]
            told = [row[f"{outcome}{end}"] for end in ("", "_low", "_high", "_n")]
            assert told == [own["lift"], own["lift_low"], own["lift_high"], own["n"]]
            assert (row["height"], row["width"]) == (own["height"], own["width"])
    assert block(document, "attention", "layers.told")["findings"][0]["kind"] == "layers"


def test_marks_lie_where_the_figures_say(run: auditor.Run) -> None:
    chart = block(build(run, ENGLISH), "attention", "layers")
    root = drawn(chart)
    titles = [title.text for mark in of(root, "mark") for title in mark if title.text]
    for row in chart["rows"]:
        for outcome, words in (("errors", "errors"), ("correct", "correct cases")):
            if row[outcome] is not None:
                told = f"{row['layer']}: {words} {written(row[outcome], 'number')}, interval "
                assert any(title.startswith(told) for title in titles)
    # Every circle of a strip lies on the line from its scale's 0 to its end.
    strips = len({row["region"] for row in chart["rows"]})
    marks = [(float(t.get("y") or 0), float(t.text or 0)) for t in of(root, "scale")]
    each = len(marks) // strips
    circles = [c for c in of(root, "mark") if c.tag == "circle"][1:]  # after the legend's
    expected = []
    for strip, region in enumerate(("subject", "cue")):
        (zero, _), *_, (top, end) = marks[strip * each : (strip + 1) * each]
        lifts = [row["correct"] for row in chart["rows"] if row["region"] == region]
        expected += [zero + (top - zero) * lift / end for lift in lifts if lift is not None]
    assert [float(c.get("cy") or 0) for c in circles] == pytest.approx(expected, abs=0.1)
    (own, legend) = of(root, "own")
    assert float(own.get("height") or 0) > float(legend.get("height") or 0)
    assert [t.text for t in of(root, "here")] == ["late.cells"]


def row(place: int, region: str = "hat", **changes: Any) -> dict[str, Any]:
    known = {
        "layer": f"encoder.block{place}.conv", "place": place, "height": 7, "width": 9,
        "own": place == 2, "region": region, "cue": True, "problem": None,
    }  # fmt: skip
    for outcome in ("errors", "correct"):
        known |= {outcome: 2.0, f"{outcome}_low": 1.0, f"{outcome}_high": 3.0, f"{outcome}_n": 9}
    return known | changes


def chart_of(*rows: dict[str, Any]) -> dict[str, Any]:
    told = {"title": "A title", "description": "What it shows."}
    return {"kind": "chart", "chart": "lifts", "rows": list(rows), "left_out": 0, **told}


def test_nulls_are_left_out_and_break_the_line() -> None:
    none = {"errors": None, "errors_low": None, "errors_high": None, "errors_n": 0}
    root = drawn(chart_of(row(0), row(1), row(2, **none), row(3), row(4)))
    lines = [e for e in of(root, "errors") if e.tag == "polyline"]
    assert [len((line.get("points") or "").split()) for line in lines] == [2, 2]
    assert len([e for e in of(root, "mark") if e.tag == "polygon"]) == 1 + 4  # one in the legend
    assert len([e for e in of(root, "mark") if e.tag == "circle"]) == 1 + 5
    told = root.find("desc")
    assert told is not None
    assert "hat at encoder.block2.conv: errors not measured, correct cases 2, interval 1 to 3" in (
        told.text or ""
    )
    only = drawn(chart_of(row(0, errors_low=None, errors_high=None), row(2)))
    assert len([e for e in of(only, "bounds") if e.get("y1") != e.get("y2")]) == 3


def test_a_wide_interval_does_not_flatten_the_rest() -> None:
    root = drawn(chart_of(row(0, errors_high=90.0), row(2)))
    assert max(float(t.text or 0) for t in of(root, "scale")) <= 5
    arrows = [e for e in of(root, "bounds") if e.tag == "polyline"]
    assert len(arrows) == 1
    height = float(root.get("height") or 0)
    for element in root.iter():
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.get(name) or 0) <= height


def test_names_of_any_length_and_many_layers_stay_in_the_picture() -> None:
    long = "<b>" + "m" * 80
    rows = [row(n, layer=f"{long}.denseblock4.denselayer{n}.conv2") for n in range(8)]
    root = drawn(chart_of(*rows), "ja")
    ticks = [t.text or "" for t in of(root, "tick")]
    assert "…" in ticks
    assert ".denselayer7" in ticks
    assert all(len(tick) <= 14 for tick in ticks)
    assert _wrapped("vit.encoder.layer.11.layernorm", 12, 4) == [
        "vit.encoder", ".layer.11", ".layernorm",
    ]  # fmt: skip
    assert _wrapped(".denselayer16.conv2", 12, 4) == [".denselayer1", "6.conv2"]
    assert _wrapped("face（手がかり）", 14, 3) == ["face", "（手がかり）"]
    assert drawn(chart_of()).get("height") is not None


# -- methods and faithfulness ----------------------------------------------------------------


def test_methods_are_told_with_their_gates_and_why_not(run: auditor.Run) -> None:
    document = build(run, ENGLISH)
    made = block(document, "attention", "agreement")
    rows = {row["method"]: row for row in made["rows"]}
    assert [row["title"] for row in made["rows"]] == ["LayerCAM", "Eigen-CAM (view)", "CAM"]
    for own in table_of(run, "method_agreement"):
        for name in ("kappa", "kappa_low", "kappa_high", "n", "both", "neither", "correlation"):
            assert rows[own["method"]].get(name) == own.get(name)
    assert rows["eigencam"]["gates"].startswith("not passed: ")
    assert "other classes" in rows["eigencam"]["gates"]
    assert rows["cam"]["reason"].startswith("CAM needs a model")
    assert made["columns"][-1]["name"] == "reason"


def test_faithfulness_stands_beside_maps_that_know_nothing(run: auditor.Run) -> None:
    document = build(run, ENGLISH)
    made = block(document, "attention", "faithfulness")
    found = table_of(run, "faithfulness")
    assert [row["title"] for row in made["rows"]] == [
        "Grad-CAM", "LayerCAM", "Eigen-CAM (view)", "CAM", "Chance: random map",
        "Chance: uniform map",
    ]  # fmt: skip
    for row_, own in zip(made["rows"], found, strict=True):
        for name in ("deletion", "insertion_low", "occlusion_high", "deletion_n"):
            assert row_[name] == own[name]
    number = next(n for n, f in enumerate(run.findings) if f["kind"] == "faithfulness")
    whole = block(document, "appendix", f"findings.{number}.faithfulness")["rows"]
    assert len(whole) == 5 * len(found)
    gain = next(r for r in whole if (r["method"], r["measure"]) == ("layercam", "deletion_gain"))
    layercam = next(row for row in found if row["method"] == "layercam")
    assert [gain[name] for name in ("value", "value_low", "value_high", "n")] == [
        layercam[f"deletion_gain{end}"] for end in ("", "_low", "_high", "_n")
    ]


def test_a_run_without_them_shows_nothing_of_it(world: Path, tmp_path: Path) -> None:  # noqa: F811
    document = build(audited(world, tmp_path / "run"), ENGLISH)
    names = {one.get("name") for one in blocks(document, "attention")}
    assert not names & {"layers", "agreement", "faithfulness"}


def test_a_run_of_one_layer_has_a_sentence_and_no_chart(run: auditor.Run, tmp_path: Path) -> None:
    findings = [dict(found) for found in json.loads(json.dumps(run.findings))]
    for found in findings:
        if found["kind"] == "layers":
            found["table"] = [row for row in found["table"] if row["own"]]
    one = tmp_path / "run"
    one.mkdir()
    for file in run.path.iterdir():
        (one / file.name).write_bytes(file.read_bytes())
    told = json.loads((one / "findings.json").read_text())
    told["findings"] = findings
    (one / "findings.json").write_text(json.dumps(told))
    document = build(auditor.open_run(one), ENGLISH)
    names = {one.get("name") for one in blocks(document, "attention")}
    assert "layers.told" in names
    assert "layers" not in names


# -- formats and languages -------------------------------------------------------------------


def test_the_page_is_harmless_and_holds_the_chart(run: auditor.Run) -> None:
    page = html(build(run, ENGLISH))
    read = assert_harmless(page)
    assert "Lift of each region by layer, from the input on" in read.text
    assert len(list(read.of("polygon"))) > 2


def test_markdown_has_the_chart_as_a_table(run: auditor.Run) -> None:
    text = markdown(build(run, ENGLISH)).decode()
    assert "### Lift of each region by layer, from the input on" in text
    assert "| Layer | Cells (height × width) | Region | Errors: lift |" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| late.cells | 8 × 10 | cue")]
    own = next(
        r for r in table_of(run, "layers")
        if (r["layer"], r["region"], r["outcome"]) == ("late.cells", "cue", "errors")
    )  # fmt: skip
    assert f"| {own['lift']:.3f} |" in line
    assert "| Chance: random map |" in text


def english(texts: Iterable[str], run: auditor.Run) -> list[str]:
    """English sentences, but for why a model cannot serve a method, which is recorded so."""
    quoted = [row["problem"] for row in table_of(run, "faithfulness") if row["problem"]]
    quoted += [str(found["query"]) for found in run.findings if found["query"]]
    found = []
    for text in texts:
        for words in quoted:
            text = text.replace(words, "…")  # noqa: PLW2901
        found += SENTENCE.findall(text)
    return found


def test_in_japanese_nothing_is_said_in_english(run: auditor.Run) -> None:
    document = build(run, JAPANESE)
    jsonschema.Draft202012Validator(document_schema()).validate(document)
    attention = next(one for one in document["sections"] if one["name"] == "attention")
    assert english(strings(attention), run) == []
    root = drawn(block(document, "attention", "layers"), "ja")
    texts = [element.text or "" for element in root.iter()]
    assert english(texts, run) == []
    assert "誤分類" in texts
    assert "（手がかり）" in texts


def test_a_summary_tells_all_three(run: auditor.Run, auditor_cli: Call) -> None:
    shown = " ".join(auditor_cli("show", run.path).out.split())
    assert "LayerCAM beside Grad-CAM" in shown
    assert "Grad-CAM maps were made at 2 layers" in shown
    assert "Measured on 4 cases, drawn at random: cells are taken away" in shown
