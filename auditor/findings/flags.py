"""From a case's measures to its flag, quadrant and pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.measures import F64, excess, positive_share, tail_probability
from auditor.statistics import holm
from auditor.thresholds import THRESHOLDS, Thresholds
from auditor.types import Evidence, Flag, Floats


class References(NamedTuple):
    """Regions of other images of one class: where such regions lie, in general."""

    ids: tuple[str, ...]
    coverage: Floats
    """[images, regions, h, w]."""
    usable: NDArray[np.bool_]
    """[images, regions]: whether the region's status is `ok`."""


class Judgement(NamedTuple):
    """What the maps alone say of one case."""

    flag: Flag | None
    cue: str | None
    evidence: Evidence | None
    stability: float | None
    """Share of the cue's outlines (eroded, dilated, shifted by one cell) under which the
    flag stands; null without a flag."""


def reference_excess(ids: Sequence[str], margin_maps: Floats, references: References) -> F64:
    """What regions of other images of the class would get from these margin maps.

    `margin_maps` is [cases, h, w]. Returns their bounded excess, [cases, regions, images]:
    the null of `p.<region>`. The excess, since other images' regions differ in size; other
    images' regions, since a map that only favours the centre fits those as well. NaN where
    an image lacks the region, and for the case's own image.
    """
    coverage = np.asarray(references.coverage, dtype=np.float64)
    images, regions = coverage.shape[:2]
    if not images:
        return np.full((len(ids), regions, 0), np.nan)
    share = positive_share(margin_maps).reshape(len(ids), -1)
    mass = (share @ coverage.reshape(images * regions, -1).T).reshape(-1, images, regions)
    null = excess(mass, coverage.mean((2, 3)))
    null[:, ~references.usable] = np.nan
    null[np.array([[case == other for other in references.ids] for case in ids])] = np.nan
    return np.moveaxis(null, 1, 2)


def region_p_values(
    margin_excess: Floats, null: Floats, thresholds: Thresholds = THRESHOLDS
) -> F64:
    """How often regions of other images fit a margin map as well: [..., regions], 0..1.

    `null` is `reference_excess`. NaN where the excess is undefined or where fewer than
    `thresholds.fewest_references` other images have the region.
    """
    return tail_probability(margin_excess, null, thresholds.fewest_references)


def judge_error(
    cues: Sequence[str],
    margin_excess: F64,
    null: F64,
    outlines: F64,
    thresholds: Thresholds = THRESHOLDS,
) -> Judgement:
    """Judge a misclassified case by its margin map.

    `margin_excess` is [cues], `null` [cues, images], and `outlines` [outlines, cues] the
    excess under perturbed outlines. `attention` where some cue's excess is above 0 and its
    p-value, Holm-corrected over the cues, at most `thresholds.alpha`: the cue with the
    smallest p-value, then the largest excess. `untestable` where no cue has a p-value,
    else `unsupported`. A cue on which the test could not speak comes with a NaN excess, and
    is in no correction.
    """
    p = region_p_values(margin_excess, null, thresholds)
    if np.isnan(p).all():
        return Judgement(None, None, "untestable", None)
    standing = (holm(p) <= thresholds.alpha) & (margin_excess > 0)
    if not standing.any():
        return Judgement(None, None, "unsupported", None)
    best = min(np.flatnonzero(standing).tolist(), key=lambda cue: (p[cue], -margin_excess[cue]))
    kept, tried = 0, 0
    for outline in outlines[:, best]:
        if np.isnan(outline):
            continue  # eroded to nothing, say: this outline says nothing either way
        with_outline = margin_excess.copy()
        with_outline[best] = outline
        tried += 1
        corrected = holm(region_p_values(with_outline, null, thresholds))[best]
        kept += bool(corrected <= thresholds.alpha and outline > 0)
    return Judgement("spurious_error", cues[best], "attention", kept / tried if tried else None)


def quadrant(correct: bool, subject_excess: float, cue_excess: Floats) -> str | None:
    """Correct × reasonable, as in GRADIA (Gao et al. 2022), by our own rule.

    Reasonable: the predicted class's map favours the subject (excess above 0) and does so
    more than any cue. Null where the subject's excess is undefined.
    """
    if np.isnan(subject_excess):
        return None
    cues = np.asarray(cue_excess, dtype=np.float64)
    cues = cues[~np.isnan(cues)]
    reasonable = subject_excess > 0 and bool((subject_excess > cues).all())
    return f"{'' if reasonable else 'un'}reasonable_{'' if correct else 'in'}accurate"


_PATTERNS = {
    # what stands out: (correct, misclassified)
    "iou": ("human_aligned", "confuser"),
    "saliency": ("sufficient_subset", "insufficient_subset"),
    "region": ("sufficient_context", "context_confusion"),
    "none": ("context_dependent", "distractor"),
}


def pattern(
    correct: bool,
    iou: float,
    saliency: float,
    region: float,
    thresholds: Thresholds = THRESHOLDS,
) -> str | None:
    """One of Shared Interest's eight patterns (Boggust et al. 2022), at our threshold.

    IoU is looked at first, then the larger of saliency and ground-truth coverage. Null
    where they are undefined.
    """
    if np.isnan([iou, saliency, region]).any():
        return None
    high = thresholds.pattern
    if iou >= high:
        kind = "iou"
    elif max(saliency, region) >= high:
        kind = "saliency" if saliency >= region else "region"
    else:
        kind = "none"
    return _PATTERNS[kind][0 if correct else 1]
