import pyarrow as pa
import pytest
from feast import FileSource
from feast.data_format import DeltaFormat
from feast.errors import SavedDatasetLocationAlreadyExists

from deepfeast.transforms.files.source import open_source
from deepfeast.transforms.files.write_source import write_source


@pytest.mark.parametrize("kind", ["file.parquet", "folder", "delta"])
def test_rows_are_written_added_and_replaced(make_store, kind):
    config = make_store().config
    delta = DeltaFormat() if kind == "delta" else None
    source = FileSource(name="s", path=f"data/{kind}", timestamp_field="t", file_format=delta)

    def ids():
        parts = open_source(config, source).scan(["id"])
        return sorted(one for part in parts for one in part["id"].to_pylist())

    write_source(config, source, [pa.table({"id": [1], "t": [0]}), pa.table({"id": [2], "t": [0]})])
    assert ids() == [1, 2]
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        write_source(config, source, [pa.table({"id": [3], "t": [0]})])
    write_source(config, source, [pa.table({"id": [3], "t": [0]})], append=True)
    assert ids() == [1, 2, 3]
    write_source(config, source, [pa.table({"id": [4], "t": [0]})], overwrite=True)
    assert ids() == [4]
