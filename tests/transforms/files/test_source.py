"""Sources in awkward places and of foreign makes are read as any other."""

from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from feast.data_format import DeltaFormat

FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.large_string(), pa.binary(), pa.binary_view()]
)
def test_texts_of_any_make_are_texts(shirts, kind):
    titles = pa.array(["red shirt", None]).cast(kind)
    ids = pa.array(["a", "b"], pa.string() if "binary" in str(kind) else kind)
    table = pa.table({"id": ids, "title": titles, "event_timestamp": pa.array([FIRST] * 2)})
    pq.write_table(table, shirts.folder / "raw.parquet")
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 5], "b": None}


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary_view()])
def test_bytes_that_are_no_text_are_rejects(shirts, kind):
    titles = pa.array(["hütte".encode(), "hütte".encode("latin-1"), b""], kind)
    table = pa.table(
        {"id": ["a", "b", "c"], "title": titles, "event_timestamp": pa.array([FIRST] * 3)}
    )
    pq.write_table(table, shirts.folder / "raw.parquet")
    run = shirts.embed(allowed_rejects=0.5)
    assert shirts.vectors() == {"a": [5, 0], "b": None, "c": None}
    assert (run.missing, run.rejected) == (1, 1)
    (example,) = run.reasons["not_text"]["examples"]
    assert example.startswith("id=b, column 'title': its bytes are no UTF-8: ")


def test_a_partitioned_delta_table_is_a_raw_source(Shirts, tmp_path):
    shirts = Shirts(tmp_path / "repo", path="raw", file_format=DeltaFormat())
    rows = [("a", "red", "x"), ("b", "hat", "y")]
    table = pa.table(
        {
            "id": [row[0] for row in rows],
            "title": [row[1] for row in rows],
            "place": [row[2] for row in rows],
            "event_timestamp": pa.array([FIRST] * 2, pa.timestamp("us", "UTC")),
        }
    )
    write_deltalake(str(tmp_path / "repo" / "raw"), table, partition_by=["place", "id"])
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 0], "b": [3, 0]}
