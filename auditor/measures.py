"""How much of a map lies where: shares, lifts, overlaps, each with its chance level.

Maps are [cases, height, width] at the layer's own resolution, raw and signed; only their
positive part counts. Coverage is [cases, regions, height, width], each region's share of
each cell, summing to 1 over the regions. Everything is computed in float64, whatever
comes in, and nothing written to the inputs. NaN means undefined, and is never replaced.
A uniform map scores exactly chance in every measure: its area for shares, pointing, rank
and overlap; 1 for lift; 0 for excess.

Sources: mass is the relevance mass accuracy of Arras et al. 2022 (CLEVR-XAI), the
energy-based pointing game of Wang et al. 2020 (Score-CAM) and the saliency coverage of
Boggust et al. 2022 (Shared Interest); rank is the relevance rank accuracy of Arras et al.;
pointing is the pointing game of Zhang et al. 2018; overlap is Shared Interest's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.types import Floats

F64 = NDArray[np.float64]


def positive_share(maps: Floats) -> F64:
    """Each map's positive part, scaled to sum to 1; NaN throughout where nothing is positive.

    [..., height, width] in and out.
    """
    positive = np.maximum(np.asarray(maps, dtype=np.float64), 0)
    # Divided by the maximum first: sums of denormal or huge maps stay finite.
    top = positive.max(axis=(-2, -1), keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        positive = positive / np.where(top > 0, top, np.nan)
        total = positive.sum(axis=(-2, -1), keepdims=True)
        return np.asarray(positive / total, dtype=np.float64)


def area(coverage: Floats) -> F64:
    """The share of the model's input that each region fills: [cases, regions], 0..1."""
    shares: F64 = np.asarray(coverage, dtype=np.float64).mean(axis=(-2, -1))
    return shares


def mass(maps: Floats, coverage: Floats) -> F64:
    """The share of each map's positive evidence in each region: [cases, regions], 0..1.

    Sums to 1 over the regions; NaN for a map without positive evidence. Chance is `area`.
    """
    return _shares_in(positive_share(maps), coverage)


def lift(mass: F64, area: F64) -> F64:
    """mass ÷ area: 1 is chance, 0 or more; NaN where the area is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(area > 0, mass / np.where(area > 0, area, np.nan), np.nan)


def excess(mass: F64, area: F64) -> F64:
    """(mass - area) ÷ (1 - area): 0 is chance, at most 1; NaN where the area is 1."""
    room = 1 - area
    # A region that fills the input up to rounding leaves no room either.
    bounded: F64 = (mass - area) / np.where(room > 1e-6, room, np.nan)
    return bounded


def pointing(maps: Floats, coverage: Floats) -> F64:
    """How much of the map's maximal cell each region covers: [cases, regions], 0..1.

    Cells that tie for the maximum share it equally. NaN without positive evidence. Chance
    is `area`.
    """
    values = np.asarray(maps, dtype=np.float64)
    top = values.max(axis=(-2, -1), keepdims=True)
    hits = np.where(top > 0, (values == top).astype(np.float64), np.nan)
    return _shares_in(hits / hits.sum(axis=(-2, -1), keepdims=True), coverage)


def rank(maps: Floats, coverage: Floats) -> F64:
    """Relevance rank accuracy: the share of the K strongest cells that lies in the region.

    K is the region's own size in cells, fractional, so the last cell counts in part; cells
    that tie share what is left for them. [cases, regions], 0..1; NaN for an empty region or
    a map without positive evidence. Chance is `area`.
    """
    values = np.maximum(np.asarray(maps, dtype=np.float64), 0)
    cells = values.shape[-2] * values.shape[-1]
    values = values.reshape(len(values), cells)
    covered = np.asarray(coverage, dtype=np.float64).reshape(*coverage.shape[:2], cells)
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    # Runs of equal values: each cell gets its run's mean coverage, so no sort decides a tie.
    starts = np.concatenate([np.ones((len(values), 1), bool), ranked[:, 1:] != ranked[:, :-1]], 1)
    run = np.cumsum(starts, axis=1) - 1 + np.arange(len(values))[:, None] * cells
    size = np.bincount(run.ravel(), minlength=values.size)
    result = np.empty(covered.shape[:2])
    for region in range(covered.shape[1]):
        inside = np.take_along_axis(covered[:, region], order, axis=1)
        total = np.bincount(run.ravel(), weights=inside.ravel(), minlength=values.size)
        shared = total[run] / size[run]
        wanted = covered[:, region].sum(1)
        weight = np.clip(wanted[:, None] - np.arange(cells), 0, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            result[:, region] = (shared * weight).sum(1) / np.where(wanted > 0, wanted, np.nan)
    result[~(values.max(1) > 0)] = np.nan  # also where the maximum is NaN
    return result


class Overlap(NamedTuple):
    """Set measures of a map cut at a share of its maximum, against one region; [cases] each."""

    iou: F64
    """Intersection over union, 0..1; chance (a uniform map) is the area."""
    saliency: F64
    """Saliency coverage: the share of the cut map inside the region, 0..1."""
    region: F64
    """Ground-truth coverage: the share of the region inside the cut map, 0..1."""


def overlap(maps: Floats, region: Floats, threshold: float) -> Overlap:
    """Compare cells of at least `threshold` (0..1] of the maximum with a region.

    `region` is [cases, height, width]. NaN without positive evidence or for an empty region.
    """
    values = np.asarray(maps, dtype=np.float64)
    region = np.asarray(region, dtype=np.float64)
    top = values.max(axis=(-2, -1), keepdims=True)
    cut = (values >= threshold * top).astype(np.float64)
    both = (cut * region).sum((-2, -1))
    size, wanted = cut.sum((-2, -1)), region.sum((-2, -1))
    defined = (top[..., 0, 0] > 0) & (wanted > 0)
    both = np.where(defined, both, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Overlap(both / (size + wanted - both), both / size, both / wanted)


def tail_probability(observed: Floats, references: Floats, fewest: int = 1) -> F64:
    """One-sided permutation p-values: (1 + #{reference >= observed}) ÷ (1 + n).

    `observed` is [...] and `references` [..., n]; NaN among the references is not counted.
    Two values within 1e-12 are equal, so that rounding never decides. NaN where the
    observation is, or where fewer than `fewest` references are known.
    """
    observed = np.asarray(observed, dtype=np.float64)
    references = np.asarray(references, dtype=np.float64)
    known = (~np.isnan(references)).sum(-1)
    as_large = (references >= observed[..., None] - 1e-12).sum(-1)
    p = (1 + as_large) / (1 + known)
    return np.where((known >= fewest) & ~np.isnan(observed), p, np.nan)


def perturbed(region: Floats) -> dict[str, F64]:
    """A region eroded, dilated and shifted by one cell: name to [..., height, width].

    Erosion and dilation take the minimum and maximum over each cell and its four
    neighbours; shifts repeat the edge. Used to see whether a flag hangs on the outline.
    """
    region = np.asarray(region, dtype=np.float64)
    edges = [(0, 0)] * (region.ndim - 2) + [(1, 1), (1, 1)]
    around = np.pad(region, edges, mode="edge")
    window: dict[str, Any] = {
        "shifted down": around[..., :-2, 1:-1],
        "shifted up": around[..., 2:, 1:-1],
        "shifted right": around[..., 1:-1, :-2],
        "shifted left": around[..., 1:-1, 2:],
    }
    near = np.stack([region, *window.values()])
    return {"eroded": near.min(0), "dilated": near.max(0), **window}


def _shares_in(weights: F64, coverage: Floats) -> F64:
    shares: F64 = np.einsum("nhw,nrhw->nr", weights, np.asarray(coverage, dtype=np.float64))
    return shares
