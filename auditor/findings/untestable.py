"""Why margin maps of errors cannot be tested for lying on a cue, and how many for which cause."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.language import Phrase, Series, clauses, phrase
from auditor.thresholds import Thresholds


def untestable_causes(cases: pd.DataFrame, cues: Sequence[str], thresholds: Thresholds) -> Series:
    """Each cause with its number of cases and what can be done about it, in a fixed order.

    `cases` are errors that could not be tested on any cue, with `status`, `best_p` and
    `margin_excess` of each. A case counts once: where its cues fail for different causes, for the
    one that came nearest to a test.
    """
    status, best, excess = (
        np.stack([cases[f"{column}.{cue}"].to_numpy(kind) for cue in cues], axis=1)
        for column, kind in (("status", object), ("best_p", float), ("margin_excess", float))
    )
    usable, able = status == "ok", best <= thresholds.alpha
    found: list[tuple[NDArray[np.bool_], Phrase]] = [
        (
            able & ~np.isnan(excess),
            phrase("nothing rests on maps that fail a gate: mend what the gate's finding names"),
        ),
        (
            usable & np.isnan(excess),
            phrase("the margin map has no positive evidence, so only changing pixels can tell"),
        ),
        (
            usable & (best > thresholds.alpha),
            phrase(
                "other images of the class show the cue at the same place, where no map could "
                "tell, so only changing pixels can"
            ),
        ),
        (
            usable,
            phrase(
                "fewer than {fewest} other images of the class show the cue: audit more of them",
                fewest=thresholds.fewest_references,
            ),
        ),
        (
            status == "below_resolution",
            phrase(
                "the cue is smaller than a cell of the map: give a larger input or a finer "
                "model.layer"
            ),
        ),
        (status == "cropped_out", phrase("the crop takes the cue away: see [model.preprocess]")),
    ]
    left = np.ones(len(cases), dtype=bool)
    counted = []
    for where, why in found:
        here = left & where.any(axis=1)
        left &= ~here
        counted.append((why, int(here.sum())))
    counted.append(
        (phrase("no cue is annotated in the image, or its masks cannot be used"), int(left.sum()))
    )
    return clauses(phrase("{reason} ({n})", reason=why, n=n) for why, n in counted if n)
