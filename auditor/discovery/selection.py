"""Which cases are clustered, and by what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.discovery.options import FEWEST, DiscoveryOptions
from auditor.errors import RunError
from auditor.measures import positive_share
from auditor.store import Run
from auditor.types import MAPS, Floats

F64 = NDArray[np.float64]

Features = Callable[[Sequence[str], F64], Floats]
"""From ids and their maps' shares [cases, h, w] to the features under them, [cases, channels]."""

_ROWS = 4096  # cases whose maps are in memory together


@dataclass(frozen=True)
class Selection:
    """The cases that are clustered, in order of their ids."""

    cases: pd.DataFrame
    """Rows of the run's cases; only columns that are needed."""
    shares: F64
    """[cases, h, w] positive part of each margin map, summing to 1."""
    considered: int
    """Cases, or errors, of the run that have a prediction."""
    without_evidence: int
    """Those of them without a map, or whose margin map is nowhere positive; left out."""

    @property
    def left_out(self) -> int:
        """Cases with evidence that are not in the sample."""
        return self.considered - self.without_evidence - len(self.cases)


def select(run: Run, options: DiscoveryOptions) -> Selection:
    """The cases that the options ask for. Raises `RunError` for fewer than `FEWEST`."""
    info = run.info
    regions = info["regions"]["names"]
    columns = ["id", "image", "label", "predicted", "correct"]
    columns += [f"attribute.{name}" for name in info["attributes"]]
    columns += ["cluster"] if info["clustered"] else []
    columns += [f"{measure}.{name}" for measure in ("margin_mass", "area") for name in regions]
    cases = run.read_cases(columns)
    wanted = cases["correct"].notna()
    if options.cases == "errors":
        wanted &= cases["correct"] == False  # noqa: E712 - null is neither
    positions = np.flatnonzero(wanted.to_numpy())
    evidence = np.array([], dtype=np.bool_)
    margin = MAPS.index("margin")
    for start in range(0, len(positions), _ROWS):
        some = np.asarray(run.maps[positions[start : start + _ROWS], margin], dtype=np.float32)
        evidence = np.append(evidence, (np.nan_to_num(some) > 0).any((1, 2)))
    kept = positions[evidence]
    what = "errors" if options.cases == "errors" else "cases with a prediction"
    if len(kept) < FEWEST:
        raise RunError(
            f"{run.path}: {len(kept)} of its {len(positions)} {what} have positive evidence in "
            f"their margin map, and clusters of fewer than {FEWEST} would say nothing; audit more "
            "images" + (", or give --cases all." if options.cases == "errors" else ".")
        )
    # By their ids, so that the sample does not depend on the order of the dataset.
    ids = cases["id"].to_numpy().astype(str)
    kept = kept[np.argsort(ids[kept], kind="stable")]
    if len(kept) > options.most:
        chosen = np.random.default_rng(options.seed).choice(len(kept), options.most, replace=False)
        kept = kept[np.sort(chosen)]
    # Read in the order of the file, then put into that of the ids.
    back = np.argsort(np.argsort(kept))
    maps = np.asarray(run.maps[np.sort(kept), margin], dtype=np.float64)[back]
    return Selection(
        cases.iloc[kept].reset_index(drop=True),
        positive_share(np.nan_to_num(maps)),
        len(positions),
        len(positions) - int(evidence.sum()),
    )


def map_vectors(shares: F64) -> F64:
    """What cases are compared by that look at places, [cases, cells].

    Square roots of the shares: their distance is Hellinger's, in which no single cell counts
    for more than all others together.
    """
    return np.sqrt(shares.reshape(len(shares), -1))


def feature_vectors(features: Floats) -> F64:
    """What cases are compared by that look at features, [cases, channels], each standardised.

    Channels that are the same in all cases are left out; with no other, [cases, 1] zeros.
    """
    features = np.asarray(features, dtype=np.float64)
    spread = features.std(0)
    telling = spread > 1e-9 * max(float(np.abs(features).max(initial=0)), 1e-300)
    if not telling.any():
        return np.zeros((len(features), 1))
    some = features[:, telling]
    return np.asarray((some - some.mean(0)) / spread[telling], dtype=np.float64)
