import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from deepfeast.transforms.arrow import VECTOR_TYPE, matrix_to_vectors
from deepfeast.transforms.errors import ColumnNotFound, SpecError
from deepfeast.transforms.files.table import open_table


@pytest.fixture
def ten(tmp_path):
    """Rows 0 to 9 in row groups of three; row i has the vector [i, 10 i], row 4 has none."""
    matrix = np.arange(10)[:, None] * np.array([1.0, 10.0])
    valid = np.arange(10) != 4
    table = pa.table({"n": range(10), "vec": matrix_to_vectors(matrix, valid)})
    pq.write_table(table, tmp_path / "ten.parquet", row_group_size=3)
    return open_table(str(tmp_path / "ten.parquet"))


def test_rows_come_back_in_the_order_asked_repeated_or_missing(ten):
    taken = ten.take(np.array([9, 0, -1, 9, 4]), ["n", "vec"])
    assert taken.column("n").to_pylist() == [9, 0, None, 9, 4]
    assert taken.column("vec").to_pylist() == [[9, 90], [0, 0], None, [9, 90], None]


def test_vectors_go_straight_into_a_slice_of_a_matrix(ten):
    X = np.zeros((4, 5), np.float32)
    taken = ten.take(np.array([2, 4, -1, 8]), ["n"], {"vec": X[:, 1:3]})
    np.testing.assert_array_equal(X[:, 1:3], [[2, 20], [np.nan] * 2, [np.nan] * 2, [8, 80]])
    np.testing.assert_array_equal(X[:, [0, 3, 4]], 0)
    assert taken.to_pydict() == {"n": [2, 4, None, 8]}


def test_a_result_has_one_chunk_a_column_since_feast_reads_no_further(ten):
    for rows in (np.arange(10), np.array([5, 1])):
        taken = ten.take(rows, ["n", "vec"])
        assert {column.num_chunks for column in taken.columns} == {1}


@pytest.mark.parametrize("threads", [1, 4])
def test_any_selection_equals_numpys(ten, threads):
    ten.threads = threads
    rng = np.random.default_rng(0)
    for size in (0, 1, 7, 50):
        rows = rng.integers(-1, 10, size)
        expected = [None if row < 0 else row for row in rows]
        assert ten.take(rows, ["n"]).column("n").to_pylist() == expected


def test_a_scan_gathers_small_row_groups_into_larger_parts(ten):
    assert [len(part) for part in ten.scan(["n"], rows=6)] == [6, 4]
    (whole,) = ten.scan(["n"])
    assert whole.column("n").to_pylist() == [*range(10)]


def test_a_vector_of_another_length_is_named(ten):
    with pytest.raises(SpecError, match="expected 3, the vector_length of its feature"):
        ten.take(np.array([0]), [], {"vec": np.empty((1, 3), np.float32)})


def test_vectors_may_be_stored_as_any_list_of_floats(tmp_path):
    for kind in (pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2)):
        pq.write_table(pa.table({"vec": pa.array([[1, 2], [3, 4]], kind)}), tmp_path / "v.parquet")
        X = np.empty((3, 2), np.float32)
        open_table(str(tmp_path / "v.parquet")).take(np.array([1, -1, 0]), [], {"vec": X})
        np.testing.assert_array_equal(X, [[3, 4], [np.nan, np.nan], [1, 2]])


def test_a_column_that_is_not_there_is_named(ten):
    with pytest.raises(ColumnNotFound, match="Did you mean 'vec'"):
        ten.require(["vecs"])


def test_a_delta_table_grown_by_a_column_reads_old_rows_as_null(tmp_path):
    path = str(tmp_path / "grown")
    write_deltalake(path, pa.table({"id": ["a"]}))
    new = pa.table({"id": ["b"], "vec": pa.array([[1.0, 2.0]], VECTOR_TYPE)})
    write_deltalake(path, new, mode="append", schema_mode="merge")
    table = open_table(path, delta=True)
    rows = table.take(np.arange(2), ["id", "vec"]).to_pydict()
    assert dict(zip(rows["id"], rows["vec"], strict=True)) == {"a": None, "b": [1.0, 2.0]}


def test_partition_columns_are_columns(tmp_path):
    path = str(tmp_path / "parted")
    table = pa.table({"day": ["mon", "tue", "mon"], "n": [1, 2, 3]})
    write_deltalake(path, table, partition_by=["day"])
    parted = open_table(path, delta=True)
    rows = parted.take(np.arange(3), ["day", "n"]).to_pylist()
    assert sorted((row["day"], row["n"]) for row in rows) == [("mon", 1), ("mon", 3), ("tue", 2)]


def test_the_size_of_a_row_is_known_without_reading_it(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(1000, 100))
    table = pa.table({"n": range(1000), "vec": matrix_to_vectors(matrix)})
    pq.write_table(table, tmp_path / "t.parquet", use_dictionary=False)
    opened = open_table(str(tmp_path / "t.parquet"))
    assert opened.row_bytes({"n"}) == pytest.approx(8, rel=0.2)
    assert opened.row_bytes({"n", "vec"}) == pytest.approx(408, rel=0.2)


def test_nothing_at_a_path_is_file_not_found(tmp_path):
    for delta in (True, False):
        with pytest.raises(FileNotFoundError):
            open_table(str(tmp_path / "nothing"), delta=delta)


def test_rows_are_sorted_by_the_row_group_they_lie_in(ten):
    found = {group: rows.tolist() for group, rows in ten.by_group(np.array([0, 2, 4, 9]))}
    assert found == {0: [0, 2], 1: [1], 3: [0]}
    assert list(ten.by_group(np.array([], np.int64))) == []


def test_a_worker_reads_a_row_group_of_a_pickled_table(ten):
    worker = pickle.loads(pickle.dumps(ten))
    batches = list(worker.read_group(2, ["n"], 2))
    assert [batch.column(0).to_pylist() for batch in batches] == [[6, 7], [8]]
