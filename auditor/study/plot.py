"""The study as one SVG picture, drawn without a browser or a plotting library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TypeAlias

import pandas as pd

from auditor.study.arms import ARMS
from auditor.study.observer import ideal
from auditor.study.summary import GROUPS, PAPER_ACCURACY, WITHOUT_CUE, Mean, by_arm

# Okabe and Ito's colours, which colour-blind people can tell apart.
_COLOURS = {"skewed": "#D55E00", "rebalanced": "#0072B2", "even": "#009E73"}
_OTHER = "#6B6B6B"
_WIDTH, _HEIGHT = 1080, 400
_TOP, _ROW = 84, 44
_SCALE = (0.55, 1.0)

_Axis: TypeAlias = Callable[[float], float]
"""From a value to its place in the picture; values beyond the ends are drawn at the end."""


def draw_plot(table: pd.DataFrame) -> str:
    """An SVG document of `summary.per_seed`: accuracy by arm, by group, and the ladder."""
    means = by_arm(table)
    parts = [
        _text(24, 30, "The doctor/nurse study", size=18, weight=600),
        _text(24, 52, _subtitle(table), size=12, colour="#555"),
        *_accuracy_panel(table, means, left=120, width=270),
        *_group_panel(table, means, left=540, width=230),
        *_ladder_panel(table, means, left=840, width=210),
        *_legend(),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="system-ui, -apple-system, Segoe UI, sans-serif">\n'
        f"<title>The doctor/nurse study</title>\n<desc>{escape(_told(means))}</desc>\n"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _subtitle(table: pd.DataFrame) -> str:
    seeds = table["seed"].nunique()
    return (
        f"Each small dot is one of {seeds} seeds, bars are means with their 95 % interval, "
        "◇ the ideal observer, ✕ the paper's single model."
    )


def _told(means: dict[str, dict[str, Mean | None]]) -> str:
    """The picture in words, for who cannot see it."""
    told = [
        f"{arm}: accuracy {mean.mean:.3f} on the balanced test"
        for arm, columns in means.items()
        if (mean := columns["accuracy"]) is not None
    ]
    return "; ".join(told) + "."


def _accuracy_panel(
    table: pd.DataFrame, means: dict[str, dict[str, Mean | None]], left: float, width: float
) -> list[str]:
    arms = [arm for arm in ("skewed", "rebalanced", "even", "without", "placebo") if arm in means]
    low, high = 0.78, 0.94
    at = _axis(left, width, low, high)
    parts = [_text(left - 96, _TOP - 6, "Accuracy on the balanced test", weight=600)]
    parts += _grid(at, (0.80, 0.84, 0.88, 0.92), len(arms))
    for row, arm in enumerate(arms):
        y = _TOP + 26 + row * _ROW
        values = table.loc[table["arm"] == arm, "accuracy"]
        parts.append(_text(left - 12, y + 4, arm, anchor="end"))
        parts += _spread(_along(at, y), values, means[arm]["accuracy"], _COLOURS.get(arm, _OTHER))
        shares = ARMS[arm].shares
        parts.append(
            _diamond(at(ideal(WITHOUT_CUE, shares).accuracy if shares else WITHOUT_CUE), y)
        )
        if arm in PAPER_ACCURACY:
            parts.append(_cross(at(PAPER_ACCURACY[arm]), y))
    return parts


def _group_panel(
    table: pd.DataFrame, means: dict[str, dict[str, Mean | None]], left: float, width: float
) -> list[str]:
    at = _axis(left, width, *_SCALE)
    parts = [_text(left - 106, _TOP - 6, "Accuracy by group", weight=600)]
    parts += _grid(at, (0.6, 0.7, 0.8, 0.9, 1.0), len(GROUPS))
    for row, group in enumerate(GROUPS):
        y = _TOP + 26 + row * _ROW
        parts.append(_text(left - 12, y + 4, group, anchor="end"))
        for offset, arm in ((-7, "skewed"), (7, "rebalanced")):
            if arm not in means:
                continue
            values = table.loc[table["arm"] == arm, group]
            parts += _spread(_along(at, y + offset), values, means[arm][group], _COLOURS[arm])
            shares = ARMS[arm].shares
            assert shares is not None
            parts.append(_diamond(at(ideal(WITHOUT_CUE, shares).groups[row]), y + offset))
    return parts


def _ladder_panel(
    table: pd.DataFrame, means: dict[str, dict[str, Mean | None]], left: float, width: float
) -> list[str]:
    """Effect of the cue by how skewed the training set was."""
    rungs = sorted(
        (_skew(arm), arm)
        for arm in means
        if ARMS[arm].shares is not None and ARMS[arm].cue == "head" and arm != "rebalanced"
    )
    at_x = _axis(left, width, 0.48, 0.92)
    bottom, top = _TOP + 14 + 4.4 * _ROW, _TOP + 14
    seen = table.loc[table["arm"].isin([arm for _, arm in rungs]), "effect"]
    lowest, highest = min(-0.5, float(seen.min())), max(5.0, float(seen.max()))

    def at_y(effect: float) -> float:
        return bottom - (effect - lowest) / (highest - lowest) * (bottom - top)

    parts = [_text(left - 34, _TOP - 6, "Effect of swapping the cue (logits)", weight=600)]
    for level in range(0, int(highest) + 1, 2):
        y = at_y(level)
        parts.append(_line(left, y, left + width, y, "#E3E3E3"))
        parts.append(_text(left - 8, y + 4, str(level), anchor="end", colour="#555", size=11))
    parts += [
        _text(at_x(skew), bottom + 16, f"{skew:.0%}", anchor="middle", colour="#555", size=11)
        for skew in (0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    parts.append(
        _text(
            left + width / 2,
            bottom + 34,
            "of each class with its usual value (mean)",
            anchor="middle",
            size=11,
            colour="#555",
        )
    )
    curve = [(s / 100, ideal(WITHOUT_CUE, (s / 100, 1 - s / 100)).effect) for s in range(50, 91, 2)]
    points = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in curve)
    parts.append(f'<polyline points="{points}" fill="none" stroke="#999" stroke-dasharray="4 3"/>')
    for skew, arm in rungs:
        values = table.loc[table["arm"] == arm, "effect"]
        colour = _COLOURS.get(arm, _OTHER)
        parts += _spread(_up(at_y, at_x(skew)), values, means[arm]["effect"], colour)
    return parts


def _skew(arm: str) -> float:
    shares = ARMS[arm].shares
    assert shares is not None
    return (shares[0] + 1 - shares[1]) / 2


def _axis(left: float, width: float, low: float, high: float) -> _Axis:
    def at(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * width

    return at


def _along(at: _Axis, y: float) -> Callable[[float], tuple[float, float]]:
    return lambda value: (at(value), y)


def _up(at: _Axis, x: float) -> Callable[[float], tuple[float, float]]:
    return lambda value: (x, at(value))


def _grid(at: _Axis, ticks: Sequence[float], rows: int) -> list[str]:
    bottom = _TOP + 10 + rows * _ROW
    parts = []
    for tick in ticks:
        told = _text(at(tick), bottom + 16, f"{tick:.0%}", anchor="middle", size=11, colour="#555")
        parts += [_line(at(tick), _TOP + 8, at(tick), bottom, "#E3E3E3"), told]
    return parts


def _spread(
    place: Callable[[float], tuple[float, float]],
    values: pd.Series[float],
    mean: Mean | None,
    colour: str,
) -> list[str]:
    """A small dot for every value, a large one for the mean, a bar for its interval."""
    parts = [_dot(*place(value), 2.5, colour, 0.4) for value in values.dropna()]
    if mean is not None:
        if mean.low is not None and mean.high is not None:
            parts.append(_line(*place(mean.low), *place(mean.high), colour, 2.5))
        parts.append(_dot(*place(mean.mean), 4.5, colour, 1))
    return parts


def _legend() -> list[str]:
    parts, x = [], 24.0
    marks = (
        ("skewed", _COLOURS["skewed"], 78),
        ("rebalanced", _COLOURS["rebalanced"], 100),
        ("even: 50/50 drawn afresh", _COLOURS["even"], 180),
        ("without: no cue at all; placebo: a tag that tells nothing; other skews", _OTHER, 400),
    )
    y = _HEIGHT - 24
    for told, colour, wide in marks:
        parts.append(_dot(x + 5, y - 4, 4.5, colour, 1))
        parts.append(_text(x + 16, y, told, size=12))
        x += wide + 16
    parts.append(_line(x + 20, y - 4, x + 46, y - 4, "#999", dash="4 3"))
    parts.append(_text(x + 52, y, "ideal observer", size=12))
    return parts


def _text(
    x: float,
    y: float,
    text: str,
    size: int = 13,
    colour: str = "#1a1a1a",
    anchor: str = "start",
    weight: int = 400,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )


def _line(
    x: float, y: float, to_x: float, to_y: float, colour: str, width: float = 1, dash: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashed}/>'
    )


def _dot(x: float, y: float, r: float, colour: str, opacity: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}" fill-opacity="{opacity}"/>'


def _diamond(x: float, y: float) -> str:
    corners = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
    return f'<polygon points="{corners}" fill="none" stroke="#1a1a1a" stroke-width="1.3"/>'


def _cross(x: float, y: float) -> str:
    return (
        f'<path d="M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10" stroke="#1a1a1a" '
        'stroke-width="1.6" fill="none"/>'
    )
