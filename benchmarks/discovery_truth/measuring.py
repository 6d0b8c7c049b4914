"""One network from training to the judgement on the clusters of its errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

import auditor
from auditor.discovery import DiscoveryOptions, discover
from auditor.discovery.options import Kind
from auditor.discovery.selection import select
from auditor.errors import AuditorError
from auditor.models import Classifier
from auditor.pipeline import Settings
from auditor.pipeline.featuring import Featuring
from auditor.scenes import REGIONS, Scene
from auditor.types import Floats
from benchmarks.discovery_truth.models import Model, has
from benchmarks.discovery_truth.rule import F64, Errors, judged
from benchmarks.truth import grid
from benchmarks.truth.testing import SUBJECT, name_of
from benchmarks.truth.truth import known

NAMED = {"tag": ("face", "hair"), "head": ("body",)}
"""The planted cues, and the cues that the audit is told of instead."""
KINDS: tuple[Kind, ...] = ("maps", "features")


def measured(model: Model, shared: Path, own: Path) -> list[dict[str, object]]:
    """Train the model if need be, audit it without its cue, cluster its errors, and judge.

    A row each kind of clustering. Weights and tests of whole cells lie in `shared`, all else in
    `own`.
    """
    cell = model.cell
    checkpoint, manifest = model.checkpoint(shared, own), model.manifest(shared, own)
    own.mkdir(parents=True, exist_ok=True)
    config, folder = own / f"{model.name}.toml", own / model.name
    _write_configuration(config, model, manifest, checkpoint)
    shutil.rmtree(folder, ignore_errors=True)
    classifier = auditor.load_classifier(config)
    settings = Settings(device="cpu", workers=1, fresh=True, evidence=0)
    run = auditor.audit(classifier, auditor.open_dataset(config), folder / "run", settings=settings)
    wrong = run.cases.loc[run.cases["correct"] == False, "id"].astype(str)  # noqa: E712 - nullable
    truth = truth_of(classifier, model.testing(), cell.cue, cell.net.side)
    told = {
        "condition": model.condition,
        "cue": cell.cue,
        "seed": cell.seed,
        "network": cell.network,
        "errors": len(wrong),
        "base_has": float(truth["has"][wrong].mean()) if len(wrong) else None,
        "base": float(truth["caused"][wrong].mean()) if len(wrong) else None,
    }
    options = DiscoveryOptions(images=False)
    try:
        selection = select(run, options)
    except AuditorError:
        shutil.rmtree(folder)
        return [told | {"by": kind, "clusters": 0, "found": False} for kind in KINDS]
    done = discover(run, folder / "out", options, features=Featuring.of(run, "cpu").under)
    ids = selection.cases["id"].astype(str).tolist()
    flags = truth.loc[ids]
    errors = Errors(
        flags["has"].to_numpy(dtype=bool),
        *on_regions(selection.shares, manifest, ids, grid.REGIONS[cell.cue]),
        *on_regions(selection.shares, manifest, ids, SUBJECT),
        flags["caused"].to_numpy(dtype=bool),
    )
    table = pd.read_parquet(done.folder / "clusters.parquet").set_index("id")
    rows: list[dict[str, object]] = []
    for kind in done.document["kinds"]:
        clusters = table.loc[table["by"] == kind["by"], "cluster"][ids].to_numpy(dtype=np.intp)
        whole = errors.lifts(np.ones(len(ids), dtype=np.bool_))
        rows.append(
            told
            | {"by": kind["by"], "structure": kind["structure"], "p": kind["p"]}
            | {"base_lift": whole[0], "sizes": np.bincount(clusters)[1:].tolist()}
            | judged(errors, clusters)
        )
    shutil.rmtree(folder)
    return rows


def truth_of(classifier: Classifier, scenes: Sequence[Scene], cue: str, side: int) -> pd.DataFrame:
    """By id of a scene, whether it `has` the cue, and whether this `caused` an error of it."""
    within = [scene for scene in scenes if has(scene, cue)]
    table = pd.DataFrame({"has": False, "caused": False}, index=[name_of(one) for one in scenes])
    names = [name_of(scene) for scene in within]
    table.loc[names, "has"] = True
    table.loc[names, "caused"] = known(classifier, within, side).caused
    return table


def on_regions(
    shares: Floats, manifest: Path, ids: Sequence[str], regions: Sequence[str]
) -> tuple[F64, F64]:
    """Each map's share on regions as they were drawn, and the regions' share of the picture."""
    values = [REGIONS[region] for region in regions]
    height, width = shares.shape[1:]
    mass, area = [], []
    for share, name in zip(shares, ids, strict=True):
        with Image.open(manifest.parent / "regions" / f"{name}.png") as picture:
            mask: NDArray[np.bool_] = np.isin(np.asarray(picture), values)
        cells = mask.reshape(height, mask.shape[0] // height, width, -1).mean((1, 3))
        mass.append(float((share * cells).sum()))
        area.append(float(mask.mean()))
    return np.array(mass), np.array(area)


def _write_configuration(path: Path, model: Model, manifest: Path, checkpoint: Path) -> None:
    cues = NAMED[model.cell.cue]
    index = "\n".join(f"{REGIONS[name]} = {json.dumps(name)}" for name in (*SUBJECT, *cues))
    path.write_text(
        f"""\
[dataset]
path = {json.dumps(str(manifest))}
format = "manifest"

[regions]
subject = {json.dumps(SUBJECT)}
cues = {json.dumps(cues)}

[regions.index]
{index}

[model]
factory = "benchmarks.truth.networks:{model.cell.network}"
checkpoint = {json.dumps(str(checkpoint))}
""",
        encoding="utf-8",
    )
