"""A raw table in slices: each row once, in order, a few at a time."""

import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.errors import ColumnNotFound, SourceEmpty, SourceError, SourceNotFound
from deepfeast.transforms.files import slices
from deepfeast.transforms.files.slices import open_source, read_slice, spread, stored_bytes

STARTED = pa.scalar(0, pa.timestamp("us", "UTC"))


@pytest.fixture
def opened(Shirts, tmp_path):
    """To write numbers as the raw table, row groups of some size, and open it."""
    shirts = Shirts(tmp_path / "repo", path="raw")
    (tmp_path / "repo" / "raw").mkdir()

    def write(*files, group=1 << 20):
        for name, numbers in files:
            times = pa.array([STARTED.as_py()] * len(numbers), STARTED.type)
            rows = pa.table({"n": pa.array(numbers, pa.int64()), "event_timestamp": times})
            pq.write_table(rows, tmp_path / "repo" / "raw" / name, row_group_size=group)
        return open_source(shirts.store, "raw", {"n": pa.int64()}, tmp_path / "scratch")

    return write


def numbers(part, batch_rows=512):
    return [n for _, rows in read_slice(part, ["n"], batch_rows) for n in rows["n"].to_pylist()]


def test_each_row_comes_once_in_slices_of_bounded_size(opened, monkeypatch):
    monkeypatch.setattr(slices, "SLICE_ROWS", 10)
    source = opened(("1.parquet", range(25)), ("2.parquet", range(25, 225)), group=100)
    assert [part.rows for part in source.slices] == [10, 10, 5, *[13] * 7, 9, *[13] * 7, 9]
    assert [part.number for part in source.slices] == list(range(19))
    assert source.rows == 225
    assert [n for part in source.slices for n in numbers(part)] == list(range(225))


def test_batches_are_small_and_say_where_in_the_slice_they_start(opened, monkeypatch):
    monkeypatch.setattr(slices, "SLICE_ROWS", 10)
    _, second, third = opened(("1.parquet", range(25))).slices
    found = [(at, rows["n"].to_pylist()) for at, rows in read_slice(second, ["n"], 4)]
    assert max(len(part) for _, part in found) <= 4
    assert [n for _, part in found for n in part] == list(range(10, 20))
    assert all(part == list(range(10 + at, 10 + at + len(part))) for at, part in found)
    assert numbers(third, 4) == [20, 21, 22, 23, 24]


def test_a_slice_crosses_to_a_worker_as_a_small_reference(opened):
    (part,) = opened(("1.parquet", range(5000))).slices
    sent = pickle.dumps(part)
    assert len(sent) < 2000
    assert numbers(pickle.loads(sent)) == list(range(5000))


def test_one_column_of_the_source_may_be_asked_for_twice(opened):
    (part,) = opened(("1.parquet", [7])).slices
    ((_, rows),) = read_slice(part, ["n", "n"])
    assert [column.to_pylist() for column in rows.columns] == [[7], [7]]


def test_a_file_that_changes_or_vanishes_during_the_run_is_named(opened):
    (part,) = opened(("1.parquet", range(3))).slices
    opened(("1.parquet", range(3000)))
    with pytest.raises(SourceError, match=r"1\.parquet changed during the run"):
        numbers(part)
    (part,) = opened(("1.parquet", range(3))).slices
    part.origin.filesystem.delete_file(part.path)
    with pytest.raises(SourceNotFound, match=r"1\.parquet vanished"):
        numbers(part)


def test_a_source_without_rows_says_so(opened):
    with pytest.raises(SourceEmpty, match=r"source 'raw' at .* has no rows"):
        opened(("1.parquet", []))


def test_a_file_or_a_column_that_is_not_there_is_named(Shirts, tmp_path):
    shirts = Shirts(tmp_path)
    with pytest.raises(SourceNotFound, match=r"source 'raw' points to .*, where there is no Parq"):
        open_source(shirts.store, "raw", {"title": pa.string()}, tmp_path)
    shirts.write([{"id": "a"}])
    with pytest.raises(ColumnNotFound, match="no column 'title' in source 'raw'"):
        open_source(shirts.store, "raw", {"title": pa.string()}, tmp_path)


def test_a_source_of_few_row_groups_is_cut_so_that_every_worker_has_a_share(opened):
    slices = opened(("1.parquet", range(3000)), ("2.parquet", range(3000, 3050))).slices
    assert spread(slices, 1) == slices
    few = spread(slices, 3)
    assert [part.rows for part in few] == [250] * 12 + [50]
    assert [part.number for part in few] == list(range(13))
    assert [n for part in few for n in numbers(part)] == list(range(3050))
    assert spread(few, 3) == few


def test_no_slice_is_made_so_small_that_it_is_not_worth_a_worker(opened):
    slices = opened(("1.parquet", range(300))).slices
    assert [part.rows for part in spread(slices, 100)] == [100, 100, 100]


def test_bytes_are_counted_of_the_columns_and_row_groups_that_are_read(opened):
    source = opened(("1.parquet", range(4000)), group=1000)
    every = stored_bytes(source.slices, ["n", "event_timestamp"])
    numbers_alone = stored_bytes(source.slices, ["n"])
    assert 4 * stored_bytes(source.slices[:1], ["n"]) == pytest.approx(numbers_alone, rel=0.1)
    assert stored_bytes(source.slices * 2, ["n"]) == numbers_alone < every
