"""What the dashboard shows of other layers and of faithfulness, where a run has them."""

from __future__ import annotations

from pathlib import Path

import pytest

import auditor
from auditor.configuration import DatasetConfig
from tests.colours import classifier, write_dataset
from tests.test_agreement import ROLES
from tests.test_pages import app, as_served, said  # noqa: F401 - a fixture of every test here


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    folder = tmp_path_factory.mktemp("views")
    (folder / "runs").mkdir()
    manifest = write_dataset(folder, 20)
    config = DatasetConfig(path=manifest, format="manifest", attributes=("size",))
    return auditor.audit(
        classifier(),
        auditor.open_dataset(config, regions=ROLES),
        folder / "runs" / "first",
        settings=auditor.Settings(evidence=0, layers=True, faithfulness=2),
    )


def test_attention_has_a_section_by_depth(run: auditor.Run) -> None:
    at = app(run.path.parent, "attention", run="first")
    assert "By depth" in [header.value for header in at.header]
    assert "no verdict rests on them" in said(at)


def test_a_measured_case_shows_how_faithful_its_maps_are(run: auditor.Run) -> None:
    case = str(run.faithfulness["id"].iloc[0])
    at = app(run.path.parent, "cases", run="first", case=case)
    assert "How faithful the maps are" in [header.value for header in at.subheader]
    other = next(case for case in run.cases["id"] if case not in set(run.faithfulness["id"]))
    at = app(run.path.parent, "cases", run="first", case=other)
    assert "How faithful the maps are" not in [header.value for header in at.subheader]


def test_a_run_without_them_shows_neither(run: auditor.Run, tmp_path: Path) -> None:
    config = DatasetConfig(path=run.path.parents[1] / "manifest.csv", format="manifest")
    auditor.audit(
        classifier(),
        auditor.open_dataset(config, regions=ROLES),
        tmp_path / "first",
        settings=auditor.Settings(evidence=0),
    )
    at = app(tmp_path, "attention", run="first")
    assert "By depth" not in [header.value for header in at.header]
