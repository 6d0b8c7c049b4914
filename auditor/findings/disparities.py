"""Which groups the model serves worse, and how sure that is.

A group is a cell of label × annotated values. Comparisons stay within a label, so that a
hard class is not taken for a disadvantaged group, and opposite harms do not cancel. They
are of accuracy, which within a label is the share of its images that the model recognises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from auditor.findings.cells import cell_columns, selected, unit_words
from auditor.findings.finding import Finding, p_equation, written_p
from auditor.findings.intervals import decimal, plural, points, written_interval
from auditor.groups import COUNTS_ONLY, grouped, precision, tells_groups
from auditor.rates import Rates
from auditor.statistics import benjamini_hochberg
from auditor.thresholds import Thresholds


def disparities(
    cases: pd.DataFrame, attributes: Sequence[str], seed: int, thresholds: Thresholds
) -> list[Finding]:
    """Groups of one label held against each other: `disparity` and `impact_ratio`.

    One of each an attribute. `cases` needs `label`, `correct` and `attribute.<name>`;
    intervals are over clusters where it has `cluster`. The declared family, over which
    Benjamini and Hochberg's q is taken, is every comparison of every attribute: each value
    with the other values of the label together, or the two with each other.

    The table of `disparity` has every group as a row, those without a rate too: `label`,
    `value` (null if nobody annotated it), `n`, `judged`, `right`, `rate`, `low`, `high`,
    `precision`, then `difference` (its rate minus that of the others of its label) with
    `difference_low`, `difference_high`, `p` and `q`; `ratio` (its rate over the highest of
    its label, that of `against`) with `ratio_low`, `ratio_high` and `screen` ("passes" or
    "fails"); and `reason`, why anything of it is null.
    """
    held = [_Held.of(cases, name, seed) for name in attributes]
    family = [row for attribute in held for row in attribute.compared if row["counts"]]
    adjusted = benjamini_hochberg(np.array([_number(row["p"]) for row in family]))
    for row, q in zip(family, adjusted.tolist(), strict=True):
        row["q"] = None if np.isnan(q) else q
    findings = []
    for attribute in held:
        for row in attribute.compared:
            mirror = row["mirror"]
            row["q"] = row["q"] if mirror is None else mirror["q"]
            if row["ratio"] is not None:
                row["screen"] = "passes" if row["ratio"] >= thresholds.four_fifths else "fails"
        findings += attribute.found(len(family), thresholds)
    return findings


@dataclass
class _Held:
    """The groups of one attribute, held against each other within each label."""

    name: str
    rates: Rates
    rows: list[dict[str, Any]] = field(default_factory=list)
    groups: bool = True
    """False where the values are names of images, which tell no groups."""

    @classmethod
    def of(cls, cases: pd.DataFrame, name: str, seed: int) -> _Held:
        by = ["label", f"attribute.{name}"]
        shown = cell_columns(cases, by)
        if not tells_groups(shown[by[1]]):
            none = np.zeros(0, dtype=np.intp)
            return cls(name, Rates(none, none), groups=False)
        table, rates = grouped(shown, by, seed)
        held = cls(name, rates)
        for group, cell in enumerate(table.to_dict("records")):
            value = cell[by[1]]
            held.rows.append(
                {
                    "group": group,
                    "label": str(cell["label"]),
                    "value": None if pd.isna(value) else str(value),
                    **{column: int(cell[column]) for column in ("n", "judged")},
                    "right": int(cell["correct"]),
                    "rate": _or_none(cell["accuracy"]),
                    **{column: _or_none(cell[column]) for column in ("low", "high")},
                    "precision": cell["precision"],
                    **dict.fromkeys(_COMPARED),
                    "mirror": None,
                    "counts": False,
                    "others": [],
                }
            )
        for label in dict.fromkeys(row["label"] for row in held.rows):
            held._compare([row for row in held.rows if row["label"] == label])
        return held

    @property
    def compared(self) -> list[dict[str, Any]]:
        """The rows that were held against others."""
        return [row for row in self.rows if row["difference"] is not None]

    def _compare(self, rows: list[dict[str, Any]]) -> None:
        """Fill in the comparisons of one label."""
        known = [row for row in rows if row["value"] is not None]
        rated = [row for row in known if row["rate"] is not None]
        best = max(rated, key=lambda row: row["rate"], default=None)
        for row in rows:
            others = [other for other in known if other is not row]
            groups = [other["group"] for other in others]
            if row["value"] is None:
                row["reason"] = "not annotated, so compared with none"
                continue
            if row["rate"] is None:
                row["reason"] = f"fewer than {COUNTS_ONLY} {unit_words(self.rates)}"
                continue
            if int(self.rates.units[groups].sum()) < COUNTS_ONLY:
                few = f"{COUNTS_ONLY} {unit_words(self.rates)}"
                row["reason"] = f"the others of the label have fewer than {few}"
                continue
            row["others"] = others
            self._difference(row, groups)
            # Two values are one comparison, told in both rows.
            twin = others[0] if len(others) == 1 else None
            row["counts"] = twin is None or twin["difference"] is None
            row["mirror"] = None if row["counts"] else twin
            if best is None or best is row:
                row["reason"] = "the highest rate of its label, so the ratio is to itself"
            elif not best["right"]:
                row["reason"] = "no image of the label is recognised, so there is no ratio"
            else:
                self._ratio(row, best)

    def _difference(self, row: dict[str, Any], others: list[int]) -> None:
        interval = self.rates.difference([row["group"]], others)
        row["difference"] = row["rate"] - (self.rates.rate(others) or 0.0)
        row["difference_low"], row["difference_high"] = interval or (None, None)
        row["p"] = self.rates.p([row["group"]], others)

    def _ratio(self, row: dict[str, Any], best: dict[str, Any]) -> None:
        interval = self.rates.ratio([row["group"]], [best["group"]])
        row["ratio"], row["against"] = row["rate"] / best["rate"], best["value"]
        row["ratio_low"], row["ratio_high"] = interval or (None, None)
        if interval is None:
            row["reason"] = "none of the group is recognised, so the ratio has no interval"

    def found(self, family: int, thresholds: Thresholds) -> list[Finding]:
        """`disparity`, and `impact_ratio` where anything was compared."""
        judged = sum(row["judged"] for row in self.rows if row["value"] is not None)
        if not self.compared:
            why = (
                "no label has two annotated groups with enough of them "
                f"({COUNTS_ONLY} {unit_words(self.rates)} in one, as many in the others)"
                if self.groups
                else "its values are too many to be groups"
            )
            told = f"Within a label, groups by {self.name} cannot be compared: {why}."
            return [
                Finding("disparity", "info", told, n=judged, threshold=0.0, table=self._table())
            ]
        return [self._disparity(family, judged, thresholds), self._impact(thresholds)]

    def _disparity(self, family: int, judged: int, thresholds: Thresholds) -> Finding:
        notable = [row for row in self.compared if _at_most(row["q"], thresholds.alpha)]
        # The group that is worse off; of two groups that is one of the two rows.
        worst = min(notable or self.compared, key=lambda row: row["difference"])
        if notable and worst["difference"] >= 0:
            worst = max(notable, key=lambda row: row["difference"])
        right, count = self.rates.counts([other["group"] for other in worst["others"]])
        interval = (worst["difference_low"], worst["difference_high"])
        less = worst["difference"] <= 0
        bounds = None if None in interval else interval
        if bounds is not None and less:
            bounds = (-bounds[1], -bounds[0])
        q = "p undefined" if worst["q"] is None else p_equation(worst["q"]).replace("p", "q", 1)
        several = plural(family, "comparison")
        text = (
            f"of images labelled {worst['label']!r}, those annotated as {self.name} "
            f"{worst['value']!r} are recognised {'less' if less else 'more'} often than "
            f"{_others(worst)}: {worst['right']} of {worst['judged']} ({worst['rate']:.1%}) "
            f"against {right} of {count} ({right / count:.1%}), "
            f"{points(abs(worst['difference']))} points "
            f"({written_interval(bounds, self.rates.clustered, points)}; {q} over {several})"
        )
        if worst["difference"] == 0:
            text = "every group of a label has the same accuracy as the others of it"
        if "imprecise" in (worst["precision"], self._precision(worst)):
            text += ", imprecise"
        if notable:
            text = f"Harm by {self.name}: {text}."
            own = [row for row in self.compared if row["counts"]]
            sure = sum(_at_most(row["q"], thresholds.alpha) for row in own)
            if len(own) > 1:
                text += (
                    f" {sure} of {len(own)} comparisons by {self.name} "
                    f"{'is' if sure == 1 else 'are'} significant."
                )
        else:
            text = f"By {self.name}, no group is shown to be served worse within its label; {text}."
        return Finding(
            "disparity",
            "notice" if notable else "info",
            text + self._left_out(),
            value=worst["difference"],
            low=worst["difference_low"],
            high=worst["difference_high"],
            n=judged,
            threshold=0.0,
            query=_query(self.name, worst),
            table=self._table(),
        )

    def _impact(self, thresholds: Thresholds) -> Finding:
        limit = thresholds.four_fifths
        known = [row for row in self.compared if row["ratio"] is not None]
        start = f"Four-fifths screen by {self.name}: "
        if not known:
            why = "no group with a rate has a higher one beside it with an image recognised"
            return Finding(
                "impact_ratio", "info", f"{start}no ratio is defined, since {why}.", threshold=limit
            )
        worst = min(known, key=lambda row: row["ratio"])
        best = next(
            row
            for row in self.rows
            if row["label"] == worst["label"] and row["value"] == worst["against"]
        )
        failing = [row for row in known if row["screen"] == "fails"]
        sure = _at_most(worst["q"], thresholds.alpha)
        interval = None if worst["ratio_low"] is None else (worst["ratio_low"], worst["ratio_high"])
        text = (
            f"{start}the lowest impact ratio is {decimal(worst['ratio'])} "
            f"({written_interval(interval, self.rates.clustered, decimal)}): of images labelled "
            f"{worst['label']!r}, {worst['right']} of {worst['judged']} annotated as "
            f"{worst['value']!r} are recognised, {best['right']} of {best['judged']} as "
            f"{best['value']!r}. "
        )
        if failing:
            tested = "p undefined"
            if worst["p"] is not None:
                tested = f"{p_equation(worst['p'])}, corrected {_or_dash(worst['q'])}"
            text += (
                f"It fails (below {decimal(limit)}), and the difference is "
                f"{'' if sure else 'not '}significant ({tested}). "
            )
            if len(failing) > 1:
                text += f"{len(failing)} groups fail. "
        else:
            text += f"All pass (from {decimal(limit)}). "
        return Finding(
            "impact_ratio",
            "notice" if failing and sure else "info",
            text + "A screen, not a test.",
            value=worst["ratio"],
            low=worst["ratio_low"],
            high=worst["ratio_high"],
            n=worst["judged"] + best["judged"],
            threshold=limit,
            query=_query(self.name, worst),
        )

    def _precision(self, row: Mapping[str, Any]) -> str:
        groups = [other["group"] for other in row["others"]]
        return precision(int(self.rates.units[groups].sum()))

    def _left_out(self) -> str:
        few = sum(row["rate"] is None and row["value"] is not None for row in self.rows)
        nobody = sum(row["n"] for row in self.rows if row["value"] is None)
        told = []
        if few:
            told.append(
                f"{plural(few, 'group')} under {COUNTS_ONLY} {unit_words(self.rates)}, counts only"
            )
        if nobody:
            told.append(f"{plural(nobody, 'case')} in which {self.name} is not annotated")
        return f" Not compared: {'; '.join(told)}." if told else ""

    def _table(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(
            {key: value for key, value in row.items() if key not in _INTERNAL} for row in self.rows
        )


_COMPARED = (
    "difference", "difference_low", "difference_high", "p", "q",
    "ratio", "ratio_low", "ratio_high", "against", "screen", "reason",
)  # fmt: skip
_INTERNAL = {"group", "mirror", "counts", "others"}


def _query(name: str, row: Mapping[str, Any]) -> str:
    by = (("label", row["label"]), (f"attribute.{name}", row["value"]))
    return " and ".join(selected(column, value) for column, value in by)


def _others(row: Mapping[str, Any]) -> str:
    if len(row["others"]) == 1:
        return f"those as {row['others'][0]['value']!r}"
    return "the others annotated"


def _at_most(value: float | None, limit: float) -> bool:
    return value is not None and value <= limit


def _or_none(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _or_dash(value: float | None) -> str:
    return "–" if value is None else written_p(value)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
