"""Rounding to int8 is near, is done once, and is kept to the bit."""

import numpy as np
import pytest

from deepfeast.transforms.int8 import packed, packed_dim, packed_size, round_to_int8, unpacked


def wild(rows, dim):
    """Vectors of all sizes float32 knows, and the edges."""
    random = np.random.default_rng(0)
    sizes = 10.0 ** random.uniform(-35, 37, (rows, 1))
    edges = np.array([[0.0], [-0.0], [np.finfo(np.float32).max], [1e-44]])
    edges = np.broadcast_to(edges, (4, dim))
    return np.concatenate([random.normal(size=(rows, dim)) * sizes, edges]).astype(np.float32)


@pytest.mark.parametrize("dim", [1, 7, 64, 65, 384])
def test_what_is_rounded_is_near_and_stays_what_it_is(dim):
    vectors = wild(300, dim)
    rounded = round_to_int8(vectors)
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    assert (np.abs(rounded - vectors) <= largest / 250 + 1.3e-28).all()
    assert round_to_int8(rounded).tobytes() == rounded.tobytes()
    records = packed(vectors)
    assert records.itemsize == packed_size(dim)
    assert packed_dim(records.itemsize) == dim
    assert unpacked(records.tobytes(), dim).tobytes() == rounded.tobytes()


def test_a_large_number_costs_those_of_its_own_block_alone():
    vector = np.full((1, 130), 0.25, np.float32)
    vector[0, 3] = 127.0
    rounded = round_to_int8(vector)
    assert rounded[0, 3] == 127
    assert (np.delete(rounded[0, :64], 3) == 0).all()
    assert np.allclose(rounded[0, 64:], 0.25, rtol=0.004)


def test_no_vector_stays_none():
    assert np.isnan(round_to_int8(np.full((1, 70), np.nan))).all()
    assert round_to_int8(np.empty((2, 0))).shape == (2, 0)
