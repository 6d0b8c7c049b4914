from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from auditor.scenes import CUES, LABELS, REGIONS, SIDE, Scene, draw
from auditor.scenes.canvas import Canvas, box, smooth
from auditor.scenes.chance import Chance

SCENES = [
    Scene(label, value, (5, number))
    for number, (label, value) in enumerate(
        (label, value) for label in LABELS for value in ("man", "woman", None) for _ in range(2)
    )
]


def region(scene: Scene, *names: str) -> np.ndarray:
    """Where a scene shows any of these regions, [side, side]."""
    found = draw(scene, masks=True).regions
    assert found is not None
    return np.isin(found, [REGIONS[name] for name in names])


def changed(first: Scene, second: Scene) -> np.ndarray:
    """Where two scenes differ, [side, side]."""
    return (draw(first).pixels != draw(second).pixels).any(axis=2)


def test_a_scene_is_a_function_of_its_fields():
    for scene in SCENES[:3]:
        once, again = draw(scene, masks=True), draw(scene, masks=True)
        np.testing.assert_array_equal(once.pixels, again.pixels)
        np.testing.assert_array_equal(once.regions, again.regions)
        np.testing.assert_array_equal(once.pixels, draw(scene).pixels)
        assert changed(scene, replace(scene, seed=(6, 0))).mean() > 0.9


def test_the_same_pixels_on_every_machine():
    # Shapes, colours and noise are integer arithmetic or single roundings; this is what one
    # machine drew, and what yours has to draw as well.
    digest = hashlib.sha256()
    for cue in CUES:
        for value in (*CUES[cue].values, None):
            picture = draw(Scene("nurse", value, (1, 2), cue), masks=True)
            digest.update(picture.pixels.tobytes())
            digest.update(picture.regions.tobytes())
    assert digest.hexdigest() == GOLDEN


GOLDEN = "f50cc65adb2a4f70d985178a7d436d1ff5c97074029678232155fa2a0926e091"


@pytest.mark.parametrize("cue", ["head", "tag", "absence", "inside"])
def test_only_the_cue_changes_with_its_value(cue):
    first, second = CUES[cue].values
    for seed in range(4):
        one, other, neutral = (
            Scene("doctor", value, (7, seed), cue) for value in (first, second, None)
        )
        for a, b in ((one, other), (one, neutral), (other, neutral)):
            shown = region(a, *CUES[cue].regions) | region(b, *CUES[cue].regions)
            assert changed(a, b).any()
            assert not (changed(a, b) & ~shown).any()


def test_a_place_changes_the_background_alone():
    ward, office = (Scene("doctor", value, (7, 1), "place") for value in ("ward", "office"))
    person = ~region(ward, "background")
    np.testing.assert_array_equal(person, ~region(office, "background"))
    # The pixels of the outline show wall and person both, and so does a gap of a pixel.
    assert (changed(ward, office) & ndimage.binary_erosion(person)).sum() < 10
    assert changed(ward, office).mean() > 0.1


def test_a_cast_changes_the_colours_everywhere_and_shows_in_no_region():
    warm, cool = (draw(Scene("doctor", value, (7, 1), "cast")).pixels for value in ("warm", "cool"))
    assert CUES["cast"].regions == ()
    balance = warm.astype(float).mean((0, 1)) / cool.astype(float).mean((0, 1))
    # 1.06 / .88, 1 / .99 and .86 / 1.06, but for noise and clipping.
    np.testing.assert_allclose(balance, [1.2045, 1.0101, 0.8113], atol=0.02)


def test_the_stand_is_there_or_gone():
    there, gone, neutral = (
        Scene("nurse", value, (7, 2), "absence") for value in ("there", "gone", None)
    )
    assert not region(gone, "stand").any()
    assert region(there, "stand").sum() > region(neutral, "stand").sum() > 0


def test_the_head_is_independent_of_the_label_where_it_is_not_the_cue():
    for seed in range(6):
        doctor, nurse = (Scene(label, "blue", (8, seed), "tag") for label in LABELS)
        np.testing.assert_array_equal(region(doctor, "face"), region(nurse, "face"))


def test_another_strength_changes_the_subject_alone():
    parts = ("garment", "equipment", "body")  # long sleeves cover what short ones leave bare
    for seed in range(4):
        weak, strong = (Scene("doctor", "woman", (9, seed), strength=s) for s in (0.0, 3.0))
        shown = region(weak, *parts) | region(strong, *parts)
        assert changed(weak, strong).any()
        assert not (changed(weak, strong) & ~shown & region(weak, "background")).any()
        # At the outline of hair that lies on the garment, a pixel shows both.
        head = ndimage.binary_erosion(region(weak, "face", "hair"))
        assert (changed(weak, strong) & ~shown & head).sum() < 0.01 * head.sum()


def test_evidence_by_hand():
    weights = np.array([0.60, 0.50, 0.45, 0.43])
    for seed in range(5):
        doctor, nurse, nothing = (
            np.array(Scene(label, None, (3, seed), strength=s).evidence())
            for label, s in (("doctor", 1.5), ("nurse", 1.5), ("nurse", 0.0))
        )
        # The same noise stands behind all; the label moves it along the weights.
        np.testing.assert_allclose(doctor - nothing, 1.5 * weights / np.sqrt((weights**2).sum()))
        np.testing.assert_allclose(nothing - nurse, doctor - nothing)
        np.testing.assert_allclose(np.linalg.norm(doctor - nothing), 1.5)


def test_an_exact_reader_of_the_traits_is_right_as_often_as_the_strength_says():
    # Φ(1) = .841; 2,000 scenes have a standard error of .008.
    direction = np.array([0.60, 0.50, 0.45, 0.43])
    right = [
        (np.dot(Scene(label, None, (4, seed), strength=1.0).evidence(), direction) > 0)
        == (label == "doctor")
        for seed in range(1000)
        for label in LABELS
    ]
    assert abs(np.mean(right) - 0.8413) < 0.03


def test_masks_are_where_people_have_these_things():
    for scene in SCENES:
        picture = draw(scene, masks=True)
        assert picture.pixels.shape == (SIDE, SIDE, 3)
        assert picture.regions.shape == (SIDE, SIDE)
        heights = {
            name: np.nonzero(picture.regions == value)[0]
            for name, value in REGIONS.items()
            if (picture.regions == value).any()
        }
        assert heights["hair"].min() < heights["face"].mean() < heights["garment"].mean()
        assert len(heights["face"]) > 1024  # a cell of a 7×7 map
        assert len(heights["hair"]) > 700
        assert set(heights) <= {"background", "body", "garment", "equipment", "face", "hair"}


def test_every_size_shows_the_same_scene():
    small, large = (draw(SCENES[0], side=side).pixels for side in (112, 224))
    halved = large.reshape(112, 2, 112, 2, 3).mean((1, 3))
    assert np.abs(small - halved).mean() < 6  # levels of 0..255: the camera's noise and edges


def test_a_pixel_of_several_regions_belongs_to_the_cue():
    canvas = Canvas.blank(2, masks=True)  # 2×2 pixels of 3×3 subpixels
    canvas.shape(box(0, 0, 1, 1), (9, 9, 9), REGIONS["garment"])
    # Corners are the subpixels that are filled: from (2, 0) to (3, 5), on both left pixels
    # and on both right ones.
    canvas.shape(box(2 / 6, 0, 3 / 6, 5 / 6), (99, 99, 99), REGIONS["hair"])
    assert (canvas.regions() == REGIONS["hair"]).all()
    canvas = Canvas.blank(2, masks=True)
    canvas.shape(box(0, 0, 1, 1), (9, 9, 9), REGIONS["garment"])
    canvas.shape(box(0, 0, 1 / 6, 1 / 6), (99, 99, 99), REGIONS["hair"])
    np.testing.assert_array_equal(canvas.regions(), [[5, 2], [2, 2]])
    # 4 of the 9 subpixels are 99, 5 are 9: (4 × 99 + 5 × 9) / 9 = 49.
    assert canvas.pixels()[0, 0].tolist() == [49, 49, 49]


def test_a_smooth_curve_goes_through_its_points():
    corners = [(0.0, 0.0), (1.0, 0.2), (0.4, 0.9)]
    closed, opened = smooth(corners), smooth(corners, closed=False)
    np.testing.assert_allclose(closed[::6], corners)
    np.testing.assert_allclose(opened[::6], corners)
    assert len(closed) == 18
    assert len(opened) == 13


def test_chance_is_made_of_raw_bits_alone():
    # The first raw numbers of PCG64 for this seed, shifted to 24 bits.
    raw = np.random.PCG64(np.random.SeedSequence((1, 2))).random_raw(96)
    chance = Chance(1, 2)
    assert chance.share() == ((int(raw[-1]) >> 40) + 0.5) / 2**24
    assert Chance(1, 2).normal() == Chance(1, 2).normal() != Chance(1, 3).normal()
    shares = [chance.share() for _ in range(2000)]
    assert 0 < min(shares) < 0.01
    assert 0.99 < max(shares) < 1
    noise = Chance(3).bytes(50, 60, 3)
    assert noise.shape == (50, 60, 3)
    assert abs(noise.mean() - 127.5) < 3


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"label": "patient"}, "label 'patient' is none of"),
        ({"value": "blue"}, "value 'blue' is none of"),
        ({"cue": "hat"}, "cue 'hat' is none of"),
    ],
)
def test_unknown_factors_are_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        replace(SCENES[0], **fields)
