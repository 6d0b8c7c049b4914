"""Whether a cue looks different for the values of the attribute that its donors are chosen by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from auditor.findings.cells import annotated
from auditor.findings.finding import Finding, p_equation
from auditor.findings.intervals import percent, written_interval
from auditor.findings.material import Probed, Tie
from auditor.findings.probes import probe
from auditor.groups import cluster_numbers, clusters_of
from auditor.thresholds import Thresholds


def ties(
    cases: pd.DataFrame,
    probed: Probed | None,
    pairs: Sequence[Tie],
    seed: int,
    thresholds: Thresholds,
) -> list[Finding]:
    """What the look of each cue says of the attribute that it is exchanged by: `donor_tie`.

    A notice for a pair that the configuration names where the cue's colours tell the attribute no
    better than permuted values would (`thresholds.alpha`): its donors then show the same, and
    finding no effect says nothing. Information otherwise. `cases` needs `attribute.<name>`, and
    `cluster` where some belong together. Nothing without `probed`.
    """
    if probed is None:
        return []
    looked_at = cases.iloc[probed.rows]
    clusters = None
    if clusters_of(looked_at) is not None:
        clusters = cluster_numbers(looked_at["cluster"])
    findings = []
    for tie in pairs:
        if tie.cue not in probed.features:
            continue
        features = np.asarray(probed.features[tie.cue])
        values = annotated(looked_at[f"attribute.{tie.attribute}"]).to_numpy()
        known = np.flatnonzero(np.isfinite(features).all(axis=1) & pd.notna(values))
        found = probe(
            features[known],
            values[known],
            None if clusters is None else clusters[known],
            seed,
            thresholds.fewest_probed,
        )
        start = f"Donors of cue {tie.cue!r} are chosen by {tie.attribute}"
        if isinstance(found, str):
            told = found.replace("labels", "values")
            text = f"{start}; whether the cue shows it cannot be said, since {told}."
            findings.append(Finding("donor_tie", "info", text, n=0))
            continue
        measured = (
            f"balanced accuracy {percent(found.accuracy)} "
            f"({written_interval((found.low, found.high), clusters is not None)}), "
            f"{percent(found.chance)} by chance ({p_equation(found.p)}, n = {found.n})"
        )
        shows = found.p <= thresholds.alpha
        text = (
            f"{start}, which its look tells: {measured}."
            if shows
            else f"{start}, but its colours and rough arrangement do not tell it: {measured}. "
            "If donors of another value show the same cue, finding no effect of exchanging it says "
            "nothing; tie the cue to an attribute that it shows."
        )
        findings.append(
            Finding(
                "donor_tie",
                "info" if shows or not tie.named else "notice",
                text,
                value=found.accuracy,
                low=found.low,
                high=found.high,
                n=found.n,
                threshold=found.chance,
            )
        )
    return findings
