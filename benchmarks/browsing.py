"""A dashboard in a process of its own, and a real browser before it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 120  # seconds for a server to answer; on a busy machine its imports take many

# Not running, no element of an earlier run left over, every image in sight loaded or failed.
_SETTLED = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  if (!app || app.dataset.testScriptState !== "notRunning") return false;
  if (app.dataset.testConnectionState !== "CONNECTED") return false;
  if (document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]')) return false;
  if (!document.querySelector('[data-testid="stMain"] h1, [data-testid="stMain"] h3')) return false;
  const charts = [...document.querySelectorAll('[data-testid="stPlotlyChart"]')];
  if (charts.some((chart) => !chart.querySelector(".main-svg"))) return false;
  const below = (root) => [
    ...root.querySelectorAll("img"),
    ...[...root.querySelectorAll("*")].flatMap((e) => (e.shadowRoot ? below(e.shadowRoot) : [])),
  ];
  return below(document).every((image) => image.complete || image.loading === "lazy");
}"""


def chromium_path() -> str | None:
    """Where Debian's Chromium is; None where there is none."""
    return shutil.which("chromium")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(
    runs: Path, log: Path, cwd: Path | None = None, port: int | None = None
) -> Iterator[str]:
    """`auditor dashboard` over a folder of runs: its address, until the block is left."""
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = [sys.executable, "-m", "auditor", "dashboard", str(runs.resolve())]
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*arguments, "--port", str(port), "--no-browser"],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            _answers(address, process, log)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):  # noqa: S310
            return
        time.sleep(0.1)
    told = log.read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"the dashboard does not answer at {address}:\n{told}")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a development extra

    path = chromium_path()
    if path is None:
        raise RuntimeError("there is no chromium on the path; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield started
        finally:
            started.close()


def settled(page: Page, seconds: float = 60) -> None:
    """Wait until the page is drawn: its script at rest, charts and images in sight there."""
    page.wait_for_function(_SETTLED, timeout=seconds * 1000)
