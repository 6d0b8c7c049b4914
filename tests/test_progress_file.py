"""Progress that an audit writes, and unfinished runs as they look from outside."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

import auditor
from auditor.errors import RunError
from auditor.pipeline import Stage
from auditor.store import Writer, progress
from auditor.store.lock import held, take
from auditor.store.progress import ProgressFile
from auditor.store.unfinished import Unfinished, unfinished_run, unfinished_runs
from tests.conftest import COUNT, Project

ASKED = {"agreement", "layers", "faithfulness"}  # only where an audit is asked for them
STAGES = tuple(stage for stage in get_args(Stage) if stage not in ASKED)
QUICK = auditor.Settings(batch_size=4, evidence=0)


class Stop(Exception):
    pass


def run_audit(project: Project, told: Any = None, **settings: Any) -> auditor.Run:
    return auditor.audit(
        auditor.load_classifier(project.config),
        auditor.open_dataset(project.config),
        project.folder / "run",
        settings=auditor.Settings(batch_size=4, evidence=0, **settings),
        progress=told,
    )


def looked(out: Path) -> Unfinished:
    found = unfinished_run(out)
    assert found is not None
    return found


# -- the file ------------------------------------------------------------------------------


def test_a_stage_is_told_when_it_begins_and_ends_and_twice_a_second_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    writer, file = ProgressFile(tmp_path, ["maps", "judging"]), tmp_path / "progress.json"
    seen: list[tuple[float, str, int]] = []
    for stage, done, moment in [
        ("maps", 0, 100.0),  # begins
        ("maps", 1, 100.1),
        ("maps", 2, 100.49),
        ("maps", 3, 100.51),  # half a second later
        ("maps", 4, 100.9),
        ("maps", 5, 100.95),  # ends
        ("maps", 5, 100.96),
        ("judging", 0, 100.97),  # begins
        ("judging", 2, 101.0),
    ]:
        now = moment
        file.unlink(missing_ok=True)
        writer.update(stage, done, 5)
        if file.exists():
            told = json.loads(file.read_text())
            seen.append((moment, told["stage"], told["done"]))
    assert seen == [
        (100.0, "maps", 0),
        (100.51, "maps", 3),
        (100.95, "maps", 5),
        (100.97, "judging", 0),
    ]
    assert set(told) == {"stage", "done", "total", "started", "updated", "pid", "stages"}
    assert (told["total"], told["pid"], told["stages"]) == (5, os.getpid(), ["maps", "judging"])
    for name in ("started", "updated"):
        assert datetime.fromisoformat(told[name]).utcoffset() == timedelta(0)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["progress.json"])


def test_progress_that_cannot_be_written_stops_nothing(tmp_path: Path):
    ProgressFile(tmp_path / "gone", ["maps"]).update("maps", 0, 5)
    assert list(tmp_path.iterdir()) == []


def test_progress_costs_a_microsecond_or_two(tmp_path: Path):
    writer = ProgressFile(tmp_path, ["maps"])
    start = time.perf_counter()
    for done in range(10_000):
        writer.update("maps", done, 20_000)
    assert time.perf_counter() - start < 0.5  # 50 µs a call would be noticed; it takes one


def test_an_audit_tells_its_folder_and_leaves_nothing_of_it(project: Project):
    out, seen = project.folder / "run", []

    def told(stage: Stage, done: int, total: int) -> None:
        seen.append((stage, looked(out)))

    run = run_audit(project, told)
    stages = [stage for stage, _ in seen]
    assert list(dict.fromkeys(stages)) == [s for s in STAGES if s in stages]  # in their order
    for stage, found in seen:
        assert found.alive
        assert (found.state, found.reason, found.pid) == ("running", None, os.getpid())
        assert (found.stage, found.stages, found.cases) == (stage, STAGES, COUNT)
        assert found.started is not None
        assert found.updated is not None
        assert found.started <= found.updated <= datetime.now(UTC)
    shares = [found.share for _, found in seen]
    assert shares == sorted(shares)
    assert 0 == shares[0] < shares[-1] <= 1
    assert sorted(path.name for path in run.path.iterdir()) == [
        "cases.parquet",
        "findings.json",
        "interventions.parquet",
        "maps.npy",
        "run.json",
    ]
    assert not (project.folder / "run.part").exists()
    assert unfinished_run(out) is None


def test_what_interrupted_it_does_not_matter_to_going_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("auditor.pipeline.computing.SHARD", 4)
    out, part = project.folder / "run", project.folder / "run.part"

    def stop(stage: Stage, done: int, _total: int) -> None:
        if stage == "maps" and done == 2 * 4 + 4:
            raise Stop

    with pytest.raises(Stop):
        run_audit(project, stop)
    found = looked(out)
    assert (found.state, found.alive, found.reason) == ("interrupted", False, None)
    assert (found.shards, found.stage, found.done, found.total) == (2, "maps", 12, 12)
    assert [run.out for run in unfinished_runs(project.folder)] == [out]
    # Whatever is in the file, the audit goes on from its shards.
    (part / "progress.json").write_text("[broken")
    assert looked(out) == Unfinished(out, "interrupted", None, 2, COUNT)
    done: list[int] = []
    run = run_audit(project, lambda _stage, count, _total: done.append(count))
    assert done[0] == 8
    assert len(run.cases) == COUNT


# -- from outside --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda part: (part / "identity.json").unlink(), "identity.json: is missing"),
        (lambda part: (part / "identity.json").write_text("{"), "identity.json: cannot be read"),
        (lambda part: (part / "identity.json").write_text("[]"), "is not what an audit writes"),
        (
            lambda part: (part / "identity.json").write_text('{"schema_version": 99}'),
            "was begun with schema version 99",
        ),
        (lambda part: (part / "shards" / "000000.npz").unlink(), "000000.npz: is missing"),
    ],
)
def test_damage_is_told_with_its_remedy(tmp_path: Path, spoil, told):
    out, part = tmp_path / "run", tmp_path / "run.part"
    with Writer(out, {"schema_version": 2, "cases": 5}):
        for name in ("000000.npz", "000000.parquet"):
            (part / "shards" / name).touch()
        assert looked(out).state == "running"
    assert looked(out) == Unfinished(out, "interrupted", None, 1, 5)
    spoil(part)
    found = looked(out)
    assert found.state == "damaged"
    assert told in str(found.reason)
    assert "--fresh" in str(found.reason)
    with Writer(out, {"schema_version": 2, "cases": 5}, fresh=True):
        assert looked(out).state == "running"
    assert looked(out).state == "interrupted"


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_identity_is_refused_with_its_remedy(tmp_path: Path, text: str):
    with Writer(tmp_path / "run", {}):
        pass
    (tmp_path / "run.part" / "identity.json").write_text(text)
    with pytest.raises(RunError, match=r"identity\.json: is damaged .* give --fresh"):
        Writer(tmp_path / "run", {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        '{"stage": "maps", "done": 1e999, "total": 1, "started": "x", "updated": "x"}',
        '{"stage": "maps", "done": 1, "total": 1, "started": "2026-01-01T00:00:00",'
        ' "updated": "2026-01-01T00:00:00", "pid": 1, "stages": []}',  # no time zone
    ],
)
def test_progress_that_is_not_whole_says_nothing(tmp_path: Path, text: str):
    with Writer(tmp_path / "run", {"schema_version": 2}):
        pass
    (tmp_path / "run.part" / "progress.json").write_text(text)
    assert looked(tmp_path / "run") == Unfinished(tmp_path / "run", "interrupted", None, 0, None)


def test_looking_takes_the_lock_from_nobody(tmp_path: Path):
    lock = tmp_path / "lock"
    assert not held(lock)
    assert not lock.exists()
    first = take(lock)
    assert first is not None
    with first:
        assert held(lock)
        assert take(lock, patience=0.02) is None
    assert not held(lock)
    # Who begins while somebody looks waits for that moment.
    import fcntl
    import threading

    with lock.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not held(lock)  # another one who looks is no audit
        timer = threading.Timer(0.05, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        timer.start()
        taken = take(lock, patience=5)
        timer.join()
    assert taken is not None
    taken.close()


def test_links_files_and_leftovers_are_no_unfinished_runs(tmp_path: Path):
    with Writer(tmp_path / "b", {"schema_version": 2}), Writer(tmp_path / "a", {}):
        pass
    (tmp_path / "link.part").symlink_to(tmp_path / "a.part")
    (tmp_path / "file.part").touch()
    (tmp_path / ".part").mkdir()
    (tmp_path / "done.part").mkdir()
    (tmp_path / "done").mkdir()
    assert [run.out.name for run in unfinished_runs(tmp_path)] == ["a", "b"]
    assert unfinished_runs(tmp_path / "nowhere") == []
