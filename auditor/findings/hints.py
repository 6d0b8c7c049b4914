"""Which words errors look more like than correct cases do: hints of what to annotate.

The numbers come from a vision-language model's cosines between images and words. They are no
measurement of an attribute, no flag and no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.language import phrase
from auditor.permutations import Contrast
from auditor.statistics import benjamini_hochberg
from auditor.types import Floats

MOST = 2000
"""Errors, and as many correct cases, that are looked at."""

NOTE = phrase(
    "Hints of what to annotate, never a flag or evidence. CLIP has its own biases, and a word near "
    "an image is no fact about it: annotate the attribute, and let an audit test it. No case gets "
    "an attribute from this, and nothing of it is written in the run."
)
"""What has to stand beside every hint."""


@dataclass(frozen=True)
class Hint:
    """One word, errors against correct cases of the same label."""

    word: str
    auroc: float
    """How much nearer errors lie to the word than correct cases of their label, 0 to 1: within each
    label the probability that an error lies nearer, averaged with the weight n₁n₀ / (n₁ + n₀) of
    its errors and correct cases (van Elteren 1960). .5 where the word tells nothing, below where
    errors lie further from it."""
    low: float
    """Of the 95 % interval of `auroc`, for this word alone."""
    high: float
    p: float | None
    """Two-sided; None where nothing varies between clusters."""
    q: float | None
    """`p` adjusted over all the words (Benjamini & Hochberg 1995)."""
    errors: int
    """Compared: those whose label has correct cases too."""
    correct: int


def hints(
    words: Sequence[str],
    cosines: Floats,
    wrong: NDArray[np.bool_],
    labels: Sequence[str] | NDArray[np.object_],
    clusters: NDArray[np.intp] | None,
    seed: int,
) -> tuple[Hint, ...]:
    """A hint for each word, the smallest p-value first, of equals the AUROC farthest from .5.

    `cosines` is [cases, words]; `wrong`, `labels` and `clusters` are [cases], `clusters` being
    None where cases are independent. Errors are compared with correct cases of the same label
    alone, or a word for the class itself would separate them. The AUROC is (1 + δ) / 2 of
    `Contrast`'s Cliff's δ, and p comes from dealing the errors anew within each label; over
    clusters, from resampling these. Empty where no label has both kinds, see `comparable`.
    """
    strata = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1].astype(np.intp)
    contrasts = [
        Contrast.of(np.asarray(column, dtype=np.float64), wrong, strata, clusters)
        for column in np.asarray(cosines).T
    ]
    told = [pair for pair in zip(words, contrasts, strict=True) if pair[1] is not None]
    p = [
        contrast.p(seed) if clusters is None else contrast.clustered_p(seed)
        for _, contrast in told
        if contrast is not None
    ]
    adjusted = benjamini_hochberg(np.array([np.nan if x is None else x for x in p]))
    found = [
        _hint(word, contrast, one, float(q), seed)
        for (word, contrast), one, q in zip(told, p, adjusted, strict=True)
        if contrast is not None
    ]
    return tuple(sorted(found, key=lambda h: (1.0 if h.p is None else h.p, -abs(h.auroc - 0.5))))


def comparable(
    wrong: NDArray[np.bool_], labels: Sequence[str] | NDArray[np.object_], seed: int
) -> NDArray[np.intp]:
    """Positions of the cases to compare: of labels with errors and correct cases alike.

    At most `MOST` of each kind, drawn at random by being wrong alone, so that within a label
    marks stay exchangeable.
    """
    names = np.asarray(labels, dtype=str)
    both = np.isin(names, names[wrong]) & np.isin(names, names[~wrong])
    random = np.random.default_rng(seed)
    kept = [
        kind if len(kind) <= MOST else random.choice(kind, MOST, replace=False)
        for kind in (np.flatnonzero(both & wrong), np.flatnonzero(both & ~wrong))
    ]
    return np.sort(np.concatenate(kept))


def _hint(word: str, contrast: Contrast, p: float | None, q: float, seed: int) -> Hint:
    low, high = contrast.interval(seed)
    errors, correct = (int(sizes.sum()) for sizes in contrast.sizes)
    return Hint(
        word,
        (1 + contrast.delta) / 2,
        (1 + low) / 2,
        (1 + high) / 2,
        p,
        None if p is None else q,
        errors,
        correct,
    )
