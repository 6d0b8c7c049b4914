"""Spectral clustering of cases, and whether there is anything to be clustered.

As in SpRAy (Lapuschkin et al. 2019): a graph joins every case with its nearest neighbours, the
smallest eigenvalues of its normalised Laplacian say by their largest gap how many clusters there
are, and the eigenvectors which case is in which (Ng, Jordan and Weiss 2002; von Luxburg 2007).
Any data can be cut into clusters, so the same is done with data drawn from a single Gaussian of
the same covariance, which has none (the null of SigClust: Liu et al. 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.csgraph import laplacian
from threadpoolctl import threadpool_limits

from auditor.discovery.options import MOST_CLUSTERS
from auditor.types import Floats

F64 = NDArray[np.float64]
Progress = Callable[[int, int], None]

ALPHA = 0.05
NULLS = 99
"""Data sets without clusters that the data are compared with: the smallest p-value is .01."""
TESTED = 400
"""Cases that the comparison is made on at most, as it clusters `NULLS` data sets more."""
DIMENSIONS = (5, 20)
VARIANCE = 0.95
"""Principal components that are kept: as many as hold this share of the variance, but no fewer and
no more than `DIMENSIONS`. Along a single one, a cluster's own graph would be a chain, which falls
apart anywhere."""
_NOISE = 1e-9  # share of the variance below which a component is rounding
_AVERAGE = 5  # cases a cluster has at least on average, where the eigengap chooses how many
_STARTS = 4  # of k-means; its best result is kept


@dataclass(frozen=True)
class Grouping:
    """Cases in clusters, and how these compare with clusters of data that have none."""

    clusters: NDArray[np.intp]
    """[cases] numbers from 1; as they are made, the largest cluster first."""
    distances: F64
    """[cases] to the centre of the own cluster, in the space of the principal components."""
    count: int
    """How many clusters there are."""
    neighbours: int
    """That each case is joined with in the graph, at least."""
    dimensions: int
    """Principal components."""
    eigenvalues: tuple[float, ...]
    """The smallest of the normalised Laplacian, ascending, 0 to 2; the number of those that are
    about 0 is the number of parts that the graph falls into."""
    tested: int
    """Cases that the following were measured on."""
    silhouette: float
    """Mean over the cases, -1 to 1 (Rousseeuw 1987)."""
    eigengap: float
    """Between the last eigenvalue of the chosen number and the next; the largest there is,
    where that chose."""
    p_silhouette: float
    """Of a silhouette as large in data without clusters, which choose their own number."""
    p_eigengap: float
    """Of a gap as large at the same number. Alone it would be too small, as the number was chosen
    for it; it guards against one kind that is no Gaussian, which fools the silhouette."""

    @property
    def p(self) -> float:
        """The larger p-value: data are taken to have clusters only if both measures say so."""
        return max(self.p_silhouette, self.p_eigengap)

    @property
    def structure(self) -> bool:
        """Whether the clusters are better than those of data without any."""
        return self.p <= ALPHA


def grouped(
    vectors: Floats, seed: int, count: int | None = None, progress: Progress | None = None
) -> Grouping | None:
    """Cluster cases by their vectors, [cases, values], at least `options.FEWEST` of them.

    `count` is the number of clusters, None for that of the largest eigengap, 2 to 12. The result
    is the same in whatever order the cases come. None where all vectors are the same.
    """
    values: F64 = np.asarray(vectors, dtype=np.float64)
    # One order for every order of the cases: sums of floats and random draws depend on it.
    order = np.lexsort(values.T[::-1])
    # Here, since no other command should wait for it to load; and before threads are limited,
    # which reaches only what is loaded.
    from sklearn import cluster, decomposition, metrics, neighbors  # noqa: F401, PLC0415

    with threadpool_limits(1):  # sums that threads share out are not the same each time
        found = _grouped(values[order], seed, count, progress or (lambda _done, _total: None))
    if found is None:
        return None
    back = np.argsort(order)
    return replace(found, clusters=found.clusters[back], distances=found.distances[back])


@dataclass(frozen=True)
class _Cut:
    clusters: NDArray[np.intp]
    count: int
    """How many clusters there are; k-means may have found fewer than were chosen."""
    chosen: int
    """How many it was asked for."""
    eigenvalues: F64
    eigengaps: F64
    """After the second eigenvalue, the third, …"""
    silhouette: float


def _grouped(vectors: F64, seed: int, count: int | None, progress: Progress) -> Grouping | None:
    points = _components(vectors)
    if points is None:
        return None
    neighbours = _neighbours(len(points))
    cut = _cut(points, neighbours, seed, count)
    random = np.random.default_rng(seed)
    some, seen = points, cut
    if len(points) > TESTED:
        some = points[np.sort(random.choice(len(points), TESTED, replace=False))]
        seen = _cut(some, _neighbours(TESTED), seed, count)
    spread = some.std(0)
    gaps, silhouettes = 0, 0
    place = seen.chosen - 2
    for number in range(NULLS):
        progress(number, NULLS)
        drawn = random.standard_normal(some.shape) * spread
        null = _cut(drawn, _neighbours(len(some)), seed, count)
        gaps += int(null.eigengaps[place] >= seen.eigengaps[place])
        silhouettes += int(null.silhouette >= seen.silhouette)
    progress(NULLS, NULLS)
    distances = np.empty(len(points))
    for number in range(1, cut.count + 1):
        own = cut.clusters == number
        distances[own] = np.linalg.norm(points[own] - points[own].mean(0), axis=1)
    return Grouping(
        cut.clusters,
        distances,
        cut.count,
        neighbours,
        points.shape[1],
        tuple(cut.eigenvalues.tolist()),
        len(some),
        seen.silhouette,
        float(seen.eigengaps[place]),
        (1 + silhouettes) / (1 + NULLS),
        (1 + gaps) / (1 + NULLS),
    )


def _components(vectors: F64) -> F64 | None:
    """The principal components that matter, [cases, components]; None where nothing varies."""
    if not (vectors != vectors[:1]).any():
        return None
    from sklearn.decomposition import PCA  # noqa: PLC0415

    found = PCA(svd_solver="full").fit(vectors)
    shares = found.explained_variance_ratio_
    enough = int(np.searchsorted(np.cumsum(shares), VARIANCE)) + 1
    fewest, most = DIMENSIONS
    kept = min(max(enough, fewest), most, int((shares > _NOISE).sum()))
    return np.asarray(found.transform(vectors)[:, :kept], dtype=np.float64)


def _neighbours(cases: int) -> int:
    # Of the order of log n, from which on the graph of one kind hangs together.
    return max(5, math.ceil(math.log2(cases)) + 1)


def _cut(points: F64, neighbours: int, seed: int, count: int | None) -> _Cut:
    from sklearn.cluster import KMeans  # noqa: PLC0415
    from sklearn.metrics import silhouette_score  # noqa: PLC0415
    from sklearn.neighbors import kneighbors_graph  # noqa: PLC0415

    graph = kneighbors_graph(points, neighbours)
    operator = laplacian(graph.maximum(graph.T), normed=True).toarray()
    most = max(2, min(MOST_CLUSTERS, len(points) // _AVERAGE)) if count is None else count
    values, vectors = eigh(operator, subset_by_index=[0, most])
    gaps = np.diff(values)[1:]  # after the second eigenvalue, the third, …
    chosen = 2 + int(gaps.argmax()) if count is None else count
    rows = _signed(vectors[:, :chosen])
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    labels = KMeans(chosen, n_init=_STARTS, random_state=seed).fit_predict(rows)
    clusters, found = _numbered(labels)
    # Where many cases are the same, k-means may find fewer clusters than it was asked for.
    silhouette = float(silhouette_score(points, clusters)) if found > 1 else 0.0
    return _Cut(clusters, found, chosen, np.clip(values, 0, None), gaps, silhouette)


def _signed(vectors: F64) -> F64:
    """Eigenvectors [cases, vectors], the largest entry of each made positive."""
    largest = np.abs(vectors).argmax(0)
    sign = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return vectors * np.where(sign == 0, 1, sign)


def _numbered(labels: NDArray[np.integer[Any]]) -> tuple[NDArray[np.intp], int]:
    """Clusters numbered from 1 by their size, of the same size by their first case."""
    names, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    ranked = names[np.lexsort((first, -sizes))]
    places = {int(name): place for place, name in enumerate(ranked, 1)}
    return np.array([places[int(label)] for label in labels], dtype=np.intp), len(names)
