"""Reading runs: unknown, damaged and unfinished ones are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import auditor
from auditor.errors import RunError
from tests.colours import classifier, write_dataset


@pytest.fixture
def run(tmp_path: Path) -> auditor.Run:
    path = write_dataset(tmp_path, 6)
    roles = auditor.RegionRoles(subject=("thing",), cues=("cue",))
    return auditor.audit(
        classifier(), auditor.open_dataset(path, "manifest", roles), tmp_path / "run"
    )


def test_unknown_schema_version(run: auditor.Run) -> None:
    file = run.path / "run.json"
    file.write_text(json.dumps(dict(run.info) | {"schema_version": 99}))
    with pytest.raises(RunError, match=r"written with schema version 99; this Auditor reads"):
        auditor.open_run(run.path)


@pytest.mark.parametrize("name", ["cases.parquet", "maps.npy", "findings.json"])
def test_a_damaged_file_is_named(run: auditor.Run, name: str) -> None:
    (run.path / name).write_bytes(b"damaged")
    opened = auditor.open_run(run.path)
    with pytest.raises(RunError, match=name):
        _ = (opened.cases, opened.maps, opened.findings)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run"):
        auditor.open_run(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"holds no run\.json"):
        auditor.open_run(tmp_path)


def test_the_configuration_comes_with_the_dataset(tmp_path: Path) -> None:
    write_dataset(tmp_path, 40)
    (tmp_path / "model.py").write_text(
        "from tests.colours import Mean\n\ndef model():\n    return Mean()\n"
    )
    config = tmp_path / "audit.toml"
    config.write_text(
        '[dataset]\npath = "manifest.csv"\nformat = "manifest"\n'
        '[regions]\nsubject = ["thing"]\ncues = ["cue"]\n'
        '[model]\nfactory = "model:model"\nclasses = ["red", "green"]\nexpected_accuracy = 0.99\n'
        "[model.preprocess]\nresize = [32, 40]\ncrop = false\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"
    )
    dataset = auditor.open_dataset(config)
    run = auditor.audit(auditor.load_classifier(config), dataset, tmp_path / "run")
    assert "expected_accuracy" in {finding["kind"] for finding in run.findings}
    assert run.info["configuration"] == config.read_text()
    # The same as what the command line does, so it opens the same run.
    again = auditor.audit(
        auditor.load_classifier(config), dataset, run.path, config=auditor.read_config(config)
    )
    assert again.info == run.info
