"""What a report of a small run holds, whole, and what is published beside the code.

`pytest tests/test_report_golden.py --update-golden` writes the files anew: tests/golden/, the
JSON Schema in docs/schema/ and docs/crosswalk.md. Look at their difference before committing it.
Pictures stand in the golden files by their size, and numbers with four digits.
"""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

import auditor
from auditor.report import DOCUMENT_VERSION, SECTIONS, ReportOptions, build, document_schema
from auditor.report.crosswalk import CROSSWALK, WARNING, crosswalk
from auditor.report.html import html
from auditor.report.markdown import BLOCKS, drawn, markdown
from auditor.report.wording import UNITS
from tests.test_report import NO_IMAGES, audited, block, blocks, changed, reviews

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
EMPTY = "data:image/webp;base64,AAAA"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    return audited(tmp_path_factory.mktemp("world"), 10, 4)


@pytest.fixture(scope="module")
def document(run: auditor.Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """That of a run without what differs from machine to machine, and with two reviews."""

    def settle(info: dict[str, Any], cases: pd.DataFrame) -> None:
        info["identity"] |= {"weights": "1" * 64, "dataset": "2" * 64, "configuration": "3" * 64}
        info["identity"]["auditor"] = "0"
        info["provenance"] |= {
            "created": "2026-01-02T03:04:05+00:00", "command": ["auditor"], "inputs": {},
            "hardware": {}, "versions": {},
        }  # fmt: skip

    settled = changed(run, tmp_path_factory.mktemp("settled") / "golden", settle)
    ids = run.cases["id"]
    given = reviews(
        (ids[0], "ana", "spurious_cue", ("a",), "clear"), (ids[1], "ben", "unclear", (), "")
    )
    made = build(settled, ReportOptions(examples=3), given)
    folder = str(Path(run.info["configuration_path"]).parent)
    text = json.dumps(made, ensure_ascii=False).replace(folder, "…")
    text = text.replace(run.info["identity"]["configuration"], "3" * 64)
    return rounded(json.loads(text))


def rounded(value: Any) -> Any:
    """Numbers with four digits, pictures by their size."""
    if isinstance(value, dict):
        if "src" in value:
            value = {**value, "src": EMPTY}
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.4g}") + 0.0 if isinstance(value, float) else value


class Text(HTMLParser):
    """The words of a page, a line a piece; pictures by their alternative and size."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self._style = tag == "style"
        if tag in ("h1", "h2", "h3", "table", "svg", "article", "ol", "ul"):
            self.lines.append(f"<{tag}>")
        if tag == "img":
            self.lines.append(f"<img {own['width']}×{own['height']}> {own['alt']}")

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._style:
            self.lines.append(" ".join(data.split()))


def as_golden(document: dict[str, Any], format: str) -> str:  # noqa: A002
    """A document as a golden file has it."""
    if format == "html":
        return "\n".join(Text(html(document).decode()).lines) + "\n"
    if format == "md":
        return markdown(document).decode()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def held(file: Path, text: str, update: bool) -> None:
    if update:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"{file} is missing: call pytest with --update-golden"
    assert file.read_text(encoding="utf-8") == text


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.mark.parametrize("format", ["html", "md", "json"])
def test_the_report_of_a_small_run_is_as_it_was(
    document: dict[str, Any],
    format: str,  # noqa: A002
    update: bool,
) -> None:
    text = as_golden(document, format)
    assert len(text) < 150_000
    held(GOLDEN / f"report.{format if format != 'html' else 'html.txt'}", text, update)


# -- the schema -----------------------------------------------------------------------------


def test_the_published_schema_is_the_code_s(update: bool) -> None:
    schema = document_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    held(ROOT / "docs" / "schema" / f"report-{DOCUMENT_VERSION}.json", text, update)


def valid(document: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(document_schema()).is_valid(document)


def test_documents_are_as_the_schema_says(run: auditor.Run, document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(document_schema()).validate(document)
    assert valid(build(run))
    assert valid(build(run, NO_IMAGES))
    for name in SECTIONS:
        assert valid(build(run, ReportOptions((name,), images=False)))


def test_a_wrong_field_is_noticed_wherever_it_is(document: dict[str, Any]) -> None:
    """Every object that is closed refuses another field and misses each of its own."""
    checked = set()
    for path, found in objects(document):
        if path[-1:] == ("attributes",) or path[-2:-1] == ("rows",):
            continue  # open: attributes and columns have the names that a dataset gives
        kind = (*(p for p in path if isinstance(p, str)), found.get("kind"), tuple(found))
        if kind in checked:
            continue
        checked.add(kind)
        for change in ("add", *found):
            spoiled = copy.deepcopy(document)
            at: Any = spoiled
            for step in path:
                at = at[step]
            if change == "add":
                at["surprise"] = 1
            elif change != "to":
                del at[change]
            assert change == "to" or not valid(spoiled), (path, change)
    assert len(checked) > 20


def objects(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict):
        yield path, value
        for key, one in value.items():
            yield from objects(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from objects(one, (*path, number))


@pytest.mark.parametrize(
    ("section", "name", "key", "wrong"),
    [
        ("verdict", "verdict", "level", 5),
        ("verdict", "verdict", "grade", "D"),
        ("performance", "groups.tint", "chart", "pie"),
        ("performance", "groups.tint.table", "left_out", -1),
        ("performance", "groups.tint.table", "columns", []),
        ("performance", "overall", "findings", None),
        ("signoff", "signoff", "kind", "blank"),
    ],
)
def test_a_wrong_value_is_noticed(
    document: dict[str, Any], section: str, name: str, key: str, wrong: object
) -> None:
    spoiled = copy.deepcopy(document)
    block(spoiled, section, name)[key] = wrong
    assert not valid(spoiled)


def test_the_schema_knows_every_block_and_unit() -> None:
    known = document_schema()["$defs"]
    assert {f"block.{kind}" for kind in BLOCKS} == {n for n in known if n.startswith("block.")}
    assert known["fact"]["properties"]["unit"]["enum"] == list(UNITS)
    for name, one in known.items():
        assert one["additionalProperties"] is not True, name


# -- the crosswalk --------------------------------------------------------------------------


def test_the_published_crosswalk_is_the_report_s(update: bool) -> None:
    text = "\n\n".join(drawn(one) for one in crosswalk())
    text = text.replace("### Crosswalk: what is evidence for what\n", "# Crosswalk\n")
    text = text.replace("### Evidence", "## Evidence") + "\n"
    text += (
        "\nMade from `auditor/report/crosswalk.py` by `pytest tests/test_report_golden.py "
        "--update-golden`.\nThe same table stands in the appendix of every report.\n"
    )
    held(ROOT / "docs" / "crosswalk.md", text, update)


def test_the_crosswalk_claims_evidence_and_nothing_more(run: auditor.Run) -> None:
    assert all(set(entry.sections) <= set(SECTIONS) and entry.sections for entry in CROSSWALK)
    assert all(entry.open and entry.evidence for entry in CROSSWALK)
    items = [(entry.framework, str(entry.item)) for entry in CROSSWALK]
    assert len(set(items)) == len(CROSSWALK)
    made = build(run, ReportOptions(("appendix",), images=False))
    rows = block(made, "appendix", "crosswalk")["rows"]
    assert [(r["framework"], r["item"]) for r in rows] == items
    assert str(WARNING) in [b.get("text") for b in blocks(made, "appendix")]
    for text in (html(made).decode(), markdown(made).decode(), json.dumps(made)):
        assert "MEASURE 2.11" in text
        assert not re.search(r"complian|complies|conform|certif", text, re.IGNORECASE)
