"""The tables of a grid as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.truth.detectors import DETECTORS
from benchmarks.truth.summary import ALL, PRETRAINED, SKEWED, Row

NONE = "–"
VERDICTS = tuple(
    "models|accuracy|effect|size|size as audited|δ|without effect|false|upper bound|found"
    "|levels".split("|")
)
MASKS = tuple(
    "masks|cue|models|errors|flags agree|confirmed, exact masks|confirmed|precision"
    "|attention agrees|attention, exact masks|attention".split("|")
)
OURS = ("confirmed", "confirmed or probable")


_FALSE = ("false_unbiased", "false_unbiased_half")


def markdown(summary: Mapping[str, list[Row]], head: str) -> str:
    """The page: first what pools all, then cue by cue."""
    found = summary["detection"]
    parts = ["# Audits against the truth", head]
    for start in dict.fromkeys(row["start"] for row in found):
        of_start = [row for row in found if row["start"] == start]
        cues = list(dict.fromkeys(row["cue"] for row in of_start))
        parts.append(f"## Errors that the cue caused: {start}")
        for cue in (ALL, *(cue for cue in cues if cue != ALL)):
            pooled = [row for row in of_start if row["cue"] == cue and row["skew"] == SKEWED]
            if pooled:
                parts += [f"### {_told(cue)}, all skewed models: {_counts(pooled[0])}"]
                parts.append(_detectors(pooled))
        parts += [f"### By cue and skew: {start}", _by_skew(of_start)]
    for told, columns, rows in (
        ("Verdicts", VERDICTS, [_verdict(row) for row in summary["verdicts"]]),
        (
            "Correct cases that are flagged",
            ("tested", "flagged", "of these: D ≥ m/2", "turned by the cue"),
            [
                (*_where(row), row["tested"], row["flagged"], *_numbers(row, "half", "turned"))
                for row in summary["wrong_reasons"]
            ],
        ),
        (
            "Estimated on true D, all tested cases",
            ("cases", "slope", "r", "mean error", "RMSE"),
            [
                (*_where(row), row["cases"], *_numbers(row, "slope", "r", "mean_error", "rmse"))
                for row in summary["calibration"]
            ],
        ),
        (
            "Cost",
            ("passes a suspect, median", "all passes ÷ one inference"),
            [
                (*_where(row), *_numbers(row, "passes_a_suspect", "passes_to_inference"))
                for row in summary["cost"]
            ],
        ),
    ):
        parts += [f"## {told}", _table(("start", "cue", "skew", *columns), rows)]
    parts += ["## Other masks", _table(MASKS, [_masks(row) for row in summary["robustness"]])]
    return "\n\n".join(parts) + "\n"


def _told(cue: str) -> str:
    return "All cues" if cue == ALL else f"`{cue}`"


def _counts(row: Row) -> str:
    return f"{row['models']} models, {row['errors']} errors, {row['caused']} of them caused"


def _detectors(rows: Sequence[Row]) -> str:
    """One line a detector."""
    measures = ("precision", "recall", "auroc", "average_precision")
    return _table(
        (
            "detector",
            "precision",
            "recall",
            "AUROC",
            "average precision",
            "precision, D ≥ m/2",
            "recall, D ≥ m/2",
            "unbiased models' errors flagged falsely",
            "flagged falsely, D ≥ m/2",
        ),
        [
            (
                row["detector"],
                *(_with_interval(row, measure) for measure in measures),
                *_numbers(row, "precision_half", "recall_half", *_FALSE),
            )
            for row in rows
        ],
    )


def _by_skew(rows: Sequence[Row]) -> str:
    """One line a cue and skew: ours, and the AUROC of every score."""
    by: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        by.setdefault((row["cue"], row["skew"]), {})[row["detector"]] = row
    scores = [d.name for d in DETECTORS if d.score is not None and d.name != OURS[1]]
    lines = []
    for (cue, skew), detectors in by.items():
        first = detectors[OURS[0]]
        line: tuple[Any, ...] = (cue, skew, first["models"], first["errors"], first["caused"])
        for name in OURS:
            line += _numbers(detectors[name], "precision", "recall")
        lines.append(line + tuple(_number(detectors[name]["auroc"]) for name in scores))
    told = tuple("AUROC: ρ" if name == OURS[0] else name for name in scores)
    return _table(
        (
            "cue",
            "skew",
            "models",
            "errors",
            "caused",
            "confirmed: precision",
            "recall",
            "or probable: precision",
            "recall",
            *told,
        ),
        lines,
    )


def _verdict(row: Row) -> tuple[Any, ...]:
    false, found = (
        NONE if row[name] is None else f"{row[name]} of {row[f'{name}_of']}"
        for name in ("false", "found")
    )
    upper = NONE if row["false"] is None else _number(row["false_upper"])
    levels = ", ".join(f"{level}: {n}" for level, n in row["levels"].items()) or NONE
    told = _numbers(row, "accuracy", "effect", "size", "estimate", "delta")
    return (*_where(row), row["models"], *told, row["without_effect"], false, upper, found, levels)


def _masks(row: Row) -> tuple[Any, ...]:
    flags = _numbers(row, "agreement", "confirmed_exact", "confirmed", "precision")
    queue = _numbers(row, "attention_agreement", "attention_exact", "attention")
    return (row["variant"], row["cue"], row["models"], row["errors"], *flags, *queue)


def _where(row: Row) -> tuple[str, str, str]:
    start = "ImageNet" if row["start"] == PRETRAINED else "random"
    return start, row["cue"], row["skew"]


def _with_interval(row: Row, measure: str) -> str:
    interval = row[f"{measure}_interval"]
    told = _number(row[measure])
    return told if interval is None else f"{told} ({interval[0]:.2f} to {interval[1]:.2f})"


def _numbers(row: Row, *names: str) -> tuple[str, ...]:
    return tuple(_number(row[name]) for name in names)


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any]) -> str:
        return f"| {' | '.join(map(str, cells))} |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])
