"""The dashboard in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import getpass
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from auditor.reviews import Reviews
from auditor.store import open_run
from benchmarks.browsing import browser, chromium_path, served, settled
from tests.dashboards import audited

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Response

sync_api: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="there is no chromium on the path"),
]

expect = sync_api.expect
PATIENCE = 30_000  # milliseconds; the machine may be busy
CLINIC = Path(__file__).resolve().parents[1] / "sample_data" / "clinic"
PAGES = ("", "dataset", "groups", "attention", "cases", "compare", "report", "new_audit")
FLAGGED = {"flag": "spurious_error"}


@dataclass(frozen=True)
class Site:
    """A dashboard that is served, and its folder of runs."""

    address: str
    runs: Path

    def at(self, path: str = "", **params: str) -> str:
        return f"{self.address}/{path}?{urlencode({'run': 'skewed', **params})}"

    def standing(self, reviewer: str) -> dict[str, tuple[str | None, str]]:
        """Verdict and note of every case that the reviewer said something about."""
        run = open_run(self.runs / "skewed")
        current = Reviews.beside(run).current(run.key)
        own = current[current["reviewer"] == reviewer]
        pairs = zip(own["verdict"], own["note"], strict=True)
        return dict(zip(own["case"], pairs, strict=True))


@pytest.fixture(scope="module")  # Playwright's loop, left open, would refuse a second one
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def site(demo_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demo's runs; in the folder it was started in lies the sample with its configurations."""
    folder = tmp_path_factory.mktemp("site")
    runs = shutil.copytree(demo_runs, folder / "runs")  # reviews are written beside the runs
    shutil.copytree(CLINIC, folder / "clinic")
    with served(runs, folder / "log", folder / "clinic") as address:
        yield Site(address, runs)


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Makes pages, each in a context of its own, as of another browser."""
    contexts = []

    def make(**options: Any) -> Page:
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()


def go(page: Page, address: str) -> None:
    page.goto(address)
    settled(page)


def query(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def ids(page: Page) -> list[str]:
    """Of the cards in sight, in their order; the sample's are short enough to be written whole."""
    expect(page.locator(".gallery .card").first).to_be_visible()
    found = page.locator(".gallery .card").evaluate_all(
        "cards => cards.map((card) => card.querySelector('.line').textContent)"
    )
    assert len(set(found)) == len(found)
    return list(found)


def shows(page: Page, case: str) -> None:
    """The address and the page are about this case, and the page has come to rest."""
    page.wait_for_function(
        "(wanted) => new URLSearchParams(location.search).get('case') === wanted", arg=case
    )
    expect(page.locator(".viewer .base")).to_have_attribute(
        "alt", re.compile(f"^{re.escape(case)}: ")
    )
    expect(captions(page).get_by_text(case, exact=True)).to_be_visible()
    settled(page)


def captions(page: Page) -> Locator:
    return page.get_by_test_id("stMain").get_by_test_id("stCaptionContainer")


def review_as(page: Page, reviewer: str) -> None:
    page.get_by_label("Reviewer").fill(reviewer)
    page.get_by_label("Reviewer").press("Enter")
    page.get_by_label("Reviewer").blur()
    settled(page)


def choose_run(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("combobox").first.click()
    page.get_by_role("option", name=re.compile(rf"^{name} ")).click()
    page.wait_for_function("(wanted) => location.search.includes(wanted)", arg=f"run={name}")
    settled(page)


# -- the whole way ----------------------------------------------------------------------------


def test_from_a_finding_to_a_verdict_by_key_undone_shared_and_reported(
    site: Site, page: Page, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    me = getpass.getuser()
    go(page, site.address)
    choose_run(page, "skewed")
    expect(page.get_by_role("heading", name="Sensitive to the cue")).to_be_visible()
    finding = page.get_by_test_id("stHorizontalBlock").filter(has_text="errors whose pixels")
    finding.get_by_role("link", name="Cases").click()
    page.wait_for_url("**/cases?*finding=*")
    settled(page)
    expect(page.get_by_test_id("stAlert")).to_contain_text("errors whose pixels were changed")
    first, second, *_ = ids(page)

    page.locator(".gallery .card").first.click()
    shows(page, first)
    page.keyboard.press("1")
    shows(page, second)
    assert site.standing(me) == {first: ("spurious_cue", "")}
    expect(captions(page).filter(has_text="in this queue ·")).to_contain_text("1 reviewed by you")

    page.keyboard.press("u")
    shows(page, first)
    assert site.standing(me) == {}

    page.keyboard.press("1")
    shows(page, second)
    queue = captions(page).filter(has_text="in this queue ·").inner_text()
    assert queue.startswith("2 of ")
    page.reload()
    shows(page, second)
    other = new_page()
    go(other, page.url)
    shows(other, second)
    expect(captions(other).filter(has_text="in this queue ·")).to_have_text(queue)
    assert query(other) == query(page)
    assert site.standing(me) == {first: ("spurious_cue", "")}

    page.get_by_test_id("stSidebar").get_by_role("link", name="Report").click()
    page.wait_for_url("**/report?*")
    settled(page)
    files = {kind: downloaded(page, kind, tmp_path) for kind in ("html", "json", "md")}
    verdict = open_run(site.runs / "skewed").info["verdict"]["text"]
    report = new_page()
    report.goto(files["html"].as_uri())
    assert report.locator("script").count() == 0
    expect(report.get_by_role("heading", name="Audit report: skewed")).to_be_visible()
    expect(report.get_by_text(verdict).first).to_be_visible()
    expect(report.locator("body")).to_contain_text(me)
    assert report.locator("img").count() > 0
    unseen = "images => images.filter((image) => !image.naturalWidth || !image.alt).length"
    assert report.locator("img").evaluate_all(unseen) == 0
    assert isinstance(json.loads(files["json"].read_text(encoding="utf-8")), dict)
    assert verdict in " ".join(files["md"].read_text(encoding="utf-8").replace("\\", "").split())


def downloaded(page: Page, kind: str, folder: Path) -> Path:
    with page.expect_download() as told:
        page.get_by_role("button", name=f"Download .{kind}").click()
    assert told.value.suggested_filename == f"skewed.{kind}"
    path = folder / told.value.suggested_filename
    told.value.save_as(path)
    return path


# -- keys -------------------------------------------------------------------------------------


def test_keys_walk_through_the_queue_and_hide_the_overlays(site: Site, page: Page) -> None:
    go(page, site.at("cases", **FLAGGED))
    review_as(page, "keys")
    queue = ids(page)
    page.locator(".gallery .card").nth(1).click()
    shows(page, queue[1])
    for key, wanted in (("ArrowRight", 2), ("ArrowLeft", 1), ("ArrowLeft", 0), ("n", 1)):
        page.keyboard.press(key)
        shows(page, queue[wanted])
    page.keyboard.press("3")
    shows(page, queue[2])
    for place in (1, 0):  # Streamlit takes two presses within milliseconds for one
        page.keyboard.press("ArrowLeft")
        shows(page, queue[place])
    page.keyboard.press("n")  # over the reviewed one
    shows(page, queue[2])
    assert site.standing("keys") == {queue[1]: ("label_wrong", "")}

    over = page.locator(".viewer .over")
    expect(over).to_have_count(2)
    for key, seen in (("o", False), ("O", True)):
        page.keyboard.press(key)
        for place in range(2):
            expect(over.nth(place)).to_be_visible(visible=seen)
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Cases", exact=True)).to_be_visible()
    assert query(page) == {"run": "skewed", **FLAGGED}


def test_every_verdict_has_its_key(site: Site, page: Page) -> None:
    go(page, site.at("cases", **FLAGGED))
    review_as(page, "five")
    queue = ids(page)
    page.locator(".gallery .card").first.click()
    for place, key in enumerate("12345"):
        shows(page, queue[place])
        page.keyboard.press(key)
    shows(page, queue[5])
    given = [site.standing("five")[case][0] for case in queue[:5]]
    assert given == ["spurious_cue", "other_cause", "label_wrong", "mask_wrong", "unclear"]


def test_a_key_held_down_judges_the_case_in_sight_alone(site: Site, page: Page) -> None:
    go(page, site.at("cases", **FLAGGED))
    review_as(page, "heavy")
    queue = ids(page)
    page.locator(".gallery .card").first.click()
    shows(page, queue[0])
    for _ in range(10):  # from the second on, as a key held down
        page.keyboard.down("3")
        page.wait_for_timeout(30)
    page.keyboard.up("3")
    shows(page, queue[1])
    page.keyboard.press("n")  # later than any verdict that was still under way
    shows(page, queue[2])
    assert site.standing("heavy") == {queue[0]: ("label_wrong", "")}


def test_keys_are_silent_while_a_note_or_a_tag_is_typed(site: Site, page: Page) -> None:
    go(page, site.at("cases", **FLAGGED))
    review_as(page, "writer")
    case = ids(page)[1]
    page.locator(".gallery .card").nth(1).click()
    shows(page, case)
    note = page.get_by_label("Note")
    note.click()
    page.keyboard.type("1 n u o O 5")
    for key in ("ArrowLeft", "ArrowRight", "ArrowRight", "ArrowUp", "Escape"):
        page.keyboard.press(key)
    expect(note).to_have_value("1 n u o O 5")
    expect(page.locator(".viewer .over").first).to_be_visible()
    tags = page.get_by_label("Tags")
    tags.click()
    page.keyboard.type("1nuo")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")  # closes the list
    shows(page, case)
    assert site.standing("writer") == {}
    page.get_by_role("button", name="Save note and tags").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    shows(page, case)
    assert site.standing("writer") == {case: (None, "1 n u o O 5")}


def test_back_returns_to_what_was_looked_at_before(site: Site, page: Page) -> None:
    go(page, site.at("cases", **FLAGGED))
    first, second, *_ = ids(page)
    page.locator(".gallery .card").first.click()
    shows(page, first)
    page.keyboard.press("ArrowRight")
    shows(page, second)
    page.go_back()
    shows(page, first)
    page.go_back()
    expect(page.get_by_role("heading", name="Cases", exact=True)).to_be_visible()
    page.go_forward()
    shows(page, first)


# -- pictures ---------------------------------------------------------------------------------


def test_every_picture_is_there_named_and_webp(site: Site, page: Page) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: "/pictures/" in answer.url and answers.append(answer))
    go(page, site.at("cases", **FLAGGED))
    assert pictures(page, ".gallery img") == len(ids(page)) == 24
    case = ids(page)[0]
    page.locator(".gallery .card").first.click()
    shows(page, case)
    page.locator("details summary").first.click()
    assert pictures(page, "figure img") >= 8
    assert pictures(page, ".gallery img") > 3
    assert pictures(page, ".viewer .base") == 1
    assert len(answers) > 30
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["content-type"] for answer in answers} == {"image/webp"}


def pictures(page: Page, selector: str) -> int:
    """How many, all of them with pixels and a text; those out of sight are scrolled to."""
    found = page.locator(selector).filter(visible=True)
    for place in range(found.count()):
        image = found.nth(place)
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("(image) => image.naturalWidth") > 0
        assert image.get_attribute("alt")
    return found.count()


def test_map_and_outlines_lie_exactly_over_a_square_image(site: Site, page: Page) -> None:
    go(page, site.at("cases", **FLAGGED))
    case = ids(page)[0]
    page.locator(".gallery .card").first.click()
    shows(page, case)
    base = page.locator(".viewer .base").bounding_box()
    assert base is not None
    assert base["width"] == pytest.approx(base["height"], abs=1)
    assert base["width"] > 300
    over = page.locator(".viewer .over")
    expect(over).to_have_count(2)
    for place in range(2):
        assert over.nth(place).bounding_box() == pytest.approx(base, abs=1)
        assert over.nth(place).evaluate("(image) => image.naturalWidth") > 0


def test_the_map_s_choice_and_opacity_stay_for_the_next_case(site: Site, page: Page) -> None:
    go(page, site.at("cases", **FLAGGED))
    queue = ids(page)
    page.locator(".gallery .card").first.click()
    shows(page, queue[0])
    page.get_by_role("radio", name="none").check()
    page.get_by_label("Outlines").uncheck()
    for place in range(2):
        expect(page.locator(".viewer .over").nth(place)).to_be_hidden()
    page.get_by_label("Outlines").blur()
    page.keyboard.press("ArrowRight")
    shows(page, queue[1])
    expect(page.get_by_role("radio", name="none")).to_be_checked()
    expect(page.get_by_label("Outlines")).not_to_be_checked()


# -- every page -------------------------------------------------------------------------------


def test_no_page_asks_another_host_or_fails_in_the_browser(site: Site, page: Page) -> None:
    hosts, problems = set(), []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "requestfailed",
        # A page that is left drops what it still waits for.
        lambda request: "ERR_ABORTED" in request.failure or problems.append(request.url),
    )

    def told(message: Any) -> None:
        # Below a page's own address Streamlit looks for itself before it looks at the top.
        if message.type == "error" and "/_stcore/" not in message.location["url"]:
            problems.append(f"{message.text} {message.location}")

    page.on("console", told)
    for name in PAGES:
        go(page, site.at(name))
        expect(page.get_by_test_id("stMain").get_by_role("heading").first).to_be_visible()
        assert page.get_by_test_id("stException").count() == 0, name
    assert {host for host in hosts if host} == {urlsplit(site.address).netloc}
    assert problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_and_text_stand_out_from_the_page(
    site: Site, new_page: Callable[..., Page], theme: str
) -> None:
    page = new_page(color_scheme=theme)
    go(page, site.at("groups"))
    ground = luminance(page.get_by_test_id("stApp"), "backgroundColor")
    assert (ground > 0.5) == (theme == "light")
    for place in (
        page.get_by_role("heading", name="Groups"),
        page.locator(".ytick text").first,
        page.locator(".xtitle").first,
        page.get_by_test_id("stSidebarNavLink").first.locator("span").last,
    ):
        name = "fill" if place.evaluate("(e) => e instanceof SVGElement") else "color"
        ink = luminance(place, name)
        contrast = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
        assert contrast >= 4.5, (place, contrast)


def luminance(place: Locator, name: str) -> float:
    """Relative luminance, as WCAG defines it."""
    written = place.evaluate("(e, name) => getComputedStyle(e)[name]", name)
    channels = [int(part) / 255 for part in re.findall(r"\d+", written)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_focus_of_the_keyboard_is_seen_and_enter_opens_a_card(site: Site, page: Page) -> None:
    go(page, site.at("cases", **FLAGGED))
    case = ids(page)[1]
    page.locator(".gallery .card").first.focus()
    page.keyboard.press("Tab")
    card = page.locator(".gallery .card").nth(1)
    expect(card).to_be_focused()
    outline = card.evaluate(
        "(e) => [getComputedStyle(e).outlineStyle, getComputedStyle(e).outlineWidth]"
    )
    assert outline == ["solid", "3px"]
    page.keyboard.press("Enter")
    shows(page, case)


def test_another_run_is_chosen_in_the_sidebar(site: Site, page: Page) -> None:
    go(page, site.at("groups"))
    choose_run(page, "rebalanced")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Overview").click()
    expect(page.get_by_text("Audit of rebalanced")).to_be_visible()


# -- text that looks like markup --------------------------------------------------------------

HOSTILE = {
    "red": '<img src=x onerror="window.hacked=1">',
    "green": ":red[x] **b**",
    "004": "[a](javascript:window.hacked=1)",
    "005": "<script>window.hacked=1</script>",
}


def test_markup_in_ids_labels_and_notes_is_shown_letter_by_letter(
    tmp_path: Path, page: Page
) -> None:
    runs = tmp_path / "runs"
    run = audited(tmp_path / "data", runs / "<b>run", HOSTILE)
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    note = '<img src=x onerror="window.hacked=1"> [b](javascript:alert(1)) :blue[c]'
    Reviews.beside(run).add(run.key, "<b>run", HOSTILE["004"], "<u>other", "unclear", (), note)
    with served(runs, tmp_path / "log", tmp_path / "data") as address:
        for name in PAGES:
            go(page, f"{address}/{name}")
            assert page.get_by_test_id("stException").count() == 0, name
            unhurt(page)
            if name in ("dataset", "groups"):
                expect(page.locator(".ytick").filter(has_text="<img src=x").first).to_be_visible()
        case = {"run": "<b>run", "case": HOSTILE["004"]}
        go(page, f"{address}/cases?{urlencode(case)}")
        shows(page, HOSTILE["004"])
        main = page.get_by_test_id("stMain")
        expect(main.get_by_role("heading", name=f"{HOSTILE['red']}, classified as")).to_be_visible()
        expect(main).to_contain_text(note)
        expect(main).to_contain_text("<u>other: Unclear")
        unhurt(page)
    assert dialogs == []


def unhurt(page: Page) -> None:
    assert page.evaluate("() => window.hacked") is None
    assert page.locator('a[href^="javascript"], img[src="x"], [onerror]').count() == 0


# -- an audit started from the page -----------------------------------------------------------


def test_an_audit_is_checked_started_followed_and_opened(site: Site, page: Page) -> None:
    go(page, site.at("new_audit"))
    page.get_by_test_id("stMain").get_by_role("combobox").first.click()
    page.get_by_role("option", name="skewed.toml").click()
    settled(page)
    page.get_by_role("button", name="Validate").click()
    expect(page.get_by_text("320 cases read. Nothing is wrong.")).to_be_visible()
    page.get_by_label("Name of the run").fill("few")
    page.get_by_label("At most so many cases").fill("16")
    page.get_by_role("button", name="Start the audit").click()
    expect(page.get_by_role("heading", name="Not finished yet")).to_be_visible()
    expect(page.get_by_test_id("stProgress")).to_be_visible()
    expect(page.get_by_text("The audit few is finished.")).to_be_visible(timeout=3 * PATIENCE)
    page.get_by_role("link", name="Open it").click()
    expect(page.get_by_text("Audit of few")).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="Errors")).to_contain_text("of 16")
    assert open_run(site.runs / "few").info["counts"]["cases"] == 16
