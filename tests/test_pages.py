"""Every page as a person meets it, through Streamlit's own test of pages.

What a browser does in `gallery.js` and `viewer.js` is not run here (AppTest draws no components);
opening a case from the gallery is tested by its address instead. A fragment is run with its page.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

import auditor
from auditor.configuration import read_config
from auditor.dashboard import comparing, reporting, starting
from auditor.dashboard import shared as sharing
from auditor.dashboard.components import _WEB
from auditor.dashboard.launching import Request
from auditor.dashboard.library import Library
from auditor.dashboard.place import Place
from auditor.dashboard.shared import Shared, share
from auditor.dashboard.words import plain
from auditor.errors import RunError
from auditor.reviews import Reviews
from auditor.store import Run, open_run
from auditor.store.lock import take
from tests.colours import classifier
from tests.conftest import CONFIG
from tests.dashboards import audited

SCRIPT = Path(__file__).parents[1] / "streamlit_app.py"
PAGES = ["overview", "dataset", "groups", "attention", "cases", "compare", "report", "new_audit"]
OF_A_RUN = PAGES[:-1]
TITLES = {
    "dataset": "Dataset",
    "groups": "Groups",
    "attention": "Attention",
    "cases": "Cases",
    "compare": "Compare",
    "report": "Report",
    "new_audit": "New audit",
    "overview": "Sensitive to the cue",
}


@pytest.fixture(autouse=True)
def as_served(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages are named by the entry script, as `server.application` has it; AppTest forgets."""
    begin = PagesManager.__init__

    def named(self: PagesManager, *given: Any, **more: Any) -> None:
        PagesManager.uses_pages_directory = False
        begin(self, *given, **more)

    monkeypatch.setattr(PagesManager, "__init__", named)
    monkeypatch.setattr(sharing, "_shared", [])
    # Copies of one run are one run to what is kept of it, however they were spoiled since.
    monkeypatch.setattr(reporting, "_made", OrderedDict())
    comparing._compared.cache_clear()
    # AppTest leaves its script behind as the main module, which worker processes of later tests
    # would begin by running.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    yield
    PagesManager.uses_pages_directory = False


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("audit")
    return audited(folder / "data", folder / "runs" / "first")


@pytest.fixture
def runs(audit: Run, tmp_path: Path) -> Path:
    """A folder with a copy of the run, which may be spoiled and reviewed."""
    shutil.copytree(audit.path, tmp_path / "runs" / "first")
    return tmp_path / "runs"


def app(folder: Path, page: str = "overview", /, **params: str) -> AppTest:
    """A browser that opens an address."""
    share(Shared(Library(folder), None, folder.parent, "127.0.0.1"))
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    if page != "overview":  # the first page has no name in its address
        at.switch_page(f"pages/{page}.py")
    at.query_params.update(params)
    return ran(at.run())


def ran(at: AppTest) -> AppTest:
    assert [found.value for found in at.exception] == []
    return at


MARKDOWN = (
    "markdown", "caption", "title", "header", "subheader", "error", "info", "warning", "success",
)  # fmt: skip


def everything(at: AppTest) -> list[Any]:
    return [*at.main, *at.sidebar]


def written(at: AppTest) -> str:
    """All that is read as Markdown, labels among it."""
    told = []
    for found in everything(at):
        if found.type in MARKDOWN:
            told.append(str(found.value))
        told.append(str(getattr(found, "label", None) or ""))
        told.append(str(getattr(getattr(found, "proto", None), "help", "") or ""))
    return "\n".join(told)


def said(at: AppTest) -> str:
    """The same as it is read, without the backslashes before marks."""
    return re.sub(r"\\(.)", r"\1", written(at))


# -- nothing there -------------------------------------------------------------------------


@pytest.mark.parametrize("page", OF_A_RUN)
@pytest.mark.parametrize("there", [True, False])
def test_an_empty_folder_says_how_to_come_by_a_run(tmp_path: Path, page: str, there: bool) -> None:
    if there:
        (tmp_path / "runs").mkdir()
    at = app(tmp_path / "runs", page)
    assert [title.value for title in at.title] == ["No finished run yet"]
    assert str(tmp_path / "runs") in said(at)
    (code,) = at.code
    assert f"auditor audit CONFIG.toml --out {tmp_path / 'runs'}/first" in code.value
    assert "auditor demo" in code.value
    assert "Start an audit here" in said(at)


def test_a_new_audit_can_be_configured_where_there_is_no_run(tmp_path: Path) -> None:
    at = app(tmp_path / "runs", "new_audit")
    assert [title.value for title in at.title] == ["New audit"]
    assert "No configuration lies in" in said(at)
    (tmp_path / "audit.toml").write_text("[dataset]\npath = 3\n")
    at = app(tmp_path / "runs", "new_audit")
    assert at.selectbox(key="configuration").value == "audit.toml"
    assert [error.value for error in at.error] == [
        plain(f"{tmp_path / 'audit.toml'}: [model] is missing; add a [model] table.")
    ]


def test_a_page_that_no_dashboard_serves_says_how_to_start_one(tmp_path: Path) -> None:
    at = AppTest.from_file(SCRIPT, default_timeout=60).run()
    assert "auditor dashboard RUNS" in said(ran(at))
    assert not at.title


# -- not finished --------------------------------------------------------------------------


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def interrupted(audit: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an audit that was stopped among its maps."""
    folder = tmp_path_factory.mktemp("interrupted")
    config = Path(audit.info["configuration_path"])

    def stop(stage: str, done: int, _total: int) -> None:
        if stage == "maps" and done >= 8:
            raise Stop

    with pytest.raises(Stop):
        auditor.audit(
            classifier(),
            auditor.open_dataset(config),
            folder / "runs" / "going",
            config=read_config(config),
            settings=auditor.Settings(batch_size=8),
            progress=stop,
        )
    assert (folder / "runs" / "going.part").is_dir()
    return folder / "runs"


@pytest.mark.parametrize("page", OF_A_RUN)
def test_a_run_that_is_not_finished_is_not_shown_but_named(interrupted: Path, page: str) -> None:
    at = app(interrupted, page)
    assert [title.value for title in at.title] == ["No finished run yet"]
    assert "going is not finished" in said(at)
    asked = app(interrupted, page, run="going")
    assert "The run 'going' is not finished" in said(asked)


def test_an_interrupted_audit_is_followed_where_audits_are_started(interrupted: Path) -> None:
    at = app(interrupted, "new_audit")
    assert "going · stopped" in said(at).replace("**", "")
    assert "computing maps" in json.dumps([str(found.proto) for found in at.get("progress")])


def test_a_new_audit_is_asked_to_look_closer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def start(_place: Place, _run: str, request: Request) -> None:
        asked.append(request)

    monkeypatch.setattr(starting, "start", start)
    (tmp_path / "audit.toml").write_text(CONFIG)
    at = app(tmp_path / "runs", "new_audit")
    assert [error.value for error in at.error] == []
    button = next(found for found in at.button if found.label == "Start the audit")
    ran(button.click().run())
    (methods,) = at.multiselect
    assert methods.options[:2] == ["Grad-CAM", "CAM"]
    assert "Score-CAM (slow)" in methods.options
    assert "Eigen-CAM (a view)" in methods.options
    assert "none changes a flag or the verdict" in said(at)
    methods.set_value(["layercam", "eigencam"])
    at.checkbox[0].check()
    next(n for n in at.number_input if "maps point at" in n.label).set_value(8)
    button = next(found for found in at.button if found.label == "Start the audit")
    ran(button.click().run())
    assert asked == [
        Request("audit.toml"),
        Request("audit.toml", None, None, ("layercam", "eigencam"), True, 8),
    ]


def test_a_running_audit_is_followed_and_left_to_its_terminal(interrupted: Path) -> None:
    lock = take(interrupted / "going.part" / "lock")
    assert lock is not None
    with lock:
        at = app(interrupted, "new_audit")
        assert "going · running" in said(at).replace("**", "")
        assert "Started in a terminal" in said(at)
        assert not [button for button in at.button if button.label in ("Stop", "Continue")]
        for page in OF_A_RUN:
            assert "going is not finished" in said(app(interrupted, page))


# -- finished ------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_finished_run(runs: Path, page: str) -> None:
    at = app(runs, page)
    assert TITLES[page] in [title.value for title in at.title]
    assert not at.error
    assert at.query_params["run"] == "first"


def test_the_overview_tells_the_verdict_and_every_finding(runs: Path) -> None:
    run = open_run(runs / "first")
    at = app(runs)
    told = said(at)
    for finding in run.findings:
        if finding["kind"] not in ("accuracy", "not_judged"):
            assert " ".join(finding["text"].split()) in told, finding["kind"]
    metrics = {metric.label: metric.value for metric in at.metric}
    assert metrics == {
        "Accuracy": "60.0 %",
        "Errors": "6 of 15",
        "Flagged": "8",
        "Queued by map alone": "0",
    }
    assert "image unreadable: 1 of 16" in told
    assert "no regions annotated: 1 of 16" in told


def test_the_groups_of_an_address_are_shown(runs: Path) -> None:
    at = app(runs, "groups", by="tint", label="0")
    assert at.multiselect(key="groups_by").value == ["tint"]
    assert at.toggle(key="groups_label").value is False
    assert at.query_params == {"run": "first", "by": "tint", "label": "0"}
    table = at.dataframe[0].value
    assert sorted(table["group"]) == ["green", "red"]
    at = app(runs, "groups", by="nonsense,tint")
    assert at.query_params == {"run": "first", "by": "tint"}


def test_two_runs_are_compared_and_the_address_says_which(runs: Path) -> None:
    shutil.copytree(runs / "first", runs / "second")
    at = app(runs, "compare", run="first", **{"with": "second"})
    assert at.selectbox(key="compare_with").value == "second"
    assert at.query_params == {"run": "first", "with": "second"}
    metrics = {metric.label: metric.value for metric in at.metric}
    assert metrics["Accuracy, A"] == metrics["Accuracy, B"] == "60.0 %"
    at = app(runs, "compare", run="second", **{"with": "gone"})
    assert at.query_params == {"run": "second", "with": "first"}


def test_changed_data_are_compared_only_when_asked_for(runs: Path) -> None:
    shutil.copytree(runs / "first", runs / "second")
    file = runs / "second" / "run.json"
    info = json.loads(file.read_text(encoding="utf-8"))
    info["contents"]["images"] = "another"
    file.write_text(json.dumps(info), encoding="utf-8")
    at = app(runs, "compare", run="first", **{"with": "second"})
    assert "The datasets of the two runs are not the same" in said(at)
    assert not at.metric
    ran(at.toggle(key="changed_second").set_value(True).run())
    assert at.metric
    assert "The datasets are not the same" in said(at)


def test_a_report_without_a_section_is_asked_for_one(runs: Path) -> None:
    at = app(runs, "report")
    assert at.get("iframe")
    ran(at.multiselect[0].set_value([]).run())
    assert "Choose at least one section" in said(at)
    assert not at.get("iframe")


# -- addresses -----------------------------------------------------------------------------


def test_a_run_of_the_address_is_shown_and_the_newest_without_one(runs: Path) -> None:
    shutil.copytree(runs / "first", runs / "second")
    for name in ("first", "second"):
        at = app(runs, run=name)
        assert f"Audit of {name}" in said(at)
        assert at.sidebar.selectbox(key="run_choice").value == name


@pytest.mark.parametrize(
    ("page", "name"),
    [
        *((page, "gone") for page in OF_A_RUN),
        *(("cases", name) for name in ("../first", "/etc", "<b>x</b>", "..")),
    ],
)
def test_an_unknown_run_is_said_and_others_are_offered(runs: Path, page: str, name: str) -> None:
    at = app(runs, page, run=name)
    assert f"There is no run {name!r} in this folder" in said(at)
    assert [link.label for link in at.get("page_link")] == ["first"]
    assert "<" not in re.sub(r"\\.", "", written(at))


def test_choosing_another_run_forgets_what_was_asked_of_the_first(runs: Path) -> None:
    shutil.copytree(runs / "first", runs / "second")
    at = app(runs, "cases", run="first", flag="spurious_error", case="004")
    ran(at.sidebar.selectbox(key="run_choice").set_value("second").run())
    assert at.query_params == {"run": "second"}


def counted(at: AppTest) -> str:
    return next(text.value for text in at.markdown if " of " in text.value)


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({}, 16),
        ({"flag": "spurious_error"}, 6),
        ({"flag": "none"}, 8),
        ({"evidence": "confirmed", "outcome": "correct"}, 2),
        ({"cue": "cue"}, 8),
        ({"label": "red"}, 8),
        ({"predicted": "none"}, 1),
        ({"attribute.tint": "red", "outcome": "error"}, 3),
        ({"status": "no_regions"}, 1),
        ({"verdict": "unreviewed"}, 16),
        ({"verdict": "reviewed"}, 0),
        ({"text": "01"}, 7),
        ({"text": ".*"}, 0),
        ({"label": "gone"}, 0),
        ({"attribute.gone": "x"}, 0),
        ({"finding": "nonsense", "outcome": "nonsense", "page": "nonsense"}, 16),
        ({"page": "9" * 5000, "finding": "9" * 5000}, 16),
    ],
)
def test_the_filter_of_an_address_is_shown(runs: Path, params: dict[str, str], count: int) -> None:
    at = app(runs, "cases", run="first", **params)
    assert counted(at).startswith(f"**{count} case{'' if count == 1 else 's'}** of 16")
    assert bool(at.get("bidi_component")) == (count > 0)
    if not count:
        assert "No case fulfils these conditions" in said(at)


def test_every_finding_leads_to_its_cases(runs: Path) -> None:
    run = open_run(runs / "first")
    for number, finding in enumerate(run.findings):
        if finding.get("query"):
            at = app(runs, "cases", finding=str(number))
            count = len(run.cases.query(finding["query"]))
            assert counted(at).startswith(f"**{count} case")
            assert " ".join(finding["text"].split()) in said(at)


def test_a_finding_that_the_run_does_not_have_is_said(runs: Path) -> None:
    assert "and none 999" in said(app(runs, "cases", finding="999"))


def test_what_is_chosen_in_the_sidebar_goes_into_the_address(runs: Path) -> None:
    at = app(runs, "cases", run="first")
    ran(at.selectbox(key="filter_outcome").set_value("error").run())
    ran(at.selectbox(key="filter_attribute.tint").set_value("green").run())
    ran(at.text_input(key="filter_text").set_value("00").run())
    assert at.query_params == {
        "run": "first", "outcome": "error", "attribute.tint": "green", "text": "00",
    }  # fmt: skip
    assert counted(at).startswith("**3 cases** of 16")
    ran(at.selectbox(key="filter_outcome").set_value(None).run())
    assert "outcome" not in at.query_params
    (clear,) = [button for button in at.button if button.label == "Clear all conditions"]
    ran(clear.click().run())
    assert at.query_params == {"run": "first"}


def cards_of(at: AppTest) -> list[dict[str, Any]]:
    (found,) = at.get("bidi_component")
    return list(json.loads(found.proto.json)["cards"])


def test_the_gallery_has_pages_and_the_address_says_which(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.dashboard import desk

    monkeypatch.setattr(desk, "A_PAGE", 5)
    # The queue: six errors, two wrong reasons before them by severity, then the rest.
    first, third, last = (app(runs, "cases", page=page) for page in ("1", "3", "4"))
    assert [card["row"] for card in cards_of(first)] == [8, 9, 4, 5, 6]
    assert [card["row"] for card in cards_of(third)] == [2, 3, 7, 10, 14]
    assert [card["row"] for card in cards_of(last)] == [15]
    assert "page" not in first.query_params
    assert third.query_params["page"] == "3"
    for page, rows in (("99", [15]), ("0", [8, 9, 4, 5, 6]), ("-1", [8, 9, 4, 5, 6])):
        assert [card["row"] for card in cards_of(app(runs, "cases", page=page))] == rows


@pytest.mark.parametrize("row", range(16))
def test_every_case_can_be_opened_by_its_address(runs: Path, row: int) -> None:
    at = app(runs, "cases", run="first", case=f"{row:03d}", flag="spurious_error")
    assert at.query_params == {"run": "first", "case": f"{row:03d}", "flag": "spurious_error"}
    told = said(at)
    assert f"\n{row:03d}\n" in told
    assert ("No pixel of this case was changed" in told) == (row not in (4, 5, 6, 8, 9, 11, 12, 13))
    if row == 4:
        assert "1 of 6 in this queue" in told
        assert "mean margin -12.50" in told.replace("−", "-")
    if row == 14:
        assert "red, not classified" in told


def test_an_unknown_case_is_said_and_the_gallery_shown(runs: Path) -> None:
    at = app(runs, "cases", case="<b>gone</b>")
    assert "This run has no case '<b>gone</b>'" in said(at)
    assert "<" not in re.sub(r"\\.", "", written(at))
    assert len(cards_of(at)) == 16
    assert "case" not in at.query_params


# -- damaged -------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without(file: Path, *keys: str) -> None:
    info = json.loads(file.read_text())
    for key in keys:
        del info[key]
    file.write_text(json.dumps(info))


LISTED_AS_DAMAGED: dict[str, Callable[[Path], object]] = {
    "run.json is cut": lambda run: cut(run / "run.json"),
    "run.json is empty": lambda run: (run / "run.json").write_text(""),
    "run.json is gone": lambda run: (run / "run.json").unlink(),
    "run.json lacks counts": lambda run: without(run / "run.json", "counts"),
    "run.json lacks regions": lambda run: without(run / "run.json", "regions"),
    "run.json lacks thresholds": lambda run: without(run / "run.json", "thresholds"),
    "schema version": lambda run: (run / "run.json").write_text('{"schema_version": 1}'),
}
DAMAGES: dict[str, Callable[[Path], object]] = {
    "cases.parquet is cut": lambda run: cut(run / "cases.parquet"),
    "cases.parquet is gone": lambda run: (run / "cases.parquet").unlink(),
    "findings.json is cut": lambda run: cut(run / "findings.json"),
    "findings.json is gone": lambda run: (run / "findings.json").unlink(),
    "findings.json is a list": lambda run: (run / "findings.json").write_text("[]"),
    "maps.npy is cut": lambda run: cut(run / "maps.npy"),
    "maps.npy is gone": lambda run: (run / "maps.npy").unlink(),
    "interventions.parquet is cut": lambda run: cut(run / "interventions.parquet"),
    "interventions.parquet is gone": lambda run: (run / "interventions.parquet").unlink(),
}


@pytest.mark.parametrize(
    ("page", "damage"),
    [
        *((page, "run.json is cut") for page in OF_A_RUN),
        *(("cases", damage) for damage in LISTED_AS_DAMAGED),
    ],
)
def test_a_run_that_cannot_be_read_is_said_by_its_file(runs: Path, page: str, damage: str) -> None:
    LISTED_AS_DAMAGED[damage](runs / "first")
    at = app(runs, page)
    assert [title.value for title in at.title] == ["No finished run yet"]
    (error,) = at.error
    assert str(runs / "first") in re.sub(r"\\(.)", r"\1", error.value)
    (error,) = app(runs, page, run="first").error
    assert str(runs / "first") in re.sub(r"\\(.)", r"\1", error.value)


NEEDS = {
    "cases.parquet": set(OF_A_RUN),
    "findings.json": {"overview", "dataset", "attention", "report"},
    "maps.npy": set(),
    "interventions.parquet": set(),
}
"""Pages that cannot be shown without a file."""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_run_breaks_no_page(runs: Path, page: str, damage: str) -> None:
    DAMAGES[damage](runs / "first")
    at = app(runs, page)
    file = damage.split(maxsplit=1)[0]
    if page in NEEDS[file]:
        told = " ".join(error.value for error in at.error)
        assert file in re.sub(r"\\(.)", r"\1", told)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("case", ["004", "014"])
def test_a_damaged_run_breaks_no_case(runs: Path, damage: str, case: str) -> None:
    DAMAGES[damage](runs / "first")
    at = app(runs, "cases", case=case)
    file = damage.split(maxsplit=1)[0]
    if file in ("cases.parquet", "interventions.parquet"):
        assert file in re.sub(r"\\(.)", r"\1", " ".join(error.value for error in at.error))


LATER = ("methods", "layers", "faithfulness", "contents")
"""What older runs have not: looks beside the audit's own maps, of which no page reads what was
asked, and what is compared of the data."""


def test_a_run_that_lacks_anything_of_its_description_breaks_no_page(
    audit: Run, runs: Path
) -> None:
    file = runs / "first" / "run.json"
    whole = file.read_text()
    for key in json.loads(whole):
        without(file, key)
        (entry,) = Library(runs).entries()
        if key in LATER:
            assert (key, entry.state) == (key, "finished")
            Library(runs).open("first")
        else:
            assert (key, entry.state) == (key, "damaged")
            with pytest.raises(RunError):
                Library(runs).open("first")
        file.write_text(whole)
    assert Library(runs).entries()[0].state == "finished"


def test_a_damaged_run_beside_a_finished_one_is_passed_over(runs: Path) -> None:
    shutil.copytree(runs / "first", runs / "zero")
    cut(runs / "zero" / "run.json")
    at = app(runs)
    assert "Audit of first" in said(at)
    assert at.sidebar.selectbox(key="run_choice").options == ["first (16 cases)"]


def test_a_damaged_file_of_reviews_is_said(runs: Path) -> None:
    (runs / "reviews.sqlite").write_bytes(b"no database" * 100)
    for page in OF_A_RUN:
        at = app(runs, page)
        assert "reviews.sqlite" in said(at)


def test_images_that_are_gone_leave_a_case_to_be_judged(runs: Path, tmp_path: Path) -> None:
    file = runs / "first" / "run.json"
    info = json.loads(file.read_text())
    info["image_root"] = str(tmp_path / "gone")
    file.write_text(json.dumps(info))
    at = app(runs, "cases", case="004")
    assert at.button(key="verdict_unclear")
    (viewer,) = [found for found in at.get("bidi_component") if "ramp" in found.proto.json]
    assert "gone" in json.loads(viewer.proto.json)["missing"]


# -- markup --------------------------------------------------------------------------------

EVIL = {
    "red": "<b>x</b>",
    "green": ":red[x]$x$",
    "004": "[a](javascript:alert(1))",
    "005": "<img src=x onerror=alert(1)>",
    "006": "**x** `y` ![z](http://evil.example/z.png)",
    "tint": "<i>t</i>:blue[t]",
}
NAME = ":red[run] $x$ <b> [a](b)"


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marked")
    audited(folder / "data", folder / "runs" / NAME, EVIL)
    return folder / "runs"


class Tags(HTMLParser):
    """The tags of a piece of HTML, their attributes and their addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def assert_harmless(body: str) -> None:
    """Only our own tags: no link, no script, no picture but the run's."""
    seen = Tags()
    seen.feed(re.sub(r"<style>[^<]*</style>", "", body))
    assert seen.tags <= {"div", "figure", "figcaption", "img", "br", "b", "p"}
    assert not [name for name in seen.names if name.startswith("on")]
    assert all(address.startswith("/pictures/") for address in seen.addresses)


def assert_no_markup(at: AppTest) -> None:
    """Nothing of the data is read as Markdown or HTML, wherever it stands."""
    told = written(at)
    for evil in (*EVIL.values(), NAME):
        assert evil not in told, evil
    bare = re.sub(r"\\.", "", told)  # without what is escaped
    for mark in "<b>", "<i>", "<img", "](", "![", ":red[", ":blue[", "$", "**x", "`":
        assert mark not in bare, mark
    for found in at.get("html"):
        assert_harmless(found.proto.body)
    for found in at.get("plotly_chart"):
        spec = found.proto.spec
        for mark in ("<b>x", "<i>t", "<img src=x"):
            assert mark not in spec
            assert mark.replace("<", "\\u003c") not in spec


@pytest.mark.parametrize("page", PAGES)
def test_no_page_reads_data_as_markup(marked: Path, page: str) -> None:
    at = app(marked, page)
    assert at.query_params["run"] == NAME
    assert_no_markup(at)
    if page == "overview":
        assert f"Audit of {plain(NAME)}" in written(at)
        assert plain("<b>x</b>") in written(at)


@pytest.mark.parametrize("case", [EVIL["004"], EVIL["005"], EVIL["006"], "008"])
def test_no_case_reads_data_as_markup(marked: Path, case: str) -> None:
    note = "<script>alert(1)</script> <b>x</b> [a](javascript:alert(1)) :red[x] $x$"
    run = open_run(marked / NAME)
    Reviews.beside(run).add(run.key, NAME, case, "eve <b>x</b>", "unclear", ["<i>t</i>"], note)
    at = app(marked, "cases", case=case)
    assert_no_markup(at)
    told = said(at)
    assert f"\n{case}\n" in told
    assert EVIL["tint"] in EVIL.values()
    assert f"eve <b>x</b>: Unclear: {note}" in told
    sheets = "".join(found.proto.body for found in at.get("html"))
    assert f'alt="{escape(case)}' in sheets


def test_a_filter_by_markup_is_told_as_text(marked: Path) -> None:
    at = app(
        marked, "cases", label=EVIL["red"], text="[a](x) <b> $x$", **{"attribute.<i>": ":a[b]"}
    )
    assert_no_markup(at)
    assert "label <b>x</b>" in said(at)


def test_components_put_nothing_of_the_data_into_html() -> None:
    scripts = list(_WEB.glob("*.js"))
    assert len(scripts) == 2
    for script in scripts:
        source = script.read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in source, (script.name, way)


def test_the_preview_of_a_report_holds_no_markup_of_the_data(marked: Path) -> None:
    (frame,) = app(marked, "report").get("iframe")
    page = frame.proto.srcdoc
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page
    assert "<img src=x" not in page


# -- reviewing -----------------------------------------------------------------------------


def test_a_verdict_is_recorded_and_the_next_case_shown_and_undo_brings_it_back(
    runs: Path,
) -> None:
    run = open_run(runs / "first")
    reviews = Reviews.beside(run)
    at = app(runs, "cases", case="004", flag="spurious_error")
    ran(at.text_input(key="reviewer").set_value("ann").run())
    at.text_area(key="note_4").set_value("see <b>it</b>")
    ran(at.button(key="verdict_spurious_cue").click().run())
    (event,) = reviews.events(run.key)
    assert (event.run_name, event.case, event.reviewer) == ("first", "004", "ann")
    assert (event.verdict, event.note, event.tags) == ("spurious_cue", "see <b>it</b>", ())
    assert at.query_params == {"run": "first", "case": "005", "flag": "spurious_error"}
    assert "2 of 6 in this queue · 1 reviewed by you" in said(at)

    ran(at.button(key="verdict_unclear").click().run())
    assert at.query_params["case"] == "006"
    ran(at.button(key="undo").click().run())
    assert at.query_params["case"] == "005"
    ran(at.button(key="undo").click().run())
    assert at.query_params["case"] == "004"
    assert reviews.current(run.key).empty
    assert len(reviews.events(run.key)) == 4
    assert at.text_area(key="note_4").value == ""
    ran(at.button(key="undo").click().run())  # nothing is left
    assert len(reviews.events(run.key)) == 4
    assert at.query_params["case"] == "004"


def test_the_next_case_is_one_that_is_open_and_in_the_queue(runs: Path) -> None:
    run = open_run(runs / "first")
    for case in ("005", "006"):
        Reviews.beside(run).add(run.key, "first", case, "ann", "unclear")
    at = app(runs, "cases", case="004", flag="spurious_error")
    ran(at.text_input(key="reviewer").set_value("ann").run())
    ran(at.button(key="verdict_mask_wrong").click().run())
    assert at.query_params["case"] == "011"
    for case in ("012", "013"):
        ran(at.button(key="verdict_mask_wrong").click().run())
        assert at.query_params["case"] == case
    ran(at.button(key="verdict_mask_wrong").click().run())
    assert at.query_params["case"] == "013"  # all are done
    assert "6 reviewed by you" in said(at)
    assert at.button(key="step_N").disabled


def test_in_a_queue_of_unreviewed_cases_the_next_one_follows_too(runs: Path) -> None:
    at = app(runs, "cases", case="004", flag="spurious_error", verdict="unreviewed")
    for following in ("005", "006", "011"):
        ran(at.button(key="verdict_other_cause").click().run())
        assert at.query_params["case"] == following
    ran(at.button(key="undo").click().run())
    assert at.query_params["case"] == "006"


def test_a_verdict_that_stays_shows_the_case_again(runs: Path) -> None:
    run = open_run(runs / "first")
    at = app(runs, "cases", case="004")
    ran(at.toggle(key="go_on").set_value(False).run())
    ran(at.button(key="verdict_label_wrong").click().run())
    assert at.query_params["case"] == "004"
    ran(at.button(key="verdict_unclear").click().run())
    (standing,) = Reviews.beside(run).current(run.key).to_dict("records")
    assert (standing["case"], standing["verdict"]) == ("004", "unclear")


def test_tags_and_a_note_are_kept_without_a_verdict(runs: Path) -> None:
    run = open_run(runs / "first")
    at = app(runs, "cases", case="000")
    at.multiselect(key="tags_0").set_value(["discuss"])
    at.text_area(key="note_0").set_value("later")
    (save,) = [button for button in at.button if button.label == "Save note and tags"]
    ran(save.click().run())
    (event,) = Reviews.beside(run).events(run.key)
    assert (event.verdict, event.tags, event.note) == (None, ("discuss",), "later")
    assert at.query_params["case"] == "000"


def test_what_cannot_be_recorded_is_said_and_the_case_stays(runs: Path) -> None:
    at = app(runs, "cases", case="000")
    (save,) = [button for button in at.button if button.label == "Save note and tags"]
    ran(save.click().run())
    assert "says nothing; give a verdict, a tag or a note" in said(at)
    assert at.query_params["case"] == "000"


def test_cases_are_stepped_through_in_the_order_of_the_queue(runs: Path) -> None:
    at = app(runs, "cases", case="005", flag="spurious_error")
    ran(at.button(key="step_Left").click().run())
    assert at.query_params["case"] == "004"
    assert at.button(key="step_Left").disabled
    ran(at.button(key="step_Right").click().run())
    ran(at.button(key="step_N").click().run())
    assert at.query_params["case"] == "006"
    (gallery,) = [button for button in at.button if button.label == "Gallery"]
    ran(gallery.click().run())
    assert at.query_params == {"run": "first", "flag": "spurious_error"}
    assert counted(at).startswith("**6 cases** of 16")


def test_a_note_of_another_reviewer_is_shown_beside_ones_own(runs: Path) -> None:
    run = open_run(runs / "first")
    Reviews.beside(run).add(run.key, "first", "004", "bob", "label_wrong", [], "it is green")
    at = app(runs, "cases", case="004")
    assert "bob: Label wrong: it is green" in said(at)
    assert "0 reviewed by you" in said(at)


# -- what AppTest sees of charts and tables ------------------------------------------------


def test_a_table_of_regions_shows_undefined_measures_as_empty(runs: Path) -> None:
    at = app(runs, "cases", case="015")
    tables = [found.value for found in at.dataframe]
    (regions,) = [table for table in tables if "region" in table]
    assert isinstance(regions, pd.DataFrame)
    assert regions["region"].tolist() == ["subject", "cue", "background"]
    assert not np.isfinite(pd.to_numeric(regions["mass"])).any()
