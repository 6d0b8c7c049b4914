"""When a cluster shows the cue, and how often clusters made by chance would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.discovery.options import OFF_SUBJECT

F64 = NDArray[np.float64]
Numbers = NDArray[np.intp]
"""[errors] the number of the cluster that each is in, from 1."""

LIFT, PURITY, FIRST = 1.5, 0.6, 2
DEALT = 1000
TAIL = 0.025


@dataclass(frozen=True)
class Errors:
    """The clustered errors of a model, and the truth about each."""

    has: NDArray[np.bool_]
    """[errors] whether the scene has the cue."""
    cue: F64
    """[errors] share of the margin map on the cue's true mask; read only where `has`."""
    cue_area: F64
    subject: F64
    """[errors] share of the margin map on garment and equipment."""
    subject_area: F64
    caused: NDArray[np.bool_]
    """[errors] whether the scene is classified right once the cue is changed; False without it."""

    def lifts(self, some: NDArray[np.bool_]) -> tuple[float, float]:
        """Of the cue, in those of these errors that have it (NaN if none), and of the subject."""
        own = some & self.has
        return (
            float(self.cue[own].mean() / self.cue_area[own].mean()) if own.any() else np.nan,
            float(self.subject[some].mean() / self.subject_area[some].mean()),
        )

    def shows(self, some: NDArray[np.bool_]) -> bool:
        """Whether these errors show the cue."""
        cue, subject = self.lifts(some)
        return cue > LIFT and cue > subject and float(self.caused[some].mean()) >= PURITY


def rank(errors: Errors, clusters: Numbers) -> int | None:
    """The number of the first cluster that shows the cue."""
    numbers = range(1, int(clusters.max()) + 1)
    return next((n for n in numbers if errors.shows(clusters == n)), None)


def is_found(first: int | None) -> bool:
    """Whether the first cluster that shows the cue is early enough."""
    return first is not None and first <= FIRST


def in_order(errors: Errors, clusters: Numbers) -> Numbers:
    """Clusters numbered as discovery numbers its own: by the lift on the subject, lowest first."""
    count = int(clusters.max())
    lifts = [errors.lifts(clusters == number)[1] for number in range(1, count + 1)]
    return _numbered(clusters, lifts)


def by_size(clusters: Numbers) -> Numbers:
    """Clusters numbered by their size, the largest first; of the same size as they were."""
    return _numbered(clusters, -np.bincount(clusters)[1:])


def sorted_alone(errors: Errors, clusters: Numbers) -> Numbers:
    """No clusters: errors by their own lift on the subject, cut into sets of the same sizes.

    The lowest lift first, as are clusters in discovery's order.
    """
    lifts = errors.subject / errors.subject_area
    sets = np.empty_like(clusters)
    sets[np.argsort(lifts, kind="stable")] = np.sort(clusters)
    return sets


def _first(errors: Errors, most: int) -> NDArray[np.bool_]:
    """[errors] which stand on the sheet of those whose maps lie least on the subject."""
    count = len(errors.caused)
    order = sorted_alone(errors, np.arange(1, count + 1))
    chosen: NDArray[np.bool_] = order <= most
    return chosen


def _numbered(clusters: Numbers, keys: Sequence[float] | NDArray[np.intp]) -> Numbers:
    """Numbers from 1 in the ascending order of the clusters' keys."""
    numbers = np.empty(len(keys), dtype=np.intp)
    numbers[np.argsort(keys, kind="stable")] = np.arange(1, len(keys) + 1)
    return numbers[clusters - 1]


def dealt(errors: Errors, clusters: Numbers, times: int = DEALT) -> list[Numbers]:
    """The errors dealt at random into clusters of the same sizes, which are put in order."""
    random = np.random.default_rng(0)
    return [in_order(errors, random.permutation(clusters)) for _ in range(times)]


def tails(
    errors: Errors, clusters: Numbers, number: int, deals: Sequence[Numbers]
) -> tuple[float, float]:
    """How often the cluster of this number has a lift, and a share caused, as large in deals."""
    some = clusters == number
    lift, caused = errors.lifts(some)[0], errors.caused[some].mean()
    others = [deal == number for deal in deals]
    return (
        (1 + sum(errors.lifts(other)[0] >= lift - 1e-12 for other in others)) / (1 + len(deals)),
        (1 + sum(errors.caused[other].mean() >= caused - 1e-12 for other in others))
        / (1 + len(deals)),
    )


def told_apart(errors: Errors, clusters: Numbers, deals: Sequence[Numbers]) -> bool:
    """Whether an early cluster shows the cue, and more of it than chance would give."""
    return any(
        errors.shows(clusters == number) and min(tails(errors, clusters, number, deals)) <= TAIL
        for number in range(1, min(FIRST, int(clusters.max())) + 1)
    )


def judged(errors: Errors, clusters: Numbers) -> dict[str, object]:
    """One clustering against the truth.

    Size, share caused and lifts are of the first cluster that shows the cue, or where none does,
    of the first; `rank` is then None. `whole` says whether all errors together show it.
    """
    first, deals = rank(errors, clusters), dealt(errors, clusters)
    some = clusters == (first or 1)
    lifts = errors.lifts(some)
    return {
        "clusters": int(clusters.max()),
        "rank": first,
        "found": is_found(first),
        "found_by_size": is_found(rank(errors, by_size(clusters))),
        "found_sorted": is_found(rank(errors, sorted_alone(errors, clusters))),
        "told_apart": told_apart(errors, clusters, deals),
        "on_sheet": errors.shows(_first(errors, OFF_SUBJECT)),
        "whole": errors.shows(np.ones(len(clusters), dtype=np.bool_)),
        "random": float(np.mean([is_found(rank(errors, deal)) for deal in deals])),
        "n": int(some.sum()),
        "caused": float(errors.caused[some].mean()),
        "lift": lifts[0],
        "subject_lift": lifts[1],
    }
