"""Colour casts: factors worked out by hand, and scenes drawn again under another light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.evidence.tones import tone, toned
from auditor.scenes import REGIONS, Scene, draw

EVERYWHERE = np.ones((6, 8), dtype=bool)


def plain(*colour: int) -> np.ndarray:
    """An image of one colour."""
    return np.broadcast_to(np.array(colour, dtype=np.uint8), (6, 8, 3)).copy()


def test_a_tone_is_the_mean_logarithm_over_the_pixels_that_are_asked_for():
    pixels = plain(9, 99, 199)
    pixels[:3] = 255
    where = np.zeros((6, 8), dtype=bool)
    where[3:] = True
    np.testing.assert_allclose(tone(pixels, where), np.log([10, 100, 200]))
    assert np.isnan(tone(pixels, where & (np.arange(8) < 6))).all()  # 18 pixels


def test_a_cast_moves_the_ratio_of_the_channels_and_nothing_else():
    image, warm = plain(100, 100, 100), plain(199, 99, 49)
    # 2 : 1 : 1/2, which leaves the mean logarithm where it was.
    own, donor = tone(plain(99, 99, 99), EVERYWHERE), tone(warm, EVERYWHERE)
    np.testing.assert_array_equal(toned(image, own, donor), plain(200, 100, 50))
    # A donor half as bright with the same cast does the very same.
    darker = donor - np.log(2)
    np.testing.assert_array_equal(toned(image, own, darker), plain(200, 100, 50))
    np.testing.assert_array_equal(toned(image, own, own), image)
    assert toned(plain(200, 10, 10), own, donor)[0, 0].tolist() == [255, 10, 5]


def test_an_unknown_tone_is_refused():
    known = tone(plain(1, 2, 3), EVERYWHERE)
    with pytest.raises(ValueError, match="cannot donate"):
        toned(plain(1, 2, 3), known, np.full(3, np.nan))


def test_a_toned_scene_is_nearer_the_true_one():
    for number in range(4):
        scene = Scene("doctor", "warm", (51, number), "cast")
        own = draw(scene, side=112, masks=True)
        other = draw(replace(scene, value="cool"), side=112, masks=True)
        background = own.regions == REGIONS["background"]
        # The donor is the scene itself in another light: the best that there can be.
        result = toned(own.pixels, tone(own.pixels, background), tone(other.pixels, background))
        true = other.pixels.astype(float)
        assert np.abs(result - true).mean() < 0.5 * np.abs(own.pixels - true).mean()
