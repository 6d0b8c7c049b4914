"""The cases of two runs, paired by their ids, and what limits a comparison of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.errors import RunError
from auditor.findings.effects import tested_alone
from auditor.groups import clusters_of
from auditor.language import Phrase, listed, phrase
from auditor.store import Run
from auditor.types import SUBJECT

CHANGES = ("still_right", "fixed", "broken", "still_wrong")
"""Values of `Comparison.cases.change`, beside null: right in both runs, wrong in A only,
wrong in B only, wrong in both."""

_JUDGED = ("predicted", "correct", "evidence")


@dataclass(frozen=True)
class Pairing:
    """Two runs over the same cases, case by case, in A's order.

    `in_a` and `in_b` hold what each run has of them, by id: `label`, `attribute.<name>` of
    `attributes`, `predicted`, `correct`, `evidence`, `mass.<region>` and `area.<region>` of
    `regions`, and where the run has them `margin`, `stratum`, `reliance.<cue>` and `cluster`.
    """

    in_a: pd.DataFrame
    in_b: pd.DataFrame
    attributes: tuple[str, ...]
    """Those that both runs have."""
    regions: tuple[str, ...]
    """The subject, and the cues that both runs have."""

    @classmethod
    def of(cls, a: Run, b: Run) -> Pairing:
        """Read from two runs.

        Raises `RunError` unless both hold the same case ids, with the same labels and the same
        values of the attributes that both have. The message says what differs, and what to do.
        """
        attributes = tuple(name for name in a.info["attributes"] if name in b.info["attributes"])
        regions = (SUBJECT, *(cue for cue in _cues(a) if cue in _cues(b)))
        given = ["label", *(f"attribute.{name}" for name in attributes)]
        measured = [f"{column}.{region}" for region in regions for column in ("mass", "area")]
        in_a, in_b = (
            run.read_cases(["id", *given, *_JUDGED, *measured, *_beside(run)]).set_index("id")
            for run in (a, b)
        )
        _check_ids(a, b, in_a.index, in_b.index)
        in_b = in_b.loc[in_a.index]
        for column in given:
            _check_values(a, b, column, in_a[column], in_b[column])
        return cls(in_a, in_b, attributes, regions)

    @property
    def cases(self) -> pd.DataFrame:
        """The table `cases` of a `Comparison`."""
        cases = self.in_a[["label", *(f"attribute.{name}" for name in self.attributes)]].copy()
        for name in _JUDGED:
            cases[f"{name}_a"], cases[f"{name}_b"] = self.in_a[name], self.in_b[name]
        cases["change"] = _changes(cases["correct_a"], cases["correct_b"])
        return cases.reset_index()

    @property
    def clusters(self) -> NDArray[np.intp] | None:
        """[cases] which belong together, as the first of the runs that says so has it."""
        return clusters_of(self.in_a if "cluster" in self.in_a else self.in_b)


def _beside(run: Run) -> list[str]:
    """The columns that reliance and clusters need, of those that the run has."""
    names = tested_alone(run.info["cue_sets"])
    tested = ["margin", "stratum", *(f"reliance.{name}" for name in names)] if names else []
    return tested + ["cluster"] * bool(run.info["clustered"])


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


def changed_data(a: Run, b: Run) -> Phrase | None:
    """What tells that images or masks were changed between two runs over the same cases.

    Null where nothing does. Images and mask files are compared by their sizes; masks, and files
    that hold them themselves, only where both runs read the same regions. Runs that were written
    before sizes were kept apart have nothing to compare.
    """
    ours, theirs = (run.info.get("contents", {}) for run in (a, b))
    if not ours or not theirs:
        return None
    if ours["images"] != theirs["images"]:
        return phrase("image files have other sizes")
    if a.info["regions"] != b.info["regions"]:
        return None
    if ours["masks"] != theirs["masks"]:
        return phrase("mask files have other sizes")
    files = [] if ours["masks"] else _changed_files(a, b)
    return (
        phrase("files that hold the regions differ: {files}", files=listed(files))
        if files
        else None
    )


def _changes(correct_a: pd.Series, correct_b: pd.Series) -> pd.Series:
    judged = correct_a.notna() & correct_b.notna()
    right_a, right_b = (correct.eq(True).to_numpy() for correct in (correct_a, correct_b))
    kinds = np.select(
        [right_a & right_b, ~right_a & right_b, right_a & ~right_b], CHANGES[:3], CHANGES[3]
    )
    return pd.Series(kinds, correct_a.index, dtype=object).where(judged, None)


def notes(a: Run, b: Run, changed: Phrase | None) -> tuple[Phrase, ...]:
    """What limits a comparison of two runs, a sentence each; `changed` is their `changed_data`."""
    told = []
    weights, configurations = (
        [run.info["identity"].get(key) for run in (a, b)] for key in ("weights", "configuration")
    )
    if changed is not None:
        told.append(
            phrase(
                "The datasets are not the same ({changed}): what is fixed or broken may be a "
                "changed image or annotation.",
                changed=changed,
            )
        )
    elif _fingerprint(a) != _fingerprint(b):
        told.append(
            phrase(
                "The datasets differ by hash: other attributes, regions or columns are read of "
                "them, or were changed, than those that are compared."
            )
        )
    if weights[0] == weights[1]:
        told.append(
            phrase("Both runs are of the same weights.")
            if configurations[0] == configurations[1]
            else phrase("Both runs are of the same weights, under another configuration.")
        )
    maps = [_maps(run) for run in (a, b)]
    if maps[0] != maps[1]:
        told.append(
            phrase(
                "The maps were made by {a} and {b}; part of a difference in shares of the map may "
                "come from that.",
                a=maps[0],
                b=maps[1],
            )
        )
    attributes = set(a.info["attributes"]) ^ set(b.info["attributes"])
    if attributes:
        told.append(
            phrase(
                "In one run only, and so not compared: attribute {attributes}.",
                attributes=listed(sorted(attributes)),
            )
        )
    untested = [run.path.name for run in (a, b) if run.info.get("counts", {}).get("tested") == 0]
    if untested:
        told.append(
            phrase(
                "No pixels were changed in {runs}: there is no evidence there to be compared.",
                runs=listed(untested),
            )
        )
    cues = set(_cues(a)) ^ set(_cues(b))
    if cues:
        told.append(
            phrase("In one run only, and so not compared: cue {cues}.", cues=listed(sorted(cues)))
        )
    return tuple(told)


def _fingerprint(run: Run) -> object:
    return run.info["identity"].get("dataset")


def _changed_files(a: Run, b: Run) -> list[str]:
    """Files of labels and regions that both runs were made from, with other content in B."""
    theirs, ours = (run.info.get("provenance", {}).get("inputs", {}) for run in (a, b))
    return sorted(name for name in theirs if name in ours and theirs[name] != ours[name])


def _maps(run: Run) -> Phrase:
    """How a run's maps were made."""
    layer = run.info["layer"]
    height, width = layer["grid"]
    return phrase(
        "{method} at {layer} ({height}×{width})",
        method=run.info["method"],
        layer=layer["name"],
        height=height,
        width=width,
    )


def _cues(run: Run) -> list[str]:
    return list(run.info["regions"]["cues"])
