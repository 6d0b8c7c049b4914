"""The rule of `benchmarks.discovery_truth`, on errors of which everything is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.errors import AuditorError
from auditor.scenes import LABELS, REGIONS, draw
from auditor.study.arms import training_scenes
from benchmarks.discovery_truth import measuring
from benchmarks.discovery_truth.measuring import on_regions, truth_of
from benchmarks.discovery_truth.models import CONDITIONS, PART, Model, has, models
from benchmarks.discovery_truth.rule import (
    Errors,
    by_size,
    dealt,
    in_order,
    is_found,
    judged,
    rank,
    sorted_alone,
    tails,
    told_apart,
)
from benchmarks.discovery_truth.tables import BEGIN, END, markdown, written
from benchmarks.truth.grid import SEEDS, Cell
from benchmarks.truth.testing import PER_GROUP, balanced, name_of


def errors(cue, caused, subject=0.3, has=True):
    """Errors whose cue fills a tenth of the picture, and whose subject three tenths."""
    n = len(cue)
    return Errors(
        np.full(n, has),
        np.asarray(cue, float),
        np.full(n, 0.1),
        np.full(n, subject),
        np.full(n, 0.3),
        np.asarray(caused, bool),
    )


CLUSTERS = np.repeat([1, 2, 3], [20, 12, 8])


def planted(number):
    """The cue holds the evidence of one cluster, and causes most of it, of others none."""
    own = number == CLUSTERS
    caused = own & (np.arange(40) % 10 > 0)
    return errors(np.where(own, 0.5, 0.05), caused)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_cluster_that_shows_the_cue_is_the_one_that_has_it(number):
    found = planted(number)
    assert rank(found, CLUSTERS) == number
    assert is_found(number) == (number <= 2)
    told = judged(found, CLUSTERS)
    assert (told["rank"], told["found"]) == (number, number <= 2)
    assert told["told_apart"] == (number <= 2)
    assert told["lift"] == pytest.approx(5)
    assert told["subject_lift"] == pytest.approx(1)
    assert told["n"] == (20, 12, 8)[number - 1]


def test_every_part_of_the_rule_is_needed():
    whole = np.ones(10, bool)
    caused = np.arange(10) < 6
    assert errors([0.16] * 10, caused).shows(whole)  # a lift of 1.6, 60 % caused
    assert not errors([0.15] * 10, caused).shows(whole)  # not above 1.5
    assert not errors([0.16] * 10, np.arange(10) < 5).shows(whole)  # half are caused
    assert not errors([0.16] * 10, caused, subject=0.5).shows(whole)  # the subject's is 1.67
    assert rank(errors([0.1] * 40, [True] * 40), CLUSTERS) is None
    assert not is_found(None)


def test_a_scene_without_the_cue_has_no_lift_on_it_and_is_not_caused_by_it():
    whole = np.ones(10, bool)
    own = np.arange(10) < 6
    # What lies at the place of the cue's mask where there is no cue is not read.
    some = errors(np.where(own, 0.2, 0.9), own, has=own)
    assert some.lifts(whole) == (pytest.approx(2), pytest.approx(1))
    assert some.shows(whole)
    assert np.isnan(some.lifts(~own)[0])
    assert not some.shows(~own)
    # The subject's lift is of all: 4 of 10 look at the subject alone, .4 x 1 / .3 and more.
    subject = np.where(own, 0.3, 1.0)
    assert errors([0.2] * 10, own, subject, own).lifts(whole)[1] == pytest.approx(0.58 / 0.3)
    assert errors([0.2] * 10, own, subject, own).shows(whole)
    assert not errors([0.19] * 10, own, subject, own).shows(whole)
    # With half of them no set shows the cue, however much lies on it.
    own = np.arange(10) < 5
    assert not errors([0.9] * 10, own, has=own).shows(whole)


def test_clusters_are_put_in_order_by_the_subject_or_by_size():
    clusters = np.repeat([1, 2, 3], [4, 6, 2])
    subject = np.repeat([0.3, 0.4, 0.1], [4, 6, 2])
    found = errors([0.1] * 12, [True] * 12, subject)
    np.testing.assert_array_equal(in_order(found, clusters), np.repeat([2, 3, 1], [4, 6, 2]))
    np.testing.assert_array_equal(by_size(clusters), np.repeat([2, 1, 3], [4, 6, 2]))
    for deal in dealt(found, clusters, 20):
        assert sorted(np.bincount(deal)[1:]) == [2, 4, 6]
        lifts = [found.lifts(deal == number)[1] for number in (1, 2, 3)]
        assert lifts == sorted(lifts)


def test_the_order_by_size_is_judged_too():
    # The third by size has the cue and the lowest lift on the subject.
    found = planted(3)
    found = errors(found.cue, found.caused, np.where(CLUSTERS == 3, 0.1, 0.3))
    told = judged(found, in_order(found, CLUSTERS))
    assert (told["rank"], told["found"], told["found_by_size"]) == (1, True, False)


def test_errors_are_cut_by_their_own_lift_where_nothing_is_clustered():
    subject = [0.5, 0.1, 0.4, 0.2, 0.9, 0.3]
    area = [0.1, 0.1, 0.4, 0.4, 0.3, 0.3]  # lifts 5, 1, 1, 0.5, 3, 1
    found = replace(errors([0.1] * 6, [True] * 6, subject), subject_area=np.array(area))
    cut = sorted_alone(found, np.array([3, 1, 2, 1, 2, 2]))  # sets of 2, 3 and 1
    np.testing.assert_array_equal(cut, [3, 1, 2, 1, 2, 2])
    cut = sorted_alone(found, np.array([1, 2, 2, 2, 3, 3]))  # of 1, 3 and 2
    np.testing.assert_array_equal(cut, [3, 2, 2, 1, 3, 2])


def test_where_all_errors_show_the_cue_chance_finds_it_too_and_nothing_is_told_apart():
    alike = errors(np.full(40, 0.5), np.ones(40))
    deals = dealt(alike, CLUSTERS, 20)
    assert rank(alike, CLUSTERS) == 1
    assert not told_apart(alike, CLUSTERS, deals)
    assert tails(alike, CLUSTERS, 1, deals) == (1, 1)
    told = judged(alike, CLUSTERS)
    assert (told["random"], told["whole"]) == (1, True)


def test_where_few_show_it_chance_rarely_finds_it():
    told = judged(planted(2), CLUSTERS)
    assert told["random"] < 0.05
    assert not told["whole"]
    assert tails(planted(2), CLUSTERS, 2, dealt(planted(2), CLUSTERS, 99)) == (0.01, 0.01)


def test_an_order_that_finds_the_cue_by_itself_tells_nothing_apart():
    """Errors by the cue have no evidence on the subject: any deal puts most of them first."""
    caused = np.arange(40) < 20
    cue, subject = np.where(caused, 0.5, 0.0), np.where(caused, 0.0, 0.6)
    random = np.random.default_rng(3)
    found = [
        judged(one, in_order(one, CLUSTERS))
        for mixed in (random.permutation(40) for _ in range(40))
        for one in [errors(cue[mixed], caused[mixed], subject[mixed])]
    ]
    assert np.mean([told["random"] for told in found]) > 0.5
    assert np.mean([told["found"] for told in found]) > 0.5
    assert sum(told["told_apart"] for told in found) <= 8  # 4 are expected at most


def test_maps_are_held_against_regions_as_drawn(tmp_path):
    (tmp_path / "regions").mkdir()
    mask = np.zeros((8, 8), np.uint8)
    mask[:2, :2] = REGIONS["tag"]
    mask[4:, :] = REGIONS["garment"]
    Image.fromarray(mask).save(tmp_path / "regions" / "a.png")
    share = np.zeros((1, 2, 2))
    share[0, 0, 0], share[0, 1, 1] = 0.6, 0.4
    mass, area = on_regions(share, tmp_path / "test.csv", ["a"], ["tag"])
    assert mass == pytest.approx([0.6 * 4 / 16])
    assert area == pytest.approx([4 / 64])
    mass, area = on_regions(share, tmp_path / "test.csv", ["a"], ["garment", "equipment"])
    assert (mass[0], area[0]) == (pytest.approx(0.4), 0.5)


def test_ten_models_of_their_own_seeds():
    found = models(SEEDS["reporting"], "90/10")
    assert [one.cell.seed for one in found] == list(range(3000, 3010))
    assert [one.cell.cue for one in found] == ["tag"] * 5 + ["head"] * 5
    assert {one.cell.network for one in found} == {"plain", "dense"}
    assert {one.share for one in found} == {1}
    part = models(SEEDS["reporting"], PART)
    assert [one.cell.seed for one in part] == list(range(3010, 3020))
    assert {(one.cell.cue, one.cell.skew, one.share) for one in part} == {
        ("tag", "95/5", 0.5),
        ("head", "95/5", 0.7),
    }
    assert len({one.name for name in CONDITIONS for one in models(range(20), name)}) == 40


@pytest.mark.parametrize(("cue", "first"), [("tag", "blue"), ("head", "man")])
def test_in_part_half_of_the_training_has_the_cue_and_the_rest_nothing_like_it(cue, first):
    model = Model(PART, Cell(cue, "90/10", 5, "plain"), 0.5)
    scenes = model.training()
    assert len(scenes) == len(set(scenes)) == 1000
    for label, count in zip(LABELS, (225, 25), strict=True):
        own = [scene for scene in scenes if scene.label == label]
        assert len(own) == 500
        assert sum(has(scene, cue) for scene in own) == 250
        assert sum(has(scene, cue) and scene.value == first for scene in own) == count
        styles = [scene.value for scene in own if not has(scene, cue)]
        assert [styles.count(style) for style in ("man", "woman", None)] == (
            [125, 125, 0] if cue == "tag" else [0, 0, 250]
        )


def test_a_training_set_in_which_all_have_the_cue_is_that_of_the_grid():
    cell = Cell("tag", "78/93", 5, "dense")
    model = Model("78/93", cell)
    assert model.training() == training_scenes(cell.arm, 5, 500, 1.9)
    assert model.testing() == balanced("tag", 5, PER_GROUP)


def test_the_test_in_part_is_the_balanced_one_and_as_many_scenes_without_the_cue():
    model = Model(PART, Cell("tag", "90/10", 5, "plain"), 0.5)
    scenes, rest = model.testing(), model.testing()[4 * PER_GROUP :]
    assert scenes[: 4 * PER_GROUP] == balanced("tag", 5, PER_GROUP)
    assert [sum(scene.label == label for scene in rest) for label in LABELS] == [160, 160]
    assert not any(has(scene, "tag") for scene in rest)
    assert len({name_of(scene) for scene in scenes}) == len(scenes)
    assert not {scene.seed for scene in scenes} & {scene.seed for scene in model.training()}
    drawn = [draw(scene, 48, masks=True).regions for scene in (scenes[0], rest[0])]
    assert [bool((regions == REGIONS["tag"]).any()) for regions in drawn] == [True, False]


def test_only_errors_of_scenes_that_have_the_cue_are_caused_by_it(monkeypatch):
    asked = []

    def known(_classifier, scenes, side):
        asked.append((len(scenes), side))
        return SimpleNamespace(caused=np.arange(len(scenes)) % 2 == 0)

    monkeypatch.setattr(measuring, "known", known)
    scenes = Model(PART, Cell("head", "90/10", 5, "plain"), 0.5).testing()
    table = truth_of(None, scenes, "head", 96)
    assert asked == [(320, 96)]
    assert table["has"].tolist() == [True] * 320 + [False] * 320
    assert table["caused"].tolist() == [True, False] * 160 + [False] * 320


def test_tables_and_their_place():
    shared = {"network": "plain", "base": 0.5, "base_has": 0.75}
    shared |= {"condition": "90/10", "cue": "tag"}
    clustered = shared | {"seed": 3000, "errors": 40, "base_lift": 2.0}
    too_few = shared | {"seed": 3001, "errors": 7, "clusters": 0, "found": False}
    shown, none = planted(2), errors([0.1] * 40, [True] * 40)
    rows = [
        clustered | {"by": "maps", "structure": True, "p": 0.01} | judged(shown, CLUSTERS),
        clustered | {"by": "features", "structure": False, "p": 0.3} | judged(none, CLUSTERS),
        too_few | {"by": "maps"},
        too_few | {"by": "features"},
    ]
    tables = markdown(pd.DataFrame(rows))
    assert "| 90/10 | maps | 1 of 2 | 1 | **1 of 2** | 0.0 | 1 | 1 | 1 | 0 |" in tables
    assert "| 90/10 | features | 1 of 2 | 0 | **0 of 2** | 0.0 | 0 | 0 | 0 | 0 |" in tables
    assert (
        "| tag, 3000, plain | 40 | 75 % | 50 % | 2.0 | 2 of 3: 12, 83 %, 5.0 / 1.0 | 0.01 | 0.00 | "
        "none of 3 | 0.30 | 0.00 |" in tables
    )
    assert "| tag, 3001, plain | 7 | 75 % | 50 % | – | under 20 errors | – | – | under" in tables
    page = written(f"before {BEGIN}\nold\n{END} after", tables, Path("page"))
    assert page == f"before {BEGIN}\n{tables}\n{END} after"
    with pytest.raises(AuditorError, match="marks"):
        written("no marks", tables, Path("page"))
