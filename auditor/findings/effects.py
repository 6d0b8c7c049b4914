"""How much the model as a whole uses a cue: the average effect of one fixed contrast.

A judgement of the model from its errors alone would be selection-biased, and so would one from
margins by prediction, whose sign differs between errors and correct cases. So the contrast is
fixed (one class's logit against the others'), and every tested case counts with the share of
all cases that it stands for: a stratified mean over errors, doubtful cases and the random
sample of the rest (Horvitz and Thompson 1952; the variance by linearisation, clusters kept
together: Binder 1983).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from auditor.groups import cluster_numbers
from auditor.types import Floats

F64 = NDArray[np.float64]
_Contrast = tuple[str | None, str | None, str | None]  # value, class, the one against it


@dataclass(frozen=True)
class Shift:
    """What changing one cue set did to the logits of the tested cases."""

    cue: str
    attribute: str | None
    """By whose values donors were chosen; null for fills."""
    rows: NDArray[np.intp]
    """[tested] positions in `Material.cases`."""
    with_cue: F64
    """[tested, classes] mean logits under the control."""
    without_cue: F64
    """[tested, classes] mean logits with the other value, or with the cue filled."""
    taken: F64
    """[tested] what the change takes from the margin of the prediction, D."""


@dataclass(frozen=True)
class AverageEffect:
    """The average effect of a cue set on one contrast, in logits."""

    cue: str
    attribute: str | None
    value: str | None
    """The attribute value whose effect it is, against the other values; null for fills."""
    class_name: str | None
    """The class whose logit is looked at; null for fills, whose effect is what the cue's being
    there adds to the margin of the prediction: what else a cue shows differs from image to
    image, and may pull either way."""
    against: str | None
    """The class whose logit it is held against: of two classes the other; null for the mean of
    all others."""
    estimate: float
    error: float
    df: float
    n: int
    """Tested cases behind it."""
    tests: int
    """Contrasts that were tried, among which this one was chosen."""

    def interval(self, alpha: float) -> tuple[float, float]:
        """Two-sided t interval at level 1 - `alpha`, corrected for the contrasts tried."""
        width = float(stats.t.isf(alpha / self.tests / 2, self.df)) * self.error
        return self.estimate - width, self.estimate + width

    def least(self, alpha: float) -> float:
        """The smallest size that the interval at that level holds; 0 where it spans 0."""
        low, high = self.interval(alpha)
        return max(low, -high, 0.0)

    def detectable(self, alpha: float, above: float, power: float = 0.8) -> float:
        """The size of effect that would have been shown to exceed `above` with that power."""
        quantiles = stats.t.isf([alpha / self.tests / 2, 1 - power], self.df)
        return above + float(quantiles.sum()) * self.error


def tested_alone(cue_sets: Sequence[Mapping[str, Any]]) -> list[str]:
    """The cue sets of a run whose effect over all cases can be estimated, by name.

    Not a single cue that is part of a set: it is tested where that had an effect, which is a
    selection (`auditor.evidence.sets.parent`). `cue_sets` is that of run.json.
    """
    sets = {cues["name"]: set(cues["cues"]) for cues in cue_sets}
    return [
        name
        for name, own in sets.items()
        if len(own) > 1 or not any(own < other for other in sets.values())
    ]


def average_effects(
    shifts: Sequence[Shift], cases: pd.DataFrame, classes: Sequence[str]
) -> list[AverageEffect]:
    """The contrast of each shift that is shown to be largest; none of one with too few cases.

    `cases` needs `stratum` (null for cases that stand for nobody), `attribute.<name>`, and
    `cluster` if there is one. Corrected for all contrasts of all shifts (Bonferroni).
    """
    found = [(shift, *_contrasts(shift, cases, classes)) for shift in shifts]
    total = sum(len(effects) for _, effects, _ in found)
    clusters = cluster_numbers(cases["cluster"]) if "cluster" in cases else np.arange(len(cases))
    strata = cases["stratum"].to_numpy(dtype=object)
    best = []
    for shift, effects, names in found:
        estimated = []
        for values, contrast in zip(effects, names, strict=True):
            known = ~np.isnan(values)
            rows = shift.rows[known]
            mean = stratified_mean(values[known], strata[rows], strata, clusters[rows])
            if mean is not None:
                estimated.append(
                    AverageEffect(shift.cue, shift.attribute, *contrast, *mean, len(rows), total)
                )
        if estimated:
            # All of their intervals hold at once, so the best of them may be taken.
            best.append(max(estimated, key=lambda e: (e.least(0.05), abs(e.estimate))))
    return best


def stratified_mean(
    values: Floats,
    strata: NDArray[np.object_],
    population: NDArray[np.object_],
    clusters: NDArray[np.intp],
) -> tuple[float, float, float] | None:
    """Mean, standard error and degrees of freedom over the whole population.

    `values`, `strata` and `clusters` are of the tested cases, [n]; `population` is every
    case's stratum, null for those that are not part of it. A stratum with fewer than two tested
    cases is put together with the largest. None with fewer than three clusters.
    """
    names = [name for name in pd.unique(population) if name is not None and not pd.isna(name)]
    sizes = {name: int((population == name).sum()) for name in names}
    tested = {name: int((strata == name).sum()) for name in names}
    if not names or len(np.unique(clusters)) < 3:
        return None
    main = max(names, key=lambda name: (tested[name] >= 2, sizes[name]))
    merged = {name: name if tested[name] >= 2 else main for name in names}
    groups = np.array([merged[name] for name in strata], dtype=object)
    total = sum(sizes.values())
    estimate, influence = 0.0, np.zeros(len(values))
    for group in set(groups):
        of_group = groups == group
        weight = sum(sizes[name] for name in names if merged[name] == group) / total
        mean = float(values[of_group].mean())
        estimate += weight * mean
        influence[of_group] = weight / of_group.sum() * (values[of_group] - mean)
    _, codes = np.unique(clusters, return_inverse=True)
    summed = np.bincount(codes, influence)
    df = float(len(summed) - len(set(groups)))
    if df < 1:
        return None
    error = float(np.sqrt((summed**2).sum() * len(summed) / df))
    return estimate, error, df


def _contrasts(
    shift: Shift, cases: pd.DataFrame, classes: Sequence[str]
) -> tuple[list[F64], list[_Contrast]]:
    """Every contrast's effect on each tested case, NaN where a case says nothing of it."""
    if shift.attribute is None:
        return [shift.taken], [(None, None, None)]
    named = classes[:1] if len(classes) == 2 else classes
    other_class = classes[1] if len(classes) == 2 else None
    change, values = _change(shift), _values(shift, cases)
    known = _known(values)
    effects: list[F64] = []
    names: list[_Contrast] = []
    for value, (c, name) in product(known[:1] if len(known) == 2 else known, enumerate(named)):
        effects.append(_of_value(change[:, c], values, value))
        names.append((value, name, other_class))
    return effects, names


def effects_on(
    shift: Shift, cases: pd.DataFrame, classes: Sequence[str], value: str | None, name: str | None
) -> F64:
    """What a cue set does to each tested case's logit of class `name`, [tested], in logits.

    Against the mean of the others' logits, as annotated with `value` rather than another value of
    the shift's attribute; NaN where a case says nothing of it. Both are null for fills, whose
    effect is what the cue's being there adds to the margin of the prediction.
    """
    if shift.attribute is None or value is None or name is None:
        return shift.taken
    return _of_value(_change(shift)[:, classes.index(name)], _values(shift, cases), value)


def _change(shift: Shift) -> F64:
    """What a cue set does to every class's logit against the others', [tested, classes]."""
    return _against_others(shift.with_cue) - _against_others(shift.without_cue)


def _values(shift: Shift, cases: pd.DataFrame) -> NDArray[np.object_]:
    """The tested cases' values of the shift's attribute, [tested]."""
    values: NDArray[np.object_] = cases[f"attribute.{shift.attribute}"].to_numpy(dtype=object)
    return values[shift.rows]


def _known(values: NDArray[np.object_]) -> list[str]:
    return sorted({str(value) for value in values if value is not None and value != ""})


def _of_value(change: F64, values: NDArray[np.object_], value: str) -> F64:
    """The change of one logit as the effect of one value, [tested]; NaN where unknown."""
    # Of two values, the second's donors show the first's effect with the sign turned.
    other = -change if len(_known(values)) == 2 else np.full(len(change), np.nan)
    return np.where(np.array([v == value for v in values]), change, other)


def recorded_shifts(
    interventions: pd.DataFrame,
    cases: pd.DataFrame,
    cue_sets: Sequence[Mapping[str, Any]],
    first: int,
) -> tuple[Shift, ...]:
    """The shifts of a finished run, from its `interventions.parquet`.

    Of the cue sets that are `tested_alone`, and of donors the `first` pairs of each case, which
    every look has (`Thresholds.looks`): when a case stops hangs on what was seen. `cases` needs
    `id`, and `margin` and `reliance.<cue>` of those cue sets that fills test. A case with logits
    that are not finite is left out.
    """
    rows = pd.Series(np.arange(len(cases)), index=cases["id"])
    shifts = []
    for cue in tested_alone(cue_sets):
        own = interventions[interventions["cue"] == cue]
        donors = own[own["arm"].isin(["same", "opposite"]) & (own["number"] < first)]
        for attribute, group in donors.groupby("attribute", sort=False):
            names, number = np.unique(group["case"].to_numpy(dtype=str), return_inverse=True)
            logits = np.stack(group["logits"].to_list()).astype(np.float64)
            same = (group["arm"] == "same").to_numpy()
            arms = [_means(logits[arm], number[arm], len(names)) for arm in (same, ~same)]
            known = np.isfinite(arms).all((0, 2))
            places = rows[names[known]].to_numpy(dtype=np.intp)
            with_cue, without_cue = (arm[known] for arm in arms)
            none = np.full(len(places), np.nan)
            shifts.append(Shift(cue, str(attribute), places, with_cue, without_cue, none))
        filled = own.loc[own["arm"] == "fill", "case"].unique()
        if len(filled) and donors.empty:
            places = rows[filled].to_numpy(dtype=np.intp)
            tested = cases.iloc[places]
            taken = (tested[f"reliance.{cue}"] * tested["margin"]).to_numpy(dtype=np.float64)
            nothing = np.zeros((len(filled), 0))
            shifts.append(Shift(cue, None, places, nothing, nothing, taken))
    return tuple(shifts)


def _means(values: F64, number: NDArray[np.intp], count: int) -> F64:
    """Mean rows of each number below `count`, [count, columns]; NaN where there is none."""
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, number, values)
    counts = np.bincount(number, minlength=count)[:, None]
    means: F64 = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means


def _against_others(logits: F64) -> F64:
    """Each class's logit less the mean of the others', [..., classes]."""
    count = logits.shape[-1]
    total = logits.sum(-1, keepdims=True)
    difference: F64 = logits - (total - logits) / (count - 1)
    return difference
