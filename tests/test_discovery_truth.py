"""The rule of `benchmarks.discovery_truth`, on errors of which everything is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.errors import AuditorError
from auditor.scenes import REGIONS
from benchmarks import discovery_truth
from benchmarks.discovery_truth import (
    BEGIN,
    END,
    Errors,
    dealt,
    is_found,
    judged,
    markdown,
    models,
    rank,
    tails,
    told_apart,
    written,
)
from benchmarks.truth.grid import SEEDS


def errors(cue, caused, subject=0.3):
    """Errors whose cue fills a tenth of the picture, and whose subject three tenths."""
    n = len(cue)
    return Errors(
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


def test_where_all_errors_show_the_cue_chance_finds_it_too_and_nothing_is_told_apart():
    alike = errors(np.full(40, 0.5), np.ones(40))
    assert rank(alike, CLUSTERS) == 1
    assert dealt(alike, CLUSTERS, 20) == 1
    assert not told_apart(alike, CLUSTERS)
    assert tails(alike, CLUSTERS == 1, 20) == (1, 1)


def test_where_few_show_it_chance_rarely_finds_it():
    assert dealt(planted(2), CLUSTERS, 200) < 0.05


def test_maps_are_held_against_regions_as_drawn(tmp_path):
    (tmp_path / "regions").mkdir()
    mask = np.zeros((8, 8), np.uint8)
    mask[:2, :2] = REGIONS["tag"]
    mask[4:, :] = REGIONS["garment"]
    Image.fromarray(mask).save(tmp_path / "regions" / "a.png")
    share = np.zeros((1, 2, 2))
    share[0, 0, 0], share[0, 1, 1] = 0.6, 0.4
    mass, area = discovery_truth._on(share, tmp_path / "test.csv", ["a"], ["tag"])
    assert mass == pytest.approx([0.6 * 4 / 16])
    assert area == pytest.approx([4 / 64])
    mass, area = discovery_truth._on(share, tmp_path / "test.csv", ["a"], ["garment", "equipment"])
    assert (mass[0], area[0]) == (pytest.approx(0.4), 0.5)


def test_ten_models_of_their_own_seeds():
    found = models(SEEDS["reporting"], "90/10")
    assert [cell.seed for cell in found] == list(range(3000, 3010))
    assert [cell.cue for cell in found] == ["tag"] * 5 + ["head"] * 5
    assert {cell.network for cell in found} == {"plain", "dense"}


def test_tables_and_their_place():
    shared = {"network": "plain", "base": 0.5, "skew": "90/10", "cue": "tag"}
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
    assert "| 90/10 | maps | 1 of 2 | 1 | **1 of 2** | 0.0 | 1 |" in tables
    assert "| 90/10 | features | 1 of 2 | 0 | **0 of 2** | 0.0 | 0 |" in tables
    assert (
        "| tag, 3000, plain | 40 | 50 % | 2.0 | 2 of 3: 12, 83 %, 5.0 / 1.0 | 0.01 | 0.00 | "
        "none of 3 | 0.30 | 0.00 |" in tables
    )
    assert "| tag, 3001, plain | 7 | 50 % | – | under 20 errors | – | – | under" in tables
    page = written(f"before {BEGIN}\nold\n{END} after", tables)
    assert page == f"before {BEGIN}\n{tables}\n{END} after"
    with pytest.raises(AuditorError, match="marks"):
        written("no marks", tables)
