"""One model: its errors as every method's maps see them, the gates, and the cost."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

import auditor
from auditor.cam import METHODS, Layer, Method, explain, find_layer, inspected
from auditor.datasets import Dataset
from auditor.errors import ModelError
from auditor.findings.gates import map_gates
from auditor.models import Classifier
from auditor.models.checkpoints import read_checkpoint
from auditor.pipeline import Settings
from auditor.pipeline.checking import SAMPLE, check_maps
from auditor.pipeline.finishing import Context, Evidence, finished, gather
from auditor.pipeline.loading import Loaded, Loader
from auditor.pipeline.rows import measure, schema, table
from auditor.store import Shard
from auditor.thresholds import THRESHOLDS
from benchmarks.truth.cases import case_table
from benchmarks.truth.grid import REGIONS, Cell
from benchmarks.truth.testing import PER_GROUP, balanced, write_configuration, write_test
from benchmarks.truth.training import ATTRIBUTE, Weights, scenes_sha256
from benchmarks.truth.truth import Truth, known
from benchmarks.truth.variants import as_drawn

Result = dict[str, Any]
"""What is kept of a model, JSON-ready. `audit` and each method's `errors` are tables of
`cases.case_table`, over the same errors in the same order."""

BATCH = 32
AUDITED = "gradcam"
"""The method of the audit, which what is measured here of it has to agree with."""


@dataclass(frozen=True)
class _Model:
    """A trained classifier with its test, audited; all methods get the very same of it."""

    cell: Cell
    classifier: Classifier
    dataset: Dataset
    layer: Layer
    run: pd.DataFrame
    """The audit's `cases`, of the whole test."""
    errors: NDArray[np.intp]
    """Positions of the errors in it."""
    loaded: list[Loaded]
    """The whole test."""
    context: Context
    """The regions that the attention test compares with; they hang on no map."""
    truth: Truth
    """Of the errors alone."""
    counts: dict[str, dict[str, int]]
    """Training images by label and value."""

    def pixels(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """[rows, height, width, channels] of the model's input."""
        found = [self.loaded[row].pixels for row in rows]
        return np.stack([pixels for pixels in found if pixels is not None])

    def numbers(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """[rows] positions of the labels among the classes."""
        return np.array([self.classifier.classes.index(v) for v in self.run["label"].iloc[rows]])

    def told(self, run: pd.DataFrame) -> pd.DataFrame:
        """Rows of the errors as the benchmark's table has them."""
        return case_table(run, REGIONS[self.cell.cue], self.truth, self.counts)


def measured(cell: Cell, weights: Weights, tests: Path, runs: Path) -> Result:
    """Train the model if need be, audit it, and look at its errors by every method."""
    start = time.process_time()
    model = _prepared(cell, weights, tests, runs)
    audit = model.told(model.run.iloc[model.errors].reset_index(drop=True))
    prepared = time.process_time()
    methods = {}
    for key, method in METHODS.items():
        methods[key] = _of_method(model, method)
        if key == AUDITED:
            _check(audit, methods[key]["table"], cell)
    return {
        "cell": cell.name,
        "cue": cell.cue,
        "skew": cell.skew,
        "seed": cell.seed,
        "network": cell.network,
        "layer": model.layer.name,
        "grid": list(model.layer.grid),
        "channels": _channels(model),
        "accuracy": float(model.run["correct"].mean()),
        "audit": packed(audit),
        "methods": {
            key: {k: packed(v) if k == "table" else v for k, v in found.items()}
            for key, found in methods.items()
        },
        "cpu_seconds": {
            "training and audit": round(prepared - start, 1),
            "methods": round(time.process_time() - prepared, 1),
        },
    }


def packed(found: pd.DataFrame) -> dict[str, Any]:
    """A table as JSON has it, null for NaN."""
    content: dict[str, Any] = json.loads(found.to_json(orient="split", double_precision=12))
    return {name: content[name] for name in ("columns", "data")}


def _prepared(cell: Cell, weights: Weights, tests: Path, runs: Path) -> _Model:
    """Audit the model with Grad-CAM, exactly as `benchmarks.truth` does, and read its test."""
    checkpoint = weights.trained(cell)
    place = tests / scenes_sha256()[:12] / f"{cell.cue}_{cell.seed}_{cell.net.side}_as-drawn"
    manifest = write_test(place, cell, as_drawn)
    runs.mkdir(parents=True, exist_ok=True)
    config = runs / f"{cell.name}.toml"
    write_configuration(config, cell, manifest, checkpoint)
    classifier, dataset = auditor.load_classifier(config), auditor.open_dataset(config)
    out = runs / cell.name
    shutil.rmtree(out, ignore_errors=True)  # of an earlier call that was killed
    audited = auditor.audit(
        classifier, dataset, out, settings=Settings(device="cpu", workers=1, fresh=True)
    )
    run = audited.cases.reset_index(drop=True)
    shutil.rmtree(out)
    shape = (classifier.channels, *classifier.input_size)
    layer = find_layer(classifier.module, classifier.logits, shape, classifier.layer)
    assert layer.name == audited.info["layer"]["name"]
    whole = known(classifier, balanced(cell.cue, cell.seed, PER_GROUP), cell.net.side)
    errors = np.flatnonzero(~run["correct"].to_numpy(dtype=bool))
    loader = Loader(dataset, classifier.preprocess, layer.grid, THRESHOLDS, 1, overlap=False)
    (loaded,) = loader([range(len(run))])
    nowhere = np.zeros((len(run), 3, *layer.grid), np.float32)
    shard = _shard(dataset, run, loaded, nowhere)
    return _Model(
        cell,
        classifier,
        dataset,
        layer,
        run,
        errors,
        loaded,
        gather(iter([shard]), classifier.classes, dataset.roles, 0, THRESHOLDS),
        replace(whole, effect=whole.effect[errors], caused=whole.caused[errors]),
        read_checkpoint(checkpoint).training["groups"][ATTRIBUTE],
    )


def _shard(
    dataset: Dataset, run: pd.DataFrame, loaded: list[Loaded], maps: NDArray[np.float32]
) -> Shard:
    """Cases with maps [cases, 3, h, w], measured as an audit measures its own."""
    roles = dataset.roles
    coverage = np.stack([case.coverage for case in loaded if case.coverage is not None])
    status = [case.region_status for case in loaded]
    kept = ("id", "image", "label", "predicted", "contrast", "confidence", "margin", "correct")
    columns: dict[str, Any] = {
        name: run[name].tolist() for name in (*kept, f"attribute.{ATTRIBUTE}", "status")
    }
    for region, name in enumerate(roles.names):
        columns[f"status.{name}"] = [case[region] for case in status if case]
    columns |= measure(maps, coverage, status, run["correct"].tolist(), roles, THRESHOLDS).columns
    return Shard(table(columns, schema((ATTRIBUTE,), False, roles.names, ())), maps, coverage)


def _of_method(model: _Model, method: Method) -> dict[str, Any]:
    """`problem` where the model cannot serve the method, else `table`, `gates` and `ratio`."""
    try:
        _maps(model, method, model.errors[:1])
    except ModelError as error:
        return {"problem": str(error)}
    maps, ratio = _timed(model, method)
    loaded = [model.loaded[row] for row in model.errors]
    run = model.run.iloc[model.errors].reset_index(drop=True)
    shard = _shard(model.dataset, run, loaded, maps)
    nothing = Evidence({}, {}, (), void=False)
    rows, _ = finished(shard, model.context, model.dataset.roles, THRESHOLDS, nothing)
    return {
        "problem": None,
        "table": model.told(_frame(rows)),
        "gates": _gates(model, method),
        "ratio": ratio,
    }


def _frame(rows: pa.Table) -> pd.DataFrame:
    return pd.DataFrame(rows.to_pandas())


def _maps(model: _Model, method: Method, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """[rows, 3, h, w]: of the predicted class, of the label, and of the margin."""
    classifier = model.classifier
    found = []
    with inspected(classifier.module):
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            inputs = classifier.inputs(model.pixels(part))
            labels = torch.from_numpy(model.numbers(part).astype(np.int64))
            explained = explain(
                classifier.module, classifier.logits, model.layer, inputs, labels, method
            )
            found.append(explained.maps.float().numpy())
    return np.concatenate(found)


def _inference(model: _Model) -> None:
    """Decide the errors, and nothing else."""
    with torch.inference_mode():
        for start in range(0, len(model.errors), BATCH):
            rows = model.errors[start : start + BATCH]
            model.classifier.module(model.classifier.inputs(model.pixels(rows))).argmax(1)


def _timed(model: _Model, method: Method) -> tuple[NDArray[np.float32], float]:
    """The errors' maps, and what they cost as a multiple of one inference of the same images.

    CPU time of one thread; the median of inferences before and after. Maps include the pass
    that decides, so that a method which costs nothing has 1.
    """
    before = [_seconds(partial(_inference, model)) for _ in range(3)]
    kept: list[NDArray[np.float32]] = []
    costs: list[float] = []
    while len(costs) < 3 and (not costs or sum(costs) < 1):  # once, if it takes long
        costs.append(_seconds(lambda: kept.append(_maps(model, method, model.errors))))
    after = [_seconds(partial(_inference, model)) for _ in range(3)]
    return kept[0], statistics.median(costs) / statistics.median(before + after)


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _gates(model: _Model, method: Method) -> dict[str, dict[str, Any]]:
    """Outcome and figure of each gate of the maps, on the images that the audit drew."""
    rows = np.random.default_rng(0).permutation(len(model.run))[:SAMPLE]
    checks = check_maps(
        model.classifier,
        model.layer,
        method,
        model.pixels(rows),
        model.numbers(rows),
        0,
        BATCH,
    )
    return {
        found.kind: {"outcome": outcome, "value": found.value}
        for found, outcome in map_gates(model.run, model.classifier.classes, THRESHOLDS, checks)
    }


def _channels(model: _Model) -> int:
    """Of the layer: what Score-CAM and Ablation-CAM ask the model for."""
    seen: list[int] = []
    part = model.classifier.module.get_submodule(model.layer.name)
    hook = part.register_forward_hook(lambda _part, _given, made: seen.append(made.shape[1]))
    try:
        with torch.inference_mode():
            model.classifier.module(model.classifier.inputs(model.pixels(model.errors[:1])))
    finally:
        hook.remove()
    return seen[0]


def _check(audit: pd.DataFrame, ours: pd.DataFrame, cell: Cell) -> None:
    """What is measured of the audit's own method has to be what the audit says."""
    for name in ("margin", "iou", "mass", "lift", "margin_excess", "p"):
        theirs, own = (found[name].to_numpy(dtype=np.float64) for found in (audit, ours))
        if not np.allclose(theirs, own, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise RuntimeError(f"{cell.name}: {name} is not what the audit measured")
