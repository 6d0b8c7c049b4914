"""Clusters of maps and features: planted ones are found, noise is not, and the files are usable."""

from __future__ import annotations

import errno
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn.cluster
from PIL import Image
from sklearn.metrics import adjusted_rand_score

import auditor
from auditor.configuration import DatasetConfig
from auditor.datasets.masks import polygons
from auditor.discovery import DiscoveryOptions, add_region, discover, spectral
from auditor.discovery.clusters import off_subject, ordered
from auditor.discovery.outlines import covered, polygons_of
from auditor.discovery.selection import Selection, feature_vectors, map_vectors
from auditor.discovery.sheets import Tile, sheet
from auditor.discovery.spectral import grouped
from auditor.discovery.tasks import category
from auditor.errors import AuditorError, RunError
from auditor.exports import read_coco
from auditor.geometry import Preprocess
from auditor.regions import RegionRoles
from tests.conftest import HEIGHT, WIDTH, make_project


@pytest.fixture(autouse=True, scope="module")
def fewer_nulls():
    """Enough for a p-value of .025."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectral, "NULLS", 39)
        yield


# -- maps whose kinds are known ------------------------------------------------------------


def blob(row, column, spread=1.0, grid=(7, 9)):
    rows, columns = np.indices(grid)
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * spread**2))


def shares(maps):
    maps = np.asarray(maps)
    return maps / maps.sum((1, 2), keepdims=True)


def planted(count, seed):
    """Two kinds of spots, one half as common as the other, and noise on every cell."""
    random = np.random.default_rng(seed)
    kind = np.arange(count) % 3 == 0
    spots = [blob(1, 1) if k else blob(4, 7) for k in kind]
    scale = random.uniform(0.5, 1.5, (count, 1, 1))
    return shares(np.array(spots) * scale + 0.3 * random.random((count, 7, 9))), kind


def diffuse(count, seed):
    """One kind: a wide spot in the middle that shakes a little."""
    random = np.random.default_rng(seed)
    at = random.normal((3, 4), 0.6, (count, 2))
    spots = np.array([blob(*place, spread=1.5) for place in at])
    return shares(spots + 0.15 * random.random((count, 7, 9)))


def spiky(count, seed):
    return np.random.default_rng(seed).dirichlet(np.full(63, 0.3), count).reshape(count, 7, 9)


def widening(count, seed):
    random = np.random.default_rng(seed)
    wide = random.uniform(1, 3, count)
    return shares(np.array([blob(3, 4, w) for w in wide]) + 0.15 * random.random((count, 7, 9)))


@pytest.mark.parametrize("count", [30, 120])
def test_two_planted_spots_are_recovered(count):
    maps, kind = planted(count, 1)
    found = grouped(map_vectors(maps), seed=0)
    assert found.count == 2
    assert adjusted_rand_score(kind, found.clusters) > 0.9
    assert found.structure
    assert (found.clusters == 1).sum() > (found.clusters == 2).sum()  # the largest is the first


def test_what_docs_name_as_limits_are_limits():
    """An eighth of the cases is not cut off; one kind spread evenly passes for clusters."""
    random = np.random.default_rng(150)
    rare = np.arange(120) % 8 == 0
    middle = random.normal((3, 4), 0.8, (120, 2))
    spots = [blob(1, 1) if r else blob(*at, 1.5) for r, at in zip(rare, middle, strict=True)]
    found = grouped(map_vectors(shares(spots + 0.2 * random.random((120, 7, 9)))), seed=0)
    assert adjusted_rand_score(rare, found.clusters) < 0.5
    even = [blob(*at) for at in random.uniform(0, (6, 8), (150, 2))]
    found = grouped(map_vectors(shares(even + 0.15 * random.random((150, 7, 9)))), seed=0)
    assert found.structure
    assert found.count >= 8


@pytest.mark.parametrize("one_kind", [diffuse, spiky, widening])
@pytest.mark.parametrize("count", [40, 120])
def test_one_kind_is_no_structure(one_kind, count):
    found = grouped(map_vectors(one_kind(count, 3)), seed=0)
    assert not found.structure
    assert found.p > 0.05


def test_data_without_clusters_are_rarely_called_structured():
    random = np.random.default_rng(5)
    called = [grouped(random.standard_normal((40, 6)), seed=0).structure for _ in range(8)]
    assert sum(called) <= 2  # 1 is expected at most: both measures have to say so


def test_the_order_of_the_cases_does_not_matter():
    maps, _ = planted(60, 2)
    order = np.random.default_rng(0).permutation(60)
    one, other = grouped(map_vectors(maps), seed=4), grouped(map_vectors(maps[order]), seed=4)
    np.testing.assert_array_equal(one.clusters[order], other.clusters)
    np.testing.assert_array_equal(one.distances[order], other.distances)
    assert (one.p, one.silhouette, one.eigenvalues) == (
        other.p,
        other.silhouette,
        other.eigenvalues,
    )


def test_a_large_set_is_compared_with_chance_on_a_part(monkeypatch):
    monkeypatch.setattr(spectral, "NULLS", 19)
    monkeypatch.setattr(spectral, "TESTED", 50)
    maps, kind = planted(120, 1)
    found = grouped(map_vectors(maps), seed=0)
    assert found.tested == 50
    assert adjusted_rand_score(kind, found.clusters) > 0.9
    assert found.p == pytest.approx(1 / 20)


def test_a_number_of_clusters_can_be_asked_for(monkeypatch):
    monkeypatch.setattr(spectral, "NULLS", 1)
    found = grouped(map_vectors(planted(40, 1)[0]), seed=0, count=5)
    assert found.count == 5
    assert set(found.clusters) == {1, 2, 3, 4, 5}


def test_the_eigengap_is_that_of_the_number_chosen_even_if_k_means_finds_fewer(monkeypatch):
    class Fewer(sklearn.cluster.KMeans):
        def fit_predict(self, rows):
            return np.minimum(super().fit_predict(rows), 1)

    monkeypatch.setattr(spectral, "NULLS", 1)
    vectors = map_vectors(planted(40, 1)[0])
    told = {count: grouped(vectors, seed=0, count=count).eigengap for count in (2, 5)}
    assert told[5] != pytest.approx(told[2])
    monkeypatch.setattr(sklearn.cluster, "KMeans", Fewer)
    found = grouped(vectors, seed=0, count=5)
    assert found.count == 2
    assert found.eigengap == told[5]


def test_cases_that_are_all_the_same_have_no_clusters(monkeypatch):
    assert grouped(np.ones((30, 4)), seed=0) is None
    assert grouped(feature_vectors(np.full((30, 4), 1e6)), seed=0) is None
    monkeypatch.setattr(spectral, "NULLS", 3)
    two = grouped(np.repeat([[0.0, 1.0], [1.0, 0.0]], 15, axis=0), seed=0)
    assert adjusted_rand_score(np.repeat([0, 1], 15), two.clusters) == 1


def test_channels_that_tell_nothing_are_left_out_and_others_count_the_same():
    random = np.random.default_rng(0)
    features = random.standard_normal((30, 3)) * (1, 100, 0) + (0, 5, 7)
    vectors = feature_vectors(features)
    assert vectors.shape == (30, 2)
    np.testing.assert_allclose(vectors.std(0), 1)


# -- outlines --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(resize=(56, 72), crop=None),
        Preprocess(resize=60, crop=(56, 72)),
        Preprocess(resize=(56, 72), crop=None, pad="square"),
        Preprocess(resize=None, crop=(56, 72), pad=5),
    ],
)
def test_outlines_are_the_cells_in_the_pixels_of_the_source(preprocess):
    source, grid = (83, 131), (7, 9)
    placement = preprocess.placement(source)
    random = np.random.default_rng(1)
    inside = placement.pool(np.ones(source, bool), grid) > 0.99
    for _ in range(8):
        cells = (random.random(grid) < 0.3) & inside
        if not cells.any():
            continue
        parts = polygons_of(cells, placement)
        mask = polygons([np.reshape(part, (-1, 2)) for part in parts], source)
        pooled = placement.pool(mask, grid)
        # Cells are as a mask of whole pixels gives them; holes are filled.
        assert (pooled[cells] > 0.85).all()
        open_cells = ~cells & inside & (pooled > 0.5)
        assert not _touches_outside(open_cells, cells)


def _touches_outside(filled, cells):
    """Whether a cell that was filled was no hole: it is connected with the border."""
    from scipy import ndimage

    return bool((filled & ~(ndimage.binary_fill_holes(cells) & ~cells)).any())


def test_outlines_of_a_ring_of_a_corner_and_of_padding():
    placement = Preprocess(resize=(70, 90), crop=None).placement((70, 90))
    ring = np.zeros((7, 9), bool)
    ring[1:4, 1:4] = True
    ring[2, 2] = False
    assert polygons_of(ring, placement) == [[10.0, 10.0, 40.0, 10.0, 40.0, 40.0, 10.0, 40.0]]
    touching = np.zeros((7, 9), bool)
    touching[0, 0] = touching[1, 1] = True  # at a corner alone: two outlines
    assert len(polygons_of(touching, placement)) == 2
    wide = Preprocess(resize=(90, 90), crop=None, pad="square").placement((30, 90))
    padded = np.zeros((9, 9), bool)
    padded[0, :] = True
    assert polygons_of(padded, wide) == []
    padded[2:4, 0] = True  # half of it lies in the padding, and is cut off
    assert polygons_of(padded, wide) == [[0.0, 0.0, 10.0, 0.0, 10.0, 10.0, 0.0, 10.0]]


def test_covered_is_half_of_the_maximum():
    share = np.array([[0.1, 0.2], [0.4, 0.3]])
    np.testing.assert_array_equal(covered(share), [[False, True], [True, True]])


# -- a run of a model that reads a patch which nobody annotated ------------------------------

PLACES = {"top": (0, 24), "low": (24, 32)}  # of the patch's corner, in the right half
ERRORS, RIGHT = 48, 24


def spotted(folder, hostile=False):
    """Every third image is right; the others have a strong patch of the other class's colour."""
    made = make_project(folder)
    random = np.random.default_rng(0)
    rows = []
    for number in range(ERRORS + RIGHT):
        warm, wrong = number % 2 == 0, number % 3 != 0
        place = "top" if number % 4 < 2 else "low"
        pixels = random.integers(60, 80, (HEIGHT, WIDTH, 3))
        pixels[8:24, 4:16, 0 if warm else 2] += 30  # the subject's colour, weakly
        if wrong:
            row, column = PLACES[place]
            pixels[row : row + 8, column : column + 8, 2 if warm else 0] = 250
        name = f"spot{number:02}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
        rows.append(
            {
                "id": f"<b>{number:02}\u202e</b>" if hostile else f"case{number:02}",
                "image": name,
                "label": "warm" if warm else "cold",
                "tone": place,
                "region.coat": "coat.png",
                "region.face": "face.png",
            }
        )
    made.write_rows(rows)
    # A module of its own: another test's `warmth` may be imported.
    module = f"spotted_{'hostile' if hostile else 'plain'}"
    (folder / "warmth.py").rename(folder / f"{module}.py")
    made.replace('"warmth:warmth"', f'"{module}:warmth"')
    if hostile:
        made.replace('attributes = ["tone"]', 'attributes = ["tone"]\ncluster = "tone"')
    # The face is where the patches lie, and would be the cue; it is not named.
    made.replace('cues = ["face"]', "cues = []")
    made.config.write_text(made.config.read_text() + "\n[evidence]\ncases = 0\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return spotted(tmp_path_factory.mktemp("spotted"))


@pytest.fixture(scope="module")
def run(project):
    dataset = auditor.open_dataset(project.config)
    classifier = auditor.load_classifier(project.config)
    made = auditor.audit(classifier, dataset, project.folder / "run")
    assert made.info["counts"]["errors"] == ERRORS
    return made


@pytest.fixture(scope="module")
def found(run, project):
    """By maps and features, as the command makes it."""
    from auditor.pipeline.featuring import Featuring

    steps = []
    made = discover(
        run,
        project.folder / "found",
        features=Featuring.of(run, "cpu").under,
        progress=lambda step, done, total: steps.append((step, done, total)),
    )
    assert ("comparing", 0, 78) in steps
    assert steps[-1][0] == "drawing"
    assert steps[-1][1] == steps[-1][2]
    return made


def test_maps_cluster_by_place_and_features_by_colour(found, run):
    table = pd.read_parquet(found.folder / "clusters.parquet")
    assert list(table) == ["id", "by", "cluster", "distance"]
    cases = run.cases.set_index("id")
    maps = table[table["by"] == "maps"].set_index("id")
    assert len(maps) == ERRORS
    known = cases.loc[maps.index]
    assert adjusted_rand_score(known["attribute.tone"], maps["cluster"]) > 0.9
    features = table[table["by"] == "features"].set_index("id")
    # Red or blue under the map; the place does not matter.
    joint = pd.crosstab(features["cluster"], cases.loc[features.index, "predicted"])
    assert (joint.min(axis=1) == 0).all()


def test_a_cluster_says_what_it_is_pure_in_and_where_its_evidence_lies(found):
    document = json.loads((found.folder / "clusters.json").read_text())
    assert document == json.loads(json.dumps(found.document))
    assert document["hint"].startswith("Hints, not findings.")
    assert document["cases"] == {
        "considered": ERRORS,
        "without_positive_evidence": 0,
        "left_out": 0,
        "clustered": ERRORS,
    }
    maps = document["kinds"][0]
    assert maps["structure"] is True
    assert sum(cluster["n"] for cluster in maps["clusters"]) == ERRORS
    for cluster in maps["clusters"]:
        assert cluster["low"] < cluster["share"] < cluster["high"]
        assert cluster["errors"] is None
        assert cluster["units"] is None
        assert np.sum(cluster["mean_map"]) == pytest.approx(1, abs=1e-4)
        tone = next(one for one in cluster["purity"] if one["column"] == "attribute.tone")
        assert tone["share"] > 0.9
        assert tone["chance"] == pytest.approx(0.5)
        assert tone["p"] <= tone["q"] < 0.001
        label = next(one for one in cluster["purity"] if one["column"] == "label")
        assert label["q"] > 0.05
        regions = {one["region"]: one for one in cluster["regions"]}
        assert regions["unannotated"]["lift"] > 1.5
        assert regions["unannotated"]["low"] > 0
        assert regions["subject"]["lift"] < 0.5
        assert "lies on what nobody annotated" in cluster["text"]
        assert len(cluster["nearest"]) <= 24
        with Image.open(found.folder / cluster["sheet"]) as picture:
            assert picture.format == "PNG"
            assert picture.width > 700


def test_clusters_whose_maps_lie_least_on_the_subject_come_first():
    """Three clusters of 4, 3 and 2 cases: lifts of 2, 0.5 and, in the one case known, 1.

    The second has 0.3 on 0.6 of the area; the mean of its cases' own lifts would be 2.9.
    """
    mass = [0.4, 0.4, 0.4, 0.4, 0.08, 0.1, 0.12, 0.3, np.nan]
    area = [0.2, 0.2, 0.2, 0.2, 0.01, 0.2, 0.39, 0.3, 0.3]
    made = np.repeat([1, 2, 3], [4, 3, 2])
    grouping = replace(grouped(map_vectors(planted(40, 1)[0]), seed=0), clusters=made, count=3)

    def numbers(mass, area):
        cases = pd.DataFrame({"margin_mass.subject": mass, "area.subject": area})
        return ordered(Selection(cases, np.ones((9, 1, 1)), 9, 0), grouping).clusters.tolist()

    assert numbers(mass, area) == [3] * 4 + [1] * 3 + [2] * 2
    # Nothing is known of the last: one case has no subject, and one no mass.
    assert numbers(mass, [*area[:7], 0, 0.3]) == [2] * 4 + [1] * 3 + [3] * 2
    assert numbers([np.nan] * 9, area) == made.tolist()
    without = Selection(pd.DataFrame({"id": range(9)}), np.ones((9, 1, 1)), 9, 0)
    assert ordered(without, grouping).clusters.tolist() == made.tolist()


def test_cases_whose_maps_lie_least_on_the_subject_are_shown_first():
    """Lifts of 2, 0.5, 0.25 and 0.5; one case has no subject, and one no mass."""
    mass, area = [0.4, 0.1, 0.05, 0.2, 0.3, np.nan], [0.2, 0.2, 0.2, 0.4, 0, 0.3]
    shares = np.arange(6, dtype=float)[:, None, None] * np.ones((6, 1, 2))
    cases = pd.DataFrame({"id": list("abcdef"), "margin_mass.subject": mass, "area.subject": area})
    told = off_subject(Selection(cases, shares, 6, 0), most=3)
    assert told["n"] == 4
    assert [(one["id"], one["lift"]) for one in told["cases"]] == [
        ("c", pytest.approx(0.25)), ("b", pytest.approx(0.5)), ("d", pytest.approx(0.5)),
    ]  # fmt: skip
    assert told["cases"][2] | {"lift": 0.5} == {"id": "d", "mass": 0.2, "area": 0.4, "lift": 0.5}
    assert told["mean_map"] == [[2, 2]]  # of c, b and d
    assert off_subject(Selection(cases.assign(**{"area.subject": 0}), shares, 6, 0)) is None
    assert off_subject(Selection(cases[["id"]], shares, 6, 0)) is None


def test_their_sheet_lies_in_the_folder_and_on_the_page(found):
    least = found.document["off_subject"]
    lifts = [one["lift"] for one in least["cases"]]
    assert lifts == sorted(lifts)
    with Image.open(found.folder / least["sheet"]) as picture:
        assert picture.width > 700
    text = (found.folder / "index.html").read_text(encoding="utf-8")
    assert "Evidence that lies least on the subject" in text
    assert f"{lifts[0]:.2f} to {lifts[-1]:.2f} (1 is chance)" in text
    first = text.index(least["cases"][0]["id"])
    assert first < text.index("By maps, cluster 1")


def test_maps_of_few_cells_are_said_to_be_coarse(run, tmp_path, monkeypatch):
    height, width = run.maps.shape[2:]
    for finer, count in ((min(height, width), 0), (min(height, width) + 1, 1)):
        monkeypatch.setattr("auditor.discovery.writing.FINE", finer)
        made = discover(run, tmp_path / str(finer), DiscoveryOptions(by="maps", images=False))
        coarse = [note for note in made.document["notes"] if "cells, each a large part" in note]
        assert coarse == [note for note in coarse if f"{height} by {width} cells" in note]
        assert len(coarse) == count


def test_a_discovery_is_in_that_order(found):
    table = pd.read_parquet(found.folder / "clusters.parquet")
    for kind in found.document["kinds"]:
        lifts = [
            one["lift"]
            for cluster in kind["clusters"]
            for one in cluster["regions"]
            if one["region"] == "subject"
        ]
        assert lifts == sorted(lifts)
        assert [cluster["number"] for cluster in kind["clusters"]] == [*range(1, len(lifts) + 1)]
        sizes = table[table["by"] == kind["by"]].groupby("cluster").size().tolist()
        assert sizes == [cluster["n"] for cluster in kind["clusters"]]
    assert "the lift of the maps on the subject" in found.document["method"]["order"]


def test_purity_is_tested_exactly(found):
    """Against a permutation of the labels that the p-value stands for."""
    from scipy.stats import hypergeom

    cluster = found.document["kinds"][0]["clusters"][0]
    tone = next(one for one in cluster["purity"] if one["column"] == "attribute.tone")
    expected = hypergeom.sf(tone["n"] - 1, ERRORS, ERRORS // 2, tone["of"]) * 2
    assert tone["p"] == pytest.approx(min(1, expected))


def test_all_cases_have_a_rate_of_errors(run, tmp_path):
    options = DiscoveryOptions(cases="all", by="maps", images=False)
    document = discover(run, tmp_path / "all", options).document
    clusters = document["kinds"][0]["clusters"]
    assert sum(cluster["errors"]["n"] for cluster in clusters) == ERRORS
    for cluster in clusters:
        errors = cluster["errors"]
        assert errors["low"] <= errors["rate"] <= errors["high"]
        assert errors["chance"] == pytest.approx(ERRORS / (ERRORS + RIGHT))
        assert cluster["sheet"] is None
    assert not list((tmp_path / "all").glob("*.png"))


def test_a_sample_does_not_depend_on_the_order_of_the_dataset(run, tmp_path):
    options = DiscoveryOptions(by="maps", most=30, images=False, seed=3)
    one, other = (discover(run, tmp_path / name, options).document for name in ("a", "b"))
    assert one["kinds"] == other["kinds"]
    assert one["cases"]["left_out"] == ERRORS - 30
    for name in ("clusters.json", "clusters.parquet", "coco.json", "index.html"):
        first, second = (tmp_path / folder / name for folder in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


# -- the task --------------------------------------------------------------------------------


def test_the_task_comes_back_as_a_dataset_with_the_cluster_as_a_cue(found, run, project):
    task = json.loads((found.folder / "coco.json").read_text())
    names = {one["id"]: one["name"] for one in task["categories"]}
    proposed = [name for name in names.values() if name.startswith("proposed: ")]
    assert category("maps", 1) in proposed
    for one in task["annotations"]:
        assert one["attributes"]["proposal"] is (names[one["category_id"]] in proposed)
        assert isinstance(one["segmentation"], list)  # which Label Studio's converter reads alone
    cue = category("maps", 1)
    dataset = auditor.open_dataset(
        DatasetConfig(
            path=found.folder / "coco.json",
            format="coco",
            image_root=project.folder,
            attributes=("tone",),
            columns={"id": "auditor_id", "tone": "attribute.tone"},
            mask_frame="displayed",
        ),
        regions=RegionRoles(subject=("coat",), cues=(cue,)),
    )
    own = auditor.open_dataset(project.config)
    cases = own.cases.set_index("id")
    shown = 0
    for position, case in dataset.cases.iterrows():
        assert case["label"] == cases.loc[case["id"], "label"]
        masks = dataset.masks(position, (HEIGHT, WIDTH), 1)
        np.testing.assert_array_equal(masks["coat"][:, : WIDTH // 2], True)
        if cue in masks:
            row, column = PLACES[case["attribute.tone"]]
            patch = np.zeros((HEIGHT, WIDTH), bool)
            patch[row : row + 8, column : column + 8] = True
            np.testing.assert_array_equal(masks[cue], patch)
            shown += 1
    assert shown == found.document["kinds"][0]["clusters"][0]["n"]
    again = read_coco(found.folder / "coco.json")
    assert set(proposed) <= set(again.roles.cues)
    assert set(again.cases["id"]) == set(run.cases["id"][run.cases["correct"] == False])  # noqa: E712


def test_the_task_loads_in_cocos_own_tools(found):
    coco = pytest.importorskip("pycocotools.coco")
    loaded = coco.COCO(str(found.folder / "coco.json"))
    for one in loaded.loadAnns(loaded.getAnnIds()):
        mask = loaded.annToMask(one)
        assert abs(int(mask.sum()) - one["area"]) <= 0.2 * one["area"] + 20


def test_finished_annotations_join_the_export_and_are_audited(found, run, project, tmp_path):
    """What a tool hands back has neither labels nor attributes."""
    task = json.loads((found.folder / "coco.json").read_text())
    task = {key: task[key] for key in ("images", "annotations", "categories")}
    for image in task["images"]:
        del image["label"], image["attributes"]
    (tmp_path / "done.json").write_text(json.dumps(task))
    auditor.write_export(run, "coco", tmp_path / "whole.json")
    files = tmp_path / "whole.json", tmp_path / "done.json"
    first = found.document["kinds"][0]["clusters"][0]["n"]
    assert add_region(*files, category("maps", 1), "patch", tmp_path / "with.json") == first
    dataset = read_coco(tmp_path / "with.json")
    assert len(dataset) == ERRORS + RIGHT
    assert dataset.roles.cues == ("patch",)
    classifier = auditor.load_classifier(project.config)
    again = auditor.audit(classifier, dataset, tmp_path / "again")
    assert (again.cases["status.patch"] == "ok").sum() == first
    assert again.cases["lift.patch"].dropna().min() > 3

    with pytest.raises(AuditorError, match="exists; choose another name"):
        add_region(*files, category("maps", 1), "patch", tmp_path / "with.json")
    with pytest.raises(AuditorError, match="has no category 'nothing'"):
        add_region(*files, "nothing", "patch", tmp_path / "x.json")
    with pytest.raises(AuditorError, match="has a category 'coat' already"):
        add_region(*files, category("maps", 1), "coat", tmp_path / "x.json")
    with pytest.raises(AuditorError, match=r"done\.json: is no COCO file of `auditor export`"):
        add_region(files[1], files[1], category("maps", 1), "patch", tmp_path / "x.json")
    task["images"][0]["height"] += 1
    files[1].write_text(json.dumps(task))
    with pytest.raises(AuditorError, match="annotate the images at their own size"):
        add_region(*files, category("maps", 1), "patch", tmp_path / "x.json")
    task["images"][0]["file_name"] = "other.png"
    files[1].write_text(json.dumps(task))
    with pytest.raises(AuditorError, match=r"has an image 'other\.png'"):
        add_region(*files, category("maps", 1), "patch", tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()


WHOLE = {
    "info": {"auditor": {"regions": {"cues": []}}},
    "images": [
        {"id": number, "file_name": name, "height": 4, "width": 6}
        for number, name in enumerate(["a/x.png", "b/x.png", "b/y z.png"], 1)
    ],
    "annotations": [],
    "categories": [],
}


def returned(tmp_path, names: list[str], annotations: list[dict]) -> dict:
    """What `add_region` makes of a tool's file, of images with these names."""
    images = [
        {"id": number, "file_name": name, "height": 4, "width": 6}
        for number, name in enumerate(names)
    ]
    kinds = [{"id": 7, "name": "cluster"}]
    tool = {"images": images, "annotations": annotations, "categories": kinds}
    for name, content in (("whole", WHOLE), ("tool", tool)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    out = tmp_path / "out.json"
    out.unlink(missing_ok=True)
    add_region(tmp_path / "whole.json", tmp_path / "tool.json", "cluster", "cue", out)
    return json.loads(out.read_text())


def test_images_of_tools_are_known_by_the_end_of_their_paths(tmp_path):
    outline = {"id": 1, "category_id": 7, "segmentation": [[0, 0, 2, 0, 2, 2]]}

    def place(*names):
        return [
            one["image_id"] for one in returned(
                tmp_path, list(names), [outline | {"image_id": n} for n in range(len(names))]
            )["annotations"]
        ]  # fmt: skip

    assert place("b/x.png", "a/x.png") == [2, 1]
    assert place("upload/7/b/x.png", "y z.png") == [2, 3]
    assert place("/data/local-files/?d=b/y%20z.png") == [3]
    with pytest.raises(AuditorError, match=r"'x\.png', which .* has as a/x\.png and as b/x\.png"):
        place("x.png")
    with pytest.raises(AuditorError, match=r"'c/x\.png', which .*whole\.json has not"):
        place("c/x.png")
    with pytest.raises(AuditorError, match=r"has 'b/y z\.png' of .* twice, once as 'y z\.png'"):
        place("b/y z.png", "y z.png")


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("images", "id"), ("images", "file_name"), ("images", "height"), ("images", "width"),
        ("annotations", "image_id"), ("annotations", "category_id"),
        ("categories", "id"), ("categories", "name"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["none", None])
def test_what_a_tools_file_lacks_is_named(tmp_path, kind, key, value):
    outline = {"id": 1, "image_id": 0, "category_id": 7, "segmentation": [[0, 0, 2, 0, 2, 2]]}
    returned(tmp_path, ["a/x.png"], [outline])
    (tmp_path / "out.json").unlink()
    tool = json.loads((tmp_path / "tool.json").read_text())
    entry = dict(tool[kind][0])
    if value is None:
        entry[key] = None
    else:
        del entry[key]
    tool[kind].append(entry)
    (tmp_path / "tool.json").write_text(json.dumps(tool))
    files = tmp_path / "whole.json", tmp_path / "tool.json"
    with pytest.raises(AuditorError, match=rf"tool\.json: {kind}\[1\] lacks {key}; give a COCO"):
        add_region(*files, "cluster", "cue", tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_what_an_export_lacks_is_named(tmp_path):
    returned(tmp_path, ["a/x.png"], [])
    (tmp_path / "out.json").unlink()
    files = tmp_path / "whole.json", tmp_path / "tool.json"
    for kind, entry, told in (
        ("annotations", {"image_id": 1}, "lacks id"),
        ("images", 3, "lacks id, file_name, height, width"),
    ):
        files[0].write_text(json.dumps(WHOLE | {kind: [entry]}))
        with pytest.raises(AuditorError, match=rf"whole\.json: {kind}\[0\] {told}; give"):
            add_region(*files, "cluster", "cue", tmp_path / "out.json")


def test_an_annotation_of_no_image_is_refused(tmp_path):
    outline = {"id": 1, "image_id": 5, "category_id": 7, "segmentation": [[0, 0, 2, 0, 2, 2]]}
    told = r"tool\.json: has an annotation of 'cluster' with image_id 5, and no image with this id"
    with pytest.raises(AuditorError, match=told):
        returned(tmp_path, ["a/x.png"], [outline])
    assert not (tmp_path / "out.json").exists()


def test_the_export_with_a_region_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    returned(tmp_path, ["a/x.png"], [])
    files = tmp_path / "whole.json", tmp_path / "tool.json"
    out = tmp_path / "new" / "out.json"
    add_region(*files, "cluster", "cue", out)
    assert out.read_bytes() == (tmp_path / "out.json").read_bytes()
    told = rf"{re.escape(str(files[0] / 'x.json'))}: cannot be written, since .* is no folder"
    with pytest.raises(AuditorError, match=told):
        add_region(*files, "cluster", "cue", files[0] / "x.json")

    def full(self, *_, **__):
        with self.open("w") as file:
            file.write("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(out), "write_text", full)
    with pytest.raises(AuditorError, match="a disk is full"):
        add_region(*files, "cluster", "cue", out.with_name("half.json"))
    assert [path.name for path in out.parent.iterdir()] == ["out.json"]


def test_boxes_beside_outlines_are_refused(tmp_path):
    box = {"id": 1, "image_id": 0, "category_id": 7, "bbox": [0, 0, 3, 3], "segmentation": []}
    outline = box | {"id": 2, "segmentation": [[0, 0, 2, 0, 2, 2]]}
    assert len(returned(tmp_path, ["a/x.png"], [outline])["annotations"]) == 1
    assert len(returned(tmp_path, ["a/x.png"], [box])["annotations"]) == 1  # a coarse region
    with pytest.raises(
        AuditorError,
        match=r"1 image has outlines of 'cluster' and boxes without an outline \(first 'a/x",
    ):
        returned(tmp_path, ["a/x.png"], [outline, box])
    apart = [outline, box | {"image_id": 1}]
    assert len(returned(tmp_path, ["a/x.png", "b/x.png"], apart)["annotations"]) == 2


# -- pages and sheets ------------------------------------------------------------------------


def test_the_page_needs_nothing_else_and_escapes_what_comes_from_outside(tmp_path):
    made = spotted(tmp_path, hostile=True)
    dataset = auditor.open_dataset(made.config)
    run = auditor.audit(auditor.load_classifier(made.config), dataset, tmp_path / "run")
    found = discover(run, tmp_path / "out", DiscoveryOptions(by="maps", clusters=2))
    folder = found.folder
    assert {cluster["units"] for cluster in found.document["kinds"][0]["clusters"]} <= {1, 2}
    assert read_coco(folder / "coco.json").cases["cluster"].nunique() == 2
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>" not in text
    assert "&lt;b&gt;" in text
    assert "\u202e" not in text
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert text.count("<img") == text.count('alt="') == 5
    assert re.findall(r"<h(\d)", text)[:3] == ["1", "2", "2"]
    assert "Hints, not findings" in text
    assert "[regions] cues" in text
    assert len(list(folder.glob("maps-cluster-*.png"))) == 2


def test_a_sheet_takes_any_text_and_cases_that_cannot_be_shown():
    share = np.ones((4, 5)) / 20
    pixels = np.full((32, 40, 1), 90, np.uint8)
    tiles = [
        Tile(pixels, share, "name" * 80, "\u0000\u202e→ 医者 " * 30),
        Tile(None, share, "", ""),
    ]
    picture = sheet("title " * 60, ["word " * 200, "unbroken" * 100, ""], share, tiles)
    assert picture.mode == "RGB"
    assert picture.width < 2000


# -- what is refused -------------------------------------------------------------------------


def test_too_few_errors_are_refused(run, tmp_path, monkeypatch):
    cases = run.cases.copy()
    monkeypatch.setitem(run.__dict__, "cases", cases)
    cases.loc[cases.index[cases["correct"] == False][19:], "correct"] = True  # noqa: E712
    monkeypatch.setattr(type(run), "read_cases", lambda self, columns=None: cases[list(columns)])
    with pytest.raises(RunError, match=r"19 of its 19 errors .* fewer than 20 .* --cases all"):
        discover(run, tmp_path / "out", DiscoveryOptions(by="maps"))
    assert not (tmp_path / "out").exists()


def test_cases_without_positive_evidence_are_counted(run, tmp_path, monkeypatch):
    maps = np.array(run.maps)
    wrong = np.flatnonzero((run.cases["correct"] == False).to_numpy())  # noqa: E712
    maps[wrong[0]] = np.nan
    maps[wrong[1]] = -1
    monkeypatch.setitem(run.__dict__, "maps", maps)
    made = discover(run, tmp_path / "out", DiscoveryOptions(by="maps", images=False))
    assert made.document["cases"]["without_positive_evidence"] == 2
    assert made.document["cases"]["clustered"] == ERRORS - 2


@pytest.mark.parametrize("options", [{"clusters": 1}, {"clusters": 13}, {"most": 19}, {"seed": -1}])
def test_numbers_out_of_bounds_are_refused(options):
    with pytest.raises(AuditorError, match=next(iter(options))):
        DiscoveryOptions(**options)


def test_places_that_are_taken_are_refused(run, found, tmp_path):
    maps = DiscoveryOptions(by="maps", images=False)
    with pytest.raises(AuditorError, match="exists; choose another name"):
        discover(run, found.folder, maps)
    with pytest.raises(AuditorError, match="lies in the run"):
        discover(run, run.path / "out", maps)
    with pytest.raises(AuditorError, match="without the model"):
        discover(run, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    assert discover(run, tmp_path / "empty", maps).folder.is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"empty"}


def test_a_place_that_cannot_be_written_is_found_before_the_clustering(
    run, tmp_path, monkeypatch, auditor_cli
):
    def clusters(*_):
        raise RunError("it clusters")

    monkeypatch.setattr("auditor.discovery.writing.grouped", clusters)
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    told = auditor_cli("discover", run.path, "--out", out, "--by", "maps", "--no-images")
    assert told.status == 2
    last = told.err.splitlines()[-1]
    assert last.startswith(f"auditor: {out}: cannot be written, since {tmp_path / 'file'} is no f")
    # Where it can be, nothing is left of what was made for it.
    with pytest.raises(RunError, match="it clusters"):
        discover(run, tmp_path / "new" / "out", DiscoveryOptions(by="maps", images=False))
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


def test_a_changed_model_or_dataset_is_refused_by_name(run, project, tmp_path, auditor_cli):
    from auditor.pipeline.featuring import Featuring

    text = project.config.read_text(encoding="utf-8")
    first = project.image(0).parent / "spot01.png"
    kept = first.read_bytes()
    try:
        project.config.write_text(text.replace(":warmth", ":untrained"), "utf-8")
        with pytest.raises(RunError, match=r"another weights and model than"):
            Featuring.of(run)
        project.config.write_text(text, "utf-8")
        first.write_bytes(kept + b"\0")
        told = auditor_cli("discover", run.path, "--out", tmp_path / "out", "--by", "features")
        assert told.status == 2
        assert "another dataset than" in told.err
        assert "--by maps" in told.err
        made = discover(run, tmp_path / "maps", DiscoveryOptions(by="maps", images=False))
        assert "fingerprint differs" in made.document["notes"][0]
    finally:
        project.config.write_text(text, "utf-8")
        first.write_bytes(kept)


def test_without_the_dataset_maps_alone_are_clustered(run, project, tmp_path):
    moved = project.config.with_suffix(".gone")
    shutil.move(project.config, moved)
    try:
        with pytest.raises(AuditorError, match="Or give --no-images"):
            discover(run, tmp_path / "out", DiscoveryOptions(by="maps"))
        made = discover(run, tmp_path / "out", DiscoveryOptions(by="maps", images=False))
    finally:
        shutil.move(moved, project.config)
    assert made.document["task"] is None
    assert "coco.json is not written" in made.document["notes"][0]
    names = {path.name for path in made.folder.iterdir()}
    assert names == {"clusters.json", "clusters.parquet", "index.html"}


def test_blurred_regions_are_not_on_the_sheets(run, tmp_path, monkeypatch):
    monkeypatch.setattr(spectral, "NULLS", 1)
    options = [DiscoveryOptions(by="maps", clusters=2, blur=blur) for blur in ((), ("coat",))]
    plain, blurred = (
        discover(run, tmp_path / name, one).folder / "maps-cluster-01.png"
        for name, one in zip("ab", options, strict=True)
    )
    assert plain.read_bytes() != blurred.read_bytes()
    with pytest.raises(AuditorError, match="no region 'hat' can be blurred"):
        discover(run, tmp_path / "c", DiscoveryOptions(by="maps", blur=("hat",)))


# -- the command -----------------------------------------------------------------------------


def test_the_command(run, tmp_path, auditor_cli):
    out = tmp_path / "out"
    told = auditor_cli("discover", run.path, "--out", out, "--no-images")
    assert told.status == 0, told.err
    assert f"Clustered {ERRORS} of {ERRORS} errors" in told.out
    assert "By maps: " in told.out
    assert "By features: " in told.out
    assert "Hints, not findings" in told.out
    arguments = ("discover", run.path, "--out", tmp_path / "json", "--by", "maps", "--clusters")
    told = auditor_cli(*arguments, 3, "--no-images", "--json")
    document = json.loads(told.out)
    assert len(document["kinds"][0]["clusters"]) == 3
    assert auditor_cli(*arguments, 1).status == 2
    assert auditor_cli(*arguments, "many").status == 2
