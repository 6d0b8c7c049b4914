"""The figures as Markdown, and their place in docs/methods.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.cam import METHODS
from benchmarks.methods_truth.scoring import EXCESS, GATES, LIFT, Row
from benchmarks.pages import with_tables

BEGIN = "<!-- python -m benchmarks.methods_truth --write: begin -->"
END = "<!-- python -m benchmarks.methods_truth --write: end -->"
NONE = "–"
MASS, ATTENTION = "mass on the cue", "attention test"
RELIANCE = "confirmed"
_TOLD = {
    "all errors": "*all errors*",
    "low margin": "*low margin*",
    "IoU(subject) < 0.5": "*IoU(subject) < 0.5, Grad-CAM*",
    RELIANCE: "*interventions: ρ, and `confirmed`*",
}


def markdown(summary: Mapping[str, Any]) -> str:
    """All tables, without a newline at the end."""
    methods = summary["methods"]
    return "\n\n".join(
        (
            _counted(summary["counts"]),
            "Lift on the cue, of the predicted class's map:",
            _lifts(methods, summary["baselines"]),
            "The other scores of the same maps:",
            _others(methods),
            "AUROC of the lift / of the margin excess, by cue and by network:",
            _parts(methods, summary["baselines"], summary["cues"], summary["networks"]),
            "Gates (models that pass, the median figure; – where it is undefined), and cost:",
            _gates(methods, summary["channels"]),
        )
    )


def written(page: str, tables: str) -> str:
    """The page with its tables between the two marks exchanged."""
    return with_tables(page, BEGIN, END, tables, Path("docs/methods.md"))


def _counted(counts: Mapping[str, Row]) -> str:
    told = [
        f"{found['models']} models {how}: {found['errors']} errors, {found['caused']} of them "
        f"caused by the cue, {found['measurable']} with a cue that the grid resolves"
        for how, found in (
            ("trained at 78/93", counts["skewed"]),
            ("trained at 50/50", counts["unbiased"]),
        )
    ]
    return ";\n".join(told) + "."


def _lifts(methods: Mapping[str, Row], baselines: Mapping[str, Row]) -> str:
    def line(told: str, models: str, row: Row, less: str) -> tuple[str, ...]:
        return (
            told,
            models,
            _with_interval(row, "auroc"),
            less,
            _number(row["within"]),
            _number(row["resolved"]),
            _with_interval(row, "average_precision"),
            _with_interval(row, "precision"),
            _with_interval(row, "recall"),
            _number(row["false"]),
        )

    head = (
        "method",
        "key",
        "models",
        "AUROC",
        "less Grad-CAM's",
        "AUROC within a model",
        "AUROC, resolved cues",
        "average precision",
        "lift > 1.5: precision",
        "recall",
        "50/50: flagged falsely",
    )
    rows = _of_methods(
        methods,
        lambda row: line("", str(row["models"]), row[LIFT], _less(row[LIFT]["less"]))[1:],
        len(head) - 2,
    )
    rows += [(told, "", *line(told, "", baselines[name], NONE)[1:]) for name, told in _TOLD.items()]
    return _table(head, rows)


def _others(methods: Mapping[str, Row]) -> str:
    head = (
        "method",
        "key",
        "margin excess: AUROC",
        "less Grad-CAM's",
        "within a model",
        "resolved cues",
        "average precision",
        "mass: AUROC",
        "average precision",
        "attention test: AUROC",
        "p ≤ .05: precision",
        "recall",
        "50/50: flagged falsely",
    )

    def cells(row: Row) -> tuple[str, ...]:
        excess, mass, attention = row[EXCESS], row[MASS], row[ATTENTION]
        return (
            _with_interval(excess, "auroc"),
            _less(excess["less"]),
            _number(excess["within"]),
            _number(excess["resolved"]),
            _number(excess["average_precision"]),
            _with_interval(mass, "auroc"),
            _number(mass["average_precision"]),
            _with_interval(attention, "auroc"),
            _number(attention["precision"]),
            _number(attention["recall"]),
            _number(attention["false"]),
        )

    return _table(head, _of_methods(methods, cells, len(head) - 2))


def _parts(
    methods: Mapping[str, Row],
    baselines: Mapping[str, Row],
    cues: Sequence[str],
    networks: Sequence[str],
) -> str:
    named = [("cue", name) for name in cues] + [("network", name) for name in networks]

    def cells(row: Row) -> tuple[str, ...]:
        both = [
            f"{_number(row[LIFT][by].get(name))} / {_number(row[EXCESS][by].get(name))}"
            for by, name in named
        ]
        return (*both, *(_less(row[LIFT]["less_by_network"].get(name)) for name in networks))

    head = (
        "method",
        "key",
        *(f"`{name}`" for _, name in named),
        *(f"lift less Grad-CAM's, `{name}`" for name in networks),
    )
    rows = _of_methods(methods, cells, len(head) - 2)
    rows += [
        (
            told,
            "",
            *(_number(baselines[name][by].get(part)) for by, part in named),
            *(NONE for _ in networks),
        )
        for name, told in _TOLD.items()
        if baselines[name]["auroc"] is not None
    ]
    return _table(head, rows)


def _gates(methods: Mapping[str, Row], channels: Mapping[str, int]) -> str:
    def cells(row: Row) -> tuple[str, ...]:
        told = tuple(_gate(row["gates"][gate], row["served"]) for gate in GATES)
        return told + tuple(
            f"{row['ratio'][name]:.1f}" if name in row["ratio"] else NONE for name in channels
        )

    costs = (f"cost: `{name}`, {count} channels" for name, count in channels.items())
    head = ("method", "key", "randomisation", "classes differ", "noise", *costs)
    return _table(head, _of_methods(methods, cells, len(head) - 2))


def _gate(found: Row, of: int) -> str:
    told = f"{found['passed']} of {of}"
    if found["not passed"]:
        told += f", **{found['not passed']} fail**"
    return f"{told} ({_number(found['median'])})"


def _of_methods(
    methods: Mapping[str, Row], cells: Callable[[Row], tuple[str, ...]], width: int
) -> list[tuple[str, ...]]:
    """A line a method; one that serves no model has dashes."""
    return [
        (
            METHODS[key].title + ("" if METHODS[key].evidence else " (view)"),
            f"`{key}`",
            *(cells(row) if row["models"] else (NONE,) * width),
        )
        for key, row in methods.items()
    ]


def _less(found: Sequence[float] | None) -> str:
    """A difference and its interval."""
    if found is None:
        return NONE
    value, low, high = (_signed(number) for number in found)
    return f"{value} ({low} to {high})"


def _signed(value: float) -> str:
    """Two digits with their sign: +.12, −.05, 0."""
    told = f"{round(value, 2) + 0.0:+.2f}".replace("+0.00", "0")
    return told.replace("-", "−").replace("0.", ".", 1)


def _with_interval(row: Row, measure: str) -> str:
    value, interval = row[measure], row[f"{measure}_interval"]
    told = _number(value)
    if value is None or interval is None:
        return told
    return f"{told} ({_number(interval[0])} to {_number(interval[1])})"


def _number(value: float | None) -> str:
    """Two digits, as shares are told: .85, 1.00, −.12."""
    if value is None:
        return NONE
    told = f"{round(value, 2) + 0.0:.2f}"
    return told.replace("-", "−").replace("0.", ".", 1) if abs(value) < 0.995 else told


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])
