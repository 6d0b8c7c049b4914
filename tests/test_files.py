"""Files that users name: whole or not there, and refused under the name that was given."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import auditor
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
    assert ".part" not in message


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
    with pytest.raises(AuditorError, match="no space left"), writable(tmp_path / "run"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="truncated"), writable(tmp_path / "run"):
        raise OSError("image file is truncated")


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

    def hidden(_run: Any, made: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(made.with_name(".clusters-x")))

    # By its place in sys.modules, since the package holds a command of that name.
    monkeypatch.setattr(sys.modules["auditor.cli.discover"], "write_discovery", hidden)
    out = project.folder / "clusters"
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
