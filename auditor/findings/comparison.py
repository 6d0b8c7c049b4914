"""What changed between two runs over the same cases, paired by case id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from auditor.errors import RunError
from auditor.groups import COUNTS_ONLY, precision
from auditor.statistics import holm, mcnemar, mean_interval, paired_difference
from auditor.store import Run
from auditor.types import SUBJECT, Evidence

CHANGES = ("still_right", "fixed", "broken", "still_wrong")
"""Values of `Comparison.cases.change`, beside null: right in both runs, wrong in A only,
wrong in B only, wrong in both."""


@dataclass(frozen=True)
class Paired:
    """How two runs judge the same `n` cases; all proportions are over those alone.

    `fixed` are wrong in A and right in B, `broken` the reverse. `difference` is accuracy in
    B minus accuracy in A, -1 to 1, with its 95 % interval (Newcombe 1998, method 10, for
    paired proportions); `p` is McNemar's, exact and two-sided. `accuracy_a`, `accuracy_b`,
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
    reason: str | None


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
      looks worse than it is; there is no interval of their difference.
    * `evidence`, one row an evidence level that either run has: `evidence`, `a` and `b`
      (cases with it), `both`, `only_a`, `only_b`.
    * `shares`, one row for the subject and for each cue that both runs have: `region`, `n`
      (cases in which both could measure it), `chance` (its mean area), `a` and `b` (mean share
      of the predicted class's map, 0 to 1), `difference` (B minus A), `low`, `high` (95 %,
      Student's t of the paired differences). Null where no case (for the interval, fewer
      than two) could be measured in both.
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
    notes: tuple[str, ...]

    def changed(self, change: str) -> list[str]:
        """Ids of the cases with that `change`, in A's order."""
        return list(self.cases.loc[self.cases["change"] == change, "id"])

    def described(self) -> dict[str, Any]:
        """JSON-ready: everything but `cases`, of which it has the ids of each change."""
        return {
            "a": str(self.a),
            "b": str(self.b),
            "accuracy": vars(self.accuracy),
            "unjudged": dict(self.unjudged),
            **{change: self.changed(change) for change in CHANGES[1:]},
            **{
                name: _records(getattr(self, name))
                for name in ("groups", "worst", "evidence", "shares")
            },
            "notes": list(self.notes),
        }


def compare(a: Run, b: Run) -> Comparison:
    """Compare run B with run A, case by case.

    Raises `RunError` unless both hold the same case ids, with the same labels and the same
    values of the attributes that both have: a difference of accuracy between other cases says
    nothing about the models. The message says what differs, and what to do.
    """
    attributes = [name for name in a.info["attributes"] if name in b.info["attributes"]]
    regions = [SUBJECT, *(c for c in _cues(a) if c in _cues(b))]
    given = ["id", "label", *(f"attribute.{name}" for name in attributes)]
    measured = ["predicted", "correct", "evidence"]
    measured += [f"{column}.{region}" for region in regions for column in ("mass", "area")]
    in_a, in_b = (run.read_cases([*given, *measured]).set_index("id") for run in (a, b))
    _check_ids(a, b, in_a.index, in_b.index)
    in_b = in_b.loc[in_a.index]
    for column in given[1:]:
        _check_values(a, b, column, in_a[column], in_b[column])

    cases = in_a[given[1:]].copy()
    for name, column in [(n, c) for c in measured[:3] for n in ("a", "b")]:
        cases[f"{column}_{name}"] = (in_a if name == "a" else in_b)[column]
    cases["change"] = _changes(cases["correct_a"], cases["correct_b"])
    cases = cases.reset_index()
    missing_a, missing_b = cases["correct_a"].isna(), cases["correct_b"].isna()
    groups = _groups(cases, attributes)
    return Comparison(
        a=a.path,
        b=b.path,
        accuracy=_paired(cases["change"], fewest=1),
        unjudged={
            "a": int((missing_a & ~missing_b).sum()),
            "b": int((missing_b & ~missing_a).sum()),
            "both": int((missing_a & missing_b).sum()),
        },
        cases=cases,
        groups=groups,
        worst=_worst(groups),
        evidence=_evidence(cases),
        shares=pd.DataFrame([_share(in_a, in_b, region) for region in regions]),
        notes=tuple(_notes(a, b)),
    )


def _check_ids(a: Run, b: Run, in_a: pd.Index, in_b: pd.Index) -> None:
    shared = in_a.isin(in_b)
    if not shared.any():
        raise RunError(
            f"{b.path}: has no case of {a.path} (their first ids are {in_b[0]!r} and "
            f"{in_a[0]!r}); compare two runs over the same dataset."
        )
    told = []
    for run, other, only in ((b, a, in_a[~shared]), (a, b, in_b[~in_b.isin(in_a)])):
        if len(only):
            cases = "case" if len(only) == 1 else "cases"
            told.append(f"{run.path} lacks {len(only)} {cases} of {other.path} (first {only[0]!r})")
    if told:
        raise RunError(
            f"{'; '.join(told)}. Only runs over the same cases are compared: audit both over one "
            "dataset, with the same --limit and audit.seed."
        )


def _check_values(a: Run, b: Run, column: str, in_a: pd.Series, in_b: pd.Series) -> None:
    differ = (in_a != in_b) & ~(in_a.isna() & in_b.isna())
    count = int(differ.sum())
    if count:
        first = differ.idxmax()
        others = f", and {count - 1} more differ" if count > 1 else ""
        name = column.replace("attribute.", "attribute ")
        raise RunError(
            f"{b.path}: has another {name} than {a.path} for the same case ({first!r}: "
            f"{in_b[first]!r}, not {in_a[first]!r}{others}). Audit both models over one dataset."
        )


def _changes(correct_a: pd.Series, correct_b: pd.Series) -> pd.Series:
    judged = correct_a.notna() & correct_b.notna()
    right_a, right_b = (correct.eq(True).to_numpy() for correct in (correct_a, correct_b))
    kinds = np.select(
        [right_a & right_b, ~right_a & right_b, right_a & ~right_b], CHANGES[:3], CHANGES[3]
    )
    return pd.Series(kinds, correct_a.index, dtype=object).where(judged, None)


def _paired(change: pd.Series, fewest: int) -> Paired:
    counts = change.value_counts()
    right, fixed, broken, wrong = (int(counts.get(name, 0)) for name in CHANGES)
    n = right + fixed + broken + wrong
    if n < fewest:
        why = f"judged in both runs: {n}, fewer than {fewest}"
        return Paired(n, right, fixed, broken, wrong, None, None, None, None, None, None, why)
    interval = paired_difference(right, broken, fixed, wrong)
    p = mcnemar(broken, fixed)
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
        reason="no case is judged differently, so there is no p" if p is None else None,
    )


def _groups(cases: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for attribute in (None, *attributes):
        by = ["label"] if attribute is None else ["label", f"attribute.{attribute}"]
        found: list[dict[str, Any]] = []
        for key, members in cases.groupby(by, dropna=False, sort=True, observed=True):
            paired = vars(_paired(members["change"], fewest=COUNTS_ONLY))
            found.append(
                {
                    "attribute": attribute,
                    "label": key[0],
                    "value": key[1] if attribute else None,
                    "cases": len(members),
                    **{name: value for name, value in paired.items() if name != "reason"},
                    "precision": precision(paired["n"]),
                }
            )
        adjusted = holm(np.array([row["p"] for row in found], dtype=np.float64))
        rows += [row | {"holm": p} for row, p in zip(found, adjusted, strict=True)]
    numbers = ["accuracy_a", "accuracy_b", "difference", "low", "high", "p", "holm"]
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, float))


def _worst(groups: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for attribute, table in groups.groupby("attribute", dropna=False, sort=False):
        known = table[table["accuracy_a"].notna()]
        if known.empty:
            continue
        in_a, in_b = (known.loc[known[f"accuracy_{run}"].idxmin()] for run in ("a", "b"))
        rows.append(
            {
                "attribute": None if pd.isna(attribute) else attribute,
                "label_a": in_a["label"],
                "value_a": in_a["value"],
                "accuracy_a": in_a["accuracy_a"],
                "in_b": in_a["accuracy_b"],
                "label_b": in_b["label"],
                "value_b": in_b["value"],
                "accuracy_b": in_b["accuracy_b"],
            }
        )
    columns = "attribute label_a value_a accuracy_a in_b label_b value_b accuracy_b".split()
    return pd.DataFrame(rows, columns=columns)


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


def _share(in_a: pd.DataFrame, in_b: pd.DataFrame, region: str) -> dict[str, Any]:
    masses = pd.DataFrame({"a": in_a[f"mass.{region}"], "b": in_b[f"mass.{region}"]}).dropna()
    means = masses.mean()
    interval = mean_interval((masses["b"] - masses["a"]).to_numpy(dtype=float))
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


def _notes(a: Run, b: Run) -> list[str]:
    notes = []
    infos = (a.info, b.info)
    datasets, weights, configurations = (
        [info["identity"].get(key) for info in infos]
        for key in ("dataset", "weights", "configuration")
    )
    if datasets[0] != datasets[1]:
        notes.append(
            "The datasets differ by hash although ids, labels and shared attributes are the same: "
            "images, regions or other columns were changed in between, or are read otherwise."
        )
    if weights[0] == weights[1]:
        same = "" if configurations[0] == configurations[1] else ", under another configuration"
        notes.append(f"Both runs are of the same weights{same}.")
    places = [(i["method"], i["layer"]["name"], tuple(i["layer"]["grid"])) for i in infos]
    if places[0] != places[1]:
        told = " and ".join(f"{m} at {name} ({h}×{w})" for m, name, (h, w) in places)
        notes.append(
            f"The maps were made by {told}; part of a difference in shares of the map may come "
            "from that."
        )
    for kind, names in (
        ("attribute", [info["attributes"] for info in infos]),
        ("cue", [_cues(a), _cues(b)]),
    ):
        alone = sorted(set(names[0]) ^ set(names[1]))
        if alone:
            notes.append(f"In one run only, and so not compared: {kind} {', '.join(alone)}.")
    if any("cluster" in pq.read_schema(run.path / "cases.parquet").names for run in (a, b)):
        notes.append(
            "Intervals and p take cases for independent of each other, although the dataset says "
            "which belong together; they are too narrow where such cases are judged alike."
        )
    return notes


def _cues(run: Run) -> list[str]:
    return list(run.info["regions"]["cues"])


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON-ready mappings; NaN is null."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [
        {k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()} for row in rows
    ]
