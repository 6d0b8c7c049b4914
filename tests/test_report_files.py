"""The files beside HTML, Markdown and JSON: PDF by a Chromium, and archives of pictures."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor.errors import AuditorError
from auditor.report import FORMATS, ReportOptions, available, build, pdf, render, write_report
from auditor.report.assets import COLUMNS, folder_of
from tests.test_report import NO_IMAGES, audited, block, blocks, changed

needs_chromium = pytest.mark.skipif(
    pdf.chromium() is None, reason="no Chromium is on the path, which prints the PDF"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    return audited(tmp_path_factory.mktemp("world"), 12, 4)


# -- PDF ------------------------------------------------------------------------------------


@needs_chromium
def test_a_pdf_is_printed(
    run: auditor.Run, tmp_path: Path, auditor_cli: Callable[..., Any]
) -> None:
    out = tmp_path / "r.pdf"
    before = set(Path(tempfile.gettempdir()).glob("auditor-pdf-*"))
    done = auditor_cli("report", run.path, "--out", out, "--examples", "1")
    assert (done.status, done.err) == (0, "")
    content = out.read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/Lang (en)" in content  # tagged
    assert b"/Outlines" in content
    assert {b"19700101000000"} == set(re.findall(rb"Date \(D:(\d{14})", content))
    assert set(Path(tempfile.gettempdir()).glob("auditor-pdf-*")) == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.pdf"]
    assert "pdf" in available()
    names = re.compile(rb"node\d+")
    again = render(run, "pdf", ReportOptions(examples=1))
    assert len(again) == len(content)
    assert sorted(names.sub(b"", again).split(b"\n")) == sorted(
        names.sub(b"", content).split(b"\n")
    )


@needs_chromium
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext reads the pages")
def test_the_pages_of_a_pdf_hold_the_report(run: auditor.Run, tmp_path: Path) -> None:
    out = write_report(run, tmp_path / "r.pdf", NO_IMAGES)
    reader = str(shutil.which("pdftotext"))
    told = subprocess.run([reader, "-layout", out, "-"], capture_output=True, check=True)
    pages = told.stdout.decode().split("\f")[:-1]
    text = " ".join(pages)
    for title in [s["title"] for s in build(run, NO_IMAGES)["sections"]]:
        assert title in text
    titles = {s["title"] for s in build(run, NO_IMAGES)["sections"]}
    for page in pages:  # no heading at a page's foot, no header or footer of the browser
        last = page.strip().splitlines()[-1].strip()
        assert last not in titles
        assert "file://" not in page
    # A table that goes on over a page repeats its header.
    rows = [page for page in pages if re.search(r"^ *\d+ .*spurious_error", page, re.MULTILINE)]
    assert rows
    for page in rows:
        assert re.search(r"Number\s+Case\s+Label", page)


def test_without_a_chromium_the_remedy_is_named(
    run: auditor.Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    auditor_cli: Callable[..., Any],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = auditor_cli("report", run.path, "--out", tmp_path / "r.pdf")
    assert (done.status, done.out) == (2, "")
    assert "Install one" in done.err
    assert "--out x.html" in done.err
    assert available() == ["html", "md", "json"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is played by a shell script")
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'no display' >&2; exit 1", "printed no PDF: no display"),
        ("exit 0", "it said nothing"),
        ("sleep 60 & sleep 60", "did not print the PDF within 1 s"),
    ],
)
def test_a_browser_that_fails_is_told_of(
    run: auditor.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    browser = tmp_path / "chromium"
    browser.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{script}\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(pdf, "TIMEOUT", 1.0)
    started = time.monotonic()
    with pytest.raises(AuditorError, match=told):
        write_report(run, tmp_path / "r.pdf", ReportOptions(("signoff",)))
    assert time.monotonic() - started < 20
    assert not (tmp_path / "r.pdf").exists()
    group = int((tmp_path / "pid").read_text())
    for _ in range(100):  # nor does anything that it started go on
        if not alive(group):
            break
        time.sleep(0.05)
    assert not alive(group)


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# -- archives of pictures -------------------------------------------------------------------


def index(file: Path) -> list[dict[str, str]]:
    with zipfile.ZipFile(file) as archive:
        text = archive.read("index.csv").decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_other_flagged_cases_are_in_the_archive(
    run: auditor.Run, tmp_path: Path, auditor_cli: Callable[..., Any]
) -> None:
    out, assets = tmp_path / "r.json", tmp_path / "more.zip"
    asked = ("report", run.path, "--out", out, "--examples", "5", "--assets", assets)
    done = auditor_cli(*asked)
    assert (done.status, done.err) == (0, "")
    assert [line.split(" (")[0] for line in done.out.splitlines()] == [
        f"Wrote {out}", f"Wrote {assets}",
    ]  # fmt: skip
    document = json.loads(out.read_text(encoding="utf-8"))
    shown = {case["id"] for case in block(document, "examples", "examples")["examples"]}
    rows = index(assets)
    flagged = set(run.cases.query("flag.notna()")["id"])
    assert {row["id"] for row in rows} == flagged - shown
    assert len(rows) == len(flagged) - 5
    assert tuple(rows[0]) == COLUMNS
    # By the number that the report's own table has.
    numbers = {row["id"]: row["number"] for row in block(document, "appendix", "flagged")["rows"]}
    cases = run.cases.set_index("id")
    with zipfile.ZipFile(assets) as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
        for row in rows:
            assert row["folder"] == folder_of(numbers[row["id"]])
            assert row["pictures"].split(";") == [
                "image.webp", "map.webp", "same.webp", "opposite.webp",
            ]  # fmt: skip
            assert float(row["severity"]) == cases.loc[row["id"], "severity"]
            for name in row["pictures"].split(";"):
                assert archive.read(f"{row['folder']}/{name}")[8:12] == b"WEBP"
                names.discard(f"{row['folder']}/{name}")
    assert names == {"index.csv"}
    said = " ".join(b["text"] for b in blocks(document, "examples") if b["kind"] == "text")
    assert "more.zip has the pictures" in said
    assert auditor_cli(*asked).status == 2  # both exist
    first = assets.read_bytes()
    assert auditor_cli(*asked, "--overwrite").status == 0
    assert assets.read_bytes() == first


def test_an_archive_is_refused_where_it_makes_no_sense(run: auditor.Run, tmp_path: Path) -> None:
    with pytest.raises(AuditorError, match="--no-images"):
        write_report(run, tmp_path / "r.html", NO_IMAGES, assets=tmp_path / "a.zip")
    with pytest.raises(AuditorError, match=r"is a \.zip"):
        write_report(run, tmp_path / "r.html", assets=tmp_path / "a.tar")

    def lose(info: dict[str, Any], _cases: pd.DataFrame) -> None:
        info["configuration_path"] = "/nowhere/audit.toml"

    gone = changed(run, tmp_path / "gone", lose)
    with pytest.raises(AuditorError, match="no archive of pictures can be made"):
        write_report(gone, tmp_path / "r.html", assets=tmp_path / "a.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["gone"]


def test_the_index_is_safe_in_a_spreadsheet_and_says_what_is_missing(tmp_path: Path) -> None:
    run = audited(tmp_path, 12, 4)

    def rename(info: dict[str, Any], cases: pd.DataFrame) -> None:
        cases["cue"] = "=1+1"
        cases["flag"] = cases["flag"].where(cases.index > 2, None)

    copy = changed(run, tmp_path / "copy", rename)
    lost = copy.cases.query("flag.notna()").iloc[-1]
    (tmp_path / lost["image"]).unlink()
    out = write_report(copy, tmp_path / "r.md", assets=tmp_path / "a.zip")
    assert "a.zip has the pictures" in out.read_text(encoding="utf-8")
    rows = index(tmp_path / "a.zip")
    assert len(rows) == len(copy.cases) - 3  # Markdown shows none itself
    assert {row["cue"] for row in rows} == {"'=1+1"}
    by_id = {row["id"]: row for row in rows}
    assert by_id[lost["id"]]["pictures"] == ""
    assert by_id[lost["id"]]["problem"].startswith("No pictures: ")


def test_blurred_archives_are_blurred(run: auditor.Run, tmp_path: Path) -> None:
    options = ReportOptions(examples=0, blur=("cue",))
    write_report(run, tmp_path / "r.html", options, assets=tmp_path / "blurred.zip")
    write_report(run, tmp_path / "s.html", ReportOptions(examples=0), assets=tmp_path / "plain.zip")
    with (
        zipfile.ZipFile(tmp_path / "blurred.zip") as blurred,
        zipfile.ZipFile(tmp_path / "plain.zip") as plain,
    ):
        assert blurred.namelist() == plain.namelist()
        for name in blurred.namelist():
            assert (blurred.read(name) == plain.read(name)) == (name == "index.csv")


def test_every_format_is_tested() -> None:
    assert list(FORMATS) == ["html", "pdf", "md", "json"]
