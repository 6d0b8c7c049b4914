"""One cell from training to what is kept of it: the audit beside the truth."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import auditor
from auditor.models.checkpoints import read_checkpoint
from auditor.pipeline import Settings
from auditor.scenes import LABELS
from auditor.thresholds import THRESHOLDS
from benchmarks.truth.cases import case_table
from benchmarks.truth.grid import REGIONS, Cell
from benchmarks.truth.testing import PER_GROUP, balanced, write_configuration, write_test
from benchmarks.truth.training import ATTRIBUTE, Weights, scenes_sha256
from benchmarks.truth.truth import Truth, known
from benchmarks.truth.variants import AS_DRAWN, VARIANTS

Result = dict[str, Any]
"""What is kept of a cell, JSON-ready; `cases` maps columns to lists, over errors and tested
cases."""


@dataclass(frozen=True)
class Bench:
    """Where everything lies. `tests` and weights are kept between calls, `runs` of one call."""

    weights: Weights
    tests: Path
    runs: Path

    def measure(self, cell: Cell, variants: tuple[str, ...]) -> Result:
        """Train if need be, audit with each variant of the masks, and compare with the truth."""
        start = time.monotonic()
        checkpoint = self.weights.trained(cell)
        trained = time.monotonic()
        runs = {name: self._audit(cell, name, checkpoint) for name in (AS_DRAWN, *variants)}
        audited = time.monotonic()
        run = runs[AS_DRAWN]
        config = self.runs / f"{cell.name}.toml"
        truth = known(
            auditor.load_classifier(config),
            balanced(cell.cue, cell.seed, PER_GROUP),
            cell.net.side,
        )
        counts = read_checkpoint(checkpoint).training["groups"][ATTRIBUTE]
        tables = {
            name: case_table(found.cases, REGIONS[cell.cue], truth, counts)
            for name, found in runs.items()
        }
        kept = tables[AS_DRAWN]
        result = {
            "cell": cell.name,
            "cue": cell.cue,
            "skew": cell.skew,
            "seed": cell.seed,
            "network": cell.network,
            **_model(kept, truth),
            "verdict": _verdict(run),
            "estimate": (run.info.get("verdict") or {}).get("effect"),
            "gates": {
                f["kind"]: f["severity"] for f in run.findings if f["kind"].startswith("gate_")
            },
            "layer": run.info["layer"]["name"],
            "cases": _columns(kept[kept["error"] | kept["tested"]]),
            "variants": {
                name: _columns(table.loc[table["error"], ["evidence", "p", "caused"]])
                for name, table in tables.items()
                if name != AS_DRAWN
            },
            "seconds": {
                "training": round(trained - start, 1),
                "auditing": round((audited - trained) / len(runs), 1),
            },
        }
        _check(run.cases, truth, cell)
        for name in runs:
            shutil.rmtree(self._run(cell, name))
        return result

    def _audit(self, cell: Cell, variant: str, checkpoint: Path) -> auditor.Run:
        place = f"{cell.cue}_{cell.seed}_{cell.net.side}_{_file(variant)}"
        # Scenes that are drawn otherwise go elsewhere.
        tests = self.tests / scenes_sha256()[:12]
        manifest = write_test(tests / place, cell, VARIANTS[variant])
        self.runs.mkdir(parents=True, exist_ok=True)
        config = self.runs / f"{cell.name}.toml"
        write_configuration(config, cell, manifest, checkpoint)
        out = self._run(cell, variant)
        shutil.rmtree(out, ignore_errors=True)  # of an earlier call that was killed
        return auditor.audit(
            auditor.load_classifier(config),
            auditor.open_dataset(config),
            out,
            settings=Settings(device="cpu", workers=1, fresh=True),
        )

    def _run(self, cell: Cell, variant: str) -> Path:
        return self.runs / f"{cell.name}.{_file(variant)}"


def _file(variant: str) -> str:
    return variant.replace(" ", "-")


def _model(cases: pd.DataFrame, truth: Truth) -> dict[str, Any]:
    """What is true of the model as a whole, and what its audit cost."""
    median = float(cases["margin"].median())
    passes = cases["passes"].dropna()
    return {
        "n": len(cases),
        "accuracy": float(1 - cases["error"].mean()),
        "errors": int(cases["error"].sum()),
        "caused": int(cases["caused"].sum()),
        "effect": truth.average,
        "effect_low": truth.interval[0],
        "effect_high": truth.interval[1],
        "delta": THRESHOLDS.effect * median,
        "passes": float(passes.sum()) if len(passes) else None,
    }


def _verdict(run: auditor.Run) -> int | None:
    levels = [f["value"] for f in run.findings if f["kind"] == "verdict"]
    return int(levels[0]) if levels else None


def _columns(table: pd.DataFrame) -> Mapping[str, list[Any]]:
    """Columns as JSON has them: null for NaN, six digits of a number."""

    def plain(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.6g}")
        return value

    missing = table.astype(object).where(table.notna(), None)
    return {str(name): [plain(value) for value in missing[name]] for name in missing}


def _check(cases: pd.DataFrame, truth: Truth, cell: Cell) -> None:
    """The audit has to have seen what the truth was told of."""
    predicted = [LABELS[number] for number in truth.predicted]
    same = (cases["predicted"] == predicted).mean()
    # A margin near 0 may round to either side.
    if same < 0.99:
        raise RuntimeError(f"{cell.name}: audit and truth agree on {same:.1%} of the predictions")
