"""Measures against answers derived by hand, published fixtures, and identities."""

from __future__ import annotations

import numpy as np
import pytest

from auditor import measures

NAN = float("nan")
# One map of 2×3 cells: positive evidence 6, of which 1 + 3 in the first row.
MAP = np.array([[[1.0, -5.0, 3.0], [2.0, 0.0, -1.0]]])
# Three regions: left column, half of the upper right cell, the rest.
LEFT = np.array([[1.0, 0, 0], [1, 0, 0]])
HALF = np.array([[0, 0, 0.5], [0, 0, 0]])
COVERAGE = np.stack([LEFT, HALF, 1 - LEFT - HALF])[None]


def test_mass_counts_positive_evidence_only() -> None:
    # Left: 1 + 2 of 6. Half a cell of 3: 1.5. Rest: the other half; negatives count nowhere.
    assert measures.mass(MAP, COVERAGE)[0] == pytest.approx([3 / 6, 1.5 / 6, 1.5 / 6])


def test_area_lift_and_excess() -> None:
    area = measures.area(COVERAGE)
    assert area[0] == pytest.approx([2 / 6, 0.5 / 6, 3.5 / 6])
    mass = measures.mass(MAP, COVERAGE)
    assert measures.lift(mass, area)[0] == pytest.approx([1.5, 3.0, 3 / 7])
    assert measures.excess(mass, area)[0] == pytest.approx(
        [(1 / 2 - 1 / 3) / (2 / 3), (1 / 4 - 1 / 12) / (11 / 12), (1 / 4 - 7 / 12) / (5 / 12)]
    )


def test_area_zero_has_no_lift_and_area_one_no_excess() -> None:
    assert np.isnan(measures.lift(np.array([0.0]), np.array([0.0])))
    assert np.isnan(measures.excess(np.array([1.0]), np.array([1.0])))


def test_subtracting_the_minimum_is_not_what_mass_does() -> None:
    # method.md §1: min-max scaling moves the share; the raw map must be used.
    raw = np.array([[[0.24, 0.76, -10.0]]])
    first = np.array([[[1.0, 0, 0]]])[None]
    assert measures.mass(raw, first)[0, 0] == pytest.approx(0.24)


def test_pointing_shares_ties_and_knows_fractions() -> None:
    assert measures.pointing(MAP, COVERAGE)[0] == pytest.approx([0, 0.5, 0.5])
    tied = np.array([[[3.0, 0, 3.0], [0, 0, 0]]])
    assert measures.pointing(tied, COVERAGE)[0] == pytest.approx([0.5, 0.25, 0.25])


def test_rank_takes_as_many_cells_as_the_region_has() -> None:
    # Left has 2 cells; the two strongest are 3 (outside) and 2 (inside).
    assert measures.rank(MAP, COVERAGE)[0, 0] == pytest.approx(0.5)
    # Half a cell: the strongest cell counts half, and is half covered.
    assert measures.rank(MAP, COVERAGE)[0, 1] == pytest.approx(0.5)
    # A tie for the last place is shared: cells 2 and 2, one of them inside.
    tied = np.array([[[2.0, 0, 3.0], [0, 0, 2.0]]])
    assert measures.rank(tied, COVERAGE)[0, 0] == pytest.approx(0.5 / 2)


def test_empty_region_is_no_hit() -> None:
    empty = np.zeros((1, 1, 2, 3))
    assert measures.mass(MAP, empty)[0, 0] == 0
    assert np.isnan(measures.rank(MAP, empty)[0, 0])
    assert np.isnan(measures.overlap(MAP, empty[:, 0], 0.5)).all()


@pytest.mark.parametrize("dead", [np.zeros((1, 2, 3)), -(MAP**2), np.full((1, 2, 3), NAN)])
def test_no_positive_evidence_is_null_in_every_measure(dead: np.ndarray) -> None:
    assert np.isnan(measures.mass(dead, COVERAGE)).all()
    assert np.isnan(measures.pointing(dead, COVERAGE)).all()
    assert np.isnan(measures.rank(dead, COVERAGE)).all()
    assert np.isnan(measures.overlap(dead, COVERAGE[:, 0], 0.5)).all()


@pytest.mark.parametrize("seed", range(5))
def test_identities_on_random_maps(seed: int) -> None:
    random = np.random.default_rng(seed)
    maps = random.normal(size=(4, 5, 8))
    coverage = random.dirichlet(np.ones(3), size=(4, 5, 8)).transpose(0, 3, 1, 2)
    mass = measures.mass(maps, coverage)
    area = measures.area(coverage)
    assert mass.sum(1) == pytest.approx(np.ones(4), abs=1e-12)
    assert area.sum(1) == pytest.approx(np.ones(4), abs=1e-12)
    assert measures.pointing(maps, coverage).sum(1) == pytest.approx(np.ones(4))
    # Scale does not matter, nor does which cases stand beside each other.
    assert measures.mass(maps * 1e-30, coverage) == pytest.approx(mass)
    assert measures.mass(maps[2:3], coverage[2:3])[0] == pytest.approx(mass[2])
    # A flip of both flips nothing.
    flipped = measures.mass(maps[:, :, ::-1], coverage[..., ::-1])
    assert flipped == pytest.approx(mass)
    # Height and width are not exchanged.
    turned = measures.mass(maps.transpose(0, 2, 1), coverage.transpose(0, 1, 3, 2))
    assert turned == pytest.approx(mass)


@pytest.mark.parametrize("level", [1e-300, 0.3, 7.0])
def test_uniform_map_scores_exactly_chance(level: float) -> None:
    random = np.random.default_rng(3)
    coverage = random.dirichlet(np.ones(4), size=(2, 3, 5)).transpose(0, 3, 1, 2)
    maps = np.full((2, 3, 5), level)
    area = measures.area(coverage)
    mass = measures.mass(maps, coverage)
    assert mass == pytest.approx(area, abs=1e-15)
    assert measures.lift(mass, area) == pytest.approx(np.ones((2, 4)), abs=1e-12)
    assert measures.excess(mass, area) == pytest.approx(np.zeros((2, 4)), abs=1e-12)
    assert measures.pointing(maps, coverage) == pytest.approx(area, abs=1e-15)
    assert measures.rank(maps, coverage) == pytest.approx(area, abs=1e-12)
    overlap = measures.overlap(maps, coverage[:, 0], 0.5)
    assert overlap.iou == pytest.approx(area[:, 0], abs=1e-12)
    assert overlap.saliency == pytest.approx(area[:, 0], abs=1e-12)
    assert overlap.region == pytest.approx(np.ones(2))


def test_inputs_are_not_changed() -> None:
    maps, coverage = MAP.copy(), COVERAGE.copy()
    for measure in (measures.mass, measures.pointing, measures.rank):
        measure(maps, coverage)
    measures.overlap(maps, coverage[:, 0], 0.5)
    measures.perturbed(coverage)
    assert (maps == MAP).all()
    assert (coverage == COVERAGE).all()


def _square(rows: tuple[int, int], columns: tuple[int, int], side: int = 250) -> np.ndarray:
    mask = np.zeros((side, side))
    mask[slice(*rows), slice(*columns)] = 1
    return mask


def test_shared_interests_published_values() -> None:
    """anchors.md, outside check 3: the fixtures of Shared Interest's own tests."""
    regions = [
        _square((0, 100), (0, 100)),
        _square((100, 250), (200, 250)),
        np.ones((250, 250)),
        _square((0, 1), (0, 1)),
        _square((50, 100), (50, 100)),
    ]
    maps = [
        _square((50, 150), (50, 150)),
        _square((50, 250), (100, 250)),
        _square((50, 100), (50, 100)),
        _square((100, 150), (150, 250)),
        _square((50, 100), (50, 100)),
    ]
    overlap = measures.overlap(np.stack(maps), np.stack(regions), 0.5)
    assert overlap.iou == pytest.approx([1 / 7, 0.25, 0.04, 0, 1])
    assert overlap.saliency == pytest.approx([0.25, 0.25, 1, 0, 1])
    assert overlap.region == pytest.approx([0.25, 1, 0.04, 0, 1])
    # Saliency coverage of a binary map is its mass.
    mass = measures.mass(np.stack(maps), np.stack(regions)[:, None])
    assert mass[:, 0] == pytest.approx(overlap.saliency)


def test_quantus_fixtures() -> None:
    """anchors.md, outside check 4: the fixtures of Quantus' localisation tests."""
    region = _square((0, 50), (50, 100), 224)[None, None]
    assert measures.mass(_square((0, 100), (75, 100), 224)[None], region) == pytest.approx(0.5)
    same = _square((50, 150), (50, 150), 224)
    assert measures.mass(same[None], same[None, None]) == pytest.approx(1)
    assert measures.rank(same[None], same[None, None]) == pytest.approx(1)
    assert measures.pointing(same[None], same[None, None]) == pytest.approx(1)
    apart = _square((150, 200), (150, 200), 224)[None, None]
    for measure in (measures.mass, measures.rank, measures.pointing):
        assert measure(same[None], apart) == pytest.approx(0)


def test_tail_probability_by_counting() -> None:
    observed = np.array([2.0, 2.0, NAN, 0.5])
    references = np.array([[1, 2, 3, NAN], [0, 0, 1, 1], [1, 2, 3, 4], [NAN, NAN, NAN, 1]], float)
    # (1 + #{>=}) / (1 + n): 2 and 3 reach 2; none does; unknown; 1 reaches .5.
    assert measures.tail_probability(observed, references) == pytest.approx(
        [3 / 4, 1 / 5, NAN, 2 / 2], nan_ok=True
    )
    assert np.isnan(measures.tail_probability(np.array([1.0]), np.ones((1, 3)), fewest=4)[0])


def test_tail_probability_is_uniform_without_effect() -> None:
    random = np.random.default_rng(0)
    p = measures.tail_probability(random.normal(size=4000), random.normal(size=(4000, 19)))
    for level in (0.05, 0.25, 0.5):
        assert (p <= level + 1e-12).mean() == pytest.approx(level, abs=4 * (level / 4000) ** 0.5)


def test_perturbed_by_hand() -> None:
    region = np.array([[0, 1.0, 0], [0, 0.5, 1]])
    outlines = measures.perturbed(region)
    assert outlines["shifted right"].tolist() == [[0, 0, 1], [0, 0, 0.5]]
    assert outlines["shifted left"].tolist() == [[1, 0, 0], [0.5, 1, 1]]
    assert outlines["shifted down"].tolist() == [[0, 1, 0], [0, 1, 0]]
    assert outlines["shifted up"].tolist() == [[0, 0.5, 1], [0, 0.5, 1]]
    assert outlines["eroded"].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert outlines["dilated"].tolist() == [[1, 1, 1], [0.5, 1, 1]]
