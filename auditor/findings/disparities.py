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

from auditor.findings.cells import cell_columns, counted_units, selected
from auditor.findings.finding import Finding, p_equation, written_p
from auditor.findings.intervals import decimal, points, written_interval
from auditor.groups import COUNTS_ONLY, grouped, precision, tells_groups
from auditor.language import Phrase, clauses, counted, phrase, sentences
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
    "fails"); and `reason`, why anything of it is null, with `reason_message`, the same apart
    from its language, as `auditor.language.read` takes it.
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
                _explain(row, phrase("not annotated, so compared with none"))
                continue
            if row["rate"] is None:
                _explain(row, phrase("fewer than {least}", least=self._least))
                continue
            if int(self.rates.units[groups].sum()) < COUNTS_ONLY:
                few = phrase("the others of the label have fewer than {least}", least=self._least)
                _explain(row, few)
                continue
            row["others"] = others
            self._difference(row, groups)
            # Two values are one comparison, told in both rows.
            twin = others[0] if len(others) == 1 else None
            row["counts"] = twin is None or twin["difference"] is None
            row["mirror"] = None if row["counts"] else twin
            if best is None or best is row:
                _explain(row, phrase("the highest rate of its label, so the ratio is to itself"))
            elif not best["right"]:
                _explain(row, phrase("no image of the label is recognised, so there is no ratio"))
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
            none = phrase("none of the group is recognised, so the ratio has no interval")
            _explain(row, none)

    def found(self, family: int, thresholds: Thresholds) -> list[Finding]:
        """`disparity`, and `impact_ratio` where anything was compared."""
        judged = sum(row["judged"] for row in self.rows if row["value"] is not None)
        if not self.compared:
            told = phrase(
                "Within a label, groups by {attribute} cannot be compared: {why}.",
                attribute=self.name,
                why=self._incomparable(),
            )
            table, name = self._table(), self.name
            return [
                Finding(
                    "disparity", "info", told, n=judged, threshold=0.0, table=table, attribute=name
                )
            ]
        return [self._disparity(family, judged, thresholds), self._impact(thresholds)]

    def _disparity(self, family: int, judged: int, thresholds: Thresholds) -> Finding:
        notable = [row for row in self.compared if _at_most(row["q"], thresholds.alpha)]
        # The group that is worse off; of two groups that is one of the two rows.
        worst = min(notable or self.compared, key=lambda row: row["difference"])
        if notable and worst["difference"] >= 0:
            worst = max(notable, key=lambda row: row["difference"])
        return Finding(
            "disparity",
            "notice" if notable else "info",
            sentences(*self._harm(worst, family, thresholds), self._left_out()),
            value=worst["difference"],
            low=worst["difference_low"],
            high=worst["difference_high"],
            n=judged,
            threshold=0.0,
            query=_query(self.name, worst),
            table=self._table(),
            attribute=self.name,
        )

    def _harm(self, worst: Mapping[str, Any], family: int, thresholds: Thresholds) -> list[Phrase]:
        """Whether a group is served worse, told of the worst; how many are, of several."""
        compared = self._comparison(worst, family)
        own = [row for row in self.compared if row["counts"]]
        sure = sum(_at_most(row["q"], thresholds.alpha) for row in own)
        if not sure:
            return [
                phrase(
                    "By {attribute}, no group is shown to be served worse within its label; "
                    "{comparison}.",
                    attribute=self.name,
                    comparison=compared,
                )
            ]
        told = [
            phrase("Harm by {attribute}: {comparison}.", attribute=self.name, comparison=compared)
        ]
        if len(own) > 1:
            told.append(_significant(sure, len(own), self.name))
        return told

    def _comparison(self, worst: Mapping[str, Any], family: int) -> Phrase:
        """A group held against the others of its label, a clause."""
        if worst["difference"] == 0:
            told = phrase("every group of a label has the same accuracy as the others of it")
        else:
            told = self._recognised(worst, family)
        if "imprecise" in (worst["precision"], self._precision(worst)):
            return phrase("{comparison}, imprecise", comparison=told)
        return told

    def _recognised(self, worst: Mapping[str, Any], family: int) -> Phrase:
        """The comparison of one group, unless there is no difference."""
        right, count = self.rates.counts([other["group"] for other in worst["others"]])
        less = worst["difference"] < 0
        low, high = worst["difference_low"], worst["difference_high"]
        bounds = None if low is None else (-high, -low) if less else (low, high)
        undefined = worst["q"] is None
        return phrase(
            "{comparison}: {right} of {judged} ({rate:.1%}) against {others_right} of "
            "{others_judged} ({others_rate:.1%}), {points:.1f} points ({interval}; {q} over "
            "{comparisons})",
            comparison=_served(worst, self.name, less),
            right=worst["right"],
            judged=worst["judged"],
            rate=worst["rate"],
            others_right=right,
            others_judged=count,
            others_rate=right / count,
            points=100 * abs(worst["difference"]),
            interval=written_interval(bounds, self.rates.clustered, points),
            q=phrase("p undefined") if undefined else p_equation(worst["q"]).replace("p", "q"),
            comparisons=counted(family, "comparison"),
        )

    def _impact(self, thresholds: Thresholds) -> Finding:
        limit = thresholds.four_fifths
        known = [row for row in self.compared if row["ratio"] is not None]
        if not known:
            told = phrase(
                "Four-fifths screen by {attribute}: no ratio is defined, since no group with a "
                "rate has a higher one beside it with an image recognised.",
                attribute=self.name,
            )
            return Finding("impact_ratio", "info", told, threshold=limit, attribute=self.name)
        worst = min(known, key=lambda row: row["ratio"])
        best = next(
            row
            for row in self.rows
            if row["label"] == worst["label"] and row["value"] == worst["against"]
        )
        failing = [row for row in known if row["screen"] == "fails"]
        sure = _at_most(worst["q"], thresholds.alpha)
        interval = None if worst["ratio_low"] is None else (worst["ratio_low"], worst["ratio_high"])
        lowest = phrase(
            "Four-fifths screen by {attribute}: the lowest impact ratio is {ratio:.2f} "
            "({interval}): of images labelled {label!r}, {right} of {judged} annotated as "
            "{value!r} are recognised, {best_right} of {best_judged} as {best!r}.",
            attribute=self.name,
            ratio=worst["ratio"],
            interval=written_interval(interval, self.rates.clustered, decimal),
            label=worst["label"],
            right=worst["right"],
            judged=worst["judged"],
            value=worst["value"],
            best_right=best["right"],
            best_judged=best["judged"],
            best=best["value"],
        )
        several = phrase("{n} groups fail.", n=len(failing)) if len(failing) > 1 else None
        return Finding(
            "impact_ratio",
            "notice" if failing and sure else "info",
            sentences(
                lowest,
                _screened(worst, limit, sure) if failing else _passed(limit),
                several,
                phrase("A screen, not a test."),
            ),
            value=worst["ratio"],
            low=worst["ratio_low"],
            high=worst["ratio_high"],
            n=worst["judged"] + best["judged"],
            threshold=limit,
            query=_query(self.name, worst),
            attribute=self.name,
        )

    def _precision(self, row: Mapping[str, Any]) -> str:
        groups = [other["group"] for other in row["others"]]
        return precision(int(self.rates.units[groups].sum()))

    def _incomparable(self) -> Phrase:
        if not self.groups:
            return phrase("its values are too many to be groups")
        return phrase(
            "no label has two annotated groups with enough of them ({least} in one, as many in "
            "the others)",
            least=self._least,
        )

    @property
    def _least(self) -> Phrase:
        """What a group needs for a rate."""
        return counted_units(COUNTS_ONLY, self.rates)

    def _left_out(self) -> Phrase | None:
        few = sum(row["rate"] is None and row["value"] is not None for row in self.rows)
        nobody = sum(row["n"] for row in self.rows if row["value"] is None)
        told = []
        if few:
            told.append(
                phrase(
                    "{groups} under {least}, counts only",
                    groups=counted(few, "group"),
                    least=self._least,
                )
            )
        if nobody:
            told.append(
                phrase(
                    "{cases} in which {attribute} is not annotated",
                    cases=counted(nobody, "case"),
                    attribute=self.name,
                )
            )
        return phrase("Not compared: {left_out}.", left_out=clauses(told)) if told else None

    def _table(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(
            {key: value for key, value in row.items() if key not in _INTERNAL} for row in self.rows
        )


_COMPARED = (
    "difference", "difference_low", "difference_high", "p", "q",
    "ratio", "ratio_low", "ratio_high", "against", "screen", "reason", "reason_message",
)  # fmt: skip
_INTERNAL = {"group", "mirror", "counts", "others"}


def _query(name: str, row: Mapping[str, Any]) -> str:
    by = (("label", row["label"]), (f"attribute.{name}", row["value"]))
    return " and ".join(selected(column, value) for column, value in by)


def _explain(row: dict[str, Any], why: Phrase) -> None:
    row["reason"], row["reason_message"] = str(why), why.described()


def _served(row: Mapping[str, Any], attribute: str, less: bool) -> Phrase:
    """That the group of a row is recognised less or more often than the others of its label."""
    if less:
        return phrase(
            "of images labelled {label!r}, those annotated as {attribute} {value!r} are "
            "recognised less often than {others}",
            label=row["label"],
            attribute=attribute,
            value=row["value"],
            others=_others(row),
        )
    return phrase(
        "of images labelled {label!r}, those annotated as {attribute} {value!r} are recognised "
        "more often than {others}",
        label=row["label"],
        attribute=attribute,
        value=row["value"],
        others=_others(row),
    )


def _others(row: Mapping[str, Any]) -> Phrase:
    if len(row["others"]) == 1:
        return phrase("those as {value!r}", value=row["others"][0]["value"])
    return phrase("the others annotated")


def _significant(sure: int, n: int, attribute: str) -> Phrase:
    if sure == 1:
        return phrase(
            "1 of {n} comparisons by {attribute} is significant.", n=n, attribute=attribute
        )
    return phrase(
        "{sure} of {n} comparisons by {attribute} are significant.",
        sure=sure,
        n=n,
        attribute=attribute,
    )


def _screened(worst: Mapping[str, Any], limit: float, sure: bool) -> Phrase:
    """That the lowest ratio fails, and whether the difference behind it is significant."""
    tested = phrase("p undefined")
    if worst["p"] is not None:
        tested = phrase("{p}, corrected {q}", p=p_equation(worst["p"]), q=_or_dash(worst["q"]))
    if sure:
        return phrase(
            "It fails (below {limit:.2f}), and the difference is significant ({tested}).",
            limit=limit,
            tested=tested,
        )
    return phrase(
        "It fails (below {limit:.2f}), and the difference is not significant ({tested}).",
        limit=limit,
        tested=tested,
    )


def _passed(limit: float) -> Phrase:
    return phrase("All pass (from {limit:.2f}).", limit=limit)


def _at_most(value: float | None, limit: float) -> bool:
    return value is not None and value <= limit


def _or_none(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _or_dash(value: float | None) -> str:
    return "–" if value is None else written_p(value)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
