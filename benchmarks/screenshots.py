"""Every page of the dashboard as a picture, over the demo's runs.

python -m benchmarks.screenshots                  # light and dark, 1440 and 1024 wide
python -m benchmarks.screenshots --readme         # the three of the README, into docs/images
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from PIL import Image

from benchmarks.browsing import browser, served, settled

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (1440, 1024)
THEMES = ("light", "dark")
HEIGHT = 900
LARGEST = 300_000  # bytes of a picture in the README
_README_WIDTH = 1200

# The page scrolls inside its frame; for a picture it is let grow, and lazy images are fetched.
_GROWN = """
[data-testid="stApp"], [data-testid="stAppViewContainer"], [data-testid="stMain"] {
  height: auto !important; overflow: visible !important; position: relative !important;
  inset: auto !important;
}
[data-testid="stAppViewContainer"] { flex-direction: row; min-height: 100vh; }
[data-testid="stSidebar"] { height: var(--whole, auto) !important; }
[data-testid="stSidebarContent"] { height: 100% !important; }
"""
_EAGER = """() => {
  const whole = document.documentElement.scrollHeight;
  document.documentElement.style.setProperty("--whole", `${whole}px`);
  const eager = (root) => {
    root.querySelectorAll("img").forEach((image) => { image.loading = "eager"; });
    root.querySelectorAll("*").forEach((e) => e.shadowRoot && eager(e.shadowRoot));
  };
  eager(document);
}"""


@dataclass(frozen=True)
class Shot:
    """A page, and what it is looked at with."""

    name: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    act: Callable[[Page], None] | None = None

    def address(self, start: str) -> str:
        """Where it is on the dashboard that is served at `start`."""
        return f"{start}/{self.path}?{urlencode({'run': 'skewed', **dict(self.params)})}"


def _first_case(page: Page) -> None:
    page.locator(".card").first.click()
    page.locator(".viewer .base").wait_for()


SHOTS = (
    Shot("overview", ""),
    Shot("dataset", "dataset"),
    Shot("groups", "groups"),
    Shot("attention", "attention"),
    Shot("cases", "cases", (("flag", "spurious_error"),)),
    Shot("case", "cases", (("flag", "spurious_error"),), _first_case),
    Shot("compare", "compare", (("with", "rebalanced"),)),
    Shot("report", "report"),
    Shot("new_audit", "new_audit"),
)
README = {"overview": ("overview", 900), "case": ("cases", 1260), "groups": ("groups", 740)}
"""Which page the README shows under which name, and how much of its height."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"))
    parser.add_argument("--runs", type=Path, help="a folder with the demo's runs; else made")
    parser.add_argument("--only", action="append", help="the name of a page; may be repeated")
    parser.add_argument("--port", type=int)
    parser.add_argument("--readme", action="store_true", help="the README's pictures alone")
    given = parser.parse_args()
    runs = given.runs or _demo(Path("build/demo"))
    out = Path("docs/images") if given.readme else given.out
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(runs, Path(folder) / "log", Path("sample_data/clinic"), given.port) as address,
        browser() as chromium,
    ):
        for shot in SHOTS:
            if given.only and shot.name not in given.only:
                continue
            if given.readme:
                if shot.name in README:
                    name, height = README[shot.name]
                    _readme(chromium, address, shot, out / f"{name}.png", height)
                continue
            for width in WIDTHS:
                for theme in THEMES:
                    path = out / f"{shot.name}-{theme}-{width}.png"
                    path.write_bytes(_taken(chromium, address, shot, theme, width))
                    print(path)


def _taken(chromium: Browser, address: str, shot: Shot, theme: str, width: int) -> bytes:
    """A picture of all the content of a page, whatever a window would show."""
    context = chromium.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    try:
        page.goto(shot.address(address))
        settled(page)
        if shot.act:
            shot.act(page)
            settled(page)
        page.add_style_tag(content=_GROWN)
        page.evaluate(_EAGER)
        settled(page)
        page.mouse.move(width / 2, 5)
        return page.screenshot(full_page=True, animations="disabled")
    finally:
        context.close()


def _readme(chromium: Browser, address: str, shot: Shot, path: Path, height: int) -> None:
    """The top of a page for the README; in few colours where a clone would else grow by much."""
    taken = Image.open(BytesIO(_taken(chromium, address, shot, "light", WIDTHS[0])))
    top = taken.convert("RGB").crop((0, 0, taken.width, height))
    size = (_README_WIDTH, round(height * _README_WIDTH / top.width))
    small = top.resize(size, Image.Resampling.LANCZOS)
    small.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        small.quantize(palette=small.quantize(256)).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path}: has {path.stat().st_size:,} bytes, more than {LARGEST:,}")
    print(f"{path}: {path.stat().st_size:,} bytes")


def _demo(out: Path) -> Path:
    command = [sys.executable, "-m", "auditor", "demo", "--no-dashboard", "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    return out


if __name__ == "__main__":
    main()
