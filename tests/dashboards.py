"""Runs that the dashboard's tests look at: audited ones, and ones made up column by column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import auditor
from auditor.configuration import read_config
from auditor.store import Run, open_run
from tests.colours import classifier
from tests.test_interventions import pairs, write

CONFIG = """
[dataset]
path = "manifest.csv"
format = "manifest"
attributes = ["tint"]

[regions]
subject = ["thing"]
cues = ["cue"]
rest = "background"

[model]
architecture = "resnet18"
classes = ["red", "green"]
"""


def audited(folder: Path, out: Path, renamed: Mapping[str, str] | None = None) -> Run:
    """An audit of 16 images of tests/colours.py, of which 8 are tested by changing pixels.

    000 to 003 are red with a red cue, 004 to 006 red with a green one (errors), 007 to 010 and
    011 to 013 the same for green. The image of 014 is no image, and 015 has no masks. `renamed`
    gives labels, values of `tint` and ids other names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = write(folder, [*pairs(4, 3), ("red", "red"), ("green", "green")])
    (folder / "014.png").write_bytes(b"no image")
    table = pd.read_csv(manifest, dtype=str).fillna("")
    table.loc[15, ["region.thing", "region.cue"]] = ""
    names = dict(renamed or {})
    table["id"] = [names.get(name, name) for name in table["image"].str.removesuffix(".png")]
    for column in ("label", "tint"):
        table[column] = [names.get(value, value) for value in table[column]]
    table.to_csv(manifest, index=False)
    config = folder / "audit.toml"
    classes = [names.get(name, name) for name in ("red", "green")]
    text = CONFIG.replace('["red", "green"]', json.dumps(classes))
    config.write_text(text, encoding="utf-8")
    return auditor.audit(
        replace(classifier(), classes=tuple(classes)),
        auditor.open_dataset(config),
        out,
        config=read_config(config),
        settings=auditor.Settings(evidence=8, batch_size=8),
    )


COLUMNS: Mapping[str, object] = {
    "image": "x.png",
    "label": "cat",
    "predicted": "cat",
    "contrast": "dog",
    "confidence": 0.5,
    "margin": 1.0,
    "correct": True,
    "attribute.sex": None,
    "status": "ok",
    "message": None,
    "flag": None,
    "cue": None,
    "evidence": None,
    "map_evidence": None,
    "map_cue": None,
    "severity": None,
    "reason": None,
    "map_scale": 1.0,
    "margin_excess.face": None,
    "margin_excess.hair": None,
    "mass.face": 0.5,
    "status.face": "ok",
}
"""Every column of a made-up run, with what it holds where a case does not say otherwise."""


def invented(
    folder: Path,
    cases: Sequence[Mapping[str, object]],
    findings: Sequence[Mapping[str, Any]] = (),
    maps: np.ndarray | None = None,
    **info: object,
) -> Run:
    """A finished run of such cases; ids are a, b, c … where none is given."""
    rows = [{"id": chr(ord("a") + number), **COLUMNS, **case} for number, case in enumerate(cases)]
    table = pd.DataFrame(rows)
    texts = [name for name, value in COLUMNS.items() if isinstance(value, str)]
    texts += ["id", "attribute.sex", "flag", "cue", "evidence", "map_evidence", "map_cue"]
    texts += ["message", "reason"]
    numbers = [name for name in table if name not in {*texts, "correct"}]
    table = table.astype(
        {**dict.fromkeys(texts, "string"), **dict.fromkeys(numbers, float), "correct": "boolean"}
    )
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / "cases.parquet", row_group_size=3)
    described = {
        "schema_version": 2,
        "counts": {
            "cases": len(rows), "judged": len(rows), "errors": 0, "tested": 0, "excluded": {},
            "evidence": {},
        },
        "verdict": {"level": 0, "grade": "C", "text": "Level 0 of 4."},
        "thresholds": {"alpha": 0.05, "controls": 2},
        "layer": {"grid": [7, 7]},
        **dict.fromkeys(("anchoring", "configuration", "cue_sets", "evidence", "identity")),
        "provenance": {},
        "method": "gradcam",
        "seed": 0,
        "attributes": ["sex"],
        "clustered": False,
        "regions": {"names": ["subject", "face"], "cues": ["face", "hair"], "rest": "background"},
        "image_root": str(folder),
        "configuration_path": None,
        "model": {
            "classes": ["cat", "dog"],
            "preprocess": {
                "resize": None, "crop": None, "mean": [0, 0, 0], "std": [1, 1, 1],
                "interpolation": "bilinear", "pad": 0,
            },
        },
        **info,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(described), encoding="utf-8")
    told = {"schema_version": 2, "findings": list(findings)}
    (folder / "findings.json").write_text(json.dumps(told), encoding="utf-8")
    if maps is not None:
        np.save(folder / "maps.npy", maps.astype(np.float16))
    return open_run(folder)
