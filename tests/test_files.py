"""Files that users name: whole or not there, and refused under the name that was given."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import auditor
from auditor.discovery.selection import Selection
from auditor.errors import AuditorError
from auditor.files import refuse_existing, whole, writable
from auditor.models.checkpoints import Checkpoint, write_checkpoint
from auditor.reviews import Reviews, export_csv
from auditor.study.plan import Plan
from auditor.study.running import run_study
from tests.conftest import Outcome, Project

Call = Callable[..., Outcome]


def test_a_file_is_whole_or_not_there(tmp_path):
    file = tmp_path / "new" / "out.csv"
    with whole(file) as part:
        part.write_text("first")
        assert not file.exists()
    assert file.read_text() == "first"

    def interrupted() -> None:
        with whole(file) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in file.parent.iterdir()] == ["out.csv"]
    assert file.read_text() == "first"


def test_two_writers_do_not_meet_and_files_of_others_stay(tmp_path, monkeypatch):
    file, own = tmp_path / "out.csv", tmp_path / "out.csv.part"
    own.write_text("mine")
    with whole(file) as first, whole(file) as second:
        second.write_text("second")
        first.write_text("first")
    assert file.read_text() == "first"  # which became the file last
    assert own.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", "out.csv.part"}

    monkeypatch.setattr("auditor.files.uuid4", lambda: SimpleNamespace(hex="0" * 32))
    other = tmp_path / ".out.csv-00000000"
    other.write_text("somebody's")
    with pytest.raises(AuditorError, match="File exists"), whole(file):
        pytest.fail("goes on")
    assert other.read_text() == "somebody's"


@pytest.mark.parametrize("mode", [0o640, 0o444, 0o600])
def test_a_file_that_is_replaced_hands_on_its_mode(tmp_path, mode):
    file = tmp_path / "out.csv"
    file.write_text("former")
    file.chmod(mode)
    with whole(file) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        part.write_text("new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", mode)
    with whole(tmp_path / "other.csv") as part:
        pass
    (tmp_path / "usual").touch()
    assert (tmp_path / "other.csv").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_stays_and_its_target_is_written(tmp_path, monkeypatch):
    link, target = tmp_path / "here" / "out.csv", tmp_path / "there" / "kept.csv"
    link.parent.mkdir()
    link.symlink_to("../there/kept.csv")
    for text in ("first", "second"):  # of no target yet, and of one that is replaced
        with whole(link) as part:
            part.write_text(text)
        assert link.is_symlink()
        assert target.read_text() == text
        assert [path.name for path in target.parent.iterdir()] == ["kept.csv"]
    assert [path.name for path in link.parent.iterdir()] == ["out.csv"]

    def refuses(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refuses)
    with pytest.raises(AuditorError) as caught, whole(link):
        pytest.fail("goes on")
    told = f"{link}: cannot be written, since the system refuses it in {target.parent} ("
    assert str(caught.value).startswith(told)


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    thread = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    thread.start()
    with whole(pipe) as part:
        part.write_text("told")
    thread.join(5)
    assert read == ["told"]
    assert pipe.is_fifo()


def test_folders_that_were_made_go_again_after_an_error(tmp_path):
    (tmp_path / "old").mkdir()

    def interrupted(*others: str) -> None:
        with whole(tmp_path / "old" / "new" / "deep" / "out.csv"):
            for other in others:
                (tmp_path / other).touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "old").iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        interrupted("old/new/others.csv")
    assert [path.name for path in (tmp_path / "old" / "new").iterdir()] == ["others.csv"]


def test_a_folder_in_place_of_the_file(tmp_path):
    with pytest.raises(AuditorError) as caught, whole(tmp_path):
        pass
    told = f"{tmp_path}: cannot be written, since it is a folder; give the name of a file."
    assert str(caught.value) == told


def test_a_file_where_a_folder_is_expected(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file" / "out.csv", tmp_path / "file" / "deep" / "out.csv"):
        with pytest.raises(AuditorError) as caught, whole(out):
            pytest.fail("goes on")
        assert str(caught.value) == (
            f"{out}: cannot be written, since {tmp_path / 'file'} is no folder; give another path."
        )


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, "the system refuses it in {folder} (Permission denied); give a path in a"),
        (errno.EROFS, "the system refuses it in {folder} (Read-only file system); give a path in"),
        (errno.ENOSPC, "there is no space left in {folder}; make some, or give a path on another"),
    ],
)
def test_the_users_own_path_is_named(tmp_path, monkeypatch, number, told):
    out = tmp_path / "out.csv"

    def refuses(self: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "touch", refuses)
    with pytest.raises(AuditorError) as caught, whole(out):
        pytest.fail("goes on")
    message = str(caught.value)
    expected = told.format(folder=tmp_path)
    assert message.startswith(f"{out}: cannot be written, since {expected}")
    assert ".out.csv" not in message


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("run", True),
        ("run.part", True),
        ("run.part/shards/000001.parquet.tmp", True),
        (".run-x2f/made/coco.json", True),
        ("", True),  # the folder that it would lie in
        ("run.toml", False),
        ("runs/first", False),
        ("images/a.png", False),
        ("../elsewhere.png", False),
    ],
)
def test_errors_about_other_files_pass(tmp_path, name, ours):
    raised = AuditorError if ours else PermissionError
    with pytest.raises(raised), writable(tmp_path / "run"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / name))


def test_a_full_disk_is_told_without_a_name_and_other_errors_pass(tmp_path):
    told = rf"since a disk is full, perhaps that of {re.escape(str(tmp_path))} or of temporary fil"
    with pytest.raises(AuditorError, match=told), writable(tmp_path / "run"):
        raise OSError(errno.ENOSPC, "No space left on device")
    told = rf"refuses it, perhaps in {re.escape(str(tmp_path))} \(File too large\)"
    with pytest.raises(AuditorError, match=told), writable(tmp_path / "run"):
        raise OSError(errno.EFBIG, "File too large")
    with pytest.raises(OSError, match="truncated"), writable(tmp_path / "run"):
        raise OSError("image file is truncated")


@pytest.mark.parametrize("filename", [None, "/"])
def test_the_root_has_no_folder_above(filename):
    with pytest.raises(AuditorError, match=r"^/: cannot be written"), writable(Path("/")):
        raise OSError(errno.ENOSPC, "No space left on device", filename)


def test_what_exists_is_replaced_when_that_is_asked(tmp_path):
    refuse_existing(tmp_path / "new", overwrite=False)
    (tmp_path / "old").touch()
    refuse_existing(tmp_path / "old", overwrite=True)
    with pytest.raises(AuditorError, match="old: exists; choose another name, remove it or ask"):
        refuse_existing(tmp_path / "old", overwrite=False)
    with pytest.raises(AuditorError, match="is a folder; give the name of a file"):
        refuse_existing(tmp_path, overwrite=True)


def test_every_command_names_the_users_path(auditor_cli: Call, project: Project, monkeypatch):
    run = project.folder / "run"
    auditor.audit(
        auditor.load_classifier(project.config), auditor.open_dataset(project.config), run
    )
    (project.folder / "file").touch()
    inside = project.folder / "file"
    for out, *command in (
        (inside / "run", "audit", project.config),
        (inside / "r.html", "report", run),
        (inside / "r.csv", "export", run, "--format", "csv"),
        (inside / "r.parquet", "export", run, "--format", "parquet"),
        (inside / "v.csv", "reviews", "export", run),
        (inside / "demo", "demo", "--no-dashboard"),
    ):
        outcome = auditor_cli(*command, "--out", out)
        assert outcome.status == 2, command
        last = outcome.err.splitlines()[-1]
        assert last.startswith(f"auditor: {out}"), last
        assert f"cannot be written, since {inside} is no folder; give another path." in last

    out = project.folder / "clusters"

    def hidden(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(out.with_name(".clusters-x")))

    few = Selection(pd.DataFrame({"id": []}), np.ones((1, 9, 9)), 1, 0)
    monkeypatch.setattr("auditor.discovery.writing.select", lambda *_: few)
    monkeypatch.setattr("auditor.discovery.writing.grouped", hidden)
    outcome = auditor_cli("discover", run, "--out", out, "--by", "maps")
    assert outcome.err.splitlines()[-1].startswith(f"auditor: {out}: cannot be written, since the")


def test_functions_name_the_users_path(tmp_path):
    (tmp_path / "file").touch()
    told = f"cannot be written, since {tmp_path / 'file'} is no folder"
    with pytest.raises(AuditorError, match=told):
        write_checkpoint(
            tmp_path / "file" / "m.pt", Checkpoint({}, preprocess=auditor.Preprocess())
        )
    with pytest.raises(AuditorError, match=told):
        export_csv(Reviews(tmp_path / "reviews.sqlite"), tmp_path / "file" / "v.csv")
    with pytest.raises(AuditorError, match=told):
        run_study(tmp_path / "file" / "study", Plan(), range(1), ["even"], 1)
