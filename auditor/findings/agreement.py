"""Whether other explanation methods queue the same errors as the audit's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from auditor.findings.finding import Finding
from auditor.findings.intervals import decimal, written_interval
from auditor.findings.means import Interval, mean_columns
from auditor.groups import clusters_of
from auditor.language import Phrase, counted, listed, phrase, sentences
from auditor.rates import percentiles, resampled_sums
from auditor.statistics import wilson
from auditor.types import Floats

_UNTESTABLE = "untestable"
_QUEUED = "attention"


@dataclass(frozen=True)
class Compared:
    """What the maps of one further method say of errors, beside the audit's own maps."""

    method: str
    title: str
    evidence: bool
    """Whether its maps may be evidence at all; else it is a view."""
    problem: str | None = None
    """Why the model cannot serve the method; all below is then empty."""
    rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    """[errors] positions in the cases."""
    own: tuple[str | None, ...] = ()
    """[errors] what the audit's own maps say (`map_evidence`, before any gate voids them)."""
    own_cues: tuple[str | None, ...] = ()
    """[errors] the cue that they queue the error for."""
    other: tuple[str | None, ...] = ()
    """[errors] what this method's maps say."""
    cues: tuple[str | None, ...] = ()
    """[errors] the cue that these queue it for."""
    correlation: Floats = field(default_factory=lambda: np.zeros(0))
    """[errors] Spearman's, of both methods' margin maps; NaN where undefined."""
    errors: int = 0
    """Errors with regions, of which `rows` are a sample."""
    gates: tuple[Mapping[str, Any], ...] = ()
    """Of each gate of the maps: `gate` (a kind of finding), `outcome`, `value`, `low`, `high`."""


Counts = tuple[int, int, int, int]
"""Errors queued by both, by the audit's own method alone, by the other alone, by neither."""


def cohens_kappa(counts: Counts) -> float | None:
    """Agreement beyond chance (Cohen 1960): 1 complete, 0 what chance gives, to -1.

    None where chance agreement is complete: without a case, or where both say the same of all.
    """
    found = float(_kappas(np.array([counts], dtype=np.float64))[0])
    return None if np.isnan(found) else found


def kappa_interval(
    flags: NDArray[np.bool_], clusters: NDArray[np.intp] | None, seed: int
) -> Interval:
    """95 % bootstrap interval of `cohens_kappa`; `flags` is [errors, 2], own and other.

    Whole clusters (numbers, [errors]) are resampled where they are given. A bootstrap cannot
    vary errors on which all agree: there Wilson's lower bound of the share that agrees, over
    clusters or errors, stands in for it, at the observed rates of both methods. None where κ is
    undefined, with fewer than two clusters (errors), and where either method says the same of all:
    κ is 0 then in every resample, whatever the other says.
    """
    units = np.arange(len(flags)) if clusters is None else clusters
    names, number = np.unique(units, return_inverse=True)
    cells = _cells(flags)
    counts = np.bincount(cells, minlength=4)
    kappa = cohens_kappa((int(counts[0]), int(counts[1]), int(counts[2]), int(counts[3])))
    if kappa is None or len(names) < 2 or _even(counts.tolist()):
        return None
    if kappa == 1:
        agreeing = wilson(len(names), len(names))
        assert agreeing is not None
        chance = _chance(counts[None].astype(np.float64))[0]
        return float((agreeing[0] - chance) / (1 - chance)), 1.0
    held = sparse.coo_array((np.ones(len(cells)), (number, cells)), shape=(len(names), 4))
    return percentiles(_kappas(resampled_sums(sparse.csr_array(held), seed)))


def _even(counts: Sequence[int]) -> bool:
    """Whether either method queues all errors, or none."""
    both, own, other, neither = counts
    return 0 in (both + own, both + other, own + neither, other + neither)


def _cells(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """[errors] the place in `Counts` of each."""
    return (2 * ~flags[:, 0] + ~flags[:, 1]).astype(np.intp)


def _kappas(counts: Floats) -> NDArray[np.float64]:
    """κ of [tables, 4] counts; NaN where undefined."""
    n = counts.sum(1)
    observed = np.divide(counts[:, 0] + counts[:, 3], n, out=np.full(len(n), np.nan), where=n > 0)
    chance = _chance(counts)
    left = 1 - chance
    found = np.full(len(n), np.nan)
    np.divide(observed - chance, left, out=found, where=left > 1e-12)
    return found


def _chance(counts: Floats) -> NDArray[np.float64]:
    """The agreement that both rates give by chance, [tables]; NaN without a case."""
    n = counts.sum(1)
    own, other = counts[:, 0] + counts[:, 1], counts[:, 0] + counts[:, 2]
    found = np.full(len(n), np.nan)
    np.divide(own * other + (n - own) * (n - other), n**2, out=found, where=n > 0)
    return found


def agreement_findings(
    cases: pd.DataFrame, own: str, compared: Sequence[Compared], seed: int
) -> list[Finding]:
    """A finding `method_agreement` for each further method, beside the audit's, titled `own`.

    Cohen's κ of the map flag over the errors that both can test, with its interval; how many
    only one of them queues; the mean rank correlation of margin maps; the outcomes of the gates.
    No flag hangs on any of it. `cases` needs `cluster` where cases belong together.
    """
    clusters = clusters_of(cases)
    return [_found(one, own, clusters, seed) for one in compared]


def _found(one: Compared, own: str, clusters: NDArray[np.intp] | None, seed: int) -> Finding:
    if one.problem is not None:
        message = phrase(
            "{title} could not be compared with {own}: {why}",
            title=one.title,
            own=own,
            why=one.problem,
        )
        row = {"method": one.method, "title": one.title, "evidence": one.evidence}
        return Finding(
            "method_agreement", "info", message, n=0, table=({**row, "problem": one.problem},)
        )
    units = None if clusters is None else clusters[one.rows]
    both = np.array(
        [
            _UNTESTABLE not in pair and None not in pair
            for pair in zip(one.own, one.other, strict=True)
        ],
        dtype=bool,
    )
    queued = np.array(
        [
            [mine == _QUEUED, theirs == _QUEUED]
            for mine, theirs in zip(one.own, one.other, strict=True)
        ],
        dtype=bool,
    ).reshape(len(both), 2)[both]
    counts = np.bincount(_cells(queued), minlength=4).tolist()
    kappa = cohens_kappa((counts[0], counts[1], counts[2], counts[3]))
    interval = kappa_interval(queued, None if units is None else units[both], seed)
    correlation = mean_columns("correlation", one.correlation, units, seed, -1.0, 1.0)
    outcomes = {row["gate"]: row["outcome"] for row in one.gates}
    n = int(both.sum())
    names = ("both", "own_only", "other_only", "neither")
    row = {
        "method": one.method,
        "title": one.title,
        "evidence": one.evidence,
        "problem": None,
        "n": n,
        "kappa": kappa,
        "kappa_low": interval[0] if interval else None,
        "kappa_high": interval[1] if interval else None,
        **dict(zip(names, counts, strict=True)),
        **correlation,
        **outcomes,
    }
    told = sentences(
        _kappa_told(one.title, own, kappa, interval, units is not None, counts, n),
        phrase("Where one of them queues all or none, κ is 0 whatever the other says.")
        if kappa is not None and _even(counts)
        else None,
        _counts_told(one.title, own, counts) if n else None,
        _correlation_told(correlation, units is not None),
        phrase(
            "Of {all}, {n:,} were compared: first those that the audit's own maps can test, else "
            "at random.",
            all=counted(one.errors, "error"),
            n=len(one.rows),
        )
        if len(one.rows) < one.errors
        else None,
        _void_told(one.title, one.gates),
        None if one.evidence else phrase("It is a view, and no evidence."),
        phrase("No flag rests on this comparison."),
    )
    return Finding(
        "method_agreement",
        "info",
        told,
        value=kappa,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        n=n,
        table=(row,),
    )


def _kappa_told(
    title: str,
    own: str,
    kappa: float | None,
    interval: Interval,
    clustered: bool,
    counts: Sequence[int],
    n: int,
) -> Phrase:
    if kappa is None:
        if not n:
            why = phrase("no error can be tested with both")
        elif counts[0]:
            why = phrase("both queue every one of {errors}", errors=counted(n, "error"))
        else:
            why = phrase("both queue none of {errors}", errors=counted(n, "error"))
        return phrase(
            "{title} beside {own}: whether their maps queue the same errors cannot be said beyond "
            "chance, since {why}.",
            title=title,
            own=own,
            why=why,
        )
    return phrase(
        "{title} beside {own}: their maps queue the same errors with a Cohen's κ of {kappa:.2f} "
        "({interval}; 0 is chance, 1 complete agreement), over {errors} that both can test.",
        title=title,
        own=own,
        kappa=kappa,
        interval=written_interval(interval, clustered, decimal),
        errors=counted(n, "error"),
    )


def _counts_told(title: str, own: str, counts: Sequence[int]) -> Phrase:
    return phrase(
        "Both queue {both:,}, {own} alone {own_only:,}, {title} alone {other_only:,}, neither "
        "{neither:,}.",
        title=title,
        own=own,
        both=counts[0],
        own_only=counts[1],
        other_only=counts[2],
        neither=counts[3],
    )


def _correlation_told(columns: Mapping[str, float | int | None], clustered: bool) -> Phrase:
    mean, low, high = (columns[f"correlation{end}"] for end in ("", "_low", "_high"))
    if mean is None:
        return phrase(
            "The rank correlation of their margin maps is undefined, since no error has two that "
            "vary."
        )
    return phrase(
        "The rank correlation of their margin maps is {mean:.2f} on average ({interval}; "
        "{errors}).",
        mean=mean,
        interval=written_interval(
            None if low is None or high is None else (low, high), clustered, decimal
        ),
        errors=counted(int(columns["correlation_n"] or 0), "error"),
    )


def _void_told(title: str, gates: Sequence[Mapping[str, Any]]) -> Phrase | None:
    told = {
        "gate_randomisation": phrase("the gate of random weights"),
        "gate_maps": phrase("the gate of other classes"),
        "gate_noise": phrase("the gate of noise"),
    }
    failed = [told[row["gate"]] for row in gates if row["outcome"] == "not passed"]
    if not failed:
        return None
    return phrase(
        "An audit by {title} would take its maps for no evidence here: they do not pass {gates}.",
        title=title,
        gates=listed(failed),
    )
