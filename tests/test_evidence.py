"""Interventions: shapes, splices, fills, controls and donors, on arrays worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from auditor.evidence import (
    FILLS,
    Alignment,
    DonorPool,
    Piece,
    align,
    align_frames,
    box,
    control_regions,
    dilated,
    generator,
    harmonic,
    near,
    prepare,
    region_problem,
    shape_of,
    splice,
    steadiest,
)
from auditor.evidence.splicing import likeness, margin_of
from auditor.reasons import REASONS
from auditor.scenes import CUES, REGIONS, Scene, draw

RNG = np.random.default_rng(0)


def mask(*rows: str) -> np.ndarray:
    """A mask from rows of `#` and `.`."""
    return np.array([[cell == "#" for cell in row] for row in rows])


def at(size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    """A rectangle in a mask of (height, width)."""
    result = np.zeros(size, dtype=bool)
    result[rows, columns] = True
    return result


# -- shapes --------------------------------------------------------------------------------


def test_a_region_grows_by_whole_cells_of_the_map():
    spot = at((7, 9), slice(3, 4), slice(4, 5))
    # 1.5 pixels round up to 2, and stay 1 across.
    np.testing.assert_array_equal(dilated(spot, (1.5, 1)), at((7, 9), slice(1, 6), slice(3, 6)))
    np.testing.assert_array_equal(dilated(spot, (1, 1), 2), at((7, 9), slice(1, 6), slice(2, 7)))
    assert not dilated(np.zeros((3, 4), dtype=bool), (2, 2)).any()


def test_near_is_a_disc_and_keeps_nothing_of_nothing():
    spot = mask("....", ".#..", "....")
    np.testing.assert_array_equal(near(spot, 1), mask(".#..", "###.", ".#.."))
    np.testing.assert_array_equal(near(spot, 0), spot)
    assert not near(np.zeros((3, 4), dtype=bool), 5).any()


def test_a_box_by_hand():
    assert box(mask("....", ".#..", "..#.")) == (slice(1, 3), slice(1, 3))
    assert box(np.zeros((2, 3), dtype=bool)) is None


def test_moments_by_hand():
    shape = shape_of(mask(".....", ".##..", ".##.."))
    assert shape.centre == (1.5, 1.5)
    # A square of side 2 has variance 4/12 along each axis.
    assert shape.spread == pytest.approx(math.sqrt(8 / 12))
    assert shape.angle is None
    assert not shape.framed
    assert shape_of(np.zeros((2, 3), dtype=bool)) is None
    one = shape_of(mask("...", "..#"))
    assert one.centre == (1, 2)
    assert one.spread == pytest.approx(math.sqrt(2 / 12))
    assert shape_of(np.ones((4, 6), dtype=bool)).framed


@pytest.mark.parametrize(
    ("rows", "angle"),
    [
        (("......", ".####.", "......"), 0),
        (("..#...", "..#...", "..#..."), math.pi / 2),
        (("#.....", ".#....", "..#..."), math.pi / 4),
        (("..#...", ".#....", "#....."), -math.pi / 4),
    ],
)
def test_only_what_is_elongated_has_a_direction(rows, angle):
    assert shape_of(mask(*rows)).angle == pytest.approx(angle)


def test_doubled_regions_are_aligned_at_twice_the_size():
    small = mask(".....", ".##..", ".###.")
    large = np.kron(small, np.ones((2, 2), dtype=bool)).astype(bool)
    found = align(shape_of(small), shape_of(large))
    assert found.scale == pytest.approx(2)
    assert found.turn == 0
    # Pixel (r, c) became rows 2r and 2r + 1, so its centre lies at 2r + 0.5.
    np.testing.assert_allclose(np.array(found.donor_at), 2 * np.array(found.target_at) + 0.5)
    back = align(shape_of(large), shape_of(small)).warp(small.astype(float), (6, 10))
    np.testing.assert_allclose(back[2:4, 2:6].min(), 0.75**2, atol=0.2)


def test_a_scale_is_bounded_and_backgrounds_stay():
    tiny, wide = mask("#...", "...."), mask("####", "...#")
    assert align(shape_of(tiny), shape_of(wide)).scale == 2
    assert align(shape_of(wide), shape_of(tiny)).scale == 0.5
    frame = np.ones((4, 6), dtype=bool)
    assert align(shape_of(frame), shape_of(frame & at((4, 6), slice(0, 4), slice(0, 6)))) == (
        Alignment((0, 0), (0, 0))
    )


def test_a_turned_bar_is_turned_back():
    lying, standing = at((9, 9), slice(4, 5), slice(2, 7)), at((9, 9), slice(2, 7), slice(4, 5))
    found = align(shape_of(lying), shape_of(standing))
    assert abs(found.turn) == pytest.approx(math.pi / 2)
    np.testing.assert_allclose(found.warp(standing.astype(float), (9, 9)), lying, atol=1e-9)
    # The nearer way round: 45° up against 45° down is a right angle, never more.
    up, down = mask("..#", ".#.", "#.."), mask("#..", ".#.", "..#")
    assert abs(align(shape_of(up), shape_of(down)).turn) <= math.pi / 2 + 1e-12


def test_a_slanted_bar_is_laid_on_a_lying_one():
    lying = at((15, 17), slice(7, 9), slice(3, 14))
    rows, columns = np.mgrid[:15, :17]
    slanted = (abs((rows - 7) - (columns - 8) / 2) < 1.3) & (abs(columns - 8) < 6)
    laid = align(shape_of(lying), shape_of(slanted)).warp(slanted.astype(float), (15, 17)) > 0.5
    assert (laid & lying).sum() > 0.7 * (laid | lying).sum()


def test_whole_steps_are_fetched_exactly():
    donor = RNG.integers(0, 256, (4, 6)).astype(float)
    moved = Alignment((1.0, 1.0), (2.0, 3.0)).warp(donor, (3, 4))
    expected = np.zeros((3, 4))
    expected[:, :] = donor[1:4, 2:6]
    np.testing.assert_array_equal(moved, expected)


def test_relative_coordinates_by_hand():
    spot = shape_of(at((4, 8), slice(1, 2), slice(6, 7)))
    # Row 1 of 4 has its centre at 1.5/4 of the height: 0.375 · 8 - 0.5 = 2.5.
    found = align_frames((8, 16), (4, 8), spot)
    assert found.target_at == (2.5, 12.5)
    assert found.scale == 0.5
    assert align_frames((4, 8), (4, 8), spot) == Alignment((1.0, 6.0), (1.0, 6.0))


def test_cues_are_aligned_by_what_varies_least():
    face = [shape_of(at((20, 20), slice(2, 8), slice(3, 8 + n))) for n in (0, 1, 0)]
    hair = [shape_of(at((20, 20), slice(0, 3 + 5 * n), slice(2, 10))) for n in (0, 1, 2)]
    assert steadiest({"hair": hair, "face": face}) == "face"
    assert steadiest({"hair": hair, "face": [face[0], None, None]}) == "hair"
    assert steadiest({"hair": [None, None], "face": [face[0], None]}) is None
    assert steadiest({}) is None


# -- splices -------------------------------------------------------------------------------


def piece(pixels, region, anchor=None, subject=None) -> Piece:
    nothing = np.zeros(region.shape, dtype=bool)
    return Piece(
        pixels.astype(np.uint8),
        region,
        nothing if anchor is None else anchor,
        nothing if subject is None else subject,
    )


def test_an_image_spliced_into_itself_stays_but_for_the_cleared_margin():
    pixels = RNG.integers(0, 256, (24, 30, 3))
    region = at((24, 30), slice(8, 15), slice(9, 20))
    subject = at((24, 30), slice(15, 24), slice(5, 25))
    own = piece(pixels, region, subject=subject)
    result = splice(prepare(own, 2), own)
    changed = (result != pixels).any(2)
    assert not (changed & ~near(region, 2)).any()
    assert not (changed & (region | subject)).any()
    # A smooth image has no such margin either: harmonic functions are continued exactly.
    ramp = np.broadcast_to(np.arange(30)[None, :, None] * 5, (24, 30, 3))
    own = piece(ramp, region)
    np.testing.assert_array_equal(splice(prepare(own), own), ramp)


def test_the_donors_region_replaces_the_targets_and_nothing_of_its_subject_comes_along():
    size = (20, 26)
    region = at(size, slice(4, 9), slice(5, 12))
    lent = at(size, slice(8, 13), slice(10, 17))  # as large, 4 lower and 5 to the right
    pixels, other = np.full((*size, 3), 100), np.full((*size, 3), 100)
    pixels[region], other[lent] = 40, 200
    other[13:, 10:17] = 255  # the donor's subject, touching the cue
    protected = at(size, slice(9, 20), slice(5, 12))
    pixels[protected] = 10
    donor = piece(other, lent, subject=at(size, slice(13, 20), slice(10, 17)))
    result = splice(prepare(piece(pixels, region, subject=protected), 1), donor)
    assert (result[region] == 200).all()
    assert (result[protected] == 10).all()
    assert not (result > 200).any()


def test_a_donor_larger_than_the_target_overwrites_surroundings():
    size = (20, 20)
    anchor = at(size, slice(6, 10), slice(6, 10))
    lent = at(size, slice(5, 15), slice(5, 11))
    protected = at(size, slice(12, 20), slice(0, 20))
    pixels, other = np.full((*size, 3), 90), np.full((*size, 3), 90)
    pixels[protected], other[lent] = 30, 160
    result = splice(prepare(piece(pixels, anchor, anchor, protected)), piece(other, lent, anchor))
    # Aligned by anchors, what the donor shows falls over the subject.
    assert (result[5:15, 5:11] == 160).all()
    assert (result[15:] == 30).all()
    assert (result[12:, 12:] == 30).all()


def test_without_an_anchor_the_subject_stays():
    size = (20, 20)
    region, lent = at(size, slice(6, 8), slice(6, 8)), at(size, slice(5, 9), slice(5, 9))
    protected = at(size, slice(8, 20), slice(0, 20))
    pixels, other = np.full((*size, 3), 90), np.full((*size, 3), 90)
    pixels[protected], other[lent] = 30, 160
    none = np.zeros(size, dtype=bool)
    # Into an image that lacks the region: to where the donor has it.
    result = splice(prepare(piece(pixels, none, none, protected)), piece(other, lent))
    assert (result[5:8, 5:9] == 160).all()
    assert (result[protected] == 30).all()
    result = splice(prepare(piece(pixels, region, none, protected)), piece(other, lent))
    assert (result[protected] == 30).all()


def test_a_subject_pixel_that_is_the_cues_own_is_replaced():
    size = (12, 12)
    region = at(size, slice(3, 7), slice(3, 7))
    own = piece(np.full((*size, 3), 50), region, subject=np.ones(size, dtype=bool))
    donor = piece(np.full((*size, 3), 120), region)
    assert (splice(prepare(own), donor)[region] == 120).all()


def test_the_donors_colours_stay_as_they_are():
    size = (40, 40)
    region = at(size, slice(15, 25), slice(15, 25))
    dark, light = np.full((*size, 3), 79.0), np.full((*size, 3), 99.0)
    light[region] = (200, 100, 50)
    result = splice(prepare(piece(dark, region)), piece(light, region))
    assert result[20, 20].tolist() == [200, 100, 50]
    assert result[14, 20].tolist() == [79, 79, 79]


def test_the_margin_goes_with_the_size_of_the_image():
    for side, wide in ((112, 1), (224, 3), (56, 1)):  # 1.5 pixels reach as far as 1 straight on
        region = at((side, 2 * side), slice(20, 30), slice(20, 30))
        pixels = RNG.integers(0, 256, (side, 2 * side, 3))
        cleared = prepare(piece(pixels, region)).cleared
        rows, columns = np.nonzero((cleared != pixels).any(2))
        assert (rows.min(), columns.max()) == (20 - wide, 29 + wide)
        assert wide == int(margin_of((side, 2 * side)))


def test_a_cue_by_presence_comes_to_its_relative_place_and_goes_by_clearing():
    size = (16, 20)
    tag = at(size, slice(1, 4), slice(15, 19))
    none = np.zeros(size, dtype=bool)
    plain, tagged = np.full((*size, 3), 80), np.full((*size, 3), 80)
    tagged[tag] = 230
    put = splice(prepare(piece(plain, none)), piece(tagged, tag))
    np.testing.assert_array_equal(put, tagged)
    taken = splice(prepare(piece(tagged, tag)), piece(plain, none))
    np.testing.assert_array_equal(taken, plain)
    np.testing.assert_array_equal(splice(prepare(piece(plain, none)), piece(plain, none)), plain)
    # Into a frame twice as high and wide: the place and the size double.
    large = splice(prepare(piece(np.full((32, 40, 3), 80), np.zeros((32, 40), bool))),
                   piece(tagged, tag))  # fmt: skip
    assert (large[3:7, 31:37] == 230).all()
    assert (large[10:] == 80).all()


def test_an_image_that_is_all_cue_cannot_be_cleared_and_sizes_must_agree():
    everything = np.ones((3, 4), dtype=bool)
    with pytest.raises(ValueError, match="covers the whole image of 3×4"):
        prepare(piece(np.zeros((3, 4, 3)), everything))
    with pytest.raises(ValueError, match=r"region is \(3, 4\), the image \(4, 3\)"):
        piece(np.zeros((4, 3, 3)), everything)


def head(scene: Scene) -> Piece:
    picture = draw(scene, side=112, masks=True)
    has = {name: picture.regions == value for name, value in REGIONS.items()}
    return Piece(
        picture.pixels,
        has["face"] | has["hair"],
        has["face"],
        has["garment"] | has["equipment"],
    )


def test_a_spliced_head_is_nearer_the_true_scene_than_the_untouched_image():
    apart, apart_before = [], []
    for number in range(4):
        scene = Scene("doctor", "man", (31, number))
        true = draw(replace(scene, value="woman"), side=112).pixels.astype(float)
        own = head(scene)
        target = prepare(own)
        shown = (true != own.pixels).any(2)
        for other in range(2):
            donor = head(Scene("nurse", "woman", (32, number, other)))
            result = splice(target, donor)
            apart.append(np.abs(result - true)[shown].mean())
            apart_before.append(np.abs(own.pixels - true)[shown].mean())
    assert np.mean(apart) < 0.75 * np.mean(apart_before)


@pytest.mark.parametrize("cue", ["tag", "absence", "inside"])
def test_other_cues_are_spliced_with_the_same_tools(cue):
    first, second = CUES[cue].values
    wanted = CUES[cue].regions

    def whole(value: str, seed: int) -> Piece:
        picture = draw(Scene("nurse", value, (41, seed), cue), side=112, masks=True)
        region = np.isin(picture.regions, [REGIONS[name] for name in wanted])
        nothing = np.zeros_like(region)
        # Inside the subject, another patch has to be able to cover other parts of it.
        garment = nothing if cue == "inside" else picture.regions == REGIONS["garment"]
        return Piece(picture.pixels, region, nothing, garment)

    own = whole(first, 1)
    true = draw(Scene("nurse", second, (41, 1), cue), side=112).pixels.astype(float)
    shown = (true != own.pixels).any(2)
    result = splice(prepare(own), whole(second, 2))
    before = np.abs(own.pixels - true)[shown].mean()
    assert np.abs(result - true)[shown].mean() < 0.75 * before


# -- fills ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILLS)
def test_a_fill_changes_the_region_alone_and_a_constant_image_not_at_all(name):
    region = mask("......", ".###..", ".##...", "......")
    pixels = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    before = pixels.copy()
    filled = FILLS[name](pixels, region, generator(1, "a", name))
    assert filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[~region], pixels[~region])
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(filled, FILLS[name](pixels, region, generator(1, "a", name)))
    plain = np.full((4, 6, 3), (9, 120, 251), dtype=np.uint8)
    np.testing.assert_array_equal(FILLS[name](plain, region, generator(1, "a", name)), plain)
    for useless, told in ((np.ones((4, 6), bool), "covers"), (np.zeros((4, 6), bool), "empty")):
        with pytest.raises(ValueError, match=told):
            FILLS[name](plain, useless, generator(1, "a"))


def test_fills_by_hand():
    image = np.array([[[0], [10], [20], [90]]], dtype=np.uint8)
    region = mask(".##.")
    rng = generator(0, "case")
    # The border within three pixels is 0 and 90.
    assert FILLS["border_mean"](image, region, rng)[0, :, 0].tolist() == [0, 45, 45, 90]
    # The straight line from 0 to 90.
    assert FILLS["inpaint"](image, region, rng)[0, :, 0].tolist() == [0, 30, 60, 90]
    assert set(FILLS["noise"](image, region, rng)[0, 1:3, 0].tolist()) <= {0, 90}
    one = np.zeros((3, 3, 1), dtype=np.uint8)
    one[0, 1], one[1, 0], one[1, 2], one[2, 1] = 10, 20, 30, 44
    assert FILLS["inpaint"](one, at((3, 3), slice(1, 2), slice(1, 2)), rng)[1, 1] == 26
    # In a corner a pixel has two neighbours, and nothing flows over the edge.
    assert harmonic(one, at((3, 3), slice(0, 1), slice(0, 1)))[0, 0] == 15


def test_harmonic_values_are_the_mean_of_their_neighbours():
    region = at((9, 11), slice(2, 7), slice(3, 9)) & ~at((9, 11), slice(4, 5), slice(5, 6))
    filled = harmonic(RNG.uniform(0, 255, (9, 11, 2)), region)
    around = (filled[:-2, 1:-1] + filled[2:, 1:-1] + filled[1:-1, :-2] + filled[1:-1, 2:]) / 4
    np.testing.assert_allclose(filled[1:-1, 1:-1][region[1:-1, 1:-1]],
                               around[region[1:-1, 1:-1]])  # fmt: skip


# -- controls ------------------------------------------------------------------------------


def test_controls_lie_where_the_shape_fits_and_nowhere_else():
    shape = mask("##......", "#.......", "........", "........", "........")
    occupied = mask("##......", "#...##..", "....##..", "........", "........")
    valid = at((5, 8), slice(0, 5), slice(0, 7))
    expected = {
        (r, c)
        for r in range(4)
        for c in range(7)
        if all(
            valid[r + i, c + j] and not occupied[r + i, c + j] for i, j in ((0, 0), (0, 1), (1, 0))
        )
    }
    found = control_regions(shape, occupied, valid, 100, generator(0, "a"))
    assert found.places == len(expected) == len(found.regions)
    assert found.problem is None
    corners = {tuple(np.argwhere(region).min(0).tolist()) for region in found.regions}
    assert corners == expected
    for region in found.regions:
        assert region.sum() == 3
        assert not (region & (occupied | ~valid)).any()


def test_controls_are_drawn_from_all_places_and_say_when_there_are_none():
    shape = at((6, 9), slice(0, 3), slice(0, 3))
    everywhere = np.ones((6, 9), dtype=bool)
    found = control_regions(shape, shape, everywhere, 2, generator(0, "a"))
    assert len(found.regions) == 2
    assert (found.regions[0] != found.regions[1]).any()
    again = control_regions(shape, shape, everywhere, 2, generator(0, "a"))
    np.testing.assert_array_equal(found.regions, again.regions)
    full = control_regions(shape, everywhere, everywhere, 2, generator(0, "a"))
    assert full.problem == "no_place"
    assert full.regions.shape == (0, 6, 9)
    assert control_regions(~everywhere, shape, everywhere, 2, RNG).problem == "no_region"


def test_controls_stay_exact_on_large_images():
    rng = np.random.default_rng(3)
    shape = np.zeros((150, 201), dtype=bool)
    shape[40:90, 60:130] = rng.random((50, 70)) < 0.9
    occupied = shape.copy()
    occupied[rng.integers(0, 150, 3), rng.integers(0, 201, 3)] = True
    found = control_regions(shape, occupied, np.ones_like(shape), 20, rng)
    for region in found.regions:
        assert region.sum() == shape.sum()
        assert not (region & occupied).any()


def test_regions_that_cannot_be_changed_say_why():
    size = (4, 6)
    none, everything = np.zeros(size, dtype=bool), np.ones(size, dtype=bool)
    left, subject = at(size, slice(0, 4), slice(0, 3)), at(size, slice(1, 3), slice(1, 5))
    assert region_problem(none, subject, everything) == "no_region"
    assert region_problem(everything, none, everything) == "covers_image"
    # Half of the subject's 8 pixels lie outside, one column of four does not suffice at .5.
    assert region_problem(left, subject, everything) is None
    assert region_problem(left, subject, everything, 0.6) == "covers_subject"
    assert region_problem(left, none, everything) is None
    assert region_problem(left, none, left) == "covers_image"  # the rest is padding
    assert all(REASONS.values())


# -- donors --------------------------------------------------------------------------------


def pool(count: int = 200, clusters=None, usable=None) -> DonorPool:
    rng = np.random.default_rng(1)
    return DonorPool.of(
        rng.choice(["a", "b", "c"], count, p=[0.6, 0.3, 0.1]).tolist(),
        rng.choice(["x", "y", None], count, p=[0.5, 0.4, 0.1]).tolist(),
        np.ones(count, bool) if usable is None else usable,
        clusters,
    )


def test_donors_have_the_values_the_classes_and_the_regions_that_they_should():
    everyone = pool(usable=np.arange(200) % 4 > 0)
    for case in range(0, 200, 7):
        own = everyone.values[case]
        found = everyone.draw(case, f"case {case}", 0)
        if own is None:
            assert found.problem == "unknown_value"
            assert len(found.same) == len(found.opposite) == 0
            continue
        assert found.problem is None
        assert len(found.same) == len(found.opposite) == 8
        assert set(everyone.values[found.same]) == {own}
        assert set(everyone.values[found.opposite]) == {"x", "y"} - {own}
        assert everyone.usable[found.same].all()
        assert everyone.usable[found.opposite].all()
        # Pair by pair the same class, so every first n have the same mix.
        assert (everyone.labels[found.same] == everyone.labels[found.opposite]).all()
        taken = [*found.same, *found.opposite]
        assert case not in taken
        assert len(set(taken)) == 16


def test_donors_follow_from_seed_and_case_alone():
    everyone = pool()
    case = int(np.flatnonzero(everyone.values == "x")[0])
    first = everyone.draw(case, "one", 0)
    np.testing.assert_array_equal(first.same, everyone.draw(case, "one", 0).same)
    assert (first.same != everyone.draw(case, "two", 0).same).any()
    assert (first.same != everyone.draw(case, "one", 1).same).any()


def test_donors_are_never_of_the_cases_cluster_nor_twice_of_another():
    clusters = (np.arange(200) // 5).tolist()
    clusters[3] = None  # stands alone
    everyone = pool(clusters=clusters)
    for case in np.flatnonzero(everyone.values == "x")[:20]:
        found = everyone.draw(int(case), "case", 0)
        for arm in (found.same, found.opposite):
            assert clusters[case] not in [clusters[i] for i in arm] or clusters[case] is None
            held = [(everyone.clusters[i], everyone.labels[i]) for i in arm]
            assert len(set(held)) == len(held)


def test_donors_are_as_even_over_the_classes_as_the_images_allow():
    # Class a has many of both values; b has two of each besides the case; c only one value.
    labels = ["a"] * 20 + ["b"] * 5 + ["c"] * 4
    values = ["x", "y"] * 10 + ["x", "x", "y", "x", "y"] + ["x"] * 4
    everyone = DonorPool.of(labels, values, [True] * 29)
    found = everyone.draw(20, "case", 0)
    assert sorted(everyone.labels[found.same]) == ["a"] * 6 + ["b"] * 2
    few = everyone.draw(20, "case", 0, most=3)
    assert len(few.same) == 3


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (["x", "x", "x", "x", "x", "x"], "one_value"),
        (["x", None, float("nan"), "x", "x", "x"], "one_value"),
        ([None, "x", "y", "x", "y", "x"], "unknown_value"),
        (["x", "y", "y", "x", "x", "y"], "few_donors"),
    ],
)
def test_too_few_donors_are_said(values, problem):
    everyone = DonorPool.of(["a"] * 6, values, [True, True, True, True, True, False])
    assert everyone.draw(0, "case", 0).problem == problem
    assert len(everyone.draw(0, "case", 0).same) == 0


def test_values_that_equal_the_label_have_no_donors_of_the_same_class():
    everyone = DonorPool.of(["a", "b"] * 20, ["x", "y"] * 20, [True] * 40)
    assert everyone.draw(0, "case", 0).problem == "few_donors"


def test_a_cue_by_presence_has_controls_without_it():
    labels, values = ["a", "b"] * 20, ["x", "x", "y", "y"] * 10
    shows = np.array([value == "y" for value in values])
    everyone = DonorPool.of(labels, values, shows)
    assert everyone.draw(0, "case", 0).problem == "few_donors"
    found = everyone.draw(0, "case", 0, same_usable=~shows)
    assert found.problem is None
    assert not shows[found.same].any()
    assert shows[found.opposite].all()


def test_donors_look_like_the_image_among_those_of_their_value():
    labels = ["a", "b"] * 40
    values = ["x", "x", "y", "y"] * 20
    # What is grey of a value follows its number; "y" is 100 brighter, and unknown in one.
    grey = np.arange(80.0) + 100 * np.array([value == "y" for value in values])
    grey[7] = np.nan
    everyone = DonorPool.of(labels, values, [True] * 80, likeness=grey[:, None])
    found = everyone.draw(12, "case", 0)
    # Of "x" 38.5 is the mean, of "y" 41.3: the case lies as far below it as 14.8 does.
    for arm, nearest in (
        (found.same, {8, 16, 4, 20, 13, 9, 17, 5}),
        (found.opposite, {14, 18, 10, 22, 15, 11, 19, 23}),
    ):
        assert set(arm.tolist()) == nearest
        assert sorted(labels[i] for i in arm) == ["a"] * 4 + ["b"] * 4
    again = everyone.draw(12, "case", 0)
    np.testing.assert_array_equal(found.same, again.same)
    np.testing.assert_array_equal(found.opposite, again.opposite)
    # Numbers in any unit, and numbers that never vary, choose the same.
    other = DonorPool.of(
        labels, values, [True] * 80, likeness=np.stack([grey * 1000 - 7, np.full(80, 5.0)], 1)
    )
    np.testing.assert_array_equal(other.draw(12, "case", 0).same, found.same)
    assert everyone.draw(7, "case", 0).problem is None


def test_likeness_is_the_mean_colour_of_the_anchor_and_beside_it():
    size = (4, 6)
    anchor, region = at(size, slice(0, 2), slice(0, 2)), at(size, slice(0, 2), slice(0, 4))
    pixels = np.zeros((*size, 3))
    pixels[:2, :2], pixels[:2, 2:4] = (10, 20, 30), (40, 50, 60)
    found = likeness(piece(pixels, region, anchor))
    assert found.tolist() == [10, 20, 30, 40, 50, 60]
    found = likeness(piece(pixels, region))
    assert np.isnan(found[:3]).all()
    assert found[3:].tolist() == [25, 35, 45]
    assert np.isnan(likeness(piece(pixels, np.zeros(size, dtype=bool)))).all()


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]"):
        DonorPool.of(["a", "b"], ["x", "y"], [True, True], likeness=np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]"):
        DonorPool.of(["a", "b"], ["x", "y"], [True, True, False])
