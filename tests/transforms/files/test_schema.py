import pyarrow as pa
import pytest

from deepfeast.transforms.errors import ColumnNotFound, SourceError
from deepfeast.transforms.files.schema import (
    check_contents,
    check_file,
    check_keys,
    check_row,
    lost_column,
)

ID = pa.field("id", pa.string())
AT = pa.field("at", pa.timestamp("us", "UTC"))


TABLE = pa.schema([ID, AT, pa.field("created_timestamp", AT.type), pa.field("vec", ID.type)])


def test_a_table_without_one_of_the_keys_is_refused_with_what_it_was_made_with():
    check_keys([ID, AT], TABLE, "raw", "/table", "deep")
    with pytest.raises(ColumnNotFound) as caught:
        check_row(["id", "ts"], TABLE, "raw", "/table", "deep")
    assert "no column 'ts' in the embedding table /table of view 'deep'" in str(caught.value)
    assert "keys 'id' and the event time 'at'" in str(caught.value)
    assert "timestamp_field='at', field_mapping={'ts': 'at'}" in str(caught.value)
    assert "give view 'deep' a new name" in str(caught.value)
    assert "created_timestamp" not in str(caught.value)


def test_a_key_more_or_less_has_no_old_name():
    with pytest.raises(ColumnNotFound, match=r"field_mapping=\{<new name>: <old name>\}"):
        check_row(["id", "size", "at"], TABLE, "raw", "/table", "deep")


def test_a_column_that_a_source_lacks_is_told_with_its_table():
    lost = ColumnNotFound.of("at", "source 'raw'", ["id", "ts"])
    assert str(lost_column(lost, None, "raw", "/table", "deep")) == str(lost)
    assert "/table of view 'deep' has it" in str(lost_column(lost, TABLE, "raw", "/table", "deep"))
    text = ColumnNotFound.of("title", "source 'raw'", ["id", "at"])
    assert str(lost_column(text, TABLE, "raw", "/table", "deep")) == str(text)


@pytest.mark.parametrize("changed", [ID, AT])
def test_a_key_of_another_type_would_never_be_found_again(changed):
    held = [field.with_type(pa.int64()) if field is changed else field for field in (ID, AT)]
    told = f"'{changed.name}' .* is {changed.type}, in the embedding table /table it is int64"
    with pytest.raises(SourceError, match=told.replace("[", r"\[")):
        check_keys([ID, AT], pa.schema(held), "raw", "/table", "deep")
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
