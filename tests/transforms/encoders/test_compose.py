import numpy as np

from deepfeast.transforms.encoders.compose import PooledEncoder, ReducedEncoder
from deepfeast.transforms.testing import WordLengths


def test_steps_follow_the_encoder():
    encoder = ReducedEncoder(WordLengths(2), "l2")
    assert np.allclose(encoder.encode(["aaa bbbb"]), [[0.6, 0.8]])
    assert encoder.reads is WordLengths(2).reads


def test_several_contents_become_one_and_a_bad_one_is_left_out():
    cells = [("a bbb", "aaa b"), ("red shirt", "poison"), ("poison",), (), "hat"]
    mean = PooledEncoder(WordLengths(2), "mean").encode_safely(cells)
    assert mean.vectors[[0, 1, 4]].tolist() == [[2, 2], [3, 5], [3, 0]]
    assert {row: why.reason for row, why in mean.rejects.items()} == {
        2: "poisoned",
        3: "no_photos",
    }
    assert mean.counts["photos_left_out"] == 1
    largest = PooledEncoder(WordLengths(2), "max")
    assert largest.encode([("a bbb", "aaa b")]).tolist() == [[3, 3]]
    assert largest.fingerprint != PooledEncoder(WordLengths(2), "mean").fingerprint
