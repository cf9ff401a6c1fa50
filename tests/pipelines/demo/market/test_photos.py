"""Photos of items, which show what no column knows."""

import io

import numpy as np
import pytest
from PIL import Image

from deepfeast.pipelines.demo.market.colours import COLOURS
from deepfeast.pipelines.demo.market.drawings import Look, Pen
from deepfeast.pipelines.demo.market.items import invent
from deepfeast.pipelines.demo.market.photos import (
    SIZE,
    contact_sheet,
    faded,
    leave_marks,
    photo,
)


@pytest.fixture
def sofa():
    """A green sofa as new; much of it is paint."""
    (item,) = invent(1, seed=7)
    return item._replace(kind="sofa", colour="forest green", shape=0.5, wear=0.0)


def taken(item, room=0, seed=0):
    data = photo(item, room, np.random.default_rng(seed))
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert image.size == (SIZE, SIZE)
        return np.asarray(image).astype(float)


def test_a_photo_depends_on_the_item_and_the_seed_alone(sofa):
    assert (taken(sofa) == taken(sofa)).all()
    assert (taken(sofa) != taken(sofa, seed=1)).mean() > 0.5
    sold = sofa._replace(listing_id="l09999", text_part=9.0)
    assert (taken(sofa) == taken(sold)).all()


@pytest.mark.parametrize("colour", COLOURS)
def test_the_paint_can_be_seen(sofa, colour):
    middle = taken(sofa._replace(colour=colour))[130:160, 90:134].reshape(-1, 3)
    distance = {
        name: np.abs(middle.mean(axis=0) - paint).sum() for name, (paint, _) in COLOURS.items()
    }
    nearest = sorted(distance, key=distance.__getitem__)[:2]  # the light of a room is not white
    assert colour in nearest


def test_wear_leaves_marks_on_the_item_alone(sofa):
    worn = np.abs(taken(sofa._replace(wear=1.0)) - taken(sofa)).max(axis=2) > 60
    assert worn[110:190, 30:190].mean() > 0.05
    assert worn[:60].mean() < 0.01


def test_no_mark_is_beside_the_item():
    room = Image.new("RGB", (448, 448), (236, 228, 216))
    pen = Pen(room, degrees=0.0, scale=300.0, x=224.0, y=400.0)
    pen.legs((-0.2, 0.2), 0.6, Look((22, 92, 105), (92, 62, 42), 0.2))  # thinner than a stain
    before, item = np.asarray(room), np.asarray(pen.outline) > 0
    leave_marks(pen, 1.0, np.random.default_rng(0))
    changed = (np.asarray(room) != before).any(axis=2)
    assert changed[item].mean() > 0.3
    assert not changed[~item].any()


def test_the_sun_takes_the_colour():
    (item,) = invent(1, seed=7)
    fresh, old = (
        faded(item._replace(colour="lime", wear=wear), np.random.default_rng(0)).paint
        for wear in (0.0, 1.0)
    )
    assert np.ptp(fresh) > np.ptp(old)


def test_another_room_is_another_background(sofa):
    assert np.abs(taken(sofa, room=0) - taken(sofa, room=2))[:40].mean() > 2


def test_a_sheet_is_grey_where_nothing_decodes(sofa):
    data = photo(sofa, 0, np.random.default_rng(0))
    sheet = contact_sheet([(data, "a sofa"), (data[:500], "cut off"), (None, "none")], columns=2)
    assert sheet.size == (2 * (SIZE + 8) + 8, 2 * (SIZE + 30) + 8)
    middles = [sheet.getpixel((x, y)) for x, y in ((120, 120), (352, 120), (120, 374))]
    assert middles[1:] == [(225, 225, 225)] * 2
    assert middles[0] != (225, 225, 225)
