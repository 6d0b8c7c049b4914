"""Whether the maps lie more on a cue where the model errs, like compared with like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.findings.cells import annotated, crossed
from auditor.findings.finding import Finding, p_equation
from auditor.findings.intervals import decimal, written_interval
from auditor.groups import clusters_of, tells_groups
from auditor.language import Phrase, counted, phrase, sentences
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
    by: Phrase,
    family: int,
    seed: int,
    thresholds: Thresholds,
) -> Finding:
    errors, right = kinds
    if contrast is None:
        message = phrase(
            "Cue {cue!r}: whether maps lie more on it in errors cannot be said, since {why}.",
            cue=cue,
            why=_why_not(errors, right, by),
        )
        return Finding("mass_difference", "info", message, n=0, threshold=0.0, cue=cue)
    marked, others = (int(size.sum()) for size in contrast.sizes)
    n = marked + others
    interval = contrast.interval(seed)
    clustered = contrast.clusters is not None
    sure = p is not None and p <= thresholds.alpha
    notable = sure and contrast.delta > 0
    compared = phrase(
        "Cue {cue!r}, like compared with like by {by}: {found} (Cliff's δ {delta:.2f}, "
        "{interval}; {tested}; {errors} and {right} correct in {cells} with both).",
        cue=cue,
        by=by,
        found=_direction(contrast.delta, sure),
        delta=contrast.delta,
        interval=written_interval(interval, clustered, decimal),
        tested=_tested(p, clustered, family),
        errors=counted(marked, "error"),
        right=others,
        cells=counted(len(contrast.sizes[0]), "cell"),
    )
    sampled = min(errors, _MOST) + min(right, _MOST)
    rest = sampled - n
    alone = drawn = None
    if rest:
        alone = phrase(
            "In cells of one kind alone, not compared: {cases}.", cases=counted(rest, "case")
        )
    if sampled < errors + right:
        drawn = phrase("From {sampled} of {n} cases, at random.", sampled=sampled, n=errors + right)
    return Finding(
        "mass_difference",
        "notice" if notable else "info",
        sentences(compared, alone, drawn),
        value=contrast.delta,
        low=interval[0],
        high=interval[1],
        n=n,
        threshold=0.0,
        query=f"`mass.{cue}`.notna() and correct.notna()",
        cue=cue,
    )


def _why_not(errors: int, right: int, by: Phrase) -> Phrase:
    if not errors:
        return phrase("no error has a measure on it")
    if not right:
        return phrase("no correct case has a measure on it")
    return phrase("no cell of {by} holds both errors and correct cases", by=by)


def _direction(delta: float, sure: bool) -> Phrase:
    if sure and delta > 0:
        return phrase("the predicted class's map lies more on it in errors than in correct cases")
    if sure and delta < 0:
        return phrase("the predicted class's map lies less on it in errors than in correct cases")
    return phrase(
        "the predicted class's map is not shown to lie more on it in errors than in correct cases"
    )


def _tested(p: float | None, clustered: bool, family: int) -> Phrase:
    if p is None:
        return phrase("p undefined")
    if clustered:
        test = phrase("{p} by bootstrap", p=p_equation(p))
    else:
        test = phrase("{p} by {n:,} permutations", p=p_equation(p), n=PERMUTATIONS)
    if family == 1:
        return test
    return phrase("{test}, corrected for {n} cues", test=test, n=family)


def _strata(cases: pd.DataFrame, attributes: Sequence[str]) -> tuple[NDArray[np.intp], Phrase]:
    """The cell of label × attributes of each case, [cases] from 0, and what it is by."""
    columns = {"label": cases["label"].astype(object)}
    for name in attributes:
        values = annotated(cases[f"attribute.{name}"])
        if tells_groups(values):
            columns[name] = values
    cells = pd.DataFrame(columns).reset_index(drop=True)
    numbers = cells.groupby(list(columns), dropna=False, sort=False).ngroup()
    return numbers.to_numpy(dtype=np.intp), crossed([name for name in columns if name != "label"])


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
