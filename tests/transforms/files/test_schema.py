import pyarrow as pa
import pytest

from deepfeast.transforms.errors import ColumnNotFound, SourceError
from deepfeast.transforms.files.schema import check_contents, check_file, check_keys

ID = pa.field("id", pa.string())
AT = pa.field("at", pa.timestamp("us", "UTC"))


def test_a_table_without_one_of_the_keys_is_refused():
    check_keys([ID, AT], pa.schema([ID, AT]), "raw", "/table", "deep")
    with pytest.raises(SourceError, match="/table has no column 'id', a key or the event time"):
        check_keys([ID, AT], pa.schema([AT]), "raw", "/table", "deep")


def test_a_key_of_another_type_would_never_be_found_again():
    table = pa.schema([pa.field("id", pa.int64())])
    with pytest.raises(SourceError, match="is string, in the embedding table /table it is int64"):
        check_keys([ID], table, "raw", "/table", "deep")
    check_keys([ID], pa.schema([pa.field("id", pa.large_string())]), "raw", "/table", "deep")


def test_a_file_must_be_like_those_before_it():
    first = pa.schema([ID])
    check_file(first, "2.parquet", "raw", ["id"], first)
    with pytest.raises(ColumnNotFound, match="no column 'at'"):
        check_file(first, "2.parquet", "raw", ["at"], None)
    other = pa.schema([pa.field("id", pa.int64())])
    with pytest.raises(SourceError, match=r"'id' of source 'raw' is int64 in 2\.parquet, and"):
        check_file(other, "2.parquet", "raw", ["id"], first)


def test_numbers_are_neither_texts_nor_photos():
    check_contents(pa.schema([ID]), "raw", ["id"])
    with pytest.raises(SourceError, match="'n' of source 'raw' is int64; a deep feature reads"):
        check_contents(pa.schema([pa.field("n", pa.int64())]), "raw", ["n"])
