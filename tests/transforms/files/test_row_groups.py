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
