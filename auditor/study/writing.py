"""The study's results as Markdown, JSON and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from auditor.files import whole
from auditor.study.arms import ARMS
from auditor.study.observer import Observer, ideal
from auditor.study.plan import Plan
from auditor.study.plot import draw_plot
from auditor.study.summary import (
    ENOUGH_SEEDS,
    GROUPS,
    PAPER_ACCURACY,
    WITHOUT_CUE,
    Mean,
    by_arm,
    conditions,
    differences,
    per_seed,
)

_MET = {True: "yes", False: "no", None: f"not judged below {ENOUGH_SEEDS} seeds"}


def write_results(out: Path, plan: Plan, cells: Sequence[Mapping[str, Any]]) -> Path:
    """Write `study.md`, `study.json` and `study.svg` into `out`; returns the first."""
    table = per_seed(cells)
    page = out / "study.md"
    texts = {
        out / "study.svg": draw_plot(table),
        out / "study.json": json.dumps(described(plan, cells), indent=1) + "\n",
        page: markdown(plan, cells),
    }
    for file, text in texts.items():
        with whole(file) as part:
            part.write_text(text, encoding="utf-8")
    return page


def described(plan: Plan, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything as JSON: plan, means by arm, differences, conditions, cells."""
    table = per_seed(cells)
    return {
        "plan": asdict(plan),
        "paper": dict(PAPER_ACCURACY),
        "ideal": {
            arm: asdict(_ideal(arm)) for arm in dict.fromkeys(table["arm"]) if ARMS[arm].shares
        },
        "arms": {
            arm: {column: mean and asdict(mean) for column, mean in columns.items()}
            for arm, columns in by_arm(table).items()
        },
        "differences": [asdict(difference) for difference in differences(table)],
        "conditions": [asdict(condition) for condition in conditions(table)],
        "cells": list(cells),
    }


def markdown(plan: Plan, cells: Sequence[Mapping[str, Any]]) -> str:
    """The study's page."""
    table = per_seed(cells)
    seeds = sorted(table["seed"].unique())
    versions = sorted({f"torch {cell['torch']}, NumPy {cell['numpy']}" for cell in cells})
    lines = [
        "# The doctor/nurse study",
        "",
        f"{plan.architecture} from random weights, {plan.per_class:,} training images a class, "
        f"{plan.epochs} epochs at {plan.side} pixels; balanced test of {2 * plan.test_per_class:,} "
        f"scenes, each drawn with both values of the cue. {_seeds(seeds)}; strength of the "
        f"subject evidence {plan.strength}. "
        f"{'; '.join(versions)}.",
        "",
        "![Accuracy by arm and group, and the effect of the cue by skew](study.svg)",
        "",
        "## Accuracy on the balanced test",
        "",
        "Mean over seeds ± standard deviation, in %. The ideal observer is right on "
        f"{WITHOUT_CUE:.0%} without a cue; the paper reports one model an arm.",
        "",
        *_table(accuracy_rows(table)),
        "",
        "## By group, and what the cue does",
        "",
        "Accuracy by group, errors that swapping the cue undoes, scenes that are decided "
        "differently once the cue is swapped (all in %), and the true mean effect of the cue on "
        "the contrast of the two logits, with its 95 % interval over seeds. In brackets the ideal "
        "observer.",
        "",
        *_table(cue_rows(table)),
        "",
        "## Paired differences",
        "",
        "By seed, with 95 % t intervals; accuracy in points, effects in logits.",
        "",
        *_table(difference_rows(table)),
        "",
        "## What it was to show",
        "",
        *_table(condition_rows(table)),
        "",
        "## Arms",
        "",
        *(f"* **{arm}**: {ARMS[arm].told}." for arm in by_arm(table)),
        "",
    ]
    return "\n".join(lines)


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"1 seed ({seeds[0]})"
    return f"{len(seeds)} seeds ({seeds[0]} to {seeds[-1]})"


def _ideal(arm: str) -> Observer:
    shares = ARMS[arm].shares
    assert shares is not None
    return ideal(WITHOUT_CUE, shares)


def accuracy_rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Accuracy by arm as texts, the head first; `table` is `summary.per_seed`."""
    rows: list[tuple[str, ...]] = [
        ("arm", "seeds", "balanced test", "mixed as its training set", "ideal observer", "paper")
    ]
    for arm, means in by_arm(table).items():
        accuracy, like = means["accuracy"], means["like_training"]
        best = _ideal(arm).accuracy if ARMS[arm].shares else WITHOUT_CUE
        paper = PAPER_ACCURACY.get(arm)
        rows.append(
            (
                arm,
                str(accuracy.n if accuracy else 0),
                _percent(accuracy),
                _percent(like),
                f"{best:.1%}".rstrip("%"),
                f"{paper:.0%}".rstrip("%") if paper else "",
            )
        )
    return rows


def cue_rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Groups and what the cue does, by arm, as texts, the head first."""
    rows: list[tuple[str, ...]] = [("arm", *GROUPS, "errors undone", "changed", "effect (logits)")]
    for arm, means in by_arm(table).items():
        if ARMS[arm].shares is None:
            continue
        best = _ideal(arm)
        own = ARMS[arm].cue == "head"
        effect = means["effect"]
        told = "" if effect is None else f"{effect.mean:+.2f}".replace("-", "−")
        if effect and effect.low is not None and effect.high is not None:
            told += f" ({effect.low:.2f} to {effect.high:.2f})".replace("-", "−")
        rows.append(
            (
                arm,
                *(
                    f"{_percent(means[group])} [{best.groups[n]:.0%}]".replace("%]", "]")
                    if own
                    else ""
                    for n, group in enumerate(GROUPS)
                ),
                f"{_percent(means['undone'])} [{100 * best.undone:.0f}]",
                f"{_percent(means['changed'])} [{100 * best.changed:.0f}]",
                f"{told} [{best.effect:+.2f}]".replace("-", "−"),
            )
        )
    return rows


def difference_rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Paired differences as texts, the head first."""
    rows: list[tuple[str, ...]] = [("difference", "in", "mean", "95 % interval", "seeds")]
    for found in differences(table):
        scale = 1 if found.column == "effect" else 100
        value = found.value
        low, high = value.low, value.high
        told = "" if low is None or high is None else f"{scale * low:+.2f} to {scale * high:+.2f}"
        rows.append(
            (
                f"{found.first} − {found.second}",
                found.column,
                f"{scale * value.mean:+.2f}".replace("-", "−"),
                told.replace("-", "−"),
                str(value.n),
            )
        )
    return rows


def condition_rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """What the study was to show, as texts, the head first."""
    found = [(c.told, c.seen, _MET[c.met]) for c in conditions(table)]
    return [("condition", "seen", "met"), *found]


def _percent(mean: Mean | None) -> str:
    if mean is None:
        return ""
    spread = "" if mean.sd is None else f" ± {100 * mean.sd:.1f}"
    return f"{100 * mean.mean:.1f}{spread}"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return [head, "|" + "---|" * len(rows[0]), *body]
