"""The console script as a process of its own, its exit status left in a file.

`python -m auditor.cli.recorded FILE audit CONFIG --out RUN`: who started it may be gone when it
ends, and somebody else wants to know how. Nothing is written where the process was killed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from auditor.cli import main


def run(status_file: Path) -> None:
    """Run the console script and exit with its status; on POSIX systems, SIGINT stops it."""
    # A shell's background job, and all that it starts, would ignore the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 1
    try:
        main()
    except SystemExit as exited:
        status = exited.code if isinstance(exited.code, int) else int(bool(exited.code))
        raise
    except KeyboardInterrupt:
        status = 130
        raise
    finally:
        temporary = status_file.with_name(status_file.name + ".tmp")
        temporary.write_text(f"{os.getpid()} {status}\n", encoding="utf-8")
        temporary.replace(status_file)


if __name__ == "__main__":
    file = Path(sys.argv.pop(1))
    run(file)
