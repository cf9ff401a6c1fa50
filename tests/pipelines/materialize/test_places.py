"""The latest row of each key, as places in the source."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.materialize.places import Reading, Span, find_latest
from deepfeast.transforms.errors import ColumnNotFound, SourceError
from deepfeast.transforms.files.columns import SourceColumns

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
COLUMNS = SourceColumns(keys={"id": "id"}, features={}, time="at", created="made")


def reading(tmp_path, rows, columns=COLUMNS, group=2):
    """Rows of (id, day of the event, day of creation), two to a row group."""
    ids, days, made = zip(*rows, strict=True)
    table = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "at": pa.array([START + day * DAY for day in days], pa.timestamp("us", "UTC")),
            "made": pa.array([START + day * DAY for day in made], pa.timestamp("ns")),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=group)
    return Reading.of_dataset(ds.dataset(tmp_path / "rows.parquet"), columns, "rows")


def latest(*arguments):
    return {place: rows.tolist() for place, rows in find_latest(*arguments).items()}


def test_the_later_event_wins_then_the_later_creation_then_the_later_row(tmp_path):
    rows = [("a", 1, 9), ("a", 2, 1), ("b", 1, 5), ("b", 1, 4), ("c", 1, 1), ("c", 1, 1)]
    assert latest(reading(tmp_path, rows), Span(START, START + 9 * DAY)) == {
        0: [1],
        1: [0],
        2: [1],
    }


def test_both_ends_of_the_span_count_and_null_keys_do_not(tmp_path):
    rows = [("a", 1, 0), ("b", 3, 0), ("c", 4, 0), (None, 2, 0), ("d", 0, 0)]
    assert latest(reading(tmp_path, rows), Span(START + DAY, START + 3 * DAY)) == {0: [0, 1]}


def test_news_are_rows_created_since_however_old_their_event(tmp_path):
    rows = [("a", 1, 1), ("b", 1, 6), ("c", 9, 6)]
    read = reading(tmp_path, rows)
    span = (START + 5 * DAY, START + 7 * DAY)
    assert latest(read, Span(*span)) == {}
    assert latest(read, Span(*span, news=True)) == {0: [1]}


def test_parts_share_the_keys_among_them(tmp_path):
    rows = [(f"k{number % 50}", number, 0) for number in range(200)]
    read = reading(tmp_path, rows, group=16)
    span = Span(START, START + 300 * DAY)
    found = [find_latest(read, span, part, 3) for part in range(3)]
    numbers = np.sort(
        np.concatenate([rows + 16 * place for part in found for place, rows in part.items()])
    )
    assert numbers.tolist() == list(range(150, 200))
    assert all(found)


def test_without_keys_the_whole_source_is_one_row(tmp_path):
    columns = SourceColumns(keys={}, features={}, time="at", created="")
    read = reading(tmp_path, [("a", 1, 0), ("b", 3, 0), ("c", 2, 0)], columns)
    assert latest(read, Span(START, START + 9 * DAY)) == {0: [1]}


def test_a_source_that_lacks_a_column_or_has_no_times(tmp_path):
    with pytest.raises(ColumnNotFound, match="Did you mean 'made'"):
        reading(tmp_path, [("a", 1, 0)], SourceColumns({}, {}, "at", "mode"))
    columns = SourceColumns(keys={}, features={}, time="id", created="")
    with pytest.raises(SourceError, match=r"'id' .* is not readable as time"):
        latest(reading(tmp_path, [("a", 1, 0)], columns), Span(START, START + DAY))
