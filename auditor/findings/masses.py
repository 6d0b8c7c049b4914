"""Whether the maps lie more on a cue where the model errs, like compared with like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.findings.cells import annotated
from auditor.findings.finding import Finding, p_equation
from auditor.findings.intervals import decimal, plural, written_interval
from auditor.groups import clusters_of, tells_groups
from auditor.permutations import PERMUTATIONS, Contrast
from auditor.statistics import holm
from auditor.thresholds import Thresholds

_MOST = 10_000  # errors, and as many correct cases: beyond it a test only takes longer


def mass_differences(
    cases: pd.DataFrame,
    cues: Sequence[str],
    attributes: Sequence[str],
    seed: int,
    thresholds: Thresholds,
) -> list[Finding]:
    """The predicted class's mass on each cue, errors against correct cases: `mass_difference`.

    Within the cells of label × all attributes: errors gather in some groups, whose images
    may draw maps to the cue for reasons of their own, so a pooled comparison would find a
    difference where being wrong plays no part. Cliff's δ with its interval, and a p-value by
    permutation within the cells (over clusters, by bootstrap), adjusted by Holm over the
    cues. An image in which an attribute is not annotated is in a cell of its own.

    `cases` needs `label`, `correct`, `mass.<cue>` and `attribute.<name>`. Value, interval
    and p are null where no cell holds both kinds.
    """
    strata, by = _strata(cases, attributes)
    judged = cases["correct"].notna().to_numpy()
    wrong = cases["correct"].eq(False).fillna(False).to_numpy(dtype=bool)
    clusters = clusters_of(cases)
    contrasts: dict[str, Contrast | None] = {}
    p: dict[str, float | None] = {}
    some: dict[str, tuple[int, int]] = {}
    for cue in cues:
        values = cases[f"mass.{cue}"].to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.flatnonzero(judged & ~np.isnan(values))
        some[cue] = int(wrong[known].sum()), int((~wrong[known]).sum())
        known = _sample(known, wrong, seed)
        contrast = Contrast.of(
            values[known],
            wrong[known],
            strata[known],
            None if clusters is None else clusters[known],
        )
        contrasts[cue] = contrast
        if contrast is None:
            p[cue] = None
        else:
            p[cue] = contrast.p(seed) if clusters is None else contrast.clustered_p(seed)
    order = [cue for cue in cues if p[cue] is not None]
    adjusted = holm(np.array([p[cue] for cue in order], dtype=np.float64))
    corrected = dict(zip(order, adjusted.tolist(), strict=True))
    return [
        _found(cue, contrasts[cue], corrected.get(cue), some[cue], by, len(order), seed, thresholds)
        for cue in cues
    ]


def _found(
    cue: str,
    contrast: Contrast | None,
    p: float | None,
    kinds: tuple[int, int],
    by: str,
    family: int,
    seed: int,
    thresholds: Thresholds,
) -> Finding:
    errors, right = kinds
    if contrast is None:
        if errors and right:
            why = f"no cell of {by} holds both errors and correct cases"
        else:
            missing = "error" if not errors else "correct case"
            why = f"no {missing} has a measure on it"
        return Finding(
            "mass_difference",
            "info",
            f"Cue {cue!r}: whether maps lie more on it in errors cannot be said, since {why}.",
            n=0,
            threshold=0.0,
        )
    marked, others = (int(size.sum()) for size in contrast.sizes)
    cells = plural(len(contrast.sizes[0]), "cell")
    n = marked + others
    interval = contrast.interval(seed)
    clustered = contrast.clusters is not None
    notable = p is not None and p <= thresholds.alpha and contrast.delta > 0
    if p is None:
        tested = "p undefined"
    else:
        how = "bootstrap" if clustered else f"{PERMUTATIONS:,} permutations"
        tested = f"{p_equation(p)} by {how}" + (f", corrected for {family} cues" * (family > 1))
    told = (
        "the predicted class's map lies more on it in errors than in correct cases"
        if notable
        else "the predicted class's map is not shown to lie more on it in errors than in correct "
        "cases"
    )
    if p is not None and p <= thresholds.alpha and contrast.delta < 0:
        told = "the predicted class's map lies less on it in errors than in correct cases"
    sampled = min(errors, _MOST) + min(right, _MOST)
    rest = sampled - n
    return Finding(
        "mass_difference",
        "notice" if notable else "info",
        f"Cue {cue!r}, like compared with like by {by}: {told} (Cliff's δ "
        f"{decimal(contrast.delta)}, {written_interval(interval, clustered, decimal)}; {tested}; "
        f"{plural(marked, 'error')} and {others} correct in {cells} with both)."
        + (f" In cells of one kind alone, not compared: {plural(rest, 'case')}." if rest else "")
        + (f" From {sampled} of {errors + right} cases, at random." * (sampled < errors + right)),
        value=contrast.delta,
        low=interval[0],
        high=interval[1],
        n=n,
        threshold=0.0,
        query=f"`mass.{cue}`.notna() and correct.notna()",
    )


def _strata(cases: pd.DataFrame, attributes: Sequence[str]) -> tuple[NDArray[np.intp], str]:
    """The cell of label × attributes of each case, [cases] from 0, and what it is called."""
    columns = {"label": cases["label"].astype(object)}
    for name in attributes:
        values = annotated(cases[f"attribute.{name}"])
        if tells_groups(values):
            columns[name] = values
    cells = pd.DataFrame(columns).reset_index(drop=True)
    numbers = cells.groupby(list(columns), dropna=False, sort=False).ngroup()
    return numbers.to_numpy(dtype=np.intp), " × ".join(columns)


def _sample(known: NDArray[np.intp], wrong: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
    """At most so many errors and so many correct cases, at random.

    Which depends on being wrong alone, so that within a cell marks stay exchangeable.
    """
    random = np.random.default_rng(seed)
    kept = [
        kind if len(kind) <= _MOST else random.choice(kind, _MOST, replace=False)
        for kind in (known[wrong[known]], known[~wrong[known]])
    ]
    return np.sort(np.concatenate(kept))
