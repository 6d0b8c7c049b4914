"""The document as PDF: its HTML, printed by a Chromium of this machine without a network."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.errors import AuditorError
from auditor.report.html import html

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge",
            "microsoft-edge")  # fmt: skip
"""What is looked for on the path, the first that is there."""
TIMEOUT = 120.0
"""Seconds that printing may take."""

_ARGUMENTS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have 64 MB of it
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    # The page asks for nothing. Nor may the browser, for itself:
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=127.0.0.1:9",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
)
_DATE = re.compile(rb"/(CreationDate|ModDate) \(D:\d{14}([^)]*)\)")


def chromium() -> str | None:
    """The program that can print a PDF; null where there is none."""
    return next((found for found in map(shutil.which, PROGRAMS) if found), None)


def needed() -> str:
    """The same program. Raises `AuditorError` where there is none."""
    program = chromium()
    if program is None:
        raise AuditorError(
            f"a PDF is printed by a Chromium, and none of {', '.join(PROGRAMS)} is on the path. "
            "Install one; or write the report as .html (--out x.html), open it in a browser and "
            "print it there."
        )
    return program


def pdf(document: Mapping[str, Any]) -> bytes:
    """A document of `build` as PDF, tagged and with an outline.

    The same document and browser give the same pages, and bytes that differ in nothing but the
    browser's internal names: no time of printing is kept. Raises
    `AuditorError` where there is no Chromium, or it fails or takes over `TIMEOUT` seconds.
    """
    program = needed()
    with tempfile.TemporaryDirectory(prefix="auditor-pdf-", ignore_cleanup_errors=True) as folder:
        page, out = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_bytes(html(document))
        command = [
            program,
            *_ARGUMENTS,
            f"--user-data-dir={Path(folder) / 'profile'}",
            f"--print-to-pdf={out}",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium refuses its sandbox to root
        said = _run([*command, page.as_uri()])
        try:
            content = out.read_bytes()
        except OSError:
            raise AuditorError(
                f"{program} printed no PDF: {said or 'it said nothing'}. Write the report as "
                ".html (--out x.html), open it in a browser and print it there."
            ) from None
    return _DATE.sub(rb"/\1 (D:19700101000000\2)", content)


def _run(command: list[str]) -> str:
    """Run a browser to its end; the last line that it complained in."""
    process = subprocess.Popen(  # noqa: S603 - a fixed program, given a file of our own
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said = process.communicate(timeout=TIMEOUT)[1]
    except subprocess.TimeoutExpired:
        raise AuditorError(
            f"{command[0]} did not print the PDF within {TIMEOUT:g} s. Ask for fewer sections or "
            "examples, or write the report as .html (--out x.html) and print it in a browser."
        ) from None
    finally:
        _end(process)
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the browser with all that it started; a browser's program may be a script."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()
