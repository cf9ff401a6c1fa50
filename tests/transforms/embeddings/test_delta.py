import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import DeltaError

from deepfeast.transforms.embeddings.delta import commit_files, open_delta

SCHEMA = pa.schema([("id", pa.string())])


def part(folder, name):
    """Write a data file of one row that holds its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": [name]}, schema=SCHEMA), folder / name)
    return {"path": name, "size": (folder / name).stat().st_size, "rows": 1}


def grow(folder, file, **options):
    table = open_delta(str(folder))
    commit_files(str(folder), SCHEMA, [part(folder, file)], table=table, **options)
    return sorted(open_delta(str(folder)).to_pyarrow_table()["id"].to_pylist())


@pytest.mark.parametrize("above", ["o'brien", "data[1]", "a b", "ü", "a*b"])
def test_a_table_grows_below_any_folder(tmp_path, above):
    folder = tmp_path / above / "table"
    assert open_delta(str(folder)) is None
    assert grow(folder, "a.parquet") == ["a.parquet"]
    assert grow(folder, "b.parquet") == ["a.parquet", "b.parquet"]
    assert grow(folder, "c.parquet", replace=True) == ["c.parquet"]
    assert (folder / "a.parquet").is_file()


def test_a_commit_says_how_many_rows_it_has_and_what_the_table_is(tmp_path):
    grow(tmp_path, "a.parquet", name="shirts", configuration={"delta.appendOnly": "true"})
    table = open_delta(str(tmp_path))
    assert table.metadata().name == "shirts"
    assert table.metadata().configuration == {"delta.appendOnly": "true"}
    assert pa.table(table.get_add_actions())["num_records"].to_pylist() == [1]


def test_a_table_that_is_there_is_not_made_anew(tmp_path):
    grow(tmp_path, "a.parquet")
    with pytest.raises(DeltaError):
        commit_files(str(tmp_path), SCHEMA, [part(tmp_path, "b.parquet")], table=None)
