"""A file of keys is read strictly: every mistake is told with its line."""

import pyarrow as pa
import pytest

from deepfeast.pipelines.forget.keys import read_keys
from deepfeast.transforms.errors import ColumnNotFound, JoinError, SourceNotFound

TYPES = {"id": pa.string(), "shop": pa.int64()}


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "keys.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_keys(path, TYPES)

    return read


def test_keys_are_read_once_each_with_their_first_line_whatever_else_is_there(read):
    text = '\ufeffshop,name,id\n5,Ann,007\n\n05,Ann,007\n6,"Bob\nBobson","a,b"\n'
    assert read(text) == {("007", "5"): 2, ("a,b", "6"): 6}


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        (
            "id,shoop\na,5\n",
            ColumnNotFound,
            r"no column 'shop' in .*keys.csv. .*Did you mean 'shoop'",
        ),
        ("", ColumnNotFound, "no column 'id'"),
        ("id,shop\n", JoinError, "has no keys below its header"),
        ("id,shop\na,5\nb,\n", JoinError, "keys.csv, line 3: no 'shop'"),
        ("id,shop\na\n", JoinError, "keys.csv, line 2: no 'shop'"),
        ("id,shop\na,5\nb,5.5\n", JoinError, "line 3: 'shop' is '5.5', expected int64"),
        ('id,shop\n"a,5\n', JoinError, "not readable as CSV in UTF-8"),
        (b"id,shop\n\xff\xfe,5\n", JoinError, "not readable as CSV in UTF-8"),
    ],
)
def test_what_is_wrong_is_told(read, text, error, told):
    with pytest.raises(error, match=told):
        read(text)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SourceNotFound, match="columns id, shop"):
        read_keys(tmp_path / "keys.csv", TYPES)
