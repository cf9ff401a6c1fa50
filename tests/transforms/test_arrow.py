import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfeast.transforms.arrow import (
    VECTOR_TYPE,
    as_pandas,
    flat_names,
    matrix_to_vectors,
    pack_vectors,
    vectors_to_matrix,
)
from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.int8 import round_to_int8


def test_rows_without_a_vector_are_nan():
    column = pa.array([None, [1, 2], None, [3, 4]], VECTOR_TYPE)
    matrix = vectors_to_matrix(column)
    assert matrix[[1, 3]].tolist() == [[1, 2], [3, 4]]
    assert np.isnan(matrix[[0, 2]]).all()


def test_a_full_column_is_not_copied():
    column = pa.array([[1, 2], [3, 4]], VECTOR_TYPE)
    address = column.values.buffers()[1].address
    assert vectors_to_matrix(column).ctypes.data == address


def test_a_slice_of_a_column_is_read_from_its_start():
    column = pa.array([[1, 2], None, [3, 4], [5, 6]], VECTOR_TYPE)
    assert vectors_to_matrix(column.slice(2)).tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_chunks_become_one_matrix(chunks):
    column = pa.chunked_array([pa.array([[1.0, 2.0]], VECTOR_TYPE)] * chunks, type=VECTOR_TYPE)
    assert vectors_to_matrix(column, dim=2).tolist() == [[1, 2]] * chunks


def test_a_column_of_nulls_has_the_stated_length():
    assert vectors_to_matrix(pa.nulls(2, VECTOR_TYPE), dim=3).shape == (2, 3)


def test_vectors_of_different_length_are_refused_by_row():
    column = pa.array([[1, 2], None, [3]], VECTOR_TYPE)
    with pytest.raises(ValueError, match="row 2 has 1 numbers, expected 2"):
        vectors_to_matrix(column)


def test_fixed_size_lists_are_read_too():
    column = pa.array([[1, 2], None], pa.list_(pa.float32(), 2))
    assert vectors_to_matrix(column)[0].tolist() == [1, 2]


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 4))
def test_there_and_back_again(valid, dim):
    valid = np.array(valid, dtype=bool)
    matrix = np.arange(len(valid) * dim, dtype=np.float32).reshape(-1, dim)
    expected = np.where(valid[:, None], matrix, np.nan)
    column = matrix_to_vectors(matrix, valid)
    assert column.null_count == (~valid).sum()
    np.testing.assert_array_equal(vectors_to_matrix(column, dim), expected)


def test_flat_names_sort_as_they_count():
    names = flat_names("vec", 1200)
    assert names[7] == "vec_0007"
    assert names == sorted(names)


def test_a_frame_of_any_library_becomes_one_of_pandas():
    class Other:
        """A frame of a library that pandas has never heard of."""

        def __arrow_c_stream__(self, schema=None):
            views = pa.array(["a", None], pa.string_view())
            largest = pa.array([2**64 - 1, None], pa.uint64())
            table = pa.table({"id": views, "n": [2**60 + 1, None], "largest": largest})
            return table.__arrow_c_stream__(schema)

    frame = as_pandas(Other())
    assert frame["id"].tolist() == ["a", None]
    assert frame["n"].tolist() == [2**60 + 1, pd.NA]
    assert frame["largest"].tolist() == [2**64 - 1, pd.NA]
    same = pd.DataFrame({"id": [1]}, index=[5])
    assert as_pandas(same) is same
    with pytest.raises(JoinError, match=r"pandas, polars or another .* got list"):
        as_pandas([1])


def bits(matrix):
    return matrix.astype(np.float32).tobytes()


def test_packed_vectors_are_read_as_the_very_numbers_of_rounding():
    vectors = np.random.default_rng(0).normal(size=(120, 100)).astype(np.float32)
    there = np.arange(len(vectors)) % 3 > 0
    column = pack_vectors(vectors, there)
    column.validate(full=True)
    found = vectors_to_matrix(pa.chunked_array([column.slice(0, 50), column.slice(50)]))
    assert bits(found[there]) == bits(round_to_int8(vectors)[there])
    assert np.isnan(found[~there]).all()
    assert bits(vectors_to_matrix(column.slice(101, 1))) == bits(found[101:102])
    assert bits(vectors_to_matrix(column.cast(pa.large_binary()))) == bits(found)
    assert {value and len(value) for value in column.to_pylist()} == {None, 4 + 100}
    assert vectors_to_matrix(pack_vectors(np.empty((0, 3))), 3).shape == (0, 3)


def test_a_packed_vector_of_another_length_is_named():
    both = pa.concat_arrays([pack_vectors(np.ones((2, 3))), pack_vectors(np.ones((1, 4)))])
    with pytest.raises(ValueError, match="the vector in row 2 has 4 numbers, expected 3"):
        vectors_to_matrix(both)
