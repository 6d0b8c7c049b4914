"""How far the background of a leaf photograph gives its label away, beside published figures.

    python -m benchmarks.real_data.probe

Prints the table of docs/real-data.md: the recipe of M. A. Noyan, "Uncovering bias in the
PlantVillage dataset" (arXiv 2206.04374; eight pixels of the border, a random forest with
scikit-learn's defaults, a split of four to one), over several splits and by cross-validation;
that of the data's README (mean and deviation of the background's colours); and the probe that
every audit runs, each on the background and on the leaf. No network is involved. Where the data
is not there, it says so and does nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split

import auditor
from auditor.findings.probes import Probe, probe
from auditor.geometry import Preprocess
from auditor.pipeline.probing import probe_features
from auditor.regions import RegionRoles
from auditor.statistics import wilson
from auditor.thresholds import THRESHOLDS

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[2] / "shared" / "data" / "plantvillage_tomato"
SIDE = 256
SPLITS = 12
PERMUTATIONS = 99  # of the random forest's labels: the smallest p is .01

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    seen: str
    how: str
    n: int
    accuracy: float
    interval: tuple[float, float] | None
    chance: float
    p: float | None = None

    def told(self) -> tuple[str, ...]:
        """As the table has it; the share of what chance leaves open is Cohen's kappa of
        classes of equal size.
        """
        low_high = "–" if self.interval is None else "–".join(f"{v:.1%}" for v in self.interval)
        p = "–" if self.p is None else f"{self.p:.3f}".lstrip("0")
        return (
            self.seen,
            self.how,
            f"{self.n:,}",
            f"{self.accuracy:.1%}",
            low_high,
            f"{self.chance:.1%}",
            f"{self.accuracy / self.chance:.1f}",
            f"{(self.accuracy - self.chance) / (1 - self.chance):.0%}",
            p,
        )


def main() -> int:
    if not DATA.is_dir():
        print(f"skipped: {DATA} is not there; docs/real-data.md names its source.")
        return 0
    labels = pd.read_csv(DATA / "labels.csv")
    print("| seen | how | n | accuracy | 95 % interval | chance | × chance | of the rest | p |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows(labels):
        print(f"| {' | '.join(row.told())} |", flush=True)
    return 0


def rows(labels: pd.DataFrame) -> Iterator[Row]:
    """The lines of the table, in its order."""
    yield Row("8 border pixels", "published, 38 classes", 54305, 0.49, None, 1 / 38)
    colours = features(labels)
    known = pd.factorize(labels["label"], sort=True)[0]
    chance = float(np.bincount(known).max() / len(known))
    yield split_again("8 border pixels", colours["8 border pixels"], known, chance)
    for name, values in colours.items():
        if name.startswith("8"):
            yield cross_validated(name, values, known, chance)
    held_out = (labels["split"] == "test").to_numpy()
    for name, values in colours.items():
        if not name.startswith("8"):
            model = forest().fit(values[~held_out], known[~held_out])
            right = model.predict(values[held_out]) == known[held_out]
            yield of_hits(name, "random forest, the set's split", right, chance)
    for subset, told in ((None, "Auditor's probe"), ("test", "Auditor's probe, audited images")):
        for region, found in auditors_probe(subset).items():
            yield Row(
                f"colours of the {region}",
                told,
                found.n,
                found.accuracy,
                (found.low, found.high),
                found.chance,
                found.p,
            )


def features(labels: pd.DataFrame) -> Mapping[str, Array]:
    """What each simple classifier sees, [images, features]: colours, 0..255."""
    found: dict[str, list[Array]] = {}
    places = border_places()
    on_leaf = 0
    for row in labels.itertuples():
        image = np.asarray(Image.open(DATA / row.image).convert("RGB"), dtype=np.float64)
        leaf = np.asarray(Image.open(DATA / row.leaf_mask)) > 0
        assert image.shape[:2] == leaf.shape == (SIDE, SIDE)
        on_leaf += int(leaf[places].sum())
        # Where a leaf reaches the border, the nearest pixel beside it.
        nearest = distance_transform_edt(leaf, return_distances=False, return_indices=True)
        beside = tuple(index[places] for index in nearest)
        for name, values in (
            ("8 border pixels", image[places].ravel()),
            ("8 background pixels", image[beside].ravel()),
            ("mean and deviation, background", summary(image[~leaf])),
            ("mean and deviation, leaf", summary(image[leaf])),
        ):
            found.setdefault(name, []).append(values)
    share = on_leaf / (len(labels) * len(places[0]))
    print(f"({share:.1%} of the border pixels lie on a leaf.)", file=sys.stderr)
    return {name: np.stack(values) for name, values in found.items()}


def border_places() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the corners and of the middles of the sides."""
    first, middle, last = 0, SIDE // 2, SIDE - 1
    places = [(r, c) for r in (first, middle, last) for c in (first, middle, last)]
    rows_columns = np.array([place for place in places if place != (middle, middle)])
    return rows_columns[:, 0], rows_columns[:, 1]


def summary(pixels: Array) -> Array:
    return np.concatenate([pixels.mean(0), pixels.std(0)])


def forest() -> RandomForestClassifier:
    """With scikit-learn's defaults, as in the paper."""
    return RandomForestClassifier(random_state=0)


def of_hits(seen: str, how: str, right: NDArray[np.bool_], chance: float) -> Row:
    count, hits = len(right), int(right.sum())
    return Row(seen, how, count, hits / count, wilson(hits, count), chance)


def split_again(seen: str, values: Array, known: NDArray[np.intp], chance: float) -> Row:
    """The published recipe as it is, with its seed and others: the mean, from least to most."""
    scores = []
    for seed in range(SPLITS):
        train, test, train_known, test_known = train_test_split(
            values, known, test_size=0.2, random_state=seed
        )
        scores.append(float(forest().fit(train, train_known).score(test, test_known)))
    how = f"its recipe, mean of {SPLITS} splits (least to most)"
    return Row(seen, how, len(test), float(np.mean(scores)), (min(scores), max(scores)), chance)


def cross_validated(seen: str, values: Array, known: NDArray[np.intp], chance: float) -> Row:
    """Five stratified folds, and the same with permuted labels."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    right = cross_val_predict(forest(), values, known, cv=folds) == known
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(PERMUTATIONS):
        permuted = random.permutation(known)
        drawn.append((cross_val_predict(forest(), values, permuted, cv=folds) == permuted).mean())
    row = of_hits(seen, "random forest, 5 folds", right, chance)
    p = (1 + int((np.array(drawn) >= row.accuracy).sum())) / (1 + PERMUTATIONS)
    return Row(row.seen, row.how, row.n, row.accuracy, row.interval, float(np.mean(drawn)), p)


def auditors_probe(split: str | None) -> Mapping[str, Probe]:
    """The probe of an audit, of the background and of the leaf."""
    config = auditor.read_config(HERE / "tomato_audit.toml")
    source = replace(config.dataset, path=DATA / "labels.csv", attributes=(), split=split)
    config = replace(config, dataset=source)
    found: dict[str, Probe] = {}
    for region, roles in (
        ("background", RegionRoles(("leaf",), cues=("background",), rest="background")),
        ("leaf", RegionRoles(cues=("leaf",), rest="background")),
    ):
        dataset = auditor.open_dataset(config, regions=roles)
        positions = np.arange(len(dataset.cases), dtype=np.intp)
        probed = probe_features(dataset, Preprocess(resize=(SIDE, SIDE), crop=None), positions)
        values = probed.features[region]
        known = np.isfinite(values).all(axis=1)
        told = dataset.cases["label"].to_numpy(dtype=object)[probed.rows]
        result = probe(values[known], told[known], None, 0, THRESHOLDS.fewest_probed)
        assert isinstance(result, Probe), result
        found[region] = result
    return found


if __name__ == "__main__":
    sys.exit(main())
