"""Regions alone: what gives the label away, and above all what must not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from auditor import open_dataset
from auditor.configuration import DatasetConfig
from auditor.datasets import Dataset
from auditor.findings import Finding, Probed
from auditor.findings import probes as module
from auditor.findings.probes import Probe, probe, probes
from auditor.geometry import Preprocess
from auditor.pipeline.probing import probe_features, region_features
from auditor.regions import RegionRoles
from auditor.thresholds import THRESHOLDS

# -- the classifier ------------------------------------------------------------------------


def features(labels: np.ndarray, strength: float, seed: int = 0, count: int = 6) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(len(labels), count))
    values[:, 0] += strength * (labels == "a")
    return values


def halves(count: int) -> np.ndarray:
    return np.array(["a", "b"] * (count // 2), dtype=object)


def test_a_label_that_the_features_give_away():
    labels = halves(100)
    found = probe(features(labels, 4), labels, None, 0, 10)
    assert isinstance(found, Probe)
    assert found.accuracy > 0.9
    assert found.low < found.accuracy < found.high
    assert found.p == 1 / 1000  # as small as so many permutations can tell
    assert found.chance == pytest.approx(0.5, abs=0.02)
    assert (found.labels, found.n) == (("a", "b"), 100)
    assert found.rates.judged.tolist() == [50, 50]
    assert found.accuracy == pytest.approx((found.rates.right / 50).mean())
    assert probe(features(labels, 4), labels, None, 0, 10).p == found.p


def test_it_predicts_as_scikit_learns_classifier_does():
    # With as many of each label, the priors cancel, and the indicator of one is the other's.
    labels = halves(200)
    values = features(labels, 1).astype(np.float32)
    codes = (labels == "b").astype(np.intp)
    fold = module._folds(codes, np.arange(200), False, 0)
    accuracy, right = module._recognised(values, codes[None], fold, 2)
    expected = np.empty(200, dtype=object)
    for number in range(5):
        train, test = fold != number, fold == number
        reference = make_pipeline(StandardScaler(), RidgeClassifier(alpha=10.0))
        expected[test] = reference.fit(values[train], labels[train]).predict(values[test])
    assert (right == (expected == labels)).all()
    assert accuracy[0] == pytest.approx(balanced_accuracy_score(labels, expected))


def test_it_names_the_nearest_mean_in_the_metric_of_ridge():
    random = np.random.default_rng(0)
    codes = random.choice(3, 150, p=[0.1, 0.3, 0.6])
    values = random.normal(size=(150, 4)) + np.eye(3, 4)[codes]
    fold = module._folds(codes, np.arange(150), False, 0)
    _, right = module._recognised(values.astype(np.float32), codes[None], fold, 3)
    for number in range(5):
        train, test = fold != number, fold == number
        scaler = StandardScaler().fit(values[train])
        seen, new = scaler.transform(values[train]), scaler.transform(values[test])
        inverse = np.linalg.inv(seen.T @ seen + 10 * np.eye(4))
        apart = [new - seen[codes[train] == label].mean(0) for label in range(3)]
        nearest = np.argmin([np.einsum("nf,fg,ng->n", d, inverse, d) for d in apart], axis=0)
        assert (right[test] == (nearest == codes[test])).all()


def test_p_is_uniform_where_nothing_goes_on():
    p = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        labels = np.where(random.random(60) < 0.3, "a", "b").astype(object)
        p.append(probe(features(labels, 0, seed), labels, None, seed, 5).p)
    assert np.mean(np.array(p) <= 0.1) < 0.25
    assert 0.35 < np.mean(p) < 0.65


def test_a_rare_label_counts_as_much_as_a_common_one():
    labels = np.array(["a"] * 30 + ["b"] * 470, dtype=object)
    nothing = probe(features(labels, 0), labels, None, 0, 10)
    assert nothing.chance == pytest.approx(0.5, abs=0.03)  # not 94 %
    found = probe(features(labels, 4), labels, None, 0, 10)
    assert (found.rates.right / found.rates.judged).min() > 0.85


def test_folds_and_permutations_keep_what_they_promise():
    codes, units = np.repeat([0, 1], 30), np.arange(60) // 3
    fold = module._folds(codes, units, True, 0)
    for unit in range(20):
        assert len(set(fold[units == unit])) == 1
    targets = module._permuted(codes, fold, units, 0)
    assert (targets[0] == codes).all()
    assert (targets[1:] != codes).any()
    for row in targets:
        for number in range(5):  # as many of each label in each fold
            assert (np.sort(row[fold == number]) == np.sort(codes[fold == number])).all()
        for unit in range(20):  # whole units change their label
            assert len(set(row[units == unit])) == 1
    # Units of mixed labels: within the unit.
    mixed = np.tile([0, 1, 1], 20)
    for row in module._permuted(mixed, fold, units, 0):
        assert (row.reshape(20, 3).sum(1) == 2).all()


def test_people_are_no_evidence_when_they_are_seen_again():
    # Each person has a label and a look of their own; looks say nothing of labels.
    together, apart = [], []
    for seed in range(25):
        random = np.random.default_rng(seed)
        people = np.repeat(np.arange(30), 6)
        labels = np.where(random.permutation(30) < 15, "a", "b").astype(object)[people]
        looks = random.normal(size=(30, 20))[people] + 0.2 * random.normal(size=(180, 20))
        together.append(probe(looks, labels, people, seed, 10).p <= 0.05)
        apart.append(probe(looks, labels, None, seed, 10).p <= 0.05)
    assert np.mean(together) < 0.25
    assert np.mean(apart) > 0.9


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (["a"] * 40, "fewer than two labels have 10 images"),
        (["a"] * 40 + ["b"] * 9, "fewer than two labels have 10 images"),
        ([], "fewer than two labels have 10 images"),
    ],
)
def test_too_little_to_say(labels: list[str], why: str):
    given = np.array(labels, dtype=object)
    assert why in str(probe(features(given, 3), given, None, 0, 10))


def test_few_clusters_are_too_little_too():
    labels, people = halves(100), np.arange(100) % 12
    found = probe(features(labels, 3), labels, people, 0, 10)
    assert str(found) == "fewer than two labels have 10 clusters that show it"


def test_images_that_all_look_the_same():
    labels = halves(40)
    found = probe(np.ones((40, 3)), labels, None, 0, 10)
    assert str(found) == "all images look the same there"


def test_two_thousand_images_take_seconds():
    labels = np.random.default_rng(0).choice(list("abcde"), 2000).astype(object)
    start = time.process_time()
    probe(features(labels, 0, count=57), labels, None, 0, 10)
    assert time.process_time() - start < 5  # about 1 on a quiet core


# -- the findings --------------------------------------------------------------------------


def found(labels: np.ndarray, given: dict[str, np.ndarray], **columns: Any) -> list[Finding]:
    cases = pd.DataFrame({"label": labels, **columns})
    findings = probes(cases, Probed(np.arange(len(cases)), given), 0, THRESHOLDS)
    for finding in findings:
        described = finding.described()
        assert json.loads(json.dumps(described, allow_nan=False)) == described
        assert finding.kind == "probe"
    return findings


def test_the_findings_of_a_skewed_cue_and_a_quiet_background():
    labels = halves(120)
    missing = features(labels, 4)
    missing[:20] = np.nan
    cue, rest, tag = found(
        labels,
        {"face": missing, "background": features(labels, 0), "tag": np.full((120, 2), np.nan)},
    )
    assert cue.severity == "notice"
    assert cue.text.startswith("The data tie the label to cue 'face': a simple classifier")
    assert "Left out: 20 images" in cue.text
    assert (cue.n, cue.threshold) == (100, pytest.approx(0.5, abs=0.02))
    assert cue.low < cue.value < cue.high
    assert [row["label"] for row in cue.table] == ["a", "b"]
    assert (rest.severity, rest.n) == ("info", 120)
    assert [finding.cue for finding in (cue, rest, tag)] == ["face", "background", "tag"]
    assert "the colours of the background" in rest.text
    assert (tag.severity, tag.value, tag.n) == ("info", None, 0)
    assert "Whether cue 'tag' alone gives the label away cannot be said" in tag.text


def test_clusters_reach_the_text():
    labels = np.array(["a"] * 60 + ["b"] * 60, dtype=object)
    people = [f"{i // 3}" for i in range(120)]
    (finding,) = found(labels, {"unannotated": features(labels, 4)}, cluster=people)
    assert "over whole clusters" in finding.text
    assert "what nobody annotated" in finding.text
    assert finding.severity == "notice"


def test_rows_are_places_in_the_cases():
    cases = pd.DataFrame({"label": ["z"] * 50 + list(halves(60))})
    labels = halves(60)
    probed = Probed(np.arange(50, 110), {"face": features(labels, 4)})
    (finding,) = probes(cases, probed, 0, THRESHOLDS)
    assert {row["label"] for row in finding.table} == {"a", "b"}
    assert probes(cases, None, 0, THRESHOLDS) == []


# -- the features --------------------------------------------------------------------------

HEIGHT, WIDTH = 40, 48
PREPROCESS = Preprocess(resize=(HEIGHT, WIDTH), crop=None)
Drawn = tuple[np.ndarray, dict[str, np.ndarray]]


def dataset(folder: Path, draw: Callable[[int, str], Drawn], count: int, **roles: Any) -> Dataset:
    """Pictures and masks by number and label; labels a and b by turns."""
    rows = []
    for number in range(count):
        label = "ab"[number % 2]
        pixels, masks = draw(number, label)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        row = {"image": f"{number}.png", "label": label}
        for name, mask in masks.items():
            Image.fromarray(mask).save(folder / f"{number}.{name}.png")
            row[f"region.{name}"] = f"{number}.{name}.png"
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "all.csv", index=False)
    config = DatasetConfig(path=folder / "all.csv", format="manifest")
    given = {"subject": ("thing",), "cues": ("face",), "rest": "background"} | roles
    return open_dataset(config, regions=RegionRoles(**given))


def noise(number: int) -> np.ndarray:
    random = np.random.default_rng(number)
    return random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def box(top: int, left: int, tall: int, wide: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + tall, left : left + wide] = True
    return mask


def by_region(data: Dataset, **options: Any) -> dict[str, Finding]:
    probed = probe_features(data, PREPROCESS, np.arange(len(data)), workers=1, **options)
    findings = probes(data.cases, probed, 0, THRESHOLDS)
    return dict(zip(probed.features, findings, strict=True))


def test_features_by_hand():
    # Two rows of two pixels: black and white above, red and blue below.
    colours = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]], np.uint8)
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    found = region_features(colours, rows, columns)
    assert found.shape == (57,)
    assert found[:3] == pytest.approx([0.5, 0.25, 0.5])
    assert found[3:6] == pytest.approx([0.5, 3**0.5 / 4, 0.5])
    histogram = found[6:33]
    # Black, blue, red and white, as digits to the base 3 (red counts least).
    assert np.flatnonzero(histogram).tolist() == [0, 2, 18, 26]
    assert histogram.sum() == pytest.approx(1)
    bands = found[33:].reshape(2, 4, 3)
    assert bands[0].tolist() == [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]]
    assert bands[1].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1]]


def test_neither_size_nor_place_nor_outline_leaks(tmp_path: Path):
    def draw(number: int, label: str) -> Drawn:
        # The same noise everywhere; only the masks tell the label.
        wide = label == "a"
        face = box(2, 2, 8, 20) if wide else box(14, 30, 20, 16)
        return noise(number), {"thing": box(30, 0, 10, 20), "face": face}

    found = by_region(dataset(tmp_path, draw, 120))
    assert set(found) == {"face", "background"}
    assert {finding.severity for finding in found.values()} == {"info"}
    assert {finding.n for finding in found.values()} == {120}


def test_a_neighbours_colour_does_not_leak(tmp_path: Path):
    def draw(number: int, label: str) -> Drawn:
        pixels, thing = noise(number), box(8, 8, 20, 20)
        pixels[thing] = 255 if label == "a" else 0
        return pixels, {"thing": thing, "face": box(8, 28, 20, 10)}

    data = dataset(tmp_path, draw, 80)
    # Made smaller, pixels at the border would mix.
    small = Preprocess(resize=(10, 12), crop=None)
    probed = probe_features(data, small, np.arange(80), workers=1)
    findings = probes(data.cases, probed, 0, THRESHOLDS)
    assert {finding.severity for finding in findings} == {"info"}


def test_a_cue_and_a_background_that_give_the_label_away(tmp_path: Path):
    def draw(number: int, label: str) -> Drawn:
        pixels, face = noise(number) // 2 + 40, box(2, 2, 10, 12)
        pixels[face] += 40 * np.uint8(label == "a")
        pixels[:, 40:] //= 2 if label == "b" else 1
        return pixels, {"thing": box(20, 10, 15, 15), "face": face}

    found = by_region(dataset(tmp_path, draw, 60))
    assert {finding.severity for finding in found.values()} == {"notice"}


def test_the_arrangement_is_seen_too(tmp_path: Path):
    def draw(number: int, label: str) -> Drawn:
        # The same colours in the same amounts: light above or light below.
        pixels, face = noise(number) // 2, box(4, 4, 20, 20)
        top, bottom = (100, 0) if label == "a" else (0, 100)
        pixels[4:14] += np.uint8(top)
        pixels[14:24] += np.uint8(bottom)
        return pixels, {"thing": box(30, 0, 10, 40), "face": face}

    assert by_region(dataset(tmp_path, draw, 60))["face"].severity == "notice"


def test_the_rest_does_not_hold_what_is_a_subject_of_the_other_label(tmp_path: Path):
    def draw(number: int, label: str) -> Drawn:
        pixels, coat, skirt = noise(number), box(0, 0, 20, 20), box(20, 0, 20, 20)
        pixels[coat | skirt] = 255
        return pixels, {"coat": coat, "skirt": skirt, "face": box(0, 40, 8, 8)}

    roles = {"subject": (), "subject_by_label": {"a": ("coat",), "b": ("coat", "skirt")}}
    data = dataset(tmp_path, draw, 60, **roles)
    assert by_region(data)["background"].severity == "info"


def test_what_is_hidden_missing_or_too_small_has_no_features(tmp_path: Path):
    def draw(number: int, label: str) -> Drawn:
        masks = {"thing": box(10, 10, 10, 10), "face": box(20, 20, 8, 8)}
        if number == 0:
            masks = {"face": masks["face"]}  # the rest may hold the subject
        if number == 1:
            masks["face"] = box(0, 0, 0, 0)
        if number == 2:
            masks["face"] = box(20, 20, 5, 5)
        if number == 3:
            masks["face"] = box(0, 0, 40, 4)  # outside of the crop
        return noise(number), masks

    data = dataset(tmp_path, draw, 30)
    (tmp_path / "5.png").write_bytes(b"damaged")
    cropped = Preprocess(resize=None, crop=(40, 40))
    probed = probe_features(data, cropped, np.arange(30), workers=1)
    known = {name: np.isfinite(values).all(1) for name, values in probed.features.items()}
    assert np.flatnonzero(~known["face"]).tolist() == [1, 2, 3, 5]
    assert np.flatnonzero(~known["background"]).tolist() == [0, 5]
    for values in probed.features.values():  # a row is whole or not there
        assert (np.isfinite(values).all(1) == np.isfinite(values).any(1)).all()


def test_a_sample_by_its_seed_and_its_progress(tmp_path: Path):
    data = dataset(
        tmp_path, lambda n, _: (noise(n), {"thing": box(0, 0, 9, 9), "face": box(9, 9, 9, 9)}), 24
    )
    positions = np.arange(4, 24)
    told: list[tuple[int, int]] = []
    probed = probe_features(
        data, PREPROCESS, positions, lambda *done: told.append(done), seed=1, most=8
    )
    assert len(probed.rows) == 8
    assert (np.diff(probed.rows) > 0).all()
    assert probed.rows.max() < 20
    assert told == [(done, 8) for done in range(9)]
    again = probe_features(data, PREPROCESS, positions, seed=1, most=8, workers=1)
    assert (again.rows == probed.rows).all()
    np.testing.assert_array_equal(again.features["face"], probed.features["face"])
    # The features are those of the image, wherever it stands in the sample.
    whole = probe_features(data, PREPROCESS, np.arange(24), seed=1)
    np.testing.assert_allclose(whole.features["face"][probed.rows + 4], again.features["face"])
    nothing = probe_features(data, PREPROCESS, positions[:0])
    assert nothing.features["face"].shape == (0, 57)
