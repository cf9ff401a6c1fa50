"""The latest row of each key in a span of event time: one rule, for the join and the online store.

The two searches that were before disagreed on times within a microsecond and on null created times.
"""

from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.files.table import open_table
from deepfeast.transforms.history import latest
from deepfeast.transforms.history.latest import Span, latest_rows, rows_between

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def write(tmp_path):
    """Rows of (id, day of the event, day of creation) as a table, two to a row group."""

    def write(*rows, group=2):
        ids, days, made = zip(*rows, strict=True)
        table = pa.table(
            {
                "id": pa.array(ids, pa.string()),
                "at": pa.array([day_of(day) for day in days], pa.timestamp("us", "UTC")),
                "made": pa.array([day_of(day) for day in made], pa.timestamp("us")),
            }
        )
        pq.write_table(table, tmp_path / "rows.parquet", row_group_size=group)
        return open_table(str(tmp_path / "rows.parquet"), name="the shops")

    return write


def day_of(day):
    return None if day is None else START + day * DAY


def latest_of(table, *arguments, **named):
    return latest_rows(table, ["id"], "at", "made", *arguments, **named).tolist()


def test_the_later_event_wins_then_the_later_creation_then_the_later_row(write):
    table = write(("a", 1, 9), ("a", 2, 1), ("b", 1, 5), ("b", 1, 4), ("c", 1, 1), ("c", 1, 1))
    assert latest_of(table) == [1, 2, 5]
    assert latest_rows(table, ["id"], "at", None).tolist() == [1, 3, 5]
    assert latest_rows(table, ["id", "made"], "at", "made").tolist() == [0, 1, 2, 3, 5]


def test_times_are_compared_to_the_nanosecond(tmp_path):
    """In microseconds these are ties, which went to the row written last."""
    times = pa.array([2001, 2000, 5001, 5000], pa.timestamp("ns", "UTC"))
    same = pa.array([7, 7, 7, 7], pa.timestamp("ns", "UTC"))
    ids = ["event", "event", "made", "made"]
    pq.write_table(pa.table({"id": ids, "at": times, "made": same}), tmp_path / "a.parquet")
    assert latest_of(open_table(str(tmp_path / "a.parquet"))) == [0, 2]
    pq.write_table(pa.table({"id": ids, "at": same, "made": times}), tmp_path / "b.parquet")
    assert latest_of(open_table(str(tmp_path / "b.parquet"))) == [0, 2]


def test_a_null_created_time_is_earlier_than_any(write):
    """Also than those before 1970, which null was taken for."""
    assert latest_of(write(("a", 1, -40_000), ("a", 1, None))) == [0]
    assert latest_of(write(("a", 1, None), ("a", 1, None))) == [1]


def test_both_ends_of_the_span_count_and_null_keys_and_times_do_not(write):
    table = write(("a", 1, 0), ("b", 3, 0), ("c", 4, 0), (None, 2, 0), ("d", 0, 0), ("e", None, 2))
    span = Span(START + DAY, START + 3 * DAY)
    assert latest_of(table, span) == [0, 1]
    assert rows_between(table, "at", span).tolist() == [0, 1, 3]
    assert rows_between(table, "at", Span()).tolist() == [0, 1, 2, 3, 4]
    assert rows_between(table, "at", Span(end=START + DAY)).tolist() == [0, 4]


def test_news_are_rows_created_since_however_old_their_event(write):
    table = write(("a", 1, 1), ("b", 1, 6), ("c", 9, 6), ("d", 1, None))
    span = (START + 5 * DAY, START + 7 * DAY)
    assert latest_of(table, Span(*span)) == []
    assert latest_of(table, Span(*span, news=span[0])) == [1]


def test_parts_share_the_keys_among_them(write):
    table = write(*[(f"k{number % 50}", number, 0) for number in range(200)], group=16)
    found = [latest_of(table, part=part, parts=3) for part in range(3)]
    assert all(found)
    assert sorted(row for rows in found for row in rows) == list(range(150, 200))


def test_without_keys_the_whole_table_is_one_entity(write):
    table = write(("a", 1, 0), ("b", 3, 0), (None, 2, 0))
    assert latest_rows(table, [], "at", None).tolist() == [1]
    assert latest_rows(table, [], "at", None, Span(end=START)).tolist() == []


def test_what_does_not_fit_into_memory_goes_through_the_disk(tmp_path, monkeypatch):
    """Two rows for each of 500,000 keys: more than 100 MB to sort, within 64."""
    monkeypatch.setattr(latest, "MEMORY_LIMIT", "64MB")
    monkeypatch.chdir(tmp_path)
    numbers = np.random.default_rng(0).permutation(1_000_000)
    keys = [f"a key of some length, {number:018d}" for number in numbers % 500_000]
    times = pa.array(numbers, pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"id": keys, "at": times}), tmp_path / "many.parquet")
    found = latest_rows(open_table(str(tmp_path / "many.parquet")), ["id"], "at", None)
    assert found.tolist() == np.flatnonzero(numbers >= 500_000).tolist()
    assert [file.name for file in tmp_path.iterdir()] == ["many.parquet"]


def test_a_column_that_holds_no_times_is_named(write):
    table = write(("a", 1, 0), ("b", 1, 0))
    with pytest.raises(SourceError, match=r"'id' of the shops is not readable as time"):
        latest_rows(table, ["id"], "id", None)
    with pytest.raises(SourceError, match=r"'id' of the shops is not readable as time"):
        rows_between(table, "id", Span())
