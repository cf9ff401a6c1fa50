"""Rows brought here: all of a span, once, whatever brings them."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.warehouse import postgres as dialect
from deepfeast.transforms.warehouse import pull
from deepfeast.transforms.warehouse.open import open_warehouse
from deepfeast.transforms.warehouse.pull import Asked, count_rows, pull_table, write_rows

DAY = timedelta(days=1)
START = datetime(2024, 3, 1, tzinfo=timezone.utc)


@pytest.fixture(params=["adbc", "windows", "at once"])
def warehouse(request, make_store, postgres, monkeypatch):
    """By the driver, by Feast's store in windows of time, and as any other warehouse is read."""
    if request.param == "adbc" and not dialect.streams():
        pytest.skip("adbc-driver-postgresql is not installed")
    if request.param == "windows":
        monkeypatch.setattr(dialect, "streams", lambda: False)
        monkeypatch.setattr(pull, "WINDOW_ROWS", 50)
    if request.param == "at once":
        monkeypatch.setattr(dialect, "speaks", lambda warehouse: False)
    store = make_store(offline_store={"type": STORE, "warehouse": postgres.block})
    return open_warehouse(store.config)


@pytest.fixture
def ticks(postgres):
    """A row for each hour of March 2024, in which the clock of New York is put forward."""
    postgres.run(
        "CREATE TABLE ticks (at timestamptz, bare timestamp, n int, wide text)",
        "INSERT INTO ticks SELECT t, t AT TIME ZONE 'UTC', row_number() OVER (ORDER BY t), 'x' "
        "FROM generate_series('2024-03-01Z'::timestamptz, '2024-03-31Z', '1 hour') t",
    )
    return postgres.source("ticks", "at")


@pytest.mark.parametrize("time", ["at", "bare"])
def test_every_row_of_a_span_comes_once_and_only_the_columns_asked_for(warehouse, ticks, time):
    end = START + 20 * DAY
    asked = Asked(ticks, ("n",), (), time, start=START + 10 * DAY, end=end)
    table = pull_table(warehouse, asked, {"n": pa.int64()}, "v")
    found = pa.concat_tables(table.scan(["n", time]))
    assert found.schema.names == ["n", time]
    numbers = sorted(found["n"].to_pylist())
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    # All of the span; and no more than a day, and what the clock of New York is off, around it.
    assert 240 - 31 <= numbers[0] <= 241
    assert 481 <= numbers[-1] <= 481 + 31


def test_rows_are_counted_before_they_come(warehouse, ticks):
    asked = Asked(ticks, ("n",), (), "at", start=START, end=START)
    count = count_rows(warehouse, asked)
    assert count == (25 if dialect.speaks(warehouse) else None)


def test_no_rows_have_the_columns_as_declared(warehouse, ticks):
    asked = Asked(ticks, ("n",), ("wide",), "at", start=START - 9 * DAY, end=START - 9 * DAY)
    table = pull_table(warehouse, asked, {"n": pa.int64(), "wide": pa.string()}, "v")
    assert len(table) == 0
    assert table.schema.field("n").type == pa.int64()


def test_what_was_pulled_goes_with_its_table(warehouse, ticks):
    table = pull_table(warehouse, Asked(ticks, ("n",), (), "at"), {}, "v")
    folder = Path(table.kept.name)
    assert folder.is_dir()
    del table
    assert not folder.exists()


def test_each_batch_is_written_as_it_comes_a_large_one_in_pieces(tmp_path):
    import pyarrow.parquet as pq

    batches = [pa.record_batch({"n": [*range(start, start + 5)]}) for start in (0, 5)]
    assert write_rows(iter(batches), tmp_path / "rows.parquet", {}, "source 's'", ["n"], 3) == 10
    with pq.ParquetFile(tmp_path / "rows.parquet") as file:
        groups = [file.read_row_group(at)["n"].to_pylist() for at in range(file.num_row_groups)]
    assert groups == [[0, 1, 2], [3, 4], [5, 6, 7], [8, 9]]
