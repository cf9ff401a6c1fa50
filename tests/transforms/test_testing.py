"""The encoders for tests are encoders: of the stated length, telling their contents apart."""

import numpy as np
import pytest

from deepfeast.transforms.testing import TextSums, WordLengths


@pytest.mark.parametrize("kind", [WordLengths, TextSums])
def test_the_length_is_the_one_asked_for_and_in_the_fingerprint(kind):
    short, long = kind(2), kind(3)
    assert short.encode(["red shirt with pockets"]).shape == (1, short.dim) == (1, 2)
    assert len({short.fingerprint, long.fingerprint, kind(2).fingerprint}) == 2


def test_different_texts_have_different_sums_within_one():
    vectors = TextSums(1).encode([f"shirt {number}" for number in range(2000)])
    assert len(np.unique(vectors)) > 1990  # float32 merges a few
    assert -1 <= vectors.min() < -0.9
    assert 0.9 < vectors.max() <= 1
