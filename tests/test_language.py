"""Fixed sentences: found in the source, all of them translated, and nothing else in a report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import jsonschema
import numpy as np
import pytest

import auditor
from auditor.language import (
    LANGUAGES,
    Series,
    Text,
    clauses,
    counted,
    listed,
    phrase,
    read,
    sentences,
    spoken,
    template_in,
    told,
    written,
)
from auditor.language.catalogue import catalogue
from auditor.report import FORMATS, ReportOptions, build, document_schema, write_report
from auditor.report.crosswalk import CROSSWALK
from auditor.report.html import html
from auditor.report.markdown import markdown
from tests.conftest import Outcome
from tests.phrases import NoLiteralError, names, of_page, of_python, templates
from tests.test_report import audited, reviews

Call = Callable[..., Outcome]

TRANSLATED = [language for language in LANGUAGES if language != "en"]
SENTENCE = re.compile(r"[A-Za-z][A-Za-z'’-]*(?:\s+[A-Za-z][A-Za-z'’-]*){3,}")
"""Four words or more, as every English sentence has them somewhere."""


# -- the catalogues -------------------------------------------------------------------------


def test_every_sentence_is_a_literal_where_it_is_said() -> None:
    assert len(templates()) > 100
    for source in ("phrase(words)", 'phrase(f"{n} cases")', 'phrase("a" + "b")', "phrase()"):
        with pytest.raises(NoLiteralError, match=r"a\.py:1"):
            list(of_python(source, "a.py"))
    for source in ("{{ say(words) }}", "{{ say('a' ~ words) }}", "{{ pieces() }}"):
        with pytest.raises(NoLiteralError, match=r"a\.html:1"):
            list(of_page(source, "a.html"))


def test_sentences_are_found_wherever_they_are_said() -> None:
    source = 'text.phrase("One {a}.", a=phrase("two " "three"))'
    assert [template for _, template in of_python(source, "a.py")] == ["One {a}.", "two three"]
    page = """<p title="{{ say("One") }}">{% for a, b in pieces("Two {c}") %}{% endfor %}"""
    page += """{% macro m(x) %}{{ say('Three {d}', d=say("Four")) }}{% endmacro %}</p>"""
    found = {template for _, template in of_page(page, "a.html")}
    assert found == {"One", "Two {c}", "Three {d}", "Four"}


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_every_sentence_and_no_other(language: Any) -> None:
    said, known = templates(), catalogue(language)
    missing = [f"{place}: {template}" for template, place in said.items() if template not in known]
    assert not missing, f"{len(missing)} are not translated:\n" + "\n".join(missing[:20])
    assert not set(known) - set(said)


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_names_of_its_sentence(language: Any) -> None:
    for template, translated in catalogue(language).items():
        assert translated.strip() == translated != "", template
        assert names(translated) == names(template), template


def test_templates_have_plain_names_and_no_space_around() -> None:
    for template in templates():
        assert template == template.strip() != "", template
        assert all(name.isidentifier() for name in names(template)), template


# -- texts ----------------------------------------------------------------------------------

INNER = phrase("{n:,} of {name!r}", n=1_234, name="a {b}")
TEXTS: list[Text] = [
    INNER,
    phrase("None."),
    phrase("{what}: {share:.1%}, {missing}.", what=INNER, share=0.125, missing=None),
    sentences(INNER, "data", listed(["x", phrase("yes")])),
    phrase("{all}", all=clauses([counted(1, "case"), counted(2, "case")])),
]


@pytest.fixture
def spoken_so(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Makes this the Japanese catalogue."""

    def use(known: Mapping[str, str]) -> None:
        monkeypatch.setattr("auditor.language.catalogue.catalogue", lambda language: known)

    return use


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_a_text_comes_back_from_json_as_it_was(text: Text) -> None:
    again = read(json.loads(json.dumps(text.described(), allow_nan=False)))
    assert again == text
    assert [again.written(language) for language in LANGUAGES] == [
        text.written(language) for language in LANGUAGES
    ]


def test_english_is_the_template_itself() -> None:
    assert str(INNER) == INNER.written("en") == "1,234 of 'a {b}'"
    assert str(TEXTS[2]) == "1,234 of 'a {b}': 12.5%, None."
    assert str(TEXTS[3]) == "1,234 of 'a {b}' data x, yes"
    assert str(TEXTS[4]) == "1 case; 2 cases"
    assert str(sentences("a", None, "b")) == "a b"


def test_numbers_of_numpy_are_recorded_as_python_has_them() -> None:
    text = phrase("{n:,} {share:.0%}", n=np.int64(1_000), share=np.float64(0.5))
    assert [type(value) for value in text.values.values()] == [int, float]
    json.dumps(text.described())
    assert type(counted(np.int64(1), "case").values["n"]) is int  # type: ignore[arg-type]


def test_a_translation_has_its_own_order_and_separators(spoken_so: Callable[..., None]) -> None:
    spoken_so({"{a} before {b:.1f}.": "{b:.2f}の前の{a}。", "yes": "はい"})
    text = phrase("{a} before {b:.1f}.", a=listed([phrase("yes"), "yes"]), b=1)
    assert text.written("ja") == "1.00の前のはい、yes。"
    assert sentences(text, text).written("ja") == "1.00の前のはい、yes。" * 2
    assert clauses(["a", "b"]).written("ja") == "a；b"
    assert text.written("en") == "yes, yes before 1.0."


def test_what_a_catalogue_does_not_know_is_said_in_english(
    spoken_so: Callable[..., None],
) -> None:
    spoken_so({"inner": "中"})
    old = phrase("Of another version: {what}.", what=phrase("inner"))
    assert old.written("ja") == "Of another version: 中."
    assert template_in("ja", "Unknown {n}") == "Unknown {n}"


def test_data_are_the_same_in_every_language(spoken_so: Callable[..., None]) -> None:
    spoken_so({"yes": "はい", "{name}": "「{name}」"})
    assert spoken("yes", "ja") == "yes"
    assert phrase("{name}", name="yes").written("ja") == "「yes」"
    assert phrase("{name}", name="{0} {name}").written("ja") == "「{0} {name}」"
    assert written({"a": ("yes", phrase("yes")), "b": [1, None]}, "ja") == {
        "a": ["yes", "はい"],
        "b": [1, None],
    }


def test_data_can_be_changed_wherever_they_stand() -> None:
    text = phrase("{a} {b} {n}", a="x", b=sentences("y", phrase("{c}", c="z")), n=1)
    changed = text.each(str.upper)
    assert str(changed) == "X Y Z 1"
    assert changed.template == text.template
    assert str(text) == "x y z 1"
    assert isinstance(changed.values["b"], Series)


def test_a_finding_is_told_by_its_message_or_else_its_text(
    spoken_so: Callable[..., None],
) -> None:
    spoken_so({"{n} found.": "{n}件"})
    new = {"text": "3 found.", "message": phrase("{n} found.", n=3).described()}
    assert spoken(told(new), "ja") == "3件"
    assert spoken(told({"text": "3 found."}), "ja") == "3 found."
    assert spoken(told({"text": "3 found.", "message": None}), "ja") == "3 found."


# -- a whole report -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    return audited(tmp_path_factory.mktemp("world"), 10, 4)


def document(run: auditor.Run) -> dict[str, Any]:
    """All sections of the run's report in Japanese, with pictures, and reviews without notes."""
    ids = run.cases["id"]
    given = reviews((ids[0], "ana", "spurious_cue", ("a",), ""), (ids[1], "ben", "unclear", (), ""))
    return build(run, ReportOptions(examples=4, language="ja"), given)


class Said(HTMLParser):
    """What a page says to a reader or a screen reader."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.language: str | None = None
        self._style = False
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self._style = tag == "style"
        if tag == "html":
            self.language = own["lang"]
        self.texts += [own[name] or "" for name in ("alt", "aria-label", "title") if name in own]

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.texts.append(data)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def data(run: auditor.Run) -> list[str]:
    """What a report quotes and no language changes, of what has several words."""
    info = run.info
    quoted = [*strings(info["provenance"]), *(info["configuration"] or "").splitlines()]
    quoted += [str(run.path), str(run.path.resolve()), info["configuration_path"]]
    quoted += [found["query"] or "" for found in run.findings]
    quoted += run.cases["reason"].dropna().unique().tolist()
    quoted += [words for entry in CROSSWALK for words in entry[:2] if isinstance(words, str)]
    return sorted({words for words in quoted if " " in words or "/" in words}, key=len)[::-1]


def english(texts: list[str], quoted: list[str]) -> list[str]:
    """The English sentences among texts, beside what is quoted."""
    found = []
    for text in texts:
        for words in quoted:
            text = text.replace(words, "…")  # noqa: PLW2901
        found += SENTENCE.findall(text)
    return list(dict.fromkeys(found))


def said(run: auditor.Run, format: str) -> list[str]:  # noqa: A002
    made = document(run)
    return {
        "html": lambda: Said(html(made)).texts,
        "md": lambda: markdown(made).decode().splitlines(),
        "json": lambda: list(strings(made)),
    }[format]()


@pytest.mark.parametrize("format", ["html", "md", "json"])
def test_a_report_in_japanese_has_no_english_sentence(run: auditor.Run, format: str) -> None:  # noqa: A002
    texts = said(run, format)
    assert re.search("[ぁ-ん]", "".join(texts)), "nothing is in Japanese"
    assert english(texts, data(run)) == []


def test_a_run_is_shown_in_japanese(run: auditor.Run, auditor_cli: Call) -> None:
    outcome = auditor_cli("show", run.path, "--all", "--language", "ja")
    assert (outcome.status, outcome.err) == (0, "")
    assert re.search("[ぁ-ん]", outcome.out), "nothing is in Japanese"
    assert english([" ".join(outcome.out.split())], data(run)) == []


def wide(template: str) -> str:
    """A template in letters that are no ASCII: what stays in ASCII is not said in a language."""
    made = ""
    for text, name, spec, conversion in Formatter().parse(template):
        made += re.sub("[A-Za-z]", lambda found: chr(ord(found[0]) + 0xFEE0), text)
        if name is not None:
            made += "{" + name + (f"!{conversion}" if conversion else "")
            made += (f":{spec}" if spec else "") + "}"
    return made


@pytest.mark.parametrize("format", ["html", "md", "json"])
def test_a_report_says_nothing_that_a_catalogue_could_not_translate(
    run: auditor.Run,
    format: str,  # noqa: A002
    spoken_so: Callable[..., None],
) -> None:
    spoken_so({template: wide(template) for template in templates()})
    assert english(said(run, format), data(run)) == []


def test_a_document_in_japanese_is_one_by_the_schema_and_says_its_language(
    run: auditor.Run, tmp_path: Path
) -> None:
    made = document(run)
    jsonschema.Draft202012Validator(document_schema()).validate(made)
    assert made["language"] == "ja"
    assert Said(html(made)).language == "ja"
    assert Said(html(build(run, ReportOptions(images=False)))).language == "en"
    for suffix in ("html", "md", "json"):
        file = write_report(run, tmp_path / f"a.{suffix}", ReportOptions(language="ja"))
        assert file.read_bytes() == FORMATS[suffix].render(
            build(run, ReportOptions(language="ja", images=FORMATS[suffix].pictures))
        )


def test_what_is_no_word_is_the_same_in_every_language(
    run: auditor.Run, spoken_so: Callable[..., None]
) -> None:
    """Numbers, names and codes; the sentences of a pseudo-language stand where the English do."""
    spoken_so({template: wide(template) for template in templates()})
    english, other = build(run), build(run, ReportOptions(language="ja"))
    assert shape(english) == shape(other)


def shape(value: Any) -> Any:
    """A document without its texts, but with the names, kinds and numbers."""
    if isinstance(value, dict):
        return {key: value[key] if key in CODES else shape(value[key]) for key in value}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return "text" if isinstance(value, str) else value


CODES = ("kind", "name", "rule", "severity", "tone", "unit", "query", "finding_kind", "arms", "id",
         "src", "state", "flag", "pool", "chart", "label")  # fmt: skip


def test_a_page_in_one_language_does_not_change_the_next(
    run: auditor.Run, spoken_so: Callable[..., None]
) -> None:
    spoken_so({template: wide(template) for template in templates()})
    options = ReportOptions(("verdict", "examples"), 2, images=False)
    before = html(build(run, options))
    html(document(run))
    assert html(build(run, options)) == before


def test_a_sentence_in_a_page_is_escaped(run: auditor.Run, spoken_so: Callable[..., None]) -> None:
    spoken_so({template: f"<b onclick=x>{wide(template)}</b>" for template in templates()})
    page = html(document(run)).decode()
    assert "<b onclick" not in page
    assert "&lt;b onclick" in page


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(auditor.AuditorError, match="'fr'; choose en, ja"):
        ReportOptions(language="fr")  # type: ignore[arg-type]


def test_the_command_writes_a_report_in_a_language(
    run: auditor.Run, auditor_cli: Call, tmp_path: Path
) -> None:
    file = tmp_path / "ja.json"
    options = ("--language", "ja", "--sections", "verdict,limits", "--no-images")
    outcome = auditor_cli("report", run.path, "--out", file, *options)
    assert outcome.status == 0, outcome
    assert json.loads(file.read_text(encoding="utf-8"))["language"] == "ja"
    assert auditor_cli("report", run.path, "--out", file, "--language", "fr").status == 2
