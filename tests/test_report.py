"""Reports: every number traced to what the run holds, and nothing in them that could harm.

The world is that of tests/test_interventions.py: of 55 images a label, 40 are of their own
colour's tint and right, 15 of the other's and wrong; exchanging the cue moves a margin by 15.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import auditor
from auditor.errors import AuditorError
from auditor.language import Language, phrase
from auditor.report import (
    BUILDERS,
    SECTIONS,
    ReportOptions,
    build,
    render,
    write_report,
)
from auditor.report.appendix import most_rows
from auditor.report.charts import CHARTS
from auditor.report.html import html
from auditor.report.markdown import BLOCKS, escaped, markdown
from auditor.report.outcomes import outcome
from auditor.report.pictures import data_uri, heated
from auditor.report.source import in_words
from auditor.report.wording import UNITS, written
from auditor.reviews import VERDICTS, Reviews
from tests.colours import classifier
from tests.test_interventions import pairs, write

CONFIG = """
[dataset]
path = "manifest.csv"
format = "manifest"
attributes = ["tint"]

[regions]
subject = ["thing"]
cues = ["cue"]
rest = "background"

[model]
factory = "nothing:nothing"
classes = ["red", "green"]
"""
NO_IMAGES = ReportOptions(images=False)
TEXTS = ("html", "md", "json")  # tests/test_report_files.py has the other one
VOID = {"meta", "link", "img", "br", "hr", "input"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    return audited(tmp_path_factory.mktemp("world"))


def audited(folder: Path, right: int = 40, wrong: int = 15) -> auditor.Run:
    """The world with so many images of each kind, audited in full."""
    write(folder, pairs(right, wrong))
    (folder / "audit.toml").write_text(CONFIG, encoding="utf-8")
    dataset = auditor.open_dataset(folder / "audit.toml")
    settings = auditor.Settings(evidence="all")
    return auditor.audit(classifier(), dataset, folder / "run", settings=settings)


def changed(
    run: auditor.Run, to: Path, change: Callable[[dict[str, Any], pd.DataFrame], object]
) -> auditor.Run:
    """A copy of a run whose run.json and cases `change` has changed in place."""
    shutil.copytree(run.path, to)
    info, cases = json.loads((to / "run.json").read_text()), run.cases.copy()
    change(info, cases)
    (to / "run.json").write_text(json.dumps(info))
    cases.to_parquet(to / "cases.parquet")
    return auditor.open_run(to)


def blocks(document: dict[str, Any], section: str) -> list[dict[str, Any]]:
    return next(s["blocks"] for s in document["sections"] if s["name"] == section)


def block(document: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    return next(b for b in blocks(document, section) if b.get("name") == name)


def values(document: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    return {f["name"]: f["value"] for f in block(document, section, name)["facts"]}


class Page(HTMLParser):
    """Reads a page, and refuses tags that are not closed."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page.decode("utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


def assert_harmless(page: bytes) -> Page:
    read = Page(page)
    assert {tag for tag, _ in read.tags}.isdisjoint(
        {"script", "iframe", "object", "embed", "link", "base", "form"}
    )
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action", "xlink:href", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:image/webp;base64,")), tag
    assert "url(" not in page.decode()
    assert "@import" not in page.decode()
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))
    return read


# -- the document ---------------------------------------------------------------------------


def test_every_number_by_hand(run: auditor.Run) -> None:
    document = build(run, NO_IMAGES)
    assert [s["name"] for s in document["sections"]] == list(SECTIONS)
    assert document["left_out"] == []

    told = block(document, "verdict", "verdict")
    assert (told["level"], told["grade"]) == (4, "A")
    assert told["text"] == run.info["verdict"]["text"]
    figures = values(document, "verdict", "key_figures")
    assert figures["effect"] == pytest.approx(-15)
    assert figures["interval"] == [run.info["verdict"]["low"], run.info["verdict"]["high"]]
    assert figures["threshold"] == pytest.approx(1.25)
    assert (figures["cases"], figures["judged"], figures["errors"], figures["tested"]) == (
        110, 110, 30, 110,
    )  # fmt: skip
    remarked = [f["kind"] for f in block(document, "verdict", "remarked")["findings"]]
    assert remarked == [
        f["kind"] for f in run.findings if f["severity"] != "info" and f["kind"] != "verdict"
    ]

    audited = values(document, "scope", "audited")
    assert audited["attributes"] == ["tint"]
    assert audited["cues"] == ["cue"]
    assert audited["passes"] == 30 * 7 + 80 * 11

    cells = block(document, "data", "counts.tint")["rows"]
    assert [(c["label"], c["value"], c["n"]) for c in cells] == [
        ("green", "green", 40), ("green", "red", 15), ("red", "green", 15), ("red", "red", 40),
    ]  # fmt: skip

    overall = block(document, "performance", "overall")["findings"]
    assert overall[0]["value"] == pytest.approx(80 / 110)
    rows = block(document, "performance", "groups.tint.table")["rows"]
    assert [(r["label"], r["value"], r["correct"], r["judged"]) for r in rows] == [
        ("green", "red", 0, 15), ("red", "green", 0, 15),
        ("green", "green", 40, 40), ("red", "red", 40, 40),
    ]  # fmt: skip
    table = run.by_group(["label", "tint"]).set_index(["label", "attribute.tint"])
    for row in rows:
        own = table.loc[(row["label"], row["value"])]
        assert (row["accuracy"], row["low"], row["high"]) == (own.accuracy, own.low, own.high)
        assert row["precision"] == ("imprecise" if row["judged"] == 15 else "ok")

    compared = block(document, "disparities", "comparisons")["rows"]
    assert {(r["label"], r["value"]): r["outcome"] for r in compared} == {
        ("green", "red"): "fail", ("red", "green"): "fail",
        ("green", "green"): "pass", ("red", "red"): "pass",
    }  # fmt: skip

    evidence = block(document, "cues", "evidence")["rows"]
    assert [(r["cases"], r["cue"], r["confirmed"], r["unsupported"]) for r in evidence] == [
        ("errors", "cue", 30, 0), ("correct", "cue", 80, 0),
    ]  # fmt: skip

    assert values(document, "provenance", "identity")["weights"] == run.info["identity"]["weights"]
    assert block(document, "provenance", "configuration")["text"] == CONFIG
    flagged = block(document, "appendix", "flagged")
    assert (flagged["total"], len(flagged["rows"]), flagged["left_out"]) == (110, 110, 0)
    severities = [row["severity"] for row in flagged["rows"]]
    assert severities == sorted(severities, reverse=True)


def test_masses_are_those_of_the_findings(run: auditor.Run) -> None:
    rows = block(build(run, NO_IMAGES), "attention", "mass.table")["rows"]
    by_region = {row["region"]: row for row in rows}
    assert list(by_region) == ["subject", "cue", "background"]
    found = [f for f in run.findings if f["kind"] == "mass"]
    assert len(found) == 2
    for region, finding in zip(("subject", "cue"), found, strict=True):
        row = by_region[region]
        assert row["errors"] == pytest.approx(finding["value"])
        assert row["errors_area"] == pytest.approx(finding["threshold"])
        assert row["errors_n"] == finding["n"]
    # Of an error, the predicted class's colour is the cue's alone.
    assert by_region["cue"]["errors"] == pytest.approx(1)
    assert by_region["cue"]["errors_area"] == pytest.approx(6 / 80)


def test_all_findings_and_their_tables_are_in_the_appendix(run: auditor.Run) -> None:
    document = build(run, NO_IMAGES)
    rows = block(document, "appendix", "findings")["rows"]
    assert [row["kind"] for row in rows] == [found["kind"] for found in run.findings]
    for number, found in enumerate(run.findings):
        if found["table"]:
            shown = block(document, "appendix", f"findings.{number}.{found['kind']}")
            assert shown["total"] == len(found["table"])


def test_many_attributes_leave_each_table_fewer_rows() -> None:
    assert [most_rows(tables) for tables in (1, 15, 60, 1000)] == [200, 200, 50, 10]


def test_the_document_is_json_and_the_same_again(run: auditor.Run) -> None:
    content = render(run, "json")
    document = json.loads(content)
    assert document == json.loads(json.dumps(build(run)))
    assert render(run, "json") == content
    # Markdown and HTML are drawn from it, wherever it was.
    assert html(document) == render(run, "html")
    assert markdown(build(run, NO_IMAGES)) == render(run, "md")


def test_a_built_document_holds_words_and_no_texts_that_are_still_to_be_written(
    run: auditor.Run,
) -> None:
    given = reviews(
        (run.cases["id"][0], "ana", "spurious_cue", ("a",), "clear"),
        ("elsewhere", "ana", "unclear", (), ""),
    )
    for document in (build(run, NO_IMAGES), build(run, NO_IMAGES, given)):
        kinds = {type(leaf) for leaf in leaves(document)}
        assert kinds <= {str, int, float, bool, type(None)}


def leaves(tree: object) -> Iterator[object]:
    if isinstance(tree, dict):
        assert all(type(key) is str for key in tree)
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value)
    else:
        yield tree


def test_an_outcome_has_a_state_that_no_language_changes(run: auditor.Run) -> None:
    document = build(run, NO_IMAGES)
    rows = [
        *block(document, "model", "gates")["rows"],
        *block(document, "disparities", "comparisons")["rows"],
    ]
    assert {row["state"] for row in rows} >= {"passed", "pass", "fail"}
    assert all(row["state"] == row["outcome"].replace(" ", "-") for row in rows)


def test_a_reason_is_read_from_its_message() -> None:
    message = phrase("fewer than {least} clusters: counts only", least=10)
    row = {"n": 3, "precision": "ok", "reason": "as it was", "reason_message": message.described()}
    told = in_words(row)
    assert list(told) == ["n", "precision", "reason"]
    assert told["reason"] == message
    assert in_words({"n": 3, "reason": "as it was"}) == {"n": 3, "reason": "as it was"}


def test_every_kind_of_block_unit_and_chart_is_known(run: auditor.Run) -> None:
    assert list(BUILDERS) == list(SECTIONS)
    for section in build(run, NO_IMAGES)["sections"]:
        names = [b["name"] for b in section["blocks"] if "name" in b]
        assert len(names) == len(set(names)), section["name"]
        for one in section["blocks"]:
            assert one["kind"] in BLOCKS
            assert one["kind"] != "chart" or one["chart"] in CHARTS
            units = {entry["unit"] for entry in one.get("columns", one.get("facts", []))}
            assert units <= set(UNITS)


@pytest.mark.parametrize(
    ("rate", "difference", "low", "q", "expected"),
    [
        (0.7, -0.2, -0.3, 0.01, "fail"),
        (0.7, -0.2, -0.3, 0.06, "insufficient evidence"),
        (0.9, 0.0, -0.15, 1.0, "pass"),  # 0.75 of 0.9 at least: more than four fifths
        (0.9, 0.0, -0.19, 1.0, "insufficient evidence"),
        (0.9, 0.2, 0.1, 0.01, "pass"),
        (None, None, None, None, "insufficient evidence"),
        (0.0, 0.0, 0.0, 1.0, "insufficient evidence"),
        (1.0, 1.0, 0.8, 0.01, "pass"),  # the others are never recognised
    ],
)
def test_a_comparison_fails_passes_or_has_too_little_evidence(
    rate: float | None, difference: float | None, low: float | None, q: float | None, expected: str
) -> None:
    row = {"rate": rate, "difference": difference, "difference_low": low, "q": q}
    assert outcome(row, 0.05, 0.8) == expected


def test_nulls_keep_their_reason(run: auditor.Run, tmp_path: Path) -> None:
    def few(info: dict[str, Any], cases: pd.DataFrame) -> None:
        wrong = cases.index[cases["correct"] == False]  # noqa: E712
        cases.loc[wrong[6:], "attribute.tint"] = ""
        info["verdict"] |= {"effect": None, "low": None, "high": None, "cue": None, "level": 0}

    document = build(changed(run, tmp_path / "few", few), NO_IMAGES)
    rows = block(document, "performance", "groups.tint.table")["rows"]
    few_rows = [row for row in rows if row["accuracy"] is None]
    assert few_rows
    assert {row["reason"] for row in few_rows} == {"fewer than 10 judged cases: counts only"}
    assert any(row["group"].endswith("· unannotated") for row in rows)
    told = block(document, "verdict", "key_figures")["facts"]
    assert {f["name"]: f["reason"] for f in told if f["value"] is None} == dict.fromkeys(
        ("cue", "effect", "interval"), "no average effect could be estimated"
    )


def test_sections_are_chosen_and_ordered(run: auditor.Run) -> None:
    options = ReportOptions(sections=("limits", "verdict"))
    document = build(run, options)
    assert [s["name"] for s in document["sections"]] == ["limits", "verdict"]
    assert "Disparities between groups" in document["left_out"]
    page = Page(html(document))
    assert [a["id"] for a in page.of("section")] == ["limits", "verdict"]
    for wrong in (("verdict", "nothing"), ("verdict", "verdict"), ()):
        with pytest.raises(AuditorError, match="section"):
            ReportOptions(sections=wrong)


# -- examples -------------------------------------------------------------------------------


def test_examples_show_image_map_and_the_pair_that_differs_most(run: auditor.Run) -> None:
    shown = block(build(run, ReportOptions(("examples",))), "examples", "examples")
    assert [e["region"] for e in shown["legend"]] == ["subject", "cue"]
    cases = shown["examples"]
    assert len(cases) == 12
    assert {case["flag"] for case in cases} == {"spurious_error", "wrong_reason"}
    for case in cases:
        assert [p["name"] for p in case["pictures"]] == ["image", "map", "same", "opposite"]
        assert all(max(p["width"], p["height"]) <= 320 for p in case["pictures"])
        assert all(p["src"].startswith("data:image/webp;base64,") for p in case["pictures"])
        margin = 2.5 if case["flag"] == "spurious_error" else 12.5
        assert case["margin"] == pytest.approx(margin)
        same, opposite = case["pair"]["margins"]
        assert same == pytest.approx([margin] * 3)
        assert opposite == pytest.approx([margin - 15] * 3)
        assert case["pair"]["shown"] == pytest.approx([margin, margin - 15])
        assert case["reliance"] * margin == pytest.approx(15)
        assert "D = 15.00" in case["reason"]


def test_filled_examples_show_the_fill_and_its_control(tmp_path: Path) -> None:
    write(tmp_path, pairs(40, 15), places=2)
    (tmp_path / "audit.toml").write_text(CONFIG.replace('["tint"]', "[]"), encoding="utf-8")
    dataset = auditor.open_dataset(tmp_path / "audit.toml")
    run = auditor.audit(classifier(), dataset, tmp_path / "run")
    document = build(run, ReportOptions(("examples", "scope"), 3))
    for case in block(document, "examples", "examples")["examples"]:
        assert [p["name"] for p in case["pictures"]] == ["image", "map", "control", "fill"]
        own = run.interventions.query("case == @case['id'] and arm == 'fill'")
        classes = run.info["model"]["classes"]
        over, under = classes.index(case["predicted"]), classes.index(case["contrast"])
        margins = [logits[over] - logits[under] for logits in own["logits"]]
        assert sorted(case["pair"]["margins"][1]) == pytest.approx(sorted(margins), abs=1e-5)
    assert "tied to no attribute" in " ".join(block(document, "scope", "not_audited")["items"])


def test_examples_are_capped_and_may_have_no_images(run: auditor.Run) -> None:
    for wanted in (0, 1, 5, 60):
        page = render(run, "html", ReportOptions(("examples",), wanted, images=False))
        assert len(list(Page(page).of("article"))) == wanted
        assert b"data:" not in page.replace(b"img-src data:", b"")
    for wrong in (-1, 61):
        with pytest.raises(AuditorError, match="0 to 60"):
            ReportOptions(examples=wrong)
    assert b"data:image" not in render(run, "md")


def test_a_picture_is_small_whatever_it_shows() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (320, 320, 3)).astype(np.uint8)
    assert len(data_uri(Image.fromarray(noise))) < 28_000
    # A report of the most examples with four such pictures stays under 10 MB.
    assert 60 * 4 * 28_000 < 7_000_000


def test_a_map_without_positive_evidence_stays_grey() -> None:
    pixels = np.full((8, 10, 3), 100, np.uint8)
    over = heated(pixels, -np.ones((2, 2)))
    assert over.shape == pixels.shape
    assert np.ptp(over.reshape(-1, 3), axis=0).tolist() == [0, 0, 0]


def gone(run: auditor.Run, tmp_path: Path, path: str | None) -> auditor.Run:
    def lose(info: dict[str, Any], _cases: pd.DataFrame) -> None:
        info["configuration_path"] = path

    return changed(run, tmp_path / "gone", lose)


@pytest.mark.parametrize(
    ("path", "told"),
    [("/nowhere/audit.toml", "is there no more"), (None, "without a configuration file")],
)
def test_without_its_dataset_a_report_is_made_and_says_so(
    run: auditor.Run, tmp_path: Path, path: str | None, told: str
) -> None:
    document = build(gone(run, tmp_path, path))
    said = [b["text"] for b in blocks(document, "examples") if b["kind"] == "text"]
    assert any("There are no pictures" in text and told in text for text in said)
    assert len(block(document, "examples", "examples")["examples"]) == 12
    assert b"data:image" not in html(document)


def test_a_dataset_that_is_given_is_used(run: auditor.Run, tmp_path: Path) -> None:
    dataset = auditor.open_dataset(run.info["configuration_path"])
    document = build(gone(run, tmp_path, None), ReportOptions(("examples",), 1), dataset=dataset)
    assert len(block(document, "examples", "examples")["examples"][0]["pictures"]) == 4


def test_an_image_that_is_gone_is_said_of_its_case(tmp_path: Path) -> None:
    write(tmp_path, pairs(40, 15))
    (tmp_path / "audit.toml").write_text(CONFIG, encoding="utf-8")
    dataset = auditor.open_dataset(tmp_path / "audit.toml")
    run = auditor.audit(classifier(), dataset, tmp_path / "run")
    options = ReportOptions(("examples",), 1)
    shown = block(build(run, options), "examples", "examples")["examples"][0]
    (tmp_path / shown["image"]).unlink()
    again = block(build(run, options), "examples", "examples")["examples"][0]
    assert (again["id"], again["pictures"]) == (shown["id"], [])
    assert again["problem"].startswith("No pictures: ")
    assert_harmless(render(run, "html", options))
    # The configuration may name other regions by now.
    text = CONFIG.replace('cues = ["cue"]', "cues = []")
    (tmp_path / "audit.toml").write_text(text, encoding="utf-8")
    said = [b["text"] for b in blocks(build(run, options), "examples") if b["kind"] == "text"]
    assert any("it now has the regions subject, background, padding" in text for text in said)


# -- reviews --------------------------------------------------------------------------------


def reviews(*rows: tuple[str, str, str | None, object, str]) -> pd.DataFrame:
    columns = ["case", "reviewer", "verdict", "tags", "note"]
    return pd.DataFrame(rows, columns=columns, dtype=object).assign(
        time="2026-01-02T03:04:05+00:00"
    )


def test_reviews_are_counted_and_what_is_unresolved_is_listed(run: auditor.Run) -> None:
    ids = run.cases["id"].tolist()
    given = reviews(
        (ids[0], "ana", "spurious_cue", ("a", "b"), "clear"),
        (ids[0], "ben", "other_cause", (), ""),
        (ids[1], "ana", "spurious_cue", (), ""),
        (ids[2], "ana", "unclear", (), ""),
        (ids[3], "ana", None, ("c",), "a note alone"),
        ("elsewhere", "ana", "spurious_cue", (), ""),
    )
    document = build(run, NO_IMAGES, given)
    told = values(document, "review", "coverage")
    assert told | {"interval": None} == {
        "flagged": 110, "reviewed_flagged": 3, "coverage": pytest.approx(3 / 110), "queued": 0,
        "reviewed_queued": 0, "unresolved": 2, "reviewed": 3, "reviewers": 2,
        "latest": "2026-01-02T03:04:05+00:00", "precision": 1.0, "interval": None,
    }  # fmt: skip
    verdicts = block(document, "review", "verdicts")["rows"]
    assert [(r["verdict"], r["verdicts"], r["flagged"]) for r in verdicts] == [
        ("Other cause", 1, 1), ("Spurious cue", 2, 2), ("Unclear", 1, 1),
    ]  # fmt: skip
    unresolved = block(document, "review", "unresolved")
    assert unresolved["rows"][:2] == [
        {"case": ids[0], "why": "reviewers differ"},
        {"case": ids[2], "why": "unclear to its reviewer"},
    ]
    assert (unresolved["total"], unresolved["left_out"]) == (109, 69)
    written_down = block(document, "review", "reviews")["rows"]
    assert (written_down[0]["verdict"], written_down[0]["tags"]) == ("Spurious cue", "a, b")
    assert (written_down[4]["verdict"], written_down[4]["note"]) == (None, "a note alone")
    said = [b.get("text", "") for b in blocks(document, "review")]
    assert any("1 verdict on cases that this run does not hold" in text for text in said)
    assert values(build(run, NO_IMAGES, given.iloc[:0]), "review", "coverage")["latest"] is None
    with pytest.raises(AuditorError, match="lack the columns verdict"):
        build(run, NO_IMAGES, given.drop(columns="verdict"))


def test_verdicts_are_told_in_the_words_that_reviewers_choose_among(run: auditor.Run) -> None:
    ids = run.cases["id"]
    given = [(ids[number], "ana", name, (), "") for number, name in enumerate(VERDICTS)]
    document = build(run, NO_IMAGES, reviews(*given))
    for name in ("verdicts", "reviews"):
        told = {row["verdict"] for row in block(document, "review", name)["rows"]}
        assert told == set(VERDICTS.values())


def test_a_report_without_reviews_says_so(run: auditor.Run) -> None:
    assert "No reviews were given" in blocks(build(run, NO_IMAGES), "review")[0]["text"]


# -- HTML -----------------------------------------------------------------------------------

EVIL = '"><script>alert(1)</script>|`x`\n[a](https://evil.example)<img src=x onerror=y>'


@pytest.fixture
def evil(run: auditor.Run, tmp_path: Path) -> tuple[auditor.Run, pd.DataFrame]:
    """A run in which labels, values, ids, reasons and findings hold markup, and a review."""

    def spoil(info: dict[str, Any], cases: pd.DataFrame) -> None:
        for name in ("label", "predicted", "contrast", "attribute.tint"):
            cases[name] = cases[name].str.replace("green", "green" + EVIL)
        cases["reason"] = EVIL
        cases["image"] = EVIL
        info["model"]["classes"] = ["red", "green" + EVIL]
        info["model"]["checkpoint"] = EVIL
        info["configuration"] = EVIL
        info["provenance"]["command"] = [EVIL]
        info["verdict"]["text"] = EVIL

    spoiled = changed(run, tmp_path / "evil", spoil)
    file = spoiled.path / "findings.json"
    found = json.loads(file.read_text())
    for one in found["findings"]:
        one["text"] = EVIL
    file.write_text(json.dumps(found))
    case = block(build(spoiled, NO_IMAGES), "examples", "examples")["examples"][0]["id"]
    return auditor.open_run(spoiled.path), reviews((case, EVIL, EVIL, EVIL, EVIL))


def test_a_page_is_whole_harmless_and_self_contained(run: auditor.Run) -> None:
    page = render(run, "html")
    assert len(page) < 10_000_000
    read = assert_harmless(page)
    policy = next(a["content"] for a in read.of("meta") if "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    styles = page.decode()
    assert "@media print" in styles
    assert "@media screen and (prefers-color-scheme: dark)" in styles
    assert all(a.get("alt") for a in read.of("img"))
    assert len(list(read.of("img"))) == 12 * 4
    charts = list(read.of("svg"))
    assert len(charts) == 4
    for chart in charts:
        title, description = str(chart["aria-labelledby"]).split()
        ids = {a.get("id") for _, a in read.tags}
        assert {title, description} <= ids
    for name in SECTIONS:
        assert {"href": f"#{name}"} in list(read.of("a"))
    assert {"Name", "Role", "Date", "Decision"} <= set(read.text)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_screen_reader_finds_its_way(run: auditor.Run, language: Language) -> None:
    read = assert_harmless(render(run, "html", ReportOptions(language=language)))
    assert next(read.of("html"))["lang"] == language
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    tables = [tag for tag, _ in read.tags].count("table")
    assert tables > 10
    assert [tag for tag, _ in read.tags].count("thead") == tables
    assert {a.get("scope") for a in read.of("th")} == {"col"}
    assert next(read.of("main")) is not None
    assert all(chart["role"] == "img" for chart in read.of("svg"))


def test_markup_from_outside_is_shown_and_not_obeyed(
    evil: tuple[auditor.Run, pd.DataFrame],
) -> None:
    page = render(evil[0], "html", reviews=evil[1])
    read = assert_harmless(page)
    assert "<script>alert(1)</script>" in "".join(read.text)
    assert all(str(a["src"]).startswith("data:") for a in read.of("img"))


def test_nothing_claims_that_a_model_is_free_of_bias(run: auditor.Run) -> None:
    for format in TEXTS:  # noqa: A001
        text = render(run, format, NO_IMAGES).decode().lower()
        assert not re.search(r"unbiased|debiased|bias-free|inferred gender", text)
        assert "annotated as" in text


# -- Markdown -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`x` *y* _z_", r"\`x\` \*y\* \_z\_"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("one\ntwo\x00", "one two�"),
        ("# no", r"\# no"),
        ("- no", r"\- no"),
        ("1. no", r"1\. no"),
        ("--- no", r"\--- no"),
        ("-1.5 to +2", "-1.5 to +2"),
        ("0.1.0", "0.1.0"),
        ("[a](https://b.c)", r"\[a\](https&#58;//b.c)"),
        ("back\\slash", r"back\\slash"),
        ("\u202etxt", "�txt"),
    ],
)
def test_text_is_escaped_in_markdown(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_tables_of_markdown_hold_whatever_is_in_their_cells(
    run: auditor.Run, evil: tuple[auditor.Run, pd.DataFrame]
) -> None:
    for one, given in ((run, None), evil):
        text = render(one, "md", reviews=given).decode()
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len(rows) > 50
        groups = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
        for group in groups:
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in group.splitlines()}
            assert len(widths) == 1, group
        outside = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)  # code is indented
        assert not re.search(r"<(?!/?$)[a-zA-Z]", outside)
        assert "://" not in outside


# -- files and the command line -------------------------------------------------------------


@pytest.mark.parametrize("format", TEXTS)
def test_a_report_is_written_by_its_suffix(run: auditor.Run, tmp_path: Path, format: str) -> None:  # noqa: A002
    path = tmp_path / "new" / f"report.{format.upper()}"
    assert write_report(run, path, NO_IMAGES) == path
    assert path.read_bytes() == render(run, format, NO_IMAGES)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with pytest.raises(AuditorError, match="exists; choose another name"):
        write_report(run, path, NO_IMAGES)
    path.write_text("old")
    write_report(run, path, NO_IMAGES, overwrite=True)
    assert path.read_text(encoding="utf-8") != "old"


def test_other_suffixes_and_folders_are_refused(run: auditor.Run, tmp_path: Path) -> None:
    for name in ("report.docx", "report", "report.htm"):
        with pytest.raises(AuditorError, match=r"choose \.html, \.pdf, \.md, \.json"):
            write_report(run, tmp_path / name)
    with pytest.raises(AuditorError, match=r"choose \.html, \.pdf, \.md, \.json"):
        render(run, "docx")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(AuditorError, match="is a folder"):
        write_report(run, tmp_path / "folder.html")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.html"]


def test_the_command(run: auditor.Run, tmp_path: Path, auditor_cli: Callable[..., Any]) -> None:
    out = tmp_path / "r.json"
    asked = ("report", run.path, "--out", out, "--sections", "examples, limits")
    done = auditor_cli(*asked, "--examples", "2", "--no-images")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Wrote {out} (0.0 MB)")
    document = json.loads(out.read_text(encoding="utf-8"))
    assert [s["name"] for s in document["sections"]] == ["examples", "limits"]
    assert len(block(document, "examples", "examples")["examples"]) == 2
    again = auditor_cli(*asked)
    assert (again.status, again.out) == (2, "")
    assert "exists" in again.err
    assert auditor_cli(*asked, "--overwrite").status == 0
    for wrong in (("--sections", "nothing"), ("--examples", "61"), ("--examples", "x")):
        assert auditor_cli("report", run.path, "--out", tmp_path / "x.md", *wrong).status == 2


def test_the_command_takes_the_verdicts_beside_the_run(
    run: auditor.Run, tmp_path: Path, auditor_cli: Callable[..., Any]
) -> None:
    copy = changed(run, tmp_path / "runs" / "copy", lambda info, cases: None)
    case = copy.cases["id"].iloc[0]
    Reviews.beside(copy).add(copy.key, "copy", case, "ana", "spurious_cue")
    told = []
    for name, more in (("with.json", ()), ("without.json", ("--no-reviews",))):
        asked = ("report", copy.path, "--out", tmp_path / name, "--sections", "review")
        assert auditor_cli(*asked, *more).status == 0
        told.append((tmp_path / name).read_text(encoding="utf-8"))
    assert '"value": "2' in told[0]
    assert "Spurious cue" in told[0]
    assert "No reviews were given" in told[1]


# -- runs with little in them ---------------------------------------------------------------


def test_a_run_without_attributes_cues_or_tests_has_a_report(tmp_path: Path) -> None:
    write(tmp_path, pairs(6, 3))
    text = CONFIG.replace('["tint"]', "[]").replace('cues = ["cue"]', "cues = []")
    (tmp_path / "audit.toml").write_text(text, encoding="utf-8")
    dataset = auditor.open_dataset(tmp_path / "audit.toml")
    settings = auditor.Settings(evidence=0)
    run = auditor.audit(classifier(), dataset, tmp_path / "run", settings=settings)
    document = build(run)
    left = " ".join(block(document, "scope", "not_audited")["items"])
    for told in ("No attribute is annotated", "No cue is named", "No pixels were changed"):
        assert told in left
    assert "no example" in blocks(document, "examples")[-1]["text"]
    assert_harmless(html(document))
    assert markdown(document)


def test_a_run_in_which_nothing_could_be_judged_has_a_report(tmp_path: Path) -> None:
    write(tmp_path, pairs(6, 3))
    (tmp_path / "audit.toml").write_text(CONFIG, encoding="utf-8")
    dataset = auditor.open_dataset(tmp_path / "audit.toml")
    for image in sorted(tmp_path.glob("0??.png"))[1:]:
        image.write_bytes(b"no image")
    run = auditor.audit(classifier(), dataset, tmp_path / "run")
    document = build(run)
    spoiled = block(document, "scope", "spoiled")["rows"]
    assert ("unreadable", 17) in [(row["status"], row["n"]) for row in spoiled]
    rows = block(document, "performance", "groups.tint.table")["rows"]
    assert "no case has a prediction" in {row["reason"] for row in rows}
    assert_harmless(html(document))


def test_values_are_written_as_their_units_have_them() -> None:
    assert written(None, "share") == "–"
    assert written(0.1234, "share") == "12.3%"
    assert written(-1.5, "logits") == "−1.50"
    assert written([-1.5, 2.0], "logits") == "−1.50 to +2.00"
    assert written(["a", "b\n"]) == "a, b "
    assert written(True) == "yes"
    assert written(0.0004, "p") == "< .001"
    assert written(1234, "count") == "1,234"
    assert [written(n, "number") for n in (602.0, 0.0, 0.25)] == ["602", "0.000", "0.250"]
