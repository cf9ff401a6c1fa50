"""A CSV has no types of its own: those declared decide."""

import pyarrow as pa
import pyarrow.fs as fs
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.errors import ColumnNotFound, SourceError
from deepfeast.transforms.files.csv import header, to_parquet

LOCAL = fs.LocalFileSystem()
TYPES = {"id": pa.string(), "price": pa.int64()}


def rewrite(tmp_path, text, types=TYPES):
    raw = tmp_path / "raw.csv"
    raw.write_text(text, encoding="utf-8-sig")
    target = tmp_path / "o'brien" / "raw.parquet"
    return pq.read_table(to_parquet(LOCAL, str(raw), "raw", types, ["at"], target)).to_pylist()


def test_ids_of_digits_stay_texts_and_times_become_utc(tmp_path):
    rows = rewrite(tmp_path, "price,id,at\n3,007,2024-01-01\n,008,2024-01-01T10:00:00+02:00\n")
    assert [row["id"] for row in rows] == ["007", "008"]
    assert [row["price"] for row in rows] == [3, None]
    assert [row["at"].hour for row in rows] == [0, 8]


def test_a_cell_of_another_type_is_named_with_what_was_declared(tmp_path):
    with pytest.raises(SourceError, match="price int64"):
        rewrite(tmp_path, "price,id,at\ncheap,a,2024-01-01\n")


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(ColumnNotFound, match="no column 'price'"):
        rewrite(tmp_path, "prize,id,at\n3,a,2024-01-01\n")


def test_the_header_is_read_past_the_mark_of_its_encoding(tmp_path):
    (tmp_path / "raw.csv").write_text('id,"a, b"\n', encoding="utf-8-sig")
    assert header(LOCAL, str(tmp_path / "raw.csv")) == ["id", "a, b"]
