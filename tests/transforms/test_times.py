"""Whatever says a time means the same moment, to the nanosecond, in UTC."""

from datetime import date, datetime, timedelta, timezone

import pandas as pd
import pyarrow as pa
import pytest

from deepfeast.transforms.errors import JoinError, SourceError
from deepfeast.transforms.times import NEVER, event_times, instant, nanoseconds, utc, utc_times

SECOND = 10**9


def test_times_of_any_unit_and_zone_become_nanoseconds():
    moment = datetime(2024, 3, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    expected = 1709276400 * SECOND
    for unit in ("s", "ms", "us", "ns"):
        for zone in ("UTC", "Asia/Karachi"):
            column = pa.array([moment, None], pa.timestamp(unit, zone))
            assert nanoseconds(column).tolist() == [expected, NEVER]
    assert instant(moment) == expected
    assert instant(datetime(2024, 3, 1, 7)) == expected
    assert nanoseconds(pa.array([19783], pa.date32())).tolist() == [19783 * 86400 * SECOND]


def test_the_end_of_time_stays_in_the_future():
    column = pa.array([datetime(9999, 12, 31)], pa.timestamp("us"))
    assert nanoseconds(column)[0] > instant(datetime(2262, 1, 1))


def test_what_is_no_time_is_refused():
    with pytest.raises(JoinError, match="expected a column of timestamps, got int64"):
        nanoseconds(pa.array([1]))


def test_nanoseconds_are_kept_and_text_is_iso_8601():
    ticks = pa.array([1, 2, None], pa.timestamp("ns", "UTC"))
    assert nanoseconds(ticks).tolist() == [1, 2, NEVER]
    text = pa.array(["1970-01-01T00:00:01", "1970-01-01T01:00:01+01:00", "1970-01-02", None])
    assert nanoseconds(text).tolist() == [SECOND, SECOND, 86400 * SECOND, NEVER]
    for kind in (pa.large_string(), pa.string_view()):
        assert nanoseconds(text.cast(kind)).tolist() == nanoseconds(text).tolist()
    with pytest.raises(JoinError, match="expected times, as ISO 8601 text"):
        nanoseconds(pa.array(["yesterday"]))


def test_every_kind_of_time_becomes_utc_microseconds():
    noon = datetime(2024, 5, 1, 12)
    east = datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    columns = [
        pa.array([noon, None], pa.timestamp("s")),
        pa.array([east, None], pa.timestamp("ns", "Europe/Berlin")),
        pa.array(["2024-05-01T12:00:00Z", None]),
        pa.array(["2024-05-01T14:00+02:00", None]),
    ]
    for column in columns:
        found = utc(column, "at", "the shops")
        assert found.type == pa.timestamp("us", "UTC")
        assert found.to_pylist() == [noon.replace(tzinfo=timezone.utc), None]
    midnight = utc(pa.array([date(2024, 5, 1)]), "at", "the shops")
    assert midnight.to_pylist() == [datetime(2024, 5, 1, tzinfo=timezone.utc)]


@pytest.mark.parametrize("wrong", [pa.array([1714564800]), pa.array(["soon"]), pa.array([True])])
def test_what_is_not_readable_is_named_with_its_column_and_place(wrong):
    with pytest.raises(SourceError, match=r"'at' of the shops is not readable .*Expected timest"):
        utc(wrong, "at", "the shops")


def test_a_row_without_an_event_time_is_a_reject_with_its_number():
    column = pa.array(["2024-05-01", None, "soon"])
    times, rejects = event_times(column, "at", "raw.csv", first=10)
    assert [time is None for time in times.to_pylist()] == [False, True, True]
    assert {row: reject.reason for row, reject in rejects.items()} == {
        1: "time_missing",
        2: "time_unreadable",
    }
    assert "row 11 of raw.csv" in rejects[1].message
    assert event_times(pa.nulls(2), "at", "raw.csv")[1].keys() == {0, 1}
    with pytest.raises(SourceError, match=r"'at' of raw\.csv is not readable as time"):
        event_times(pa.array([1714564800]), "at", "raw.csv")


def test_times_of_labels_are_utc_and_never_bare_numbers():
    noon = pd.Timestamp("2024-05-01 12:00", tz="UTC")
    naive, east = noon.tz_localize(None), noon.tz_convert("Asia/Tokyo")
    for given in (naive, east, "2024-05-01 12:00", "2024-05-01T14:00+02:00"):
        assert utc_times(pd.Series([given]), "at")[0] == noon
    with pytest.raises(JoinError, match="could be seconds or milliseconds"):
        utc_times(pd.Series([1714564800]), "at")
    with pytest.raises(JoinError, match="at cannot be read as times"):
        utc_times(pd.Series(["soon"]), "at")
