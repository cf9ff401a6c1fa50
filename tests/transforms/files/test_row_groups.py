import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from deepfeast.transforms.files.row_groups import RowGroup


def test_a_file_of_other_types_is_read_as_the_table_has_them(tmp_path):
    rows = {"n": pa.array([1, 2], pa.int32()), "vec": [[3.0], [5.0]]}
    pq.write_table(pa.table(rows), tmp_path / "old.parquet")
    (fragment,) = ds.dataset(tmp_path / "old.parquet").get_fragments()
    wanted = pa.schema([("n", pa.int64()), ("vec", pa.list_(pa.float32())), ("later", pa.string())])
    (batch,) = RowGroup(fragment, 0, 2).read(wanted, 10)
    assert batch.schema == wanted
    assert batch.to_pylist() == [
        {"n": 1, "vec": [3], "later": None},
        {"n": 2, "vec": [5], "later": None},
    ]


def test_rows_come_in_order_a_few_at_a_time(tmp_path):
    pq.write_table(pa.table({"n": range(5)}), tmp_path / "t.parquet", row_group_size=3)
    (fragment,) = ds.dataset(tmp_path / "t.parquet").get_fragments()
    schema = pa.schema([("n", pa.int64())])
    first, second = RowGroup(fragment, 0, 3), RowGroup(fragment, 1, 2)
    assert [batch.column(0).to_pylist() for batch in first.read(schema, 2)] == [[0, 1], [2]]
    assert [batch.column(0).to_pylist() for batch in second.read(schema, 9)] == [[3, 4]]


def test_a_partition_fills_its_column_even_where_no_other_is_read(tmp_path):
    (tmp_path / "day=mon").mkdir()
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "day=mon" / "t.parquet")
    (fragment,) = ds.dataset(tmp_path, partitioning="hive").get_fragments()
    (batch,) = RowGroup(fragment, 0, 2).read(pa.schema([("day", pa.string())]), 9)
    assert batch.to_pydict() == {"day": ["mon", "mon"]}
