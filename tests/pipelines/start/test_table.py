import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.start.table import open_table
from deepfeast.transforms.errors import SourceError, SourceNotFound


def cells(table, **how):
    return [row for batch in table.batches(**how) for row in batch.to_pylist()]


def test_a_csv_is_read_as_texts_with_missing_cells_and_line_breaks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,Preis €\n1,"two\nlines"\n2,NA\n3\n')
    table = open_table(path)
    assert cells(table) == [{"id": "1", "preis": "two\nlines"}, {"id": "2", "preis": None}]
    assert (table.left_out, table.share) == (1, 1.0)
    assert table.names == {"id": "id", "preis": "Preis €"}
    assert cells(table, skip=frozenset({"id"})) == [{"preis": "two\nlines"}, {"preis": None}]


def test_a_packed_csv_is_unpacked_on_the_way(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("a,b\n1,2\n")
    assert cells(open_table(tmp_path / "a.csv.gz")) == [{"a": "1", "b": "2"}]


def test_parquet_keeps_its_types_and_names_that_stand_twice(tmp_path):
    path = tmp_path / "a.parquet"
    columns = [pa.array([1]), pa.array(["x"]).dictionary_encode(), pa.array([b"\xff"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["a", "a", "photo"]), path)
    table = open_table(path)
    assert cells(table) == [{"a": 1, "a_2": "x", "photo": b"\xff"}]
    assert table.heavy() == {"photo"}
    assert cells(table, skip=frozenset({"a", "photo"})) == [{"a_2": "x"}]


def test_what_is_no_table_is_told_with_what_to_do(tmp_path):
    for name, content, told in (
        ("a.xlsx", b"PK\x03\x04", "Excel file.*CSV UTF-8.*read_excel"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "Excel file"),
        ("a.jsonl", b"{}", "is JSON.*to_parquet"),
        ("a.parquet", b"PAR1 and no more", "damaged Parquet file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=told):
            open_table(tmp_path / name)
    with pytest.raises(SourceNotFound, match="no table at"):
        open_table(tmp_path / "b.csv")
    with pytest.raises(SourceError, match="is no file"):
        open_table(tmp_path)


def test_a_quote_that_never_closes_is_told_where_it_breaks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,"never closed\n' + "2,x\n" * 20_000)
    with pytest.raises(SourceError, match=r"a cell of 'b' has 20,001 lines. Is a quote"):
        cells(open_table(path))
