"""Whether a region alone gives the label away: skew in the data, before any model is blamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.findings.finding import Finding, p_equation
from auditor.findings.intervals import written_interval
from auditor.findings.material import Probed
from auditor.groups import cluster_numbers, clusters_of
from auditor.language import Phrase, counted, phrase, sentences
from auditor.rates import Rates, percentiles
from auditor.thresholds import Thresholds
from auditor.types import Floats

Integers = NDArray[np.intp]

PERMUTATIONS = 999
"""Of the labels: the smallest p-value is .001."""
FOLDS = 5
MOST_LABELS = 30
"""The commonest labels that are told apart; more would only take longer."""

_RIDGE = 10.0  # on standardised features
_CHUNK = 4_000_000  # targets in memory at once


@dataclass(frozen=True)
class Probe:
    """How well a region alone tells labels apart, by a cross-validated classifier."""

    labels: tuple[str, ...]
    rates: Rates
    """How many images of each label are recognised, in the order of `labels`."""
    accuracy: float
    """Balanced accuracy, the mean of those rates, 0 to 1."""
    low: float
    high: float
    chance: float
    """Its mean over permuted labels."""
    p: float
    """One-sided, that permuted labels are told apart as well."""
    n: int
    """Images."""


def probes(
    cases: pd.DataFrame, probed: Probed | None, seed: int, thresholds: Thresholds
) -> list[Finding]:
    """What each region alone says of the label: a `probe` for every region of `probed`.

    A notice where the label can be told from the region at `thresholds.certain`: a model
    trained on such data can use it. Information where it is not, and where there are too few
    images to say (value null, with why). `cases` needs `label`, and `cluster` where some
    belong together: those are in one fold, and permuted together. Nothing without `probed`.
    """
    if probed is None:
        return []
    looked_at = cases.iloc[probed.rows]
    labels = looked_at["label"].astype(object).to_numpy()
    clusters = None
    if clusters_of(looked_at) is not None:
        clusters = cluster_numbers(looked_at["cluster"])
    findings = []
    for region, features in probed.features.items():
        known = np.flatnonzero(np.isfinite(features).all(axis=1))
        found = probe(
            np.asarray(features)[known],
            labels[known],
            None if clusters is None else clusters[known],
            seed,
            thresholds.fewest_probed,
        )
        left_out = len(labels) - (found.n if isinstance(found, Probe) else len(known))
        findings.append(_found(region, found, left_out, clusters is not None, thresholds))
    return findings


def probe(
    features: Floats,
    labels: NDArray[np.object_],
    clusters: Integers | None,
    seed: int,
    fewest: int,
    what: Literal["labels", "values"] = "labels",
) -> Probe | Phrase:
    """Predict `labels` [images] from `features` [images, features]; a phrase says why not.

    Ridge regression on the labels as indicators (scikit-learn), features standardised in
    each fold, five stratified folds that keep clusters together. Outputs are weighed so that
    rare labels count as much as common ones, which makes it a regularised linear discriminant
    analysis of equal priors (Hastie, Buja & Tibshirani 1995). The same fits are made for
    labels permuted within each fold (Ojala & Garriga 2010); whole clusters change labels
    where each has one, else images do within their cluster.
    Labels with fewer than `fewest` images (or clusters) are left out. `what` is what the phrase
    calls them.
    """
    codes, names = pd.factorize(labels, sort=True)
    units = np.arange(len(codes)) if clusters is None else clusters
    pairs = np.unique(np.stack([codes, units]), axis=1)[0]
    counts = np.bincount(pairs, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    kept = np.sort([label for label in order[:MOST_LABELS] if counts[label] >= fewest])
    if len(kept) < 2:
        return _too_few(fewest, what, clusters is not None)
    inside = np.flatnonzero(np.isin(codes, kept))
    codes, features = np.searchsorted(kept, codes[inside]), features[inside]
    if not np.ptp(features, axis=0).any():
        return phrase("all images look the same there")
    units = np.unique(units[inside], return_inverse=True)[1]
    fold = _folds(codes, units, clusters is not None, seed)
    targets = _permuted(codes, fold, units, seed)
    right, first = _recognised(np.asarray(features, dtype=np.float32), targets, fold, len(kept))
    drawn = right[1:]
    rates = Rates.of(codes, first, len(kept), None if clusters is None else units, seed)
    low, high = _bounds(rates, right[0])
    return Probe(
        tuple(str(names[label]) for label in kept),
        rates,
        float(right[0]),
        low,
        high,
        float(drawn.mean()),
        # Equal up to rounding counts as reached.
        float((1 + (drawn >= right[0] - 1e-9).sum()) / (1 + len(drawn))),
        len(codes),
    )


def _too_few(fewest: int, what: Literal["labels", "values"], clustered: bool) -> Phrase:
    if what == "labels":
        if clustered:
            return phrase("fewer than two labels have {n} clusters that show it", n=fewest)
        return phrase("fewer than two labels have {n} images that show it", n=fewest)
    if clustered:
        return phrase("fewer than two values have {n} clusters that show it", n=fewest)
    return phrase("fewer than two values have {n} images that show it", n=fewest)


def _folds(codes: Integers, units: Integers, grouped: bool, seed: int) -> Integers:
    """The fold of each image, [images]."""
    # Imported when an audit needs it, not by every command: it takes a second.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # noqa: PLC0415

    kind: Any = StratifiedGroupKFold if grouped else StratifiedKFold
    fold = np.empty(len(codes), dtype=np.intp)
    together = units if grouped else None
    splits = kind(FOLDS, shuffle=True, random_state=seed).split(codes, codes, together)
    for number, (_, test) in enumerate(splits):
        fold[test] = number
    return fold


def _permuted(codes: Integers, fold: Integers, units: Integers, seed: int) -> Integers:
    """The labels as they are, then permuted: [1 + permutations, images].

    Within folds, so that these stay stratified.
    """
    random = np.random.default_rng(seed)
    size = int(units.max()) + 1
    least, most = np.full(size, codes.max()), np.zeros(size, dtype=np.intp)
    np.minimum.at(least, units, codes)
    np.maximum.at(most, units, codes)
    pure = least == most
    fold_of = np.zeros(size, dtype=np.intp)
    fold_of[units] = fold
    # Units of one label change places within their fold, images of mixed ones in their unit.
    alone = [np.flatnonzero(pure & (fold_of == number)) for number in range(FOLDS)]
    mixed = [np.flatnonzero(units == unit) for unit in np.flatnonzero(~pure)]
    targets = np.tile(codes, (1 + PERMUTATIONS, 1))
    for row in targets[1:]:
        of_unit = least.copy()
        for part in alone:
            of_unit[part] = random.permutation(of_unit[part])
        row[:] = of_unit[units]
        for part in mixed:
            row[part] = random.permutation(codes[part])
    return targets


def _recognised(
    features: NDArray[np.float32], targets: Integers, fold: Integers, count: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Balanced accuracy for each row of `targets`, and which images the first recognises."""
    from sklearn.linear_model import Ridge  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    rows, images = targets.shape
    right = np.zeros((rows, images), dtype=bool)
    step = max(1, _CHUNK // (images * count))
    for number in np.unique(fold):
        test = fold == number
        scaler = StandardScaler().fit(features[~test])
        train, held_out = scaler.transform(features[~test]), scaler.transform(features[test])
        for start in range(0, rows, step):
            some = targets[start : start + step]
            # One fit for all: ridge regression treats every target by itself.
            indicators = (some[:, ~test, None] == np.arange(count)).astype(np.float32)
            sizes = indicators.sum(1)
            wide = indicators.transpose(1, 0, 2).reshape(len(train), -1)
            model = Ridge(_RIDGE, solver="cholesky").fit(train, wide)
            # A label's output grows with its size; over it, and half way from its mean image,
            # it says which label's mean is nearest (in the metric of ridge's inverse).
            means = (wide.T @ train) / np.maximum(sizes, 1).reshape(-1, 1)
            half = ((means * model.coef_).sum(1) + model.intercept_).reshape(sizes.shape) / 2
            outputs = model.predict(held_out).reshape(len(held_out), len(some), count) - half
            near = np.where(sizes > 0, outputs / np.maximum(sizes, 1), -np.inf)
            right[start : start + len(some), test] = some[:, test] == near.argmax(2).T
    sizes = np.stack([(targets == label).sum(1) for label in range(count)], axis=1)
    hits = np.stack([(right & (targets == label)).sum(1) for label in range(count)], axis=1)
    recalls = np.divide(hits, sizes, out=np.full(hits.shape, np.nan), where=sizes > 0)
    return np.nanmean(recalls, axis=1), right[0]


def _bounds(rates: Rates, accuracy: float) -> tuple[float, float]:
    """95 % interval of the mean of the labels' rates, of these predictions.

    Their Wilson intervals, squared and added (Zou & Donner 2008); or percentiles over
    clusters.
    """
    count = len(rates.judged)
    if rates.drawn is not None:
        right, judged = rates.drawn[:, 0], rates.drawn[:, 1]
        drawn = np.divide(right, judged, out=np.full_like(judged, np.nan), where=judged > 0)
        low, high = percentiles(drawn.mean(1)) or (0.0, 1.0)
        if low < high:
            return low, high
    own = [(rates.rate([label]) or 0.0, rates.interval([label])) for label in range(count)]
    known = [(rate, *interval) for rate, interval in own if interval is not None]
    below = np.sqrt(sum((rate - low) ** 2 for rate, low, _ in known)) / count
    above = np.sqrt(sum((high - rate) ** 2 for rate, _, high in known)) / count
    return max(float(accuracy - below), 0.0), min(float(accuracy + above), 1.0)


def _found(
    region: str,
    found: Probe | Phrase,
    left_out: int,
    clustered: bool,
    thresholds: Thresholds,
) -> Finding:
    if isinstance(found, Phrase):
        text = phrase(
            "Whether {region} alone gives the label away cannot be said, since {why}.",
            region=_named(region),
            why=found,
        )
        return Finding("probe", "info", text, n=0, cue=region)
    sure = found.p <= thresholds.certain
    skipped = phrase(
        "Left out: {images} that show too little of it, or of rare labels.",
        images=counted(left_out, "image"),
    )
    return Finding(
        "probe",
        "notice" if sure else "info",
        sentences(*_told(region, found, clustered, sure), skipped if left_out else None),
        value=found.accuracy,
        low=found.low,
        high=found.high,
        n=found.n,
        threshold=found.chance,
        table=tuple(
            {
                "label": label,
                "n": int(found.rates.judged[place]),
                "right": int(found.rates.right[place]),
                "rate": found.rates.rate([place]),
            }
            for place, label in enumerate(found.labels)
        ),
        cue=region,
    )


def _told(region: str, found: Probe, clustered: bool, sure: bool) -> tuple[Phrase, Phrase]:
    measured = phrase(
        "balanced accuracy {accuracy:.1%} ({interval}) over {labels}, {chance:.1%} by chance "
        "({p}, n = {n})",
        accuracy=found.accuracy,
        interval=written_interval((found.low, found.high), clustered),
        labels=counted(len(found.labels), "label"),
        chance=found.chance,
        p=p_equation(found.p),
        n=found.n,
    )
    if sure:
        return (
            phrase(
                "The data tie the label to {region}: a simple classifier that sees nothing but its "
                "colours and their rough arrangement has {measured}.",
                region=_named(region),
                measured=measured,
            ),
            phrase("No model was needed for this; one trained on such data can use it."),
        )
    return (
        phrase(
            "Nothing but the colours of {region} and their rough arrangement does not surely tell "
            "the label: {measured}.",
            region=_named(region),
            measured=measured,
        ),
        phrase("Finer detail might."),
    )


def _named(region: str) -> Phrase:
    if region == "background":
        return phrase("the background")
    if region == "unannotated":
        return phrase("what nobody annotated")
    return phrase("cue {cue!r}", cue=region)
