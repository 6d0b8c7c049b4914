"""What changed between two runs over the same cases: tables of it, with paired statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.errors import RunError
from auditor.findings.effects import (
    Shift,
    average_effects,
    effects_on,
    recorded_shifts,
    tested_alone,
)
from auditor.findings.means import interval_of_mean
from auditor.findings.paired import Effects, PairedRates, PairedReliance, paired_reliance
from auditor.findings.pairing import CHANGES, Pairing, changed_data, notes
from auditor.groups import COUNTS_ONLY, precision
from auditor.language import Phrase, phrase
from auditor.statistics import holm
from auditor.store import Run
from auditor.types import Evidence


@dataclass(frozen=True)
class Paired:
    """How two runs judge the same `n` cases; all proportions are over those alone.

    `fixed` are wrong in A and right in B, `broken` the reverse. `difference` is accuracy in
    B minus accuracy in A, -1 to 1, with its 95 % interval (Newcombe 1998, method 10, for
    paired proportions); `p` is McNemar's, exact and two-sided. Where cases belong together, both
    come from resampling whole clusters (`auditor.findings.paired`). `accuracy_a`, `accuracy_b`,
    `difference`, `low` and `high` are null for fewer cases than were asked for, and `p` then
    or where no case is judged differently; `reason` says so, null where all are defined.
    """

    n: int
    still_right: int
    fixed: int
    broken: int
    still_wrong: int
    accuracy_a: float | None
    accuracy_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: Phrase | None


@dataclass(frozen=True)
class Comparison:
    """What changed from run A to run B.

    `unjudged` counts the cases that lack a prediction: `a` only in A, `b` only in B, `both`.
    `notes` are sentences about what limits the comparison. The tables:

    * `cases`, one row a case in A's order: `id`, `label`, `attribute.<name>` (those that both
      runs have), `predicted_a`, `predicted_b`, `correct_a`, `correct_b`, `evidence_a`,
      `evidence_b` (null as in the runs), and `change`, one of `CHANGES`, null where a run has
      no prediction.
    * `groups`, one row a cell of label, then of label × each attribute; none is left out:
      `attribute` and `value` (null in the cells of label alone), `label`, `cases` (all of
      them), the fields of `Paired` but the reason, `holm` (`p` adjusted over the groups of
      the same attribute; null like it), and `precision`: "ok"; "imprecise" for 10 to 29
      cases judged in both; "counts only" below, where all rates and p are null.
    * `worst`, one row for label and one an attribute that has a group with a rate:
      `attribute` (null for label), and for each run the group of its lowest accuracy:
      `label_a`, `value_a`, `accuracy_a` (its accuracy in A), `in_b` (the same group's in B),
      `label_b`, `value_b`, `accuracy_b`. Each is the least of several estimates, and so
      looks worse than it is. `difference` is `accuracy_b` minus `accuracy_a`, with the 95 %
      interval `low` to `high` of a paired bootstrap, null where no case changed.
    * `evidence`, one row an evidence level that either run has: `evidence`, `a` and `b`
      (cases with it), `both`, `only_a`, `only_b`.
    * `shares`, one row for the subject and for each cue that both runs have: `region`, `n`
      (cases in which both could measure it), `chance` (its mean area), `a` and `b` (mean share
      of the predicted class's map, 0 to 1), `difference` (B minus A), `low`, `high` (95 %,
      Student's t of the paired differences, or over resampled clusters). Null where no case
      (for the interval, fewer than two) could be measured in both.
    * `reliance`, one row for each cue set that both runs tested over all their cases, and each
      attribute whose donors they took: the fields of `auditor.findings.paired.PairedReliance`,
      `reason` in English.
    """

    a: Path
    b: Path
    accuracy: Paired
    unjudged: Mapping[str, int]
    cases: pd.DataFrame
    groups: pd.DataFrame
    worst: pd.DataFrame
    evidence: pd.DataFrame
    shares: pd.DataFrame
    reliance: pd.DataFrame
    reliance_reasons: tuple[Phrase | None, ...]
    """Of each row of `reliance` its `reason`, apart from the language."""
    notes: tuple[Phrase, ...]
    clusters: NDArray[np.intp] | None
    """[cases] a number for those that belong together; None where no two do."""

    def changed(self, change: str) -> list[str]:
        """Ids of the cases with that `change`, in A's order."""
        return list(self.cases.loc[self.cases["change"] == change, "id"])

    def described(self) -> dict[str, Any]:
        """JSON-ready, in English: all but `cases`, of which it has the ids of each change."""
        why = self.accuracy.reason
        return {
            "a": str(self.a),
            "b": str(self.b),
            "accuracy": {**vars(self.accuracy), "reason": None if why is None else str(why)},
            "unjudged": dict(self.unjudged),
            **{change: self.changed(change) for change in CHANGES[1:]},
            **{
                name: _records(getattr(self, name))
                for name in ("groups", "worst", "evidence", "shares", "reliance")
            },
            "notes": [str(note) for note in self.notes],
        }


def compare(a: Run, b: Run, *, changed: bool = False) -> Comparison:
    """Compare run B with run A, case by case.

    Raises `RunError` unless both hold the same case ids, with the same labels and the same
    values of the attributes that both have, and, unless `changed`, where other data of the
    cases differ: a difference of accuracy between other cases says nothing about the models.
    The message says what differs, and what to do.
    """
    pairing = Pairing.of(a, b)
    differ = changed_data(a, b)
    if differ is not None and not changed:
        raise RunError(
            f"{b.path}: its dataset is not that of {a.path}, although ids, labels and shared "
            f"attributes are the same ({differ}). Audit both models over one dataset, or compare "
            "all the same with --changed (changed=True)."
        )
    cases, clusters, seed = pairing.cases, pairing.clusters, a.info["seed"]
    missing_a, missing_b = cases["correct_a"].isna(), cases["correct_b"].isna()
    whole = _rates(cases, np.zeros(len(cases), dtype=np.intp), 1, clusters, seed)
    groups, worst = _groups(cases, pairing.attributes, clusters, seed)
    reliance = _reliance(a, b, pairing, clusters, seed)
    return Comparison(
        a=a.path,
        b=b.path,
        accuracy=_paired(whole, 0, fewest=1),
        unjudged={
            "a": int((missing_a & ~missing_b).sum()),
            "b": int((missing_b & ~missing_a).sum()),
            "both": int((missing_a & missing_b).sum()),
        },
        cases=cases,
        groups=groups,
        worst=worst,
        evidence=_evidence(cases),
        shares=pd.DataFrame(
            [_share(pairing, region, clusters, seed) for region in pairing.regions]
        ),
        reliance=_reliance_table(reliance),
        reliance_reasons=tuple(one.reason for one in reliance),
        notes=notes(a, b, differ),
        clusters=clusters,
    )


def _rates(
    cases: pd.DataFrame,
    groups: NDArray[np.intp],
    count: int,
    clusters: NDArray[np.intp] | None,
    seed: int,
) -> PairedRates:
    """Of the cases that both runs judge; `groups` is [cases]."""
    judged = cases["change"].notna().to_numpy()
    changes = cases["change"].map({name: number for number, name in enumerate(CHANGES)})
    return PairedRates.of(
        groups[judged],
        changes.to_numpy()[judged].astype(np.intp),
        count,
        None if clusters is None else clusters[judged],
        seed,
    )


def _paired(rates: PairedRates, group: int, fewest: int) -> Paired:
    right, fixed, broken, wrong = (int(count) for count in rates.counts[group])
    n, units = right + fixed + broken + wrong, int(rates.units[group])
    if units < fewest:
        why = (
            phrase("clusters judged in both runs: {n}, fewer than {fewest}", n=units, fewest=fewest)
            if rates.clustered
            else phrase("judged in both runs: {n}, fewer than {fewest}", n=units, fewest=fewest)
        )
        return Paired(n, right, fixed, broken, wrong, None, None, None, None, None, None, why)
    interval = rates.difference(group)
    p = rates.p(group)
    same = phrase("no case is judged differently, so there is no p")
    if p is None and fixed + broken:
        same = phrase("the resampled clusters do not vary, so there is no p")
    return Paired(
        n,
        right,
        fixed,
        broken,
        wrong,
        accuracy_a=(right + broken) / n,
        accuracy_b=(right + fixed) / n,
        difference=(fixed - broken) / n,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        p=p,
        reason=same if p is None else None,
    )


def _groups(
    cases: pd.DataFrame,
    attributes: Sequence[str],
    clusters: NDArray[np.intp] | None,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables `groups` and `worst`."""
    rows: list[dict[str, Any]] = []
    worst = []
    for attribute in (None, *attributes):
        by = ["label"] if attribute is None else ["label", f"attribute.{attribute}"]
        cells = cases.groupby(by, dropna=False, sort=True, observed=True)
        rates = _rates(cases, cells.ngroup().to_numpy(dtype=np.intp), cells.ngroups, clusters, seed)
        found: list[dict[str, Any]] = []
        for number, (key, members) in enumerate(cells):
            paired = vars(_paired(rates, number, fewest=COUNTS_ONLY))
            found.append(
                {
                    "attribute": attribute,
                    "label": key[0],
                    "value": key[1] if attribute else None,
                    "cases": len(members),
                    **{name: value for name, value in paired.items() if name != "reason"},
                    "precision": precision(int(rates.units[number])),
                }
            )
        adjusted = holm(np.array([row["p"] for row in found], dtype=np.float64))
        rows += [row | {"holm": p} for row, p in zip(found, adjusted, strict=True)]
        worst += _worst(attribute, found, rates)
    numbers = ["accuracy_a", "accuracy_b", "difference", "low", "high", "p", "holm"]
    groups = pd.DataFrame(rows).astype(dict.fromkeys(numbers, float))
    return groups, pd.DataFrame(worst, columns=_WORST).astype({"low": float, "high": float})


_WORST = (
    "attribute label_a value_a accuracy_a in_b label_b value_b accuracy_b difference low high"
).split()


def _worst(
    attribute: str | None, groups: Sequence[dict[str, Any]], rates: PairedRates
) -> list[dict[str, Any]]:
    """The row of `worst` for one attribute; none where no group has a rate."""
    known = [number for number, group in enumerate(groups) if group["accuracy_a"] is not None]
    lowest = rates.lowest(known)
    if lowest is None:
        return []
    in_a, in_b = (
        groups[min(known, key=lambda number: groups[number][f"accuracy_{run}"])]
        for run in ("a", "b")
    )
    difference, interval = lowest
    low, high = interval or (None, None)
    return [
        {
            "attribute": attribute,
            "label_a": in_a["label"],
            "value_a": in_a["value"],
            "accuracy_a": in_a["accuracy_a"],
            "in_b": in_a["accuracy_b"],
            "label_b": in_b["label"],
            "value_b": in_b["value"],
            "accuracy_b": in_b["accuracy_b"],
            "difference": difference,
            "low": low,
            "high": high,
        }
    ]


def _evidence(cases: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for level in get_args(Evidence):
        in_a, in_b = cases["evidence_a"] == level, cases["evidence_b"] == level
        counts = {
            "a": in_a,
            "b": in_b,
            "both": in_a & in_b,
            "only_a": in_a & ~in_b,
            "only_b": in_b & ~in_a,
        }
        if (in_a | in_b).any():
            rows.append({"evidence": level, **{name: int(of.sum()) for name, of in counts.items()}})
    return pd.DataFrame(rows, columns=["evidence", "a", "b", "both", "only_a", "only_b"])


def _share(
    pairing: Pairing, region: str, clusters: NDArray[np.intp] | None, seed: int
) -> dict[str, Any]:
    in_a, in_b = pairing.in_a, pairing.in_b
    gained = (in_b[f"mass.{region}"] - in_a[f"mass.{region}"]).to_numpy(dtype=float)
    masses = pd.DataFrame({"a": in_a[f"mass.{region}"], "b": in_b[f"mass.{region}"]}).dropna()
    means = masses.mean()
    interval = interval_of_mean(gained, clusters, seed)
    return {
        "region": region,
        "n": len(masses),
        "chance": in_a.loc[masses.index, f"area.{region}"].mean(),
        "a": means["a"],
        "b": means["b"],
        "difference": means["b"] - means["a"],
        "low": interval[0] if interval else np.nan,
        "high": interval[1] if interval else np.nan,
    }


def _reliance(
    a: Run, b: Run, pairing: Pairing, clusters: NDArray[np.intp] | None, seed: int
) -> list[PairedReliance]:
    ours = _Moved.of(a, pairing.in_a, pairing.attributes)
    theirs = _Moved.of(b, pairing.in_b, pairing.attributes)
    found: list[PairedReliance] = []
    shifts = list(ours.shifts.values())
    for effect in average_effects(shifts, ours.cases, ours.classes) if shifts else ():
        key, contrast = (effect.cue, effect.attribute), (effect.value, effect.class_name)
        if key in theirs.shifts and effect.class_name in (None, *theirs.classes):
            tested = [run.tested(key, *contrast) for run in (ours, theirs)]
            named = (*key, *contrast, effect.against)
            found.append(paired_reliance(named, tested[0], tested[1], clusters, seed))
    return found


def _reliance_table(found: Sequence[PairedReliance]) -> pd.DataFrame:
    rows = [{**vars(one), "reason": one.reason and str(one.reason)} for one in found]
    table = pd.DataFrame(rows, columns=[field.name for field in fields(PairedReliance)])
    return table.astype(dict.fromkeys(("a", "b", "difference", "low", "high"), float))


@dataclass(frozen=True)
class _Moved:
    """What changing cues did to one run's cases."""

    cases: pd.DataFrame
    classes: tuple[str, ...]
    shifts: Mapping[tuple[str, str | None], Shift]

    @classmethod
    def of(cls, run: Run, held: pd.DataFrame, attributes: Sequence[str]) -> _Moved:
        """Of the run's cases as `compare` holds them, by id."""
        cases = held.reset_index()
        if not tested_alone(run.info["cue_sets"]):
            return cls(cases, (), {})
        first = run.info["thresholds"]["looks"][0]
        shifts = recorded_shifts(run.interventions, cases, run.info["cue_sets"], first)
        known = {(s.cue, s.attribute): s for s in shifts if s.attribute in (None, *attributes)}
        return cls(cases, tuple(run.info["model"]["classes"]), known)

    def tested(
        self, key: tuple[str, str | None], value: str | None, class_name: str | None
    ) -> Effects:
        """The effect of one cue set on one contrast, case by case."""
        shift = self.shifts[key]
        effects = np.full(len(self.cases), np.nan)
        effects[shift.rows] = effects_on(shift, self.cases, self.classes, value, class_name)
        strata = self.cases["stratum"].to_numpy(dtype=object)
        return Effects(effects, strata, float(self.cases["margin"].median()))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON-ready mappings; NaN is null."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [
        {k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()} for row in rows
    ]
