from datetime import datetime, timezone

import pytest
from deltalake import DeltaTable

from deepfeast.transforms.errors import (
    ColumnNotFound,
    FingerprintMismatch,
    SourceEmpty,
    SourceError,
    SourceNotFound,
)

UNTRAINED = "python:deepfeast.transforms.testing:untrained_photos"
LATER = datetime(2024, 2, 1, tzinfo=timezone.utc)


def test_a_changed_encoder_is_refused_until_a_rebuild_writes_a_new_version(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}])
    shirts.embed()
    shirts.declare("python:deepfeast.transforms.testing:WordLengths?dim=3")
    with pytest.raises(FingerprintMismatch, match="--rebuild"):
        shirts.embed()
    shirts.embed(rebuild=True)
    assert shirts.vectors() == {"a": [3, 5, 0]}
    old = DeltaTable(str(shirts.table), version=0).to_pyarrow_table()
    assert old["vec"].to_pylist() == [[3, 5]]


def test_a_window_of_event_time_leaves_the_other_rows_out(shirts):
    shirts.write(
        [{"id": "a", "title": "old"}, {"id": "b", "title": "new", "event_timestamp": LATER}]
    )
    assert shirts.embed(since=LATER).rows == 1
    assert shirts.embed(until=LATER).rows == 1
    assert shirts.vectors() == {"a": [3, 0], "b": [3, 0]}


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([{"id": "a", "titel": "x"}], ColumnNotFound, "no column 'title'.*Did you mean 'titel'"),
        ([{"id": "a", "title": "x", "event_timestamp": 7}], SourceError, "its type is int64"),
        ([{"key": "a", "title": "x"}], ColumnNotFound, "no column 'id'"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_and_leaves_no_trace(shirts, rows, error, message):
    shirts.write(rows)
    with pytest.raises(error, match=message):
        shirts.embed()
    assert not shirts.table.exists()


def test_a_source_without_files_or_rows_is_refused(shirts):
    with pytest.raises(SourceNotFound, match=r"raw\.parquet"):
        shirts.embed()
    shirts.write([{"id": "a", "title": "red"}])
    import pyarrow.parquet as pq

    table = pq.read_table(shirts.folder / "raw.parquet")
    pq.write_table(table.slice(0, 0), shirts.folder / "raw.parquet")
    with pytest.raises(SourceEmpty, match="no rows"):
        shirts.embed()
    assert not shirts.table.exists()


def test_a_damaged_file_among_good_ones_is_named(Shirts, tmp_path):
    shirts = Shirts(tmp_path, path="raw")
    shirts.write([{"id": "a", "title": "red"}], "raw/1.parquet")
    (tmp_path / "raw" / "2.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(SourceError, match=r"2\.parquet is not readable"):
        shirts.embed()
    assert not shirts.table.exists()
