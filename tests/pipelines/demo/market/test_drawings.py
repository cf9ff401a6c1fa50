"""Furniture as polygons."""

import numpy as np
import pytest
from PIL import Image

from deepfeast.pipelines.demo.market.drawings import DRAWINGS, Look, Pen, rounded
from deepfeast.pipelines.demo.market.items import KINDS

WALL = (250, 250, 250)
PAINT, FRAME = (22, 92, 105), (92, 62, 42)


def drawn(kind, shape=0.5, paint=PAINT, **where):
    pen = Pen(
        Image.new("RGB", (120, 120), WALL),
        **{"degrees": 0.0, "scale": 84.0, "x": 60.0, "y": 108.0, **where},
    )
    DRAWINGS[kind](pen, Look(paint, FRAME, shape))
    return np.asarray(pen.canvas).astype(int), np.asarray(pen.outline)


def test_every_kind_has_a_drawing():
    assert set(DRAWINGS) == set(KINDS)


@pytest.mark.parametrize("kind", DRAWINGS)
def test_the_outline_is_what_was_drawn(kind):
    canvas, outline = drawn(kind)
    touched = (canvas != WALL).any(axis=2)
    assert (touched == (outline > 0)).all()
    assert 0.08 < touched.mean() < 0.6
    assert touched[-15:-11].any()  # it stands on the floor


@pytest.mark.parametrize("kind", DRAWINGS)
def test_shape_and_paint_can_be_seen(kind):
    plain, _ = drawn(kind, shape=0.05)
    assert (drawn(kind, shape=0.05)[0] == plain).all()
    for other in (drawn(kind, shape=0.95), drawn(kind, shape=0.05, paint=(214, 160, 44))):
        assert (other[0] != plain).any(axis=2).mean() > 0.02


def test_a_pen_turns_and_shifts_all_of_it():
    _, here = drawn("chair")
    _, there = drawn("chair", x=70.0)
    assert (there[:, 10:] == here[:, :-10]).all()
    _, turned = drawn("chair", degrees=90.0, x=110.0, y=60.0)
    wide, high = (np.ptp(np.nonzero(turned)[axis]) for axis in (1, 0))
    assert wide > high  # it lies on its back


def test_a_box_has_four_corners_and_round_ones_have_arcs():
    corners = list(rounded(0, 0, 2, 1, 0))
    assert corners == [(2, 1), (0, 1), (0, 0), (2, 0)]
    assert len(list(rounded(0, 0, 2, 1, 0.2))) == 24
