"""Audits that a dashboard starts: processes of their own, which outlive browser and dashboard.

What was started is kept in `.launches/` beside the runs: `<name>.json` (the request, and which
process it became), `<name>.log` (all that it printed) and `<name>.status` (how it ended). So a
dashboard that is started later knows them too. Only POSIX systems have the signals and locks
that this needs; `start` refuses on others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any, Literal

from auditor.dashboard.place import Place, problem_of
from auditor.dashboard.processes import birth, interrupt
from auditor.errors import RunError
from auditor.explanations import EXPLANATIONS
from auditor.store.lock import take
from auditor.store.unfinished import Unfinished, unfinished_run, unfinished_runs
from auditor.values import Unusable, evidence_cases

LAUNCHES = ".launches"
LINES = 20
"""Lines of a log that a failed launch shows."""
State = Literal["running", "stopped", "failed", "finished"]
_TAIL = 64_000  # bytes of a log that are read for them
_INTERRUPTED = 130  # exit status


@dataclass(frozen=True)
class Request:
    """What an audit was asked for; the same request continues it."""

    config: str
    """Name of the configuration, relative to the folder of configurations."""
    evidence: Literal["suspects", "all"] | int | None = None
    """Cases whose pixels are changed; null for what the configuration says."""
    limit: int | None = None
    """Size of a random sample of cases; null for all."""
    methods: tuple[str, ...] | None = None
    """Further methods that errors are judged with; this and the next two are looks beside the
    audit's own maps (docs/views.md), null for what the configuration says."""
    layers: bool | None = None
    """Whether maps are made at other layers too."""
    faithfulness: int | None = None
    """Cases on which it is measured whether maps foretell what taking pixels away does."""

    def __post_init__(self) -> None:
        try:
            if self.evidence is not None:
                evidence_cases(self.evidence)
        except Unusable as unusable:
            raise RunError(f"evidence is {self.evidence!r}; give {unusable}.") from None
        if self.limit is not None and (type(self.limit) is not int or self.limit < 1):
            raise RunError(f"limit is {self.limit!r}; give a whole number, 1 or more.")
        unknown = [name for name in self.methods or () if name not in EXPLANATIONS]
        if unknown:
            known = ", ".join(EXPLANATIONS)
            raise RunError(f"methods holds {unknown[0]!r}, which is not known; give {known}.")
        if self.layers is not None and type(self.layers) is not bool:
            raise RunError(f"layers is {self.layers!r}; give true or false.")
        cases = self.faithfulness
        if cases is not None and (type(cases) is not int or cases < 0):
            raise RunError(f"faithfulness is {cases!r}; give a whole number, 0 or more.")

    def arguments(self, config: Path, out: Path) -> list[str]:
        """Those of the console script."""
        given = ["audit", str(config), "--out", str(out)]
        if self.evidence is not None:
            given += ["--evidence", str(self.evidence)]
        if self.limit is not None:
            given += ["--limit", str(self.limit)]
        if self.methods is not None:
            given += ["--methods", ",".join(self.methods)]
        if self.layers is not None:
            given.append("--layers" if self.layers else "--no-layers")
        if self.faithfulness is not None:
            given += ["--faithfulness", str(self.faithfulness)]
        return given


@dataclass(frozen=True)
class Launch:
    """How an audit stands, whoever started it."""

    out: Path
    state: State
    """Stopped has everything kept that was finished, and can be continued."""
    request: Request | None
    """Null where no dashboard started it; then none can stop or continue it."""
    unfinished: Unfinished | None
    """Its progress; null before it has read dataset and model, and once it is finished."""
    stopping: bool
    """Whether it was told to stop and has not ended yet."""
    status: int | None
    """Exit status; null while it runs, where it was killed, and where no dashboard started it."""
    log: Path | None
    """The file that holds what it printed; null where no dashboard started it."""
    lines: tuple[str, ...]
    """The last lines of the log of a failed one, made harmless; else empty."""

    @property
    def stoppable(self) -> bool:
        """Whether `stop` can end it."""
        return self.state == "running" and self.log is not None

    @property
    def continuable(self) -> bool:
        """Whether `resume` can go on with it (a failed one too, once its cause is mended)."""
        damaged = self.unfinished is not None and self.unfinished.state == "damaged"
        return self.state in ("stopped", "failed") and self.request is not None and not damaged


@dataclass(frozen=True)
class _Record:
    """The content of `<name>.json`."""

    request: Request
    pid: int
    born: str
    """See `processes.birth`."""
    started: str
    """ISO, UTC."""
    stopping: bool = False

    @property
    def alive(self) -> bool:
        return birth(self.pid) == self.born


def start(place: Place, run: str, request: Request) -> Launch:
    """Start `auditor audit` as a process of its own, and return at once.

    `run` is a plain name in the folder of runs; an interrupted run of that name is continued,
    which the audit refuses (so the launch fails) where the inputs differ. Raises `RunError` for
    names that are taken or lead elsewhere, `ConfigurationError` for the configuration's.
    """
    if os.name != "posix":
        raise RunError(
            "this system has no POSIX signals, by which an audit is stopped; call `auditor audit` "
            "in a terminal."
        )
    out, config = place.out(run), place.configuration(request.config)
    try:
        kept = place.runs / LAUNCHES
        if kept.is_symlink():
            raise RunError(f"{kept}: is a link; remove it.")
        kept.mkdir(parents=True, exist_ok=True)
        with _alone(out):
            return _start(place, out, config, request)
    except OSError as error:
        raise RunError(
            f"{out}: cannot be started ({error.strerror}: {error.filename}); give a folder of "
            "runs that can be written."
        ) from None


def stop(place: Place, run: str, *, seconds: float = 20) -> Launch:
    """Interrupt an audit that a dashboard started, as Ctrl-C does, and wait so long for its end.

    Only the very process that was started gets the signal. It ends after the batch it is at, so
    the launch that is returned may be running and stopping still. Raises `RunError` where
    nothing that a dashboard started is running.
    """
    out = place.out(run)
    record = _read(out)
    if record is None or not record.alive:
        there = unfinished_run(out)
        if there is not None and there.alive:
            raise RunError(
                f"{out}: was not started from a dashboard; press Ctrl-C where it is running."
            )
        raise RunError(f"{out}: is not running, so it cannot be stopped.")
    with suppress(OSError), _alone(out):  # a full disk keeps nobody from stopping it
        if _read(out) == record:
            _write(out, replace(record, stopping=True))
    try:
        interrupt(record.pid, record.born)
    except PermissionError:
        raise RunError(
            f"{out}: belongs to another user's process ({record.pid}); ask them to stop it."
        ) from None
    deadline = time.monotonic() + seconds
    while record.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    found = state(out)
    if found is None:
        raise RunError(f"{out}: is gone, and so is what it had written.")
    return found


def resume(place: Place, run: str) -> Launch:
    """Start an audit that was stopped or failed again, with the same request.

    Raises `RunError` where no dashboard started it, or as `start` does.
    """
    record = _read(place.out(run))
    if record is None:
        raise RunError(
            f"{place.out(run)}: was not started from a dashboard; start an audit of its "
            "configuration under this name, or continue it in a terminal."
        )
    return start(place, run, record.request)


def state(out: str | Path) -> Launch | None:
    """How the audit that writes `out` stands; None where nothing of it is left or known.

    Reads only. Knows audits from a terminal by their run: running while the lock is held, else
    stopped; those that failed before they wrote anything are known from dashboards only.
    """
    out = Path(out)
    record, unfinished = _read(out), unfinished_run(out)
    if record is not None and _later(record, unfinished):
        record = None  # somebody went on with it elsewhere
    found = _state(out, record, unfinished)
    if found is None:
        return None
    if found == "running" and (record is None or not record.alive):
        record = None  # another process holds the lock
    return _launch(out, found, record, unfinished)


def launches(runs: str | Path) -> list[Launch]:
    """All audits of a folder of runs that are not finished, by name, whoever started them."""
    runs = Path(runs)
    outs = {run.out for run in unfinished_runs(runs)}
    if (runs / LAUNCHES).is_dir():
        names = (path.stem for path in (runs / LAUNCHES).glob("*.json"))
        outs |= {runs / name for name in names if problem_of(name) is None}
    found = [state(out) for out in sorted(outs)]
    return [launch for launch in found if launch is not None and launch.state != "finished"]


# -- inside --------------------------------------------------------------------------------


def _start(place: Place, out: Path, config: Path, request: Request) -> Launch:
    if out.exists():
        raise RunError(f"{out}: exists already, and a run is never changed; give another name.")
    unfinished, before = unfinished_run(out), _read(out)
    if (before is not None and before.alive) or (unfinished is not None and unfinished.alive):
        raise RunError(f"{out}: is being written already; wait for it, or give another name.")
    # Removed, not overwritten: in a folder from elsewhere they could be links.
    for suffix in ("log", "status", "status.tmp", "json.tmp"):
        _file(out, suffix).unlink(missing_ok=True)
    # -P, or a file of the user's folder could stand in for a module.
    command = [sys.executable, "-P", "-m", "auditor.cli.recorded", str(_file(out, "status"))]
    with _file(out, "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a list, and its paths were checked
            [*command, *request.arguments(config, out)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=place.folder,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            start_new_session=True,  # neither Ctrl-C nor a closed terminal reaches it
        )
    try:
        born = birth(process.pid)  # nobody has waited for it yet, so the number is its own
        if born is not None:
            started = datetime.now(UTC).isoformat(timespec="milliseconds")
            _write(out, _Record(request, process.pid, born, started))
    except BaseException:
        process.kill()  # or it would run on unknown
        process.wait()
        raise
    # Whoever started a process has to wait for it, or it stays in the system's table.
    Thread(target=process.wait, daemon=True, name=f"auditor-launch-{process.pid}").start()
    if born is None:
        raise RunError(f"{out}: ended at once; {_file(out, 'log')} holds what it said.")
    launched = state(out)
    assert launched is not None
    return launched


def _state(out: Path, record: _Record | None, unfinished: Unfinished | None) -> State | None:
    writing = unfinished is not None and unfinished.alive
    if (out / "run.json").is_file():
        return "finished"
    if writing or (record is not None and record.alive):
        return "running"
    if record is None:
        return None if unfinished is None else "stopped"
    status = _status(out, record)
    if status == _INTERRUPTED or (status is None and record.stopping):
        return "stopped"
    # Where all went well and no run is there, somebody has taken it away since.
    return None if status == 0 and unfinished is None else "failed"


def _launch(
    out: Path,
    found: State,
    record: _Record | None,
    unfinished: Unfinished | None,
) -> Launch:
    ended = found != "running"
    log = _file(out, "log")
    return Launch(
        out,
        found,
        None if record is None else record.request,
        unfinished,
        record is not None and record.stopping and not ended,
        _status(out, record) if record is not None and ended else None,
        log if record is not None else None,
        _tail(log) if found == "failed" else (),
    )


def _later(record: _Record, unfinished: Unfinished | None) -> bool:
    """Whether another process wrote to the run after the recorded one began."""
    if unfinished is None or unfinished.updated is None or unfinished.pid == record.pid:
        return False
    return unfinished.updated > datetime.fromisoformat(record.started)


def _file(out: Path, suffix: str) -> Path:
    return out.parent / LAUNCHES / f"{out.name}.{suffix}"


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two browser windows do not start the same run twice."""
    lock = take(out.parent / LAUNCHES / "lock", patience=5)
    if lock is None:
        raise RunError(f"{out}: another audit is just being started; try again.")
    with lock:
        yield


def _write(out: Path, record: _Record) -> None:
    file = _file(out, "json")
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    temporary.replace(file)


def _read(out: Path) -> _Record | None:
    """What was started under that name; None for nothing, and for what no dashboard wrote."""
    try:
        told: dict[str, Any] = json.loads(_file(out, "json").read_text(encoding="utf-8"))
        asked = dict(told["request"])
        if datetime.fromisoformat(told["started"]).tzinfo is None:
            return None
        methods = asked.get("methods")  # an earlier dashboard wrote neither this nor the others
        return _Record(
            Request(
                str(asked["config"]),
                asked["evidence"],
                asked["limit"],
                None if methods is None else tuple(methods),
                asked.get("layers"),
                asked.get("faithfulness"),
            ),
            int(told["pid"]),
            str(told["born"]),
            told["started"],
            told["stopping"] is True,
        )
    except (OSError, ValueError, OverflowError, KeyError, TypeError, RunError):
        return None


def _status(out: Path, record: _Record) -> int | None:
    with suppress(OSError, ValueError):
        pid, status = map(int, _file(out, "status").read_text(encoding="utf-8").split())
        return status if pid == record.pid else None
    return None


def _tail(log: Path) -> tuple[str, ...]:
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _TAIL, 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    lines = [line.expandtabs(4) for line in text.splitlines() if line.strip()]
    return tuple(
        "".join(char if char.isprintable() else "�" for char in line) for line in lines[-LINES:]
    )
