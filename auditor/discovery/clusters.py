"""What a cluster is like: how large, how pure, and where its evidence lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from auditor.discovery.options import OFF_SUBJECT, SHOWN
from auditor.discovery.selection import Selection
from auditor.discovery.spectral import ALPHA, Grouping
from auditor.language import counted
from auditor.report.wording import written
from auditor.statistics import benjamini_hochberg, mean_interval, wilson
from auditor.types import PADDING, SUBJECT

HINT = (
    "Hints, not findings. A cluster is a set of cases whose evidence looks alike; it is no cause, "
    "and no number here says that the model would decide otherwise without what they share."
)
NEXT = (
    "Look at the contact sheet: what do the outlined places share that should not decide?",
    "Annotate it: coco.json is a task for annotation tools, in which what the maps cover is "
    "proposed. Correct every outline, and outline it in other images too, or its absence there "
    "is not known.",
    "Bring the region back into the dataset, name it under [regions] cues, and audit again: "
    "only then are pixels changed, and a cause confirmed or not.",
)
BACKGROUND, UNANNOTATED = "background", "unannotated"
NO_STRUCTURE = "no structure beyond chance"


def ordered(selection: Selection, grouping: Grouping) -> Grouping:
    """The same clusters, numbered by the lift of their maps on the subject, the lowest first.

    A cue that nobody named most often lies where the subject does not, and often in a small
    cluster only, as it may be split by its places. One within the subject comes last. Clusters
    of the same lift stay as they were; those of whose cases none has a subject come at the end.
    """
    lifts = [
        mass.mean() / area.mean() if len(mass) else np.inf
        for number in range(1, grouping.count + 1)
        for _, mass, area in [_measured(selection, grouping.clusters == number, SUBJECT)]
    ]
    numbers = np.empty(grouping.count, dtype=np.intp)
    numbers[np.argsort(lifts, kind="stable")] = np.arange(1, grouping.count + 1)
    return replace(grouping, clusters=numbers[grouping.clusters - 1])


def off_subject(selection: Selection, most: int = OFF_SUBJECT) -> dict[str, Any] | None:
    """The cases whose own maps lie least on the subject, by their lift on it, the lowest first.

    No clusters, so that kinds of evidence stand side by side. `n` cases have a subject at all;
    `cases` are up to `most` of them, with `mass`, `area` and `lift`, and `mean_map` is theirs.
    None where no case has one.
    """
    every = np.ones(len(selection.cases), dtype=np.bool_)
    known, mass, area = _measured(selection, every, SUBJECT)
    if not len(known):
        return None
    order = np.argsort(mass / area, kind="stable")[:most]
    rows = known[order]
    return {
        "n": len(mass),
        "cases": [
            {"id": case, "mass": float(m), "area": float(a), "lift": float(m / a)}
            for case, m, a in zip(
                selection.cases["id"].astype(str).iloc[rows], mass[order], area[order], strict=True
            )
        ],
        "mean_map": selection.shares[rows].mean(0).round(6).tolist(),
        "sheet": None,
    }


def described(
    selection: Selection, grouping: Grouping, attributes: Sequence[str]
) -> list[dict[str, Any]]:
    """Each cluster, JSON-ready, with the keys that docs/discovery.md lists but `sheet`."""
    clusters = [_cluster(selection, grouping, number) for number in range(1, grouping.count + 1)]
    names = ["label", "predicted", *(f"attribute.{name}" for name in attributes)]
    for number, cluster in enumerate(clusters, 1):
        own = grouping.clusters == number
        cluster["purity"] = [_purity(selection, own, name) for name in names]
    # One family: every column in every cluster of this kind.
    tested = [one for cluster in clusters for one in cluster["purity"]]
    p = np.array([np.nan if one["p"] is None else one["p"] for one in tested])
    for one, q in zip(tested, benjamini_hochberg(p), strict=True):
        one["q"] = None if np.isnan(q) else float(q)
    for cluster in clusters:
        cluster["text"] = _told(cluster)
    return clusters


def _cluster(selection: Selection, grouping: Grouping, number: int) -> dict[str, Any]:
    own = grouping.clusters == number
    cases = selection.cases
    n, total = int(own.sum()), len(cases)
    share = wilson(n, total) or (None, None)
    return {
        "number": number,
        "n": n,
        "share": n / total,
        "low": share[0],
        "high": share[1],
        "errors": _errors(selection, own),
        "units": int(cases.loc[own, "cluster"].nunique()) if "cluster" in cases else None,
        "regions": _regions(selection, own),
        "nearest": [str(cases["id"].iat[place]) for place in nearest(grouping, number)],
        "mean_map": np.round(selection.shares[own].mean(0), 6).tolist(),
    }


def nearest(grouping: Grouping, number: int, most: int = SHOWN) -> NDArray[np.intp]:
    """Places of the cases nearest to the centre of a cluster, the nearest first."""
    (own,) = np.nonzero(grouping.clusters == number)
    return own[np.argsort(grouping.distances[own], kind="stable")[:most]]


def _errors(selection: Selection, own: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Errors among a cluster's cases; None where only errors were clustered."""
    wrong = (selection.cases["correct"] == False).to_numpy()  # noqa: E712 - a nullable column
    if wrong.all():
        return None
    n, of = int(wrong[own].sum()), int(own.sum())
    interval = wilson(n, of) or (None, None)
    return {
        "n": n,
        "rate": n / of,
        "low": interval[0],
        "high": interval[1],
        "chance": float(wrong.mean()),
    }


def _purity(selection: Selection, own: NDArray[np.bool_], column: str) -> dict[str, Any]:
    """The commonest value of a column in a cluster, against its share in all that are clustered.

    `p` is one-sided and exact (hypergeometric: the cluster as a draw from all clustered cases),
    times the number of values, as the commonest is picked; null where nothing varies.
    """
    values = selection.cases[column]
    known = (values.notna() & (values != "")).to_numpy()
    inside = values[own & known]
    told: dict[str, Any] = dict.fromkeys(("value", "share", "chance", "p", "q"))
    told = {"column": column, "n": 0, "of": len(inside), **told}
    if inside.empty:
        return told
    counts = inside.value_counts()
    value = min(counts.index[counts == counts.iloc[0]])  # of several, the first by name
    n, all_known = int(counts[value]), int(known.sum())
    everywhere = int((values[known] == value).sum())
    kinds = int(values[known].nunique())
    if kinds > 1:
        p = float(stats.hypergeom.sf(n - 1, all_known, everywhere, len(inside)))
        told["p"] = min(1.0, p * kinds)
    shares = {"share": n / len(inside), "chance": everywhere / all_known}
    return told | {"value": str(value), "n": n, **shares}


def _regions(selection: Selection, own: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Mean share of the margin maps on each region, against its area, largest first.

    Not tested: the clusters were made of these very maps. `low` and `high` are of the mean
    excess over chance, mass − area, a t interval.
    """
    found = []
    columns = selection.cases
    names = [name.removeprefix("area.") for name in columns if name.startswith("area.")]
    for name in names:
        _, mass, area = _measured(selection, own, name)
        if not len(mass):
            continue
        mean, chance = float(mass.mean()), float(area.mean())
        interval = mean_interval(mass - area) or (None, None)
        found.append(
            {
                "region": name,
                "n": len(mass),
                "mass": mean,
                "area": chance,
                "lift": mean / chance,
                "low": interval[0],
                "high": interval[1],
            }
        )
    return sorted(found, key=lambda one: -float(one["mass"]))


def _measured(
    selection: Selection, own: NDArray[np.bool_], region: str
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Of these cases those that have a region: rows, and mass and area of it; maybe none."""
    cases = selection.cases
    if f"area.{region}" not in cases:
        return np.empty(0, dtype=np.intp), np.empty(0), np.empty(0)
    mass, area = (
        cases[f"{name}.{region}"].to_numpy(dtype=np.float64) for name in ("margin_mass", "area")
    )
    rows = np.flatnonzero(own & ~np.isnan(mass) & (area > 0))
    return rows, mass[rows], area[rows]


def _told(cluster: dict[str, Any]) -> str:
    """A cluster in sentences, names from outside as they are."""
    share = f"{written(cluster['share'], 'share')} of those clustered"
    parts = [f"{counted(cluster['n'], 'case')}, {share}."]
    if cluster["units"] is not None:
        parts.append(f"They come from {counted(cluster['units'], 'group')} of images.")
    pure = [
        f"{one['column'].removeprefix('attribute.')} {one['value']!r} "
        f"{written(one['share'], 'share')} (of all clustered {written(one['chance'], 'share')})"
        for one in cluster["purity"]
        if one["q"] is not None and one["q"] <= ALPHA
    ]
    known = "; ".join(pure) or "no label or attribute is shown to be commoner than among all"
    parts.append(f"What is known of them: {known}.")
    regions = [one for one in cluster["regions"] if one["region"] != PADDING]
    if regions:
        most = regions[0]
        parts.append(
            f"Most of the evidence, {written(most['mass'], 'share')}, lies on "
            f"{_place(most['region'])}; its area is {written(most['area'], 'share')}."
        )
        first = max(regions, key=lambda one: float(one["lift"]))
        if first is not most and first["lift"] > 1:
            parts.append(f"The largest lift, {first['lift']:.1f}, is on {_place(first['region'])}.")
    return " ".join(parts)


def _place(region: str) -> str:
    if region == UNANNOTATED:
        return "what nobody annotated"
    return f"the {region}" if region in (SUBJECT, BACKGROUND) else f"the cue {region!r}"
