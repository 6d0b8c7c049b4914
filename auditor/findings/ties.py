"""Whether a cue looks different for the values of the attribute that its donors are chosen by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from auditor.findings.cells import annotated
from auditor.findings.finding import Finding, p_equation
from auditor.findings.intervals import written_interval
from auditor.findings.material import Probed, Tie
from auditor.findings.probes import Probe, probe
from auditor.groups import cluster_numbers, clusters_of
from auditor.language import Phrase, Text, phrase, sentences
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
            "values",
        )
        findings.append(_found(tie, found, clusters is not None, thresholds))
    return findings


def _found(tie: Tie, found: Probe | Phrase, clustered: bool, thresholds: Thresholds) -> Finding:
    cue, attribute = tie.cue, tie.attribute
    if isinstance(found, Phrase):
        untold = phrase(
            "Donors of cue {cue!r} are chosen by {attribute}; whether the cue shows it cannot be "
            "said, since {why}.",
            cue=cue,
            attribute=attribute,
            why=found,
        )
        return Finding("donor_tie", "info", untold, n=0, attribute=attribute, cue=cue)
    measured = phrase(
        "balanced accuracy {accuracy:.1%} ({interval}), {chance:.1%} by chance ({p}, n = {n})",
        accuracy=found.accuracy,
        interval=written_interval((found.low, found.high), clustered),
        chance=found.chance,
        p=p_equation(found.p),
        n=found.n,
    )
    shows = found.p <= thresholds.alpha
    text: Text
    if shows:
        text = phrase(
            "Donors of cue {cue!r} are chosen by {attribute}, which its look tells: {measured}.",
            cue=cue,
            attribute=attribute,
            measured=measured,
        )
    else:
        text = sentences(
            phrase(
                "Donors of cue {cue!r} are chosen by {attribute}, but its colours and rough "
                "arrangement do not tell it: {measured}.",
                cue=cue,
                attribute=attribute,
                measured=measured,
            ),
            phrase(
                "If donors of another value show the same cue, finding no effect of exchanging it "
                "says nothing; tie the cue to an attribute that it shows."
            ),
        )
    return Finding(
        "donor_tie",
        "info" if shows or not tie.named else "notice",
        text,
        value=found.accuracy,
        low=found.low,
        high=found.high,
        n=found.n,
        threshold=found.chance,
        attribute=attribute,
        cue=cue,
    )
