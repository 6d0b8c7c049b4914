"""Names and notes as bad as they come: shown as text in every format, the page as wide as ever."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

import auditor
from auditor.report import ReportOptions, build, document_schema, pdf
from auditor.report.html import html
from auditor.report.markdown import markdown
from tests.test_report import NO_IMAGES, Page, assert_harmless, audited, block, changed, reviews

NASTY = {
    "markup": "<b>x</b></td></table></section><script>alert(1)</script>",
    "attribute": "\" onmouseover='alert(1)' style='position:fixed'",
    "formula": '=HYPERLINK("https://evil.example","x")',
    "turned": "abc\u202egnp.exe\u2066\u200f",
    "hebrew": "שלום (1) → 2",
    "newlines": "one\r\n\r\n# two\n- three\x00\x1b[31m\u2028four",
    "long": "W" * 5_000,
    "words": "long words " * 500,
    "table": "| a | b |\n|---|---|\n[x](javascript:alert(1)) ![y](https://evil.example/z.png)",
    "entity": "&lt;script&gt; &#x202e; {{ 7*7 }} {% raw %}",
    "surrogate": "broken \udcff",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    return audited(tmp_path_factory.mktemp("world"), 12, 4)


def spoiled(run: auditor.Run, folder: Path, nasty: str) -> tuple[auditor.Run, pd.DataFrame]:
    """Labels, attribute and its values, ids, paths, reasons, findings and reviews named so.

    Names that Parquet cannot hold (lone surrogates) are given to all but the cases.
    """
    kept = nasty.encode("utf-8", "replace").decode()

    def spoil(info: dict[str, Any], cases: pd.DataFrame) -> None:
        for name in ("label", "predicted", "contrast"):
            cases[name] = cases[name].astype(object).replace("green", kept)
        values = cases.pop("attribute.tint").astype(object).replace("green", kept)
        cases[f"attribute.{kept}"] = values
        for name in ("reason", "image"):
            cases[name] = kept
        for name in ("reliance", "reliance_se"):
            cases[f"{name}.{kept}"] = cases.pop(f"{name}.cue")
        cases["cue"] = kept
        info["attributes"] = [kept]
        info["model"] |= {"classes": ["red", kept], "checkpoint": nasty}
        info["configuration"] = info["configuration_path"] = info["image_root"] = nasty
        info["provenance"] |= {"command": [nasty], "versions": {nasty: nasty}}
        info["provenance"]["inputs"] = {nasty: "0" * 64}
        info["counts"]["excluded"] = {nasty: 3}
        info["cue_sets"] = [{"name": kept, "attributes": [kept]}]
        info["verdict"] |= {"text": nasty, "cue": nasty}

    copy = changed(run, folder / "nasty", spoil)
    file = copy.path / "findings.json"
    told = json.loads(file.read_text())
    for found in told["findings"]:
        found["text"] = nasty
        for row in found["table"] or []:
            row.update({"label": nasty, "value": nasty} if "label" in row else {})
            row[nasty] = nasty
    file.write_text(json.dumps(told))
    case = copy.cases["id"].iloc[0]
    return auditor.open_run(copy.path), reviews(
        (case, kept, kept, (kept,), kept), (copy.cases["id"].iloc[1], kept, "unclear", (), "")
    )


@pytest.fixture(params=NASTY)
def document(
    request: pytest.FixtureRequest, run: auditor.Run, tmp_path: Path
) -> tuple[str, dict[str, Any]]:
    nasty = NASTY[request.param]
    made, given = spoiled(run, tmp_path, nasty)
    return nasty, build(made, NO_IMAGES, given)


def assert_valid(page: bytes) -> Page:
    """Beside what `assert_harmless` asks: what a validator of HTML would."""
    read = assert_harmless(page)
    tags = [tag for tag, _ in read.tags]
    assert tags.count("h1") == tags.count("main") == 1
    assert next(iter(read.of("html")))["lang"] == "en"
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), levels
    assert all(a.get("scope") in ("col", "row") for a in read.of("th"))
    assert all(a.get("alt") for a in read.of("img"))
    assert tags.count("table") == tags.count("caption")
    for tag, attributes in read.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            for target in str(attributes.get(name) or "").split():
                assert target in {a.get("id") for _, a in read.tags}, (tag, target)
    targets = {a.get("id") for _, a in read.tags}
    assert all(str(a["href"])[1:] in targets for a in read.of("a"))
    return read


def test_the_page_of_a_plain_run_is_valid(run: auditor.Run) -> None:
    page = html(build(run, ReportOptions(examples=4)))
    read = assert_valid(page)
    assert len(list(read.of("img"))) == 16


def test_it_is_shown_as_text(document: tuple[str, dict[str, Any]]) -> None:
    nasty, made = document
    jsonschema.Draft202012Validator(document_schema()).validate(made)
    page = html(made)
    assert len(page) < 3_000_000
    read = assert_valid(page)
    shown = "".join(read.text)
    # The first words stand there, letter by letter, without what turns or breaks lines.
    told = nasty.split("\n")[0].split("\r")[0][:30]
    seen = "".join(c if c.isprintable() else "�" for c in told)
    assert seen in shown.replace("?", "�") if "\udcff" in told else seen in shown
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u2028\x00\x1b]", page.decode())
    assert "position:fixed" not in [a.get("style") for _, a in read.tags]
    # Whatever direction a name has, it does not turn its surroundings.
    assert len(list(read.of("bdi"))) > 20


def test_it_does_not_break_out_of_markdown(document: tuple[str, dict[str, Any]]) -> None:
    text = markdown(document[1]).decode()
    for group in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in group.splitlines()}
        assert len(widths) == 1
    outside = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    assert not re.search(r"<(?!/?$)[a-zA-Z]", outside)
    assert "://" not in outside
    assert not re.search(r"(?<!\\)\]\(", outside)
    titles = [section["title"] for section in document[1]["sections"]]
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == titles
    assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u2028\x00\x1b]", text)


def test_titles_and_cells_end_somewhere(run: auditor.Run, tmp_path: Path) -> None:
    made, given = spoiled(run, tmp_path, NASTY["long"])
    document = build(made, NO_IMAGES, given)
    for section in document["sections"]:
        for one in section["blocks"]:
            assert len(one.get("title", "")) <= 200
            for row in one.get("rows", []) if one["kind"] == "table" else []:
                assert all(len(str(value)) <= 610 for value in row.values())
    assert block(document, "appendix", "flagged")["rows"][0]["label"]


@pytest.mark.browser
def test_nothing_makes_the_page_wider_than_the_window(run: auditor.Run, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    if pdf.chromium() is None:
        pytest.skip("no Chromium is on the path")
    widths = {}
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=pdf.chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, nasty in {"plain": "green", **NASTY}.items():
            made, given = spoiled(run, tmp_path / name, nasty)
            file = tmp_path / f"{name}.html"
            file.write_bytes(html(build(made, NO_IMAGES, given)))
            for width in (1280, 390):
                page = browser.new_page(viewport={"width": width, "height": 800})
                page.goto(file.as_uri())
                widths[name, width] = page.evaluate("document.documentElement.scrollWidth")
                page.close()
        browser.close()
    assert {key: width for key, width in widths.items() if width > key[1]} == {}
