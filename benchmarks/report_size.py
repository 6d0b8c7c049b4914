"""How long reports of a large run take, and how large they are.

    python -m benchmarks.report_size                # 100,000 cases
    python -m benchmarks.report_size --cases 1000000

Audits the clinic sample once, blows the run up to so many cases (see `benchmarks.large_run`), and
writes its report in every format, each by a process of its own: what a person who calls `auditor
report` waits for. Prints a Markdown table; the limits are issue 6's, for HTML.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.dashboard import prepared

SECONDS, MEGABYTES = 10.0, 10.0
"""What a report may take at most."""
REPORTS = {
    "HTML": ("report.html",),
    "HTML, Japanese": ("report-ja.html", "--language", "ja"),
    "PDF": ("report.pdf",),
    "Markdown": ("report.md",),
    "JSON": ("report.json",),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("build/report_size"))
    given = parser.parse_args()
    run = prepared(given.cases, given.folder)
    if not (run / "run.json").is_file():
        run = next(path.parent for path in sorted(run.glob("*/run.json")))
    print(f"{given.cases:,} cases\n\n| report | seconds | MB |\n|---|---|---|")
    for name, (file, *options) in REPORTS.items():
        out = given.folder / file
        command = [sys.executable, "-m", "auditor", "report", str(run), "--out", str(out)]
        began = time.perf_counter()
        command += ["--overwrite", *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
        seconds, size = time.perf_counter() - began, out.stat().st_size / 1e6
        over = " (over)" * (seconds > SECONDS or size > MEGABYTES)
        print(f"| {name} | {seconds:.1f} | {size:.2f}{over} |")


if __name__ == "__main__":
    main()
