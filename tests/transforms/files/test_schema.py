import pyarrow as pa
import pytest

from deepfeast.transforms.errors import ColumnNotFound, SourceError
from deepfeast.transforms.files.schema import check_contents, check_file, check_keys

ID = pa.field("id", pa.string())
AT = pa.field("at", pa.timestamp("us", "UTC"))


@pytest.mark.parametrize("missing", [ID, AT])
def test_a_table_without_one_of_the_keys_is_refused(missing):
    check_keys([ID, AT], pa.schema([ID, AT]), "raw", "/table", "deep")
    held = pa.schema([field for field in (ID, AT) if field is not missing])
    told = f"/table has no column '{missing.name}', a key or the event time"
    with pytest.raises(SourceError, match=told):
        check_keys([ID, AT], held, "raw", "/table", "deep")


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
