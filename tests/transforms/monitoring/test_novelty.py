"""The nearest of the earlier rows, checked one by one."""

import numpy as np

from deepfeast.transforms.monitoring import novelty as module
from deepfeast.transforms.monitoring.novelty import novelty, scores


def test_distances_are_those_to_the_nearest_earlier_row_of_another_group(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 7)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 5)).astype(np.float32)
    groups = random.integers(0, 20, 60)
    recent = np.arange(60) >= 40
    expected = [
        min(
            np.linalg.norm(vectors[row] - vectors[other])
            for other in range(40)
            if groups[other] != groups[row]
        )
        for row in range(60)
    ]
    np.testing.assert_allclose(novelty(vectors, groups, recent), expected, rtol=1e-4)


def test_of_many_reference_rows_some_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MOST", 10)
    vectors = np.arange(100, dtype=np.float32)[:, None]
    found = novelty(vectors, np.arange(100), np.arange(100) >= 90)
    assert (found[:90] > 1).any()
    assert (found == novelty(vectors, np.arange(100), np.arange(100) >= 90)).all()


def test_a_reference_of_one_group_has_no_neighbour_for_itself():
    found = novelty(np.eye(3, dtype=np.float32), np.array([0, 0, 1]), np.array([0, 0, 1], bool))
    assert np.isinf(found[:2]).all()
    assert np.isfinite(found[2])


def test_the_farthest_weigh_most_and_equal_ones_weigh_the_same():
    found = scores(np.array([1.0, 2, 2, 3]))
    assert found[0] < found[1] == found[2] < found[3]
    assert found[3] - found[2] > found[1] - found[0]
