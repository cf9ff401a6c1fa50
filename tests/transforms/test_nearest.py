import numpy as np
import pytest

from deepfeast.transforms.nearest import BLOCK, SIDE, all_equal, near_copies, nearest, to_units


def vectors(rows, dim=8, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)


def cosines_of(matrix, query):
    """Compare with all, in float64, as one would by hand."""
    matrix, query = matrix.astype(np.float64), query.astype(np.float64)
    return matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)


@pytest.mark.parametrize("rows", [1, 7, BLOCK, 3 * BLOCK + 5])
def test_none_of_the_nearest_is_missed_and_their_order_is_that_of_float64(rows):
    matrix = vectors(rows)
    units, _ = to_units(matrix.copy())
    for query in vectors(5, seed=1):
        found, cosines = nearest(units, query, 10)
        truth = cosines_of(matrix, query)
        assert found.tolist() == np.argsort(-truth, kind="stable")[:10].tolist()
        assert cosines == pytest.approx(truth[found], abs=1e-6)


def test_neighbours_that_differ_by_less_than_float32_tells_are_all_kept():
    matrix = np.ones((3 * BLOCK, 384), np.float32)
    matrix[::2] += vectors(1, 384) * np.float32(1e-4)
    matrix[BLOCK + 1] += np.float32(1e-5) * np.arange(384, dtype=np.float32)
    units, _ = to_units(matrix.copy())
    found, _ = nearest(units, matrix[BLOCK + 1], 3)
    assert found.tolist() == [BLOCK + 1, 1, 3]


def test_only_the_rows_that_a_filter_leaves_are_found():
    matrix = vectors(3 * BLOCK)
    among = np.arange(len(matrix)) % 5000 == 1
    units, _ = to_units(matrix.copy())
    found, _ = nearest(units, matrix[0], 9, among)
    truth = np.where(among, cosines_of(matrix, matrix[0]), -2)
    assert found.tolist() == np.argsort(-truth, kind="stable")[: among.sum()].tolist()
    assert nearest(units, matrix[0], 9, np.zeros(len(matrix), bool))[0].tolist() == []


def test_what_has_no_direction_is_left_out_and_large_numbers_are_not():
    matrix = np.array([[0, 0], [3, 4], [np.nan, 1], [np.inf, 1], [0, 3e38]], np.float32)
    units, rows = to_units(matrix)
    assert rows.tolist() == [1, 4]
    assert units.round(2).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 1]]


def test_vectors_that_are_all_equal_are_known():
    same = np.tile(vectors(1), (2 * BLOCK, 1))
    other = same.copy()
    other[-1] = -other[-1]
    assert all_equal(to_units(same)[0])
    assert not all_equal(to_units(other)[0])
    assert not all_equal(to_units(same[:1])[0])


def pairs(units, least):
    """Return the cosines of near pairs as a matrix, and zeros."""
    found = np.zeros((len(units), len(units)))
    for rows, others, cosines in near_copies(units, least):
        assert not found[rows, others].any()
        found[rows, others] = cosines
    return found


# Of 400 numbers a few are compared first; few near pairs, and so many that all are multiplied out.
@pytest.mark.parametrize(("dim", "least", "spread"), [(8, 0.9, 1), (400, 0.9, 1), (400, 0.6, 2.3)])
def test_all_near_pairs_are_found_and_no_other(dim, least, spread):
    matrix = vectors(SIDE + 300, dim) + vectors(1, dim, seed=1) * (spread - 1)
    matrix[5] = matrix[SIDE + 7] + vectors(1, dim, seed=2)[0] / 4
    units, _ = to_units(matrix)
    truth = np.triu(units.astype(np.float64) @ units.T.astype(np.float64), 1)
    found = pairs(units, least)
    assert found[5, SIDE + 7]
    assert found[truth >= least].all()
    assert not found[truth < least - 2e-6].any()
    assert np.abs(found - truth)[found > 0].max() < 1e-9


def test_equal_vectors_are_copies_at_a_cosine_of_one():
    units, _ = to_units(vectors(1, 400).repeat(SIDE + 1, axis=0))
    units[3] = to_units(vectors(1, 400, seed=1))[0]
    assert np.count_nonzero(pairs(units, 1.0)) == SIDE * (SIDE - 1) // 2


def test_no_near_pair_of_vectors_of_few_axes_is_lost_to_rounding():
    matrix = np.zeros((600, 400), np.float32)
    matrix[:, :3] = vectors(600, 3)
    matrix[:, 200:] += vectors(600, 200, seed=1) * np.float32(1e-4)
    units, _ = to_units(matrix)
    truth = np.triu(units.astype(np.float64) @ units.T.astype(np.float64), 1)
    assert np.count_nonzero(truth >= 0.999) > 50
    assert pairs(units, 0.999)[truth >= 0.999].all()
