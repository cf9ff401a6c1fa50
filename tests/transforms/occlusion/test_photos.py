import io

import numpy as np
import pytest
from PIL import Image

from deepfeast.transforms.errors import Reject
from deepfeast.transforms.occlusion.photos import SHORTER, Box, covered, grid, open_photo, to_bytes


def test_the_grid_covers_a_photo_once():
    boxes = grid(400, 300, 3)
    area = sum((box.right - box.left) * (box.bottom - box.top) for box in boxes)
    assert len(boxes) == 12
    assert area == pytest.approx(1)


def test_a_covered_patch_has_the_mean_colour_and_the_rest_stays():
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20, :20] = 200
    after = np.asarray(covered(Image.fromarray(pixels), Box(0, 0, 0.5, 0.5)))
    assert (after[:20, :20] == 50).all()
    assert (after[20:] == 0).all()


def test_a_photo_is_made_smaller_and_written_without_loss():
    pixels = np.random.default_rng(0).integers(0, 255, (500, 1000, 3), np.uint8)
    picture = open_photo(to_bytes(Image.fromarray(pixels)))
    assert picture.size == (2 * SHORTER, SHORTER)
    again = Image.open(io.BytesIO(to_bytes(picture)))
    assert np.array_equal(np.asarray(again), np.asarray(picture))
    with pytest.raises(Reject, match="image_unknown"):
        open_photo(b"none")
