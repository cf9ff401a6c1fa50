"""The colours that a photo can show."""

import itertools

import numpy as np

from deepfeast.pipelines.demo.market.colours import (
    COLOURS,
    METALS,
    ROOMS,
    TONES,
    darker,
    lighter,
    mix,
)
from deepfeast.pipelines.demo.market.texts import MATERIALS


def test_a_share_of_one_colour_goes_into_another():
    red, blue = (200, 0, 0), (0, 0, 100)
    assert mix(red, blue, 0) == red
    assert mix(red, blue, 1) == blue
    assert mix(red, blue, 0.25) == (150, 0, 25)


def test_darker_and_lighter_are_on_either_side():
    for paint, _ in COLOURS.values():
        assert sum(darker(paint)) < sum(paint) < sum(lighter(paint))


def test_each_material_has_a_tone_of_wood_and_of_metal():
    assert len(TONES) == len(METALS) == len(MATERIALS)


def test_no_two_colours_and_no_wall_look_the_same():
    paints = [paint for paint, _ in COLOURS.values()]
    for one, other in itertools.combinations(paints, 2):
        assert np.abs(np.subtract(one, other)).max() >= 20
    assert len(set(ROOMS)) == len(ROOMS)


def test_effects_go_both_ways_and_about_cancel():
    effects = [effect for _, effect in COLOURS.values()]
    assert min(effects) < -0.4 < 0.4 < max(effects)
    assert abs(np.mean(effects)) < 0.05
