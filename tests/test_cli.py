"""The console script: exit statuses, one clear message, and text from outside kept harmless."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import auditor
from auditor.cli import commands
from auditor.cli.text import json_text, printable
from auditor.pipeline import computing
from auditor.store import Writer
from tests.conftest import COUNT, HEIGHT, MODEL, RED, WIDTH, Outcome, Project

Call = Callable[..., Outcome]

SCRIPT = [sys.executable, "-c", "from auditor.cli import main; main()"]


def in_a_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SCRIPT, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def audit(call: Call, project: Project, *options: object) -> Outcome:
    return call("audit", project.config, "--out", project.folder / "run", *options)


def refused(outcome: Outcome, *told: object) -> None:
    """Exit status 2 and one message, which holds every one of `told`, and nothing else."""
    assert outcome.status == 2, outcome
    assert outcome.out == ""
    messages = outcome.err.splitlines()
    assert len(messages) == 1, outcome.err
    assert messages[0].startswith("auditor: ")
    assert messages[0].endswith((".", "?"))
    for text in told:
        assert str(text) in messages[0], f"{text} is not in {messages[0]}"
    assert "Traceback" not in outcome.err


# -- help ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, *commands.commands])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_an_example(auditor_cli: Call, name, option):
    outcome = auditor_cli(*([name] if name else []), option)
    assert (outcome.status, outcome.err) == (0, "")
    assert re.search(rf"^ +auditor {name or 'audit'} \S+", outcome.out, re.MULTILINE)


@pytest.mark.parametrize("name", list(commands.commands))
def test_every_option_has_help_or_says_its_default(name):
    for parameter in commands.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help or parameter.show_default, f"{name} {parameter.name}"


def test_version(auditor_cli: Call):
    outcome = auditor_cli("--version")
    assert (outcome.status, outcome.err) == (0, "")
    assert auditor.__version__ in outcome.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["audti", "a.toml"], "No such command 'audti'"),
        (["audit"], "Missing argument 'CONFIG'"),
        (["audit", "a.toml"], "Missing option '--out'"),
        (["audit", "a.toml", "--out", "r", "--batch-size", "0"], "0 is not in the range"),
        (["audit", "a.toml", "--out", "r", "--limit", "0"], "0 is not in the range"),
        (["audit", "a.toml", "--out", "r", "--workers", "-1"], "-1 is not in the range"),
        (["audit", "a.toml", "--out", "r", "--batch-size", "many"], "is not a valid integer"),
        (["show"], "Missing argument 'RUN'"),
    ],
)
def test_a_command_line_that_is_wrong(auditor_cli: Call, arguments, told):
    outcome = auditor_cli(*arguments)
    assert outcome.status == 2
    assert told in outcome.err
    assert outcome.out == ""


# -- an audit that works -------------------------------------------------------------------


def test_an_audit_and_its_summary(auditor_cli: Call, project: Project):
    # One red image labelled as blue, and one of four groups is wrong once.
    Image.new("RGB", (WIDTH, HEIGHT), RED).save(project.image(1))
    outcome = audit(auditor_cli, project)
    assert outcome.status == 0
    assert "12 cases, 12 judged, 1 wrong · gradcam at features (4×5)" in outcome.out
    assert "11 of 12 images" in outcome.out
    assert "Auditing: 12 of 12 images" in outcome.err
    groups = dict(re.findall(r"^ +(\w+ · \w+) +(\d/\d)", outcome.out, re.MULTILINE))
    assert groups == {
        "cold · dark": "2/3",
        "cold · light": "3/3",
        "warm · dark": "3/3",
        "warm · light": "3/3",
    }
    cases = auditor.open_run(project.folder / "run").cases
    assert cases.loc[~cases["correct"].astype(bool), "id"].tolist() == ["case01"]
    # sigmoid of the difference of the logits, 4 × (200 − 30) / 255
    np.testing.assert_allclose(cases["confidence"], 1 / (1 + np.exp(-4 * 170 / 255)), rtol=1e-5)
    assert not (project.folder / "run.part").exists()


def test_the_script_in_a_process_of_its_own(project: Project):
    # Latin-1 has neither → nor �: a terminal gets something else in their place.
    env = os.environ | {"PYTHONIOENCODING": "latin-1"}
    run = project.folder / "run\x1b"
    done = in_a_process("audit", project.config, "--out", run, env=env, encoding="latin-1")
    assert done.returncode == 0, done.stderr
    assert "/run?\n12 cases, 12 judged, 0 wrong" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr  # nor colours where there is no terminal

    done = in_a_process("show", project.folder / "nothing")
    refused(Outcome(done.returncode, done.stdout, done.stderr), "nothing: no such run")


def test_an_exported_program_gives_the_run_that_its_module_gives(
    auditor_cli: Call, project: Project
):
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 8):
        pytest.skip("torch before 2.8 writes another layout, which is refused")
    assert audit(auditor_cli, project).status == 0
    classifier = auditor.load_classifier(project.config)
    batch = torch.export.Dim("batch", min=1, max=1024)
    images = torch.rand(2, 3, HEIGHT, WIDTH)
    program = torch.export.export(classifier.module, (images,), dynamic_shapes=({0: batch},))
    torch.export.save(program, project.folder / "warmth.pt2")
    project.replace('factory = "warmth:warmth"', 'file = "warmth.pt2"')
    outcome = auditor_cli("audit", project.config, "--out", project.folder / "exported")
    assert outcome.status == 0, outcome.err
    runs = [auditor.open_run(project.folder / name) for name in ("run", "exported")]
    pd.testing.assert_frame_equal(runs[0].cases, runs[1].cases)
    np.testing.assert_allclose(runs[0].maps, runs[1].maps, atol=1e-3)


def test_a_sample(auditor_cli: Call, project: Project):
    assert audit(auditor_cli, project, "--limit", 5).status == 0
    ids = auditor.open_run(project.folder / "run").cases["id"].tolist()
    assert len(ids) == len(set(ids)) == 5
    assert ids == sorted(ids)  # in the dataset's order


def test_the_same_audit_again_computes_nothing(auditor_cli: Call, project: Project):
    audit(auditor_cli, project)
    run = project.folder / "run"
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    outcome = audit(auditor_cli, project)
    assert outcome.status == 0
    assert "was finished before, with these very inputs; nothing was computed" in outcome.out
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before


# -- unusable input ------------------------------------------------------------------------


def test_a_configuration_that_is_missing(auditor_cli: Call, tmp_path):
    for command in (["audit", "--out", "r"], ["validate"], ["finetune", "--out", "c.pt"]):
        outcome = auditor_cli(*command, tmp_path / "no.toml")
        refused(outcome, tmp_path / "no.toml", "No such file", "Give the path of a TOML")


def test_an_unknown_key(auditor_cli: Call, project: Project):
    project.replace("attributes =", "atributes =")
    refused(
        audit(auditor_cli, project),
        f"{project.config}: dataset.atributes is not a known key; did you mean dataset.attributes?",
    )


def test_a_manifest_that_is_missing(auditor_cli: Call, project: Project):
    project.manifest.unlink()
    refused(audit(auditor_cli, project), f"{project.manifest}: no such file; correct dataset.path")


def test_a_column_that_is_missing(auditor_cli: Call, project: Project):
    project.replace('attributes = ["tone"]', 'attributes = ["tint"]')
    refused(audit(auditor_cli, project), project.manifest, "no column 'tint'", "'tone'")


def test_a_region_that_is_missing(auditor_cli: Call, project: Project):
    project.replace('cues = ["face"]', 'cues = ["hair"]')
    refused(audit(auditor_cli, project), project.manifest, "no region 'hair'", "Correct [regions]")


def test_a_label_that_the_model_does_not_know(auditor_cli: Call, project: Project):
    project.write_rows([row | {"label": "wram"} for row in project.rows()])
    refused(audit(auditor_cli, project), project.manifest, "'wram'", "warm, cold", "model.classes")


def test_ids_that_stand_twice(auditor_cli: Call, project: Project):
    project.write_rows([row | {"id": "same"} for row in project.rows()])
    refused(audit(auditor_cli, project), project.manifest, "'same'", "12 rows", "make ids unique")


def test_a_dataset_without_rows(auditor_cli: Call, project: Project):
    project.manifest.write_text(project.manifest.read_text().splitlines()[0] + "\n")
    refused(audit(auditor_cli, project), project.manifest, "holds no image", "dataset.path")


def test_a_split_that_is_not_there(auditor_cli: Call, project: Project):
    project.write_rows([row | {"split": "train"} for row in project.rows()])
    project.replace("[regions]", 'split = "test"\n[regions]')
    refused(audit(auditor_cli, project), project.manifest, "'test'", "there is 'train'")


def test_a_foreign_checkpoint(auditor_cli: Call, project: Project):
    torch.save({"other.weight": torch.ones(2)}, project.folder / "other.pt")
    project.replace("warmth:warmth", 'warmth:warmth"\ncheckpoint = "other.pt')
    refused(
        audit(auditor_cli, project),
        project.folder / "other.pt",
        "is not a checkpoint of warmth:warmth",
        "Correct model.architecture or model.checkpoint",
    )


def test_a_factory_that_fails(auditor_cli: Call, project: Project):
    (project.folder / "warmth.py").write_text("def warmth():\n    raise OSError('no disk')\n")
    refused(audit(auditor_cli, project), project.config, "OSError: no disk", "warmth.py, line 2")


def test_a_model_that_gives_the_same_for_every_image(auditor_cli: Call, project: Project):
    project.replace("warmth:warmth", "warmth:untrained")
    refused(audit(auditor_cli, project), "the same logits for every image", "model.checkpoint")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", ""])
def test_a_device_that_is_not_there(auditor_cli: Call, project: Project, device):
    refused(audit(auditor_cli, project, "--device", device), f"--device {device!r}", "give cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_cuda(auditor_cli: Call, project: Project):
    refused(audit(auditor_cli, project, "--device", "cuda"), "--device 'cuda' cannot be used here")


def test_all_images_missing(auditor_cli: Call, project: Project):
    project.replace("[regions]", 'image_root = "elsewhere"\n[regions]')
    first = project.folder / "elsewhere" / "00.png"
    refused(audit(auditor_cli, project), f"{first}: no such file", "dataset.image_root")
    assert not (project.folder / "run.part").exists()


def test_all_images_unreadable(auditor_cli: Call, project: Project):
    for number in range(COUNT):
        project.image(number).write_bytes(b"no image")
    outcome = audit(auditor_cli, project)
    assert outcome.status == 2
    assert "none of 12 images could be judged ({'unreadable': 12})" in outcome.err
    assert str(project.image(0)) in outcome.err
    assert not (project.folder / "run").exists()


def test_a_run_begun_with_other_inputs(auditor_cli: Call, project: Project, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert audit(auditor_cli, project).status == 130
    project.config.write_text(project.config.read_text() + "[audit]\nseed = 1\n")
    refused(
        audit(auditor_cli, project),
        f"{project.folder / 'run'}: was begun with other inputs",
        "seed was 0, is 1",
        "--fresh",
        "another --out",
    )
    assert audit(auditor_cli, project, "--fresh").status == 0
    assert auditor.open_run(project.folder / "run").info["seed"] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.config.write_text(p.config.read_text() + "[audit]\nseed = 1\n"),
        lambda p: p.write_rows([row | {"tone": "grey"} for row in p.rows()]),
        lambda p: (p.folder / "warmth.py").write_text(MODEL.replace("4 * torch", "5 * torch")),
        lambda p: shutil.copy(p.folder / "audit.toml", p.image(3)),
    ],
    ids=["configuration", "dataset", "model", "image"],
)
def test_a_finished_run_of_other_inputs(auditor_cli: Call, project: Project, change):
    audit(auditor_cli, project)
    change(project)
    sys.modules.pop("warmth")
    run = project.folder / "run"
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    for options in ([], ["--fresh"]):
        outcome = audit(auditor_cli, project, *options)
        refused(outcome, f"{run}: is a finished run of other inputs", "give another --out")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_an_output_that_cannot_be_written(auditor_cli: Call, project: Project):
    (project.folder / "file").write_text("")
    outcome = auditor_cli("audit", project.config, "--out", project.folder / "file" / "run")
    assert outcome.status == 2
    assert "Traceback" not in outcome.err
    file = project.folder / "file"
    assert outcome.err.splitlines()[-1] == (
        f"auditor: {file / 'run'}: cannot be written, since {file} is no folder; give another path."
    )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "no such run; give the directory"),
        (lambda path: path.mkdir(), "is no run, since it holds no run.json"),
        (lambda path: path.write_text(""), "is no run, since it holds no run.json"),
        (
            lambda path: (path.mkdir(), (path / "run.json").write_text('{"schema_version": 99}')),
            "schema version 99; this Auditor reads version 2",
        ),
        (
            lambda path: (path.mkdir(), (path / "run.json").write_text("{")),
            "run.json: cannot be read",
        ),
        (
            lambda path: path.with_name("run.part").mkdir(),
            "is not finished yet (run.part holds what is done); call `auditor audit` again",
        ),
    ],
)
def test_what_is_no_run(auditor_cli: Call, tmp_path, make, told):
    make(tmp_path / "run")
    refused(auditor_cli("show", tmp_path / "run"), tmp_path / "run", told)
    refused(auditor_cli("show", tmp_path / "run", "--json"), tmp_path / "run", told)


# -- show ----------------------------------------------------------------------------------


def test_show_repeats_the_summary(auditor_cli: Call, project: Project):
    audited = audit(auditor_cli, project)
    assert auditor_cli("show", project.folder / "run") == Outcome(0, audited.out, "")


def test_show_as_json(auditor_cli: Call, project: Project):
    audit(auditor_cli, project)
    outcome = auditor_cli("show", project.folder / "run", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    shown = json.loads(outcome.out)
    assert shown["run"] == str(project.folder / "run")
    assert (shown["counts"]["cases"], shown["counts"]["errors"]) == (12, 0)
    assert shown["findings"] == auditor.open_run(project.folder / "run").findings


# -- validate ------------------------------------------------------------------------------


def test_a_clean_dataset(auditor_cli: Call, project: Project):
    assert auditor_cli("validate", project.config)[:2] == (
        0,
        "12 cases, 2 labels: no problem found.\n",
    )
    outcome = auditor_cli("validate", project.config, "--json")
    assert outcome.status == 0
    assert json.loads(outcome.out) == {"cases": 12, "problems": []}


def spoil(project: Project) -> None:
    """Case 0 misses its image, 2 has half of one, 4 a mask of another size, 6 is black."""
    project.image(0).unlink()
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(project.image(2))
    content = project.image(2).read_bytes()
    project.image(2).write_bytes(content[: len(content) // 2])
    Image.new("L", (WIDTH + 1, HEIGHT), 255).save(project.folder / "wide.png")
    Image.new("RGB", (WIDTH, HEIGHT)).save(project.image(6))
    rows = project.rows()
    rows[4]["region.coat"] = "wide.png"
    project.write_rows(rows)


def test_validate_lists_every_problem_at_once(auditor_cli: Call, project: Project):
    spoil(project)
    rows = project.rows()
    rows[8]["label"] = "wram"
    rows[10]["tone"] = ""
    project.write_rows(rows)
    outcome = auditor_cli("validate", project.config)
    assert outcome.status == 2
    *problems, total = outcome.out.splitlines()
    assert problems[0] == f"spoiled {project.image(0)}: case00: no such file"
    assert problems[1].startswith(f"spoiled {project.image(2)}: case02: cannot be opened: ")
    assert problems[2].startswith(
        f"spoiled {project.image(4)}: case04: the mask of 'coat' is 41×32"
    )
    assert problems[3].startswith(f"fatal   {project.manifest}: case08: the label 'wram'")
    assert "did you mean 'warm'?" in problems[3]
    assert problems[4] == f"spoiled {project.manifest}: case10: has no value for attribute.tone"
    assert total.startswith("5 problems in 12 cases; stopping an audit: 1, spoiling a case or a")
    listed = json.loads(auditor_cli("validate", project.config, "--json").out)
    assert [problem["id"] for problem in listed["problems"]] == [
        "case00",
        "case02",
        "case04",
        "case08",
        "case10",
    ]
    assert [problem["fatal"] for problem in listed["problems"]] == [False] * 3 + [True, False]


def test_validate_needs_no_model(auditor_cli: Call, project: Project):
    (project.folder / "warmth.py").unlink()
    assert auditor_cli("validate", project.config).status == 0


# -- spoiled cases -------------------------------------------------------------------------


def test_spoiled_cases_are_recorded_and_the_audit_goes_on(auditor_cli: Call, project: Project):
    spoil(project)
    project.replace("warmth:warmth", "warmth:doubtful")  # black gives 0/0
    outcome = audit(auditor_cli, project)
    assert outcome.status == 0, outcome.err
    run = auditor.open_run(project.folder / "run")
    cases = run.cases.set_index("id")
    spoiled = {
        "case00": "unreadable",
        "case02": "unreadable",
        "case04": "mask_mismatch",
        "case06": "nonfinite_logits",
    }
    assert cases["status"].to_dict() == {
        f"case{n:02d}": spoiled.get(f"case{n:02d}", "ok") for n in range(COUNT)
    }
    for case, text in {
        "case00": "no such file",
        "case02": "cannot be decoded",
        "case04": "41×32",
        "case06": "nan",
    }.items():
        assert text in cases.loc[case, "message"]
    judged = cases["predicted"].notna()
    assert judged.sum() == 9  # a mask that does not fit costs the measures, not the prediction
    assert cases.loc[judged, "correct"].all()
    assert cases.loc["case04", ["mass.subject", "mass.face"]].isna().all()
    assert np.isnan(run.maps[[0, 2, 6]].astype(float)).all()
    assert run.info["counts"]["excluded"] == {
        "mask_mismatch": 1,
        "nonfinite_logits": 1,
        "unreadable": 2,
    }
    assert "12 cases, 9 judged, 0 wrong" in outcome.out


@pytest.mark.parametrize(
    ("number", "status"),
    [(0, "unreadable"), (2, "unreadable"), (4, "mask_mismatch"), (6, "nonfinite_logits")],
)
def test_strict_makes_each_of_them_fatal(auditor_cli: Call, project: Project, number, status):
    spoil(project)
    project.replace("warmth:warmth", "warmth:doubtful")
    rows = project.rows()
    project.write_rows([rows[1], rows[number], rows[3]])
    outcome = audit(auditor_cli, project, "--strict")
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert last.startswith(f"auditor: {project.image(number)}: {status}: ")
    assert "--strict" in last
    assert "Traceback" not in outcome.err
    assert not (project.folder / "run").exists()


def test_strict_passes_over_a_clean_dataset(auditor_cli: Call, project: Project):
    assert audit(auditor_cli, project, "--strict").status == 0


# -- interruption --------------------------------------------------------------------------


def test_an_interrupted_audit_keeps_its_shards_and_goes_on(
    auditor_cli: Call, project: Project, monkeypatch
):
    project.write_rows(
        [row | {"id": f"{row['id']}-{turn}"} for turn in range(4) for row in project.rows()]
    )
    monkeypatch.setattr(computing, "SHARD", 20)  # 48 cases: shards of 20, 20 and 8
    script = f"from auditor.pipeline import computing; computing.SHARD = 20; {SCRIPT[-1]}"
    run, part = project.folder / "run", project.folder / "run.part"
    process = subprocess.Popen(
        [*SCRIPT[:2], script, "audit", str(project.config), "--out", str(run), "--batch-size", "4"],
        env=os.environ | {"WARMTH_DELAY": "0.1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background would hand on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    try:
        first = part / "shards" / "000000.parquet"
        deadline = time.monotonic() + 40
        while not first.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert first.exists()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == (
        "auditor: interrupted; what was finished is kept (an audit keeps every 256 cases, a "
        "training every epoch, a study every network), and the same command goes on from there."
    )
    assert "Traceback" not in err
    assert out == ""
    assert not run.exists()
    assert [path.name for path in sorted((part / "shards").glob("*.parquet"))] == ["000000.parquet"]
    refused(auditor_cli("show", run), "is not finished yet")

    written: list[int] = []
    write = Writer.write
    monkeypatch.setattr(
        Writer, "write", lambda self, n, shard: (written.append(n), write(self, n, shard))
    )
    outcome = audit(auditor_cli, project, "--batch-size", "4")
    assert outcome.status == 0, outcome.err
    assert written == [1, 2]
    assert not part.exists()
    whole = auditor_cli(
        "audit", project.config, "--out", project.folder / "whole", "--batch-size", "4"
    )
    assert whole.status == 0
    assert written == [1, 2, 0, 1, 2]
    continued, uninterrupted = (auditor.open_run(project.folder / n) for n in ("run", "whole"))
    pd.testing.assert_frame_equal(continued.cases, uninterrupted.cases, check_exact=True)
    np.testing.assert_array_equal(continued.maps, uninterrupted.maps)
    assert continued.findings == uninterrupted.findings


# -- text from outside ---------------------------------------------------------------------

HOSTILE = "[red]<b>&\x1b[2J\x1b]0;t\x07\x9b31m\r\nforged\u202egnp.exe\u2028\ufeff"


def test_printable_is_one_line_without_control_characters():
    text = printable(HOSTILE + "é漢×→ ")
    assert text.isprintable()
    assert text.endswith("é漢×→ ")
    assert text.startswith("[red]<b>&�[2J�]0;t��31m��forged�gnp.exe��")


def test_json_text_is_the_same_content_and_printable():
    content = {HOSTILE: [HOSTILE, "é漢", 1.5, None, True], "bare": "\U000e0001"}
    text = json_text(content)
    assert json.loads(text) == content
    assert text.replace("\n", "").isprintable()
    assert "é漢" in text


def test_hostile_names_are_printed_as_text(auditor_cli: Call, project: Project):
    """In labels, ids, attributes and paths, through every way to the terminal."""
    hostile = HOSTILE.replace("\r\n", " \v ")  # a CSV cell keeps no line break alone
    rows = project.rows()
    for row in rows:
        row |= {"tone": hostile, "id": row["id"] + hostile}
        row["label"] = hostile if row["label"] == "cold" else row["label"]
    image = project.folder / "a\x1b[2J\u202e.png"
    project.image(3).rename(image)
    rows[3]["image"] = image.name
    project.write_rows(rows)
    project.replace('"cold"', json.dumps(hostile))
    run = project.folder / "run\x1b[31m"
    outcomes = [
        auditor_cli("validate", project.config),
        auditor_cli("audit", project.config, "--out", run),
        auditor_cli("audit", project.config, "--out", run),
        auditor_cli("show", run),
        auditor_cli("show", run, "--json"),
    ]
    assert [outcome.status for outcome in outcomes] == [0] * 5
    assert json.loads(outcomes[-1].out)["run"] == str(run)
    image.unlink()
    rows[5]["label"] = hostile + "x"
    project.write_rows(rows)
    outcomes += [
        auditor_cli("validate", project.config),
        auditor_cli("validate", project.config, "--json"),
        auditor_cli("audit", project.config, "--out", run),
        auditor_cli("show", project.folder / hostile),
        auditor_cli("validate", project.folder / hostile),
    ]
    assert [outcome.status for outcome in outcomes[5:]] == [2] * 5
    for outcome in outcomes:
        text = (outcome.out + outcome.err).replace("\n", "")
        assert text.isprintable(), [c for c in text if not c.isprintable()]
    assert run.exists()
    cases = auditor.open_run(run).cases
    assert set(cases["label"]) == {"warm", hostile}  # kept as they are, only shown otherwise


def test_markup_is_not_interpreted(auditor_cli: Call, project: Project):
    project.write_rows([row | {"tone": "[bold]<script>"} for row in project.rows()])
    outcome = audit(auditor_cli, project)
    assert "cold · [bold]<script>" in outcome.out
