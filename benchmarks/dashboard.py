"""How fast the dashboard answers over a large run, in a real browser, and what it holds.

    python -m benchmarks.dashboard [--cases 1000000] [--turns 500] [--rounds 5] [--keep FOLDER]

Audits the clinic sample once, blows the run up to so many cases (see `benchmarks.large_run`),
starts `auditor dashboard` on it as a user does, and measures with a headless Chromium: times are
taken in the page, from the key press or click (from the start of the navigation for an address)
until what was asked for is drawn, its pictures included. A case is looked at for 0.7 s before the
next one is asked for. Memory is the server's resident set.
Everything lies below `--keep`, by default `build/dashboard`, and is used again.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.browsing import ARGUMENTS
from benchmarks.large_run import PROFESSIONS, read_base, write_large

SAMPLE = Path(__file__).parents[1] / "sample_data" / "clinic" / "skewed.toml"
CHROMIUM = Path("/usr/bin/chromium")
SCREEN = {"width": 1440, "height": 900}
FIRST, FILTER, NEXT, START = 2.0, 1.0, 0.3, 2.0
MEMORY = 1000.0  # MB
FLAT = 20.0  # MB over 500 page turns that may be noise of the allocator
_WARMING = 0.2  # the share of the turns that may still fill caches
LOOK = 700  # milliseconds that a reviewer looks at a case before going on
MB = 1e6

# What is drawn is looked for in every frame of the page, also inside components.
_LOOKING = """
window.deep = (selector, root = document) => [
  ...root.querySelectorAll(selector),
  ...[...root.querySelectorAll("*")].filter((e) => e.shadowRoot)
    .flatMap((e) => window.deep(selector, e.shadowRoot)),
];
window.loaded = (image) => image.complete && image.naturalWidth > 0;
window.inView = (e) => {
  const box = e.getBoundingClientRect();
  return box.top < innerHeight && box.bottom > 0;
};
window.pictured = () => {
  const seen = window.deep(".gallery img").filter(window.inView);
  return seen.length > 0 && seen.every(window.loaded);
};
window.rows = () => window.deep(".gallery .card").map((e) => e.dataset.row).join();
window.told = () => [...document.querySelectorAll("[data-testid=stMarkdown]")]
  .map((e) => e.innerText).find((text) => / cases? of /.test(text)) || "";
window.alt = () => window.deep(".viewer img.base").filter(window.loaded)[0]?.alt || "";
window.shown = () => {
  const name = window.alt().split(": ")[0];
  return name && [...document.querySelectorAll("[data-testid=stCaptionContainer]")]
    .some((e) => e.innerText === name) ? name : "";
};
window.overview = () => {
  const values = [...document.querySelectorAll("[data-testid=stMetricValue]")];
  return document.querySelector("h1") && values.length === 4 && values.every((e) => e.innerText);
};
window.watch = (event, done) => {
  window.probe = new Promise((resolve) => {
    let start = null;
    const begun = () => { start ??= performance.now(); };
    document.addEventListener(event, begun, { capture: true, once: true });
    const look = () => {
      if (start !== null && done()) resolve((performance.now() - start) / 1000);
      else requestAnimationFrame(look);
    };
    look();
  });
};
"""


@dataclass
class Figures:
    """What was measured, under the names of the table."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)
    """MB after each page turn."""
    stages: dict[str, float] = field(default_factory=dict)
    """MB after each stage."""
    received: list[int] = field(default_factory=list)
    """Bytes of each message to the browser during the page turns."""

    def add(self, name: str, seconds: float, limit: float) -> None:
        """One more measurement under a name."""
        self.seconds.setdefault(name, []).append(seconds)
        self.limits[name] = limit


class Server:
    """`auditor dashboard`, in a process of its own."""

    def __init__(self, runs: Path, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        began = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "auditor", "dashboard", str(runs), "--port", str(port),
             "--no-browser"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.seconds = self._answers(began)

    def _answers(self, began: float) -> float:
        while self._process.poll() is None and time.perf_counter() - began < 60:
            try:
                with urllib.request.urlopen(self.address + "/_stcore/health", timeout=1):  # noqa: S310
                    return time.perf_counter() - began
            except OSError:
                time.sleep(0.02)
        raise SystemExit("the dashboard does not answer")

    @property
    def memory(self) -> float:
        """Resident MB, files that are mapped counted as well."""
        return float(psutil.Process(self._process.pid).memory_info().rss / MB)

    def has_torch(self) -> bool:
        """Whether torch's library is loaded."""
        maps = psutil.Process(self._process.pid).memory_maps()
        return any("libtorch" in entry.path for entry in maps)

    def stop(self) -> None:
        """End it, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def served(runs: Path, port: int) -> Iterator[Server]:
    server = Server(runs, port)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def opened(browser: Browser) -> Iterator[Page]:
    """A page of a browser that has nothing cached."""
    context = browser.new_context(viewport=SCREEN)
    context.add_init_script(_LOOKING)
    page = context.new_page()
    page.set_default_timeout(60_000)
    try:
        yield page
    finally:
        context.close()


def visited(page: Page, address: str, until: str) -> float:
    """Seconds from the start of a navigation until `until` holds."""
    page.goto(address, wait_until="commit")
    page.wait_for_function(until, polling="raf")
    return float(page.evaluate("performance.now() / 1000"))


def timed(page: Page, event: str, done: str, act: Callable[[], None]) -> float:
    """Seconds from the first `event` of an act until `done` (JavaScript) holds."""
    page.evaluate(f"window.watch({event!r}, () => {done})")
    act()
    return float(page.evaluate("window.probe"))


# -- what a user does ---------------------------------------------------------------------------


def first_views(browser: Browser, runs: Path, port: int, rounds: int, found: Figures) -> None:
    """Starts the server anew for each, so that nothing of the run has been read."""
    pages = {"Overview": ("/", "window.overview()"), "Cases": ("/cases", "window.pictured()")}
    for name, (path, until) in pages.items():
        for _ in range(rounds):
            with served(runs, port) as server, opened(browser) as page:
                found.add("start until it answers", server.seconds, START)
                if server.has_torch():
                    raise SystemExit("the dashboard has loaded torch")
                seconds = visited(page, server.address + path, until)
                found.add(f"first view, {name}, new server and browser", seconds, FIRST)


def filters(browser: Browser, server: Server, rounds: int, found: Figures) -> None:
    """To a gallery of one label: by its address, and by the sidebar from all cases."""
    for name in PROFESSIONS[:rounds]:
        with opened(browser) as page:
            seconds = visited(page, f"{server.address}/cases?label={name}", "window.pictured()")
            found.add("first view, filtered gallery, new browser", seconds, FIRST)
    with opened(browser) as page:
        visited(page, f"{server.address}/cases", "window.pictured()")
        for name in PROFESSIONS[: 2 * rounds]:
            before, rows = page.evaluate("[window.told(), window.rows()]")
            box = page.get_by_role("combobox", name="Label")
            box.click()
            box.fill(name)
            page.get_by_role("option").filter(has_text=f"{name} (").first.wait_for()
            new = f"window.told() !== {before!r} && window.rows() !== {rows!r}"
            done = f"{new} && window.pictured()"
            seconds = timed(page, "keydown", done, lambda: page.keyboard.press("Enter"))
            found.add("filter to gallery, by the sidebar", seconds, FILTER)
            page.wait_for_timeout(300)


def next_cases(
    browser: Browser, server: Server, query: str, key: str, name: str, count: int, found: Figures
) -> None:
    """From the first card on by a key."""
    with opened(browser) as page:
        visited(page, f"{server.address}/cases?{query}", "window.pictured()")
        page.locator(".gallery .card").first.click()
        page.wait_for_function("window.shown()")
        for _ in range(count):
            page.wait_for_timeout(LOOK)
            before = page.evaluate("window.shown()")
            done = f"window.shown() && window.shown() !== {before!r}"
            seconds = timed(page, "keydown", done, lambda: page.keyboard.press(key))
            found.add(name, seconds, NEXT)


def page_turns(browser: Browser, server: Server, turns: int, found: Figures) -> None:
    """Turns the gallery's pages, and samples memory and messages."""
    with opened(browser) as page:
        page.on(
            "websocket",
            lambda socket: socket.on(
                "framereceived", lambda payload: found.received.append(len(payload))
            ),
        )
        visited(page, f"{server.address}/cases", "window.pictured()")
        found.received.clear()
        for _ in range(turns):
            rows = page.evaluate("window.rows()")
            done = f"window.rows() !== {rows!r} && window.pictured()"
            turn = page.get_by_role("button", name="Next page")
            found.add("page turn", timed(page, "click", done, turn.click), FILTER)
            found.memory.append(server.memory)


def measure(runs: Path, port: int, rounds: int, turns: int) -> Figures:
    found = Figures()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM) if CHROMIUM.exists() else None, args=list(ARGUMENTS)
        )
        first_views(browser, runs, port, rounds, found)
        with served(runs, port) as server:
            found.stages["start"] = server.memory
            filters(browser, server, rounds, found)
            found.stages["filters"] = server.memory
            for query, kind in (("", "tested"), ("outcome=correct", "plain")):
                name = f"next case, {kind}"
                next_cases(browser, server, query, "ArrowRight", name, 50, found)
            found.stages["cases, with outlines and changed images"] = server.memory
            judged = "verdict to the next case"
            next_cases(browser, server, "flag=spurious_error", "1", judged, 30, found)
            found.stages["verdicts"] = server.memory
            page_turns(browser, server, turns, found)
        browser.close()
    return found


# -- what it came to ------------------------------------------------------------------------------


def report(found: Figures, cases: int) -> None:
    print(f"\n{cases:,} cases; {_machine()}\n")
    print("| | n | lower quartile | median | upper quartile | limit | |")
    print("|---|---|---|---|---|---|---|")
    for name, values in found.seconds.items():
        low, middle, high = _quartiles(values)
        limit = found.limits[name]
        told = _told(middle <= limit)
        print(
            f"| {name} | {len(values)} | {low:.2f} s | {middle:.2f} s | {high:.2f} s "
            f"| {limit:g} s | {told} |"
        )
    highest = max([*found.memory, *found.stages.values()])
    print(f"| server memory, highest | | | {highest:.0f} MB | | {MEMORY:.0f} MB "
          f"| {_told(highest <= MEMORY)} |")  # fmt: skip
    if len(found.memory) > 10:
        slope = _slope(found.memory) * 500
        print(f"| its growth over 500 page turns | {len(found.memory)} | | {slope:+.0f} MB | "
              f"| {FLAT:.0f} MB | {_told(slope <= FLAT)} |")  # fmt: skip
    print("\nServer memory after each stage: "
          + ", ".join(f"{name} {mb:.0f} MB" for name, mb in found.stages.items()))  # fmt: skip
    if found.memory:
        per_turn = sum(found.received) / len(found.memory) / 1000
        print(f"Sent to the browser for a page turn, without pictures: {per_turn:.0f} kB; "
              f"the largest message {max(found.received) / 1000:.0f} kB")  # fmt: skip
        told = ", ".join(f"{mb:.0f}" for mb in found.memory[:: max(1, len(found.memory) // 10)])
        print(f"Memory along the page turns (MB): {told}, {found.memory[-1]:.0f}")


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _slope(memory: Sequence[float]) -> float:
    """MB a page turn, by least squares over those after the caches have filled."""
    late = np.asarray(memory[round(_WARMING * len(memory)) :])
    return float(np.polyfit(np.arange(len(late)), late, 1)[0])


def _told(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def _machine() -> str:
    load = os.getloadavg()[1]
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}; load over the last 5 minutes {load:.1f}"
    )


def prepared(cases: int, folder: Path) -> Path:
    """The folder of runs, with one of so many cases in it."""
    base = folder / "base"
    if not base.exists():
        command = [sys.executable, "-m", "auditor", "audit", str(SAMPLE), "--out", str(base)]
        subprocess.run(command, check=True)  # noqa: S603 - our own program
    runs = write_large(read_base(base), cases, folder / str(cases))
    # Verdicts of an earlier measurement would make this one's queue shorter.
    for file in runs.glob("reviews.sqlite*"):
        file.unlink()
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, default=18800)
    parser.add_argument("--keep", type=Path, default=Path("build/dashboard"))
    given = parser.parse_args()
    runs = prepared(given.cases, given.keep)
    report(measure(runs, given.port, given.rounds, given.turns), given.cases)


if __name__ == "__main__":
    main()
