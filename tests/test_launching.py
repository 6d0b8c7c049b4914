"""Audits started, followed, stopped and continued as a dashboard does it, without streamlit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor.dashboard import drafts
from auditor.dashboard.drafts import Configuration, configurations, save, validate
from auditor.dashboard.launching import Launch, Request, launches, resume, start, state, stop
from auditor.dashboard.place import Place, allowed
from auditor.dashboard.processes import birth, interrupt
from auditor.errors import ConfigurationError, RunError
from auditor.store import Writer
from auditor.store.progress import ProgressFile
from tests.conftest import CONFIG, COUNT, Project

WAIT = 60  # seconds; for a process that imports torch on a busy machine
NAMES = [
    "",
    " ",
    ".",
    "..",
    "../first",
    "a/b",
    "a\\b",
    "/first",
    ".hidden",
    "--fresh",
    "~",
    "first ",
    "a\nb",
    "a\0b",
    "a\u202eb",
    "n" * 101,
]


@pytest.fixture
def place(project: Project) -> Iterator[Place]:
    made = Place(project.folder, project.folder / "runs", "127.0.0.1")
    yield made
    for file in (made.runs / ".launches").glob("*.json"):
        record = json.loads(file.read_text())
        if record["pid"] is not None and birth(record["pid"]) == record["born"]:
            os.kill(record["pid"], signal.SIGKILL)
            wait_until(lambda record=record: birth(record["pid"]) is None)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any audit."""
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"],
        stdout=subprocess.PIPE,
        # A test run in the background would hand on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it would ignore signals while it starts
        yield process
        process.kill()


def wait_until(met: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT
    while not (found := met()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def followed(out: Path) -> Launch:
    found = state(out)
    assert found is not None
    return found


def ended(out: Path) -> Launch:
    return wait_until(lambda: (now := followed(out)).state != "running" and now)


def write_record(place: Place, run: str, **changes: Any) -> None:
    folder = place.runs / ".launches"
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "request": {"config": "audit.toml", "evidence": None, "limit": None},
        "pid": os.getpid(),
        "born": "another time",
        "started": "2026-01-01T00:00:00.000+00:00",
        "stopping": False,
    }
    (folder / f"{run}.json").write_text(json.dumps(record | changes))


# -- who may -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LocalHost"]
)
def test_loopback_is_allowed(address: str, tmp_path: Path):
    assert allowed(address)
    Place(tmp_path, tmp_path, address)


@pytest.mark.parametrize(
    "address",
    ["", "0.0.0.0", "::", "192.168.0.2", "128.0.0.1", "localhost.example.org", "127.0.0.1.nip.io"],  # noqa: S104
)
def test_everything_is_refused_beyond_loopback(address: str, tmp_path: Path):
    assert not allowed(address)
    with pytest.raises(RunError, match=r"start it on 127\.0\.0\.1"):
        Place(tmp_path, tmp_path, address)


# -- configurations ------------------------------------------------------------------------


def test_configurations_are_listed_with_their_problems(tmp_path: Path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    deep = folder / "a" / "b" / "c"
    for made in (deep / "d", folder / ".hidden", outside):
        made.mkdir(parents=True)
    for file in (
        folder / "good.toml",
        deep / "deep.toml",
        deep / "d" / "too_deep.toml",
        folder / ".hidden" / "hidden.toml",
        outside / "outside.toml",
    ):
        file.write_text(CONFIG)
    (folder / "policy.toml").write_text("[policy]\n")
    (folder / "broken.toml").write_text("[dataset]\npath = \n")
    (folder / "unknown.toml").write_text(CONFIG.replace("subject =", "subjct ="))
    (folder / "a" / "latin.toml").write_bytes(b"# \xe9")
    (folder / "folder.toml").mkdir()
    (folder / "gone.toml").symlink_to(folder / "nothing.toml")
    (folder / "inside_link.toml").symlink_to(folder / "good.toml")
    (folder / "outside_link.toml").symlink_to(outside / "outside.toml")
    (folder / "linked").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    found = configurations(folder)
    assert [c.name for c in found] == [
        "broken.toml",
        "good.toml",
        "inside_link.toml",
        "unknown.toml",
        "a/latin.toml",
        "a/b/c/deep.toml",
    ]
    problems = {c.name: c.problem for c in found if c.problem is not None}
    assert set(problems) == {"broken.toml", "unknown.toml", "a/latin.toml"}
    assert "line 2" in problems["broken.toml"]
    assert "did you mean regions.subject?" in problems["unknown.toml"]
    assert "is not UTF-8 text" in problems["a/latin.toml"]
    assert configurations(tmp_path / "nowhere") == []


def test_the_list_of_configurations_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in range(6):
        (tmp_path / f"{number}.toml").write_text(CONFIG)
    monkeypatch.setattr(drafts, "MOST", 3)
    assert configurations(tmp_path) == [Configuration(f"{n}.toml", None) for n in range(3)]
    monkeypatch.setattr(drafts, "MOST_ENTRIES", 2)
    assert len(configurations(tmp_path)) == 2


def test_a_configuration_is_saved_as_new_or_over_one(place: Place):
    assert save(place, "new.toml", CONFIG.replace("\n", "\r\n") + "# ü\n") == "new.toml"
    new = place.folder / "new.toml"
    assert new.read_bytes() == (CONFIG + "# ü\n").encode()
    with pytest.raises(ConfigurationError, match="is there already; allow that it is replaced"):
        save(place, "new.toml", CONFIG)
    new.chmod(0o640)
    assert save(place, "new.toml", CONFIG, over=True) == "new.toml"
    assert new.read_text() == CONFIG
    assert new.stat().st_mode & 0o777 == 0o640
    # Beside another, whose relative paths then still hold.
    below = place.folder / "below"
    below.mkdir()
    (below / "other.toml").write_text(CONFIG)
    assert save(place, "mine.toml", CONFIG, beside="below/other.toml") == "below/mine.toml"
    assert (below / "mine.toml").read_text() == CONFIG
    assert not [path for path in place.folder.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.parametrize(
    "name", [*NAMES, *(f"{n}.toml" for n in NAMES if n != "first "), "audit.txt", "a"]
)
def test_a_configuration_is_saved_under_plain_names_only(place: Place, name: str):
    before = sorted(place.folder.rglob("*"))
    with pytest.raises(ConfigurationError, match="cannot be the name of a configuration"):
        save(place, name, CONFIG, over=True)
    assert sorted(place.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[dataset]\npath = \n", "is not valid TOML: .*line 2"),
        ("[policy]\n", r"configures no audit, since \[dataset\] is missing"),
        ("[dataset]\n# \ud800\n", "a character that no file can keep"),
        ("[dataset]\n#" + "x" * 1_000_000, "a configuration has 1,000,000 at most"),
    ],
)
def test_a_text_that_is_no_configuration_is_not_saved(place: Place, text: str, told: str):
    with pytest.raises(ConfigurationError, match=told):
        save(place, "audit.toml", text, over=True)
    assert (place.folder / "audit.toml").read_text() == CONFIG
    assert not list(place.folder.glob(".*"))


def test_a_configuration_replaces_neither_links_nor_other_files(place: Place, tmp_path: Path):
    other = tmp_path / "elsewhere"
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "link.toml").symlink_to(other)
    (tmp_path / "broken.toml").write_text("[datas")
    for name, told in [
        ("pyproject.toml", "configures something else than an audit"),
        ("folder.toml", "is no file"),
        ("link.toml", "is a link"),
    ]:
        with pytest.raises(ConfigurationError, match=told):
            save(place, name, CONFIG, over=True)
    assert not other.exists()
    assert save(place, "broken.toml", CONFIG, over=True)  # mended


def test_a_configuration_out_of_the_folder_is_refused(project: Project):
    inside = project.folder / "inside"
    inside.mkdir()
    (inside / "link.toml").symlink_to(project.config)
    (inside / "linked").symlink_to(project.folder)
    place = Place(inside, inside / "runs", "::1")
    for name in (
        "link.toml",
        "linked/audit.toml",
        "../audit.toml",
        "linked/../../audit.toml",
        str(project.config),
        "gone.toml",
        "",
        "..",
        "data.csv",
    ):
        with pytest.raises(ConfigurationError):
            start(place, "first", Request(name))
        with pytest.raises(ConfigurationError):
            validate(place, name)
        with pytest.raises(ConfigurationError):
            save(place, "new.toml", CONFIG, beside=name)
    assert not place.runs.exists() or not list(place.runs.glob("*"))
    assert not (inside / "new.toml").exists()


# -- validating ----------------------------------------------------------------------------


def test_validation_lists_problems_by_what_they_do(place: Place, project: Project):
    found = validate(place, "audit.toml")
    assert (found.cases, found.stopping, found.spoiling) == (COUNT, (), ())
    rows = project.rows()
    rows[3]["label"] = "hot"
    project.write_rows(rows)
    project.image(5).write_bytes(b"")
    found = validate(place, "audit.toml")
    assert found.cases == COUNT
    assert len(found.stopping) == len(found.spoiling) == 1
    assert "data.csv: case03: the label 'hot' is no class" in found.stopping[0]
    assert found.spoiling[0].startswith(f"{project.image(5)}: case05: ")
    # A file of the folder stands in for no module, and what is refused as a whole is told too.
    (project.folder / "json.py").write_text("raise SystemExit('taken')")
    project.replace("data.csv", "none.csv")
    found = validate(place, "audit.toml")
    assert found.cases is None
    assert len(found.stopping) == 1
    assert "none.csv" in found.stopping[0]
    assert not found.stopping[0].startswith("auditor:")


def test_validation_that_takes_too_long_is_ended(place: Place):
    with pytest.raises(ConfigurationError, match=r"is not validated after 0\.01 seconds"):
        validate(place, "audit.toml", seconds=0.01)


# -- processes -----------------------------------------------------------------------------


def test_a_process_is_known_by_its_birth(sleeper: subprocess.Popen[bytes]):
    born = birth(sleeper.pid)
    assert born is not None
    assert birth(sleeper.pid) == born != birth(os.getpid())
    assert not interrupt(sleeper.pid, "another time")
    assert interrupt(sleeper.pid, born)
    wait_until(lambda: birth(sleeper.pid) is None)  # ended, and nobody has waited for it yet
    assert not interrupt(sleeper.pid, born)
    assert sleeper.wait() in (-signal.SIGINT, 1, 130)
    assert [birth(pid) for pid in (-1, 0, 2**22 + 1)] == [None] * 3
    assert not interrupt(-1, "")


def test_a_number_that_another_process_has_now_is_not_signalled(
    place: Place, sleeper: subprocess.Popen[bytes]
):
    write_record(place, "first", pid=sleeper.pid)
    (place.runs / "first.part").mkdir()
    assert followed(place.runs / "first").state == "failed"
    assert not followed(place.runs / "first").stoppable
    with pytest.raises(RunError, match="is not running"):
        stop(place, "first")
    time.sleep(0.1)
    assert sleeper.poll() is None


def test_an_audit_from_a_terminal_is_followed_and_not_stopped(place: Place):
    out = place.runs / "first"
    assert state(out) is None
    with Writer(out, {"schema_version": 2}):
        found = followed(out)
        assert (found.state, found.request, found.stoppable) == ("running", None, False)
        with pytest.raises(RunError, match="was not started from a dashboard; press Ctrl-C"):
            stop(place, "first")
        with pytest.raises(RunError, match="is being written already"):
            start(place, "first", Request("audit.toml"))
    found = followed(out)
    assert (found.state, found.continuable) == ("stopped", False)
    assert launches(place.runs) == [found]
    with pytest.raises(RunError, match="was not started from a dashboard"):
        resume(place, "first")


@pytest.mark.parametrize(
    "changes",
    [
        {"request": {"config": "audit.toml", "evidence": "--fresh", "limit": None}},
        {"request": {"config": "audit.toml", "evidence": None, "limit": 0}},
        {"request": None},
        {"request": {"config": "a", "evidence": None, "limit": None, "methods": ["--fresh"]}},
        {"request": {"config": "a", "evidence": None, "limit": None, "methods": [{}]}},
        {"request": {"config": "a", "evidence": None, "limit": None, "layers": "yes"}},
        {"pid": None},
        {"started": "2026-01-01"},
    ],
)
def test_a_record_that_no_dashboard_wrote_counts_for_nothing(place: Place, changes):
    write_record(place, "first", **changes)
    assert state(place.runs / "first") is None
    with pytest.raises(RunError, match="was not started from a dashboard"):
        resume(place, "first")


@pytest.mark.parametrize("name", [*NAMES, "first.part", "first.PART"])
def test_a_run_has_a_plain_name(place: Place, name: str):
    for call in (lambda: start(place, name, Request("audit.toml")), lambda: stop(place, name)):
        with pytest.raises(RunError, match="cannot be the name of a run"):
            call()
    assert not place.runs.exists()


def test_a_run_goes_to_no_link_and_over_nothing(place: Place, tmp_path: Path):
    place.runs.mkdir()
    (place.runs / "link").symlink_to(tmp_path / "elsewhere")
    (place.runs / "other.part").symlink_to(tmp_path / "elsewhere")
    (place.runs / "there").mkdir()
    for name, told in [("link", "is a link"), ("other", "is a link"), ("there", "exists already")]:
        with pytest.raises(RunError, match=told):
            start(place, name, Request("audit.toml"))
    linked = Place(place.folder, tmp_path / "linked", "::1")
    linked.runs.mkdir()
    (linked.runs / ".launches").symlink_to(tmp_path)
    with pytest.raises(RunError, match="is a link; remove it"):
        start(linked, "a", Request("audit.toml"))
    (place.runs / "file").touch()
    with pytest.raises(RunError, match="give a folder of runs that can be written"):
        start(Place(place.folder, place.runs / "file", "::1"), "a", Request("audit.toml"))


@pytest.mark.parametrize(
    ("evidence", "limit"), [("some", None), (-1, None), (True, None), (None, 0), (None, True)]
)
def test_a_request_is_checked(evidence, limit):
    with pytest.raises(RunError, match="; give "):
        Request("audit.toml", evidence, limit)


@pytest.mark.parametrize(
    ("views", "told"),
    [
        ({"methods": ("magic",)}, "methods holds 'magic', which is not known; give gradcam, "),
        ({"methods": ("--fresh",)}, "methods holds '--fresh'"),
        ({"layers": 1}, "layers is 1; give true or false"),
        ({"faithfulness": -1}, "faithfulness is -1; give a whole number, 0 or more"),
        ({"faithfulness": True}, "faithfulness is True"),
    ],
)
def test_looks_that_are_asked_for_are_checked(views, told):
    with pytest.raises(RunError, match=told):
        Request("audit.toml", **views)


def test_a_request_becomes_arguments(tmp_path: Path):
    config, out = tmp_path / "a.toml", tmp_path / "out"
    assert Request("a.toml").arguments(config, out) == ["audit", str(config), "--out", str(out)]
    assert Request("a.toml", 0, 7).arguments(config, out)[4:] == ["--evidence", "0", "--limit", "7"]
    closer = Request("a.toml", None, None, ("layercam", "gradcam++"), True, 8)
    given = closer.arguments(config, out)[4:]
    assert given == ["--methods", "layercam,gradcam++", "--layers", "--faithfulness", "8"]
    nothing = Request("a.toml", methods=(), layers=False, faithfulness=0).arguments(config, out)[4:]
    assert nothing == ["--methods", "", "--no-layers", "--faithfulness", "0"]


@pytest.mark.parametrize("request_", [Request("audit.toml", 0, 7, ("layercam",), True, 3), None])
def test_a_request_is_read_back_also_one_of_an_earlier_dashboard(place: Place, request_):
    if request_ is None:
        write_record(place, "first")
        request_ = Request("audit.toml")
    else:
        write_record(place, "first", request=asdict(request_))
    (place.runs / ".launches" / "first.status").write_text(f"{os.getpid()} 130\n")
    assert followed(place.runs / "first").request == request_


# -- the whole way -------------------------------------------------------------------------


def test_an_audit_is_started_followed_stopped_and_continued(
    place: Place, project: Project, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("WARMTH_DELAY", "0.1")  # a batch; the first shard takes a second
    (project.folder / "torch.py").write_text("raise SystemExit('taken')")
    project.write_rows(
        [row | {"id": f"{row['id']}-{turn}"} for turn in range(24) for row in project.rows()]
    )
    out = place.runs / "first"
    begun = start(place, "first", Request("audit.toml", 0))
    assert (begun.state, begun.stoppable, begun.continuable) == ("running", True, False)
    assert [launch.out for launch in launches(place.runs)] == [out]
    with pytest.raises(RunError, match="is being written already"):
        start(place, "first", Request("audit.toml", 0))

    def kept() -> Launch | None:
        now = followed(out)
        assert now.state == "running", now
        return now if now.unfinished is not None and now.unfinished.shards else None

    running = wait_until(kept).unfinished
    assert (running.state, running.cases, running.stages[0]) == ("running", 288, "maps")
    stopped = stop(place, "first", seconds=WAIT)
    assert (stopped.state, stopped.status, stopped.stopping) == ("stopped", 130, False)
    assert stopped.continuable
    assert not stopped.stoppable
    assert stopped.unfinished is not None
    assert (stopped.unfinished.state, stopped.unfinished.shards) == ("interrupted", 1)
    assert stopped.log is not None
    assert "interrupted; what was finished is kept" in stopped.log.read_text()
    assert not out.exists()
    with pytest.raises(RunError, match="is not running"):
        stop(place, "first")

    monkeypatch.setenv("WARMTH_DELAY", "0")
    first = stopped.unfinished.pid
    assert resume(place, "first").request == Request("audit.toml", 0)
    counts = set()

    def finished() -> Launch | None:
        now = followed(out)
        if now.unfinished is not None and now.unfinished.pid not in (first, None):
            counts.add((now.unfinished.stage, now.unfinished.done))
        return now if now.state != "running" else None

    last = wait_until(finished)
    assert (last.state, last.unfinished, last.lines) == ("finished", None, ())
    # The first shard was not computed again.
    assert min((done for stage, done in counts if stage == "maps"), default=256) >= 256
    assert len(auditor.open_run(out).cases) == 288
    # A run is finished before what it was made from is gone.
    wait_until(lambda: followed(out).status == 0)
    assert sorted(path.name for path in place.runs.iterdir()) == [".launches", "first"]
    assert launches(place.runs) == []
    with pytest.raises(RunError, match="exists already"):
        start(place, "first", Request("audit.toml", 0))


def test_an_audit_that_fails_says_why(place: Place, project: Project):
    project.replace("data.csv", "no\\u001bne.csv")
    out, kept, log = place.runs / "first", project.folder / "kept", ".launches/first.log"
    kept.write_text("kept")
    (place.runs / log).parent.mkdir(parents=True)
    (place.runs / log).symlink_to(kept)
    start(place, "first", Request("audit.toml", limit=3))
    failed = ended(out)
    assert (failed.state, failed.status, failed.unfinished) == ("failed", 2, None)
    assert failed.continuable
    assert kept.read_text() == "kept"
    assert "no�ne.csv" in failed.lines[-1]
    assert launches(place.runs) == [failed]
    # Mended, it is started again with the same request; killed, it says nothing more.
    project.replace("no\\u001bne.csv", "data.csv")
    assert resume(place, "first").request == Request("audit.toml", limit=3)
    record = json.loads((place.runs / ".launches" / "first.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    killed = ended(out)
    assert (killed.state, killed.status) == ("failed", None)


def test_what_somebody_else_went_on_with_is_theirs(place: Place):
    out = place.runs / "first"
    write_record(place, "first", pid=2**22 + 1)
    assert followed(out).state == "failed"
    with Writer(out, {"schema_version": 2}) as writer:
        ProgressFile(writer.part, ["maps"]).update("maps", 1, 2)
        assert (followed(out).state, followed(out).log) == ("running", None)
    assert followed(out).state == "stopped"


def test_a_run_that_was_taken_away_is_not_told_of(place: Place):
    write_record(place, "first", pid=2**22 + 1)
    (place.runs / ".launches" / "first.status").write_text(f"{2**22 + 1} 0\n")
    assert state(place.runs / "first") is None
    assert launches(place.runs) == []
