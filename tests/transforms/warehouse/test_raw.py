"""Raw rows brought to one file, and cut into slices."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import ColumnNotFound
from deepfeast.transforms.files.slices import read_slice
from deepfeast.transforms.warehouse import postgres as dialect
from deepfeast.transforms.warehouse.raw import Wanted, newest_time, read_raw

HOUR = timedelta(hours=1)
START = datetime(2024, 5, 1, tzinfo=timezone.utc)
KEYS = {"id": pa.string()}


@pytest.fixture(params=["driver", "windows", "any other"])
def way(request, monkeypatch):
    """By the driver, by Feast's store in windows of time, and as any other warehouse is read."""
    if request.param == "driver" and not dialect.streams():
        pytest.skip("adbc-driver-postgresql is not installed")
    if request.param == "windows":
        monkeypatch.setattr(dialect, "streams", lambda: False)
        monkeypatch.setattr("deepfeast.transforms.warehouse.pull.WINDOW_ROWS", 3)
    if request.param == "any other":
        monkeypatch.setattr(dialect, "speaks", lambda warehouse: False)
    return request.param


class Reader:
    """Reads a source of notes."""

    def __init__(self, config, source, folder):
        self.config, self.source, self.folder = config, source, folder

    def __call__(self, **wanted):
        return read_raw(self.config, self.source, KEYS, ["text"], self.folder, Wanted(**wanted))


@pytest.fixture
def read(make_store, postgres, tmp_path):
    """A table of 48 rows, an hour apart, of times without zone; and what reads it."""
    postgres.run(
        "CREATE TABLE notes (number int, at timestamp, written timestamp, body text)",
        "INSERT INTO notes SELECT n, t, t, 'note ' || n FROM generate_series(0, 47) n, "
        "LATERAL (SELECT '2024-05-01'::timestamp + n * interval '1 hour' AS t) times",
    )
    store = make_store(offline_store={"type": STORE, "warehouse": postgres.block})
    mapped = {"number": "id", "body": "text"}
    source = postgres.source(
        "notes", "at", created_timestamp_column="written", field_mapping=mapped
    )

    return Reader(store.config, source, tmp_path / "scratch")


def rows_of(raw):
    parts = (read_slice(part, ["id", "text", "at"]) for part in raw.source.slices)
    return sorted(
        (row["id"], row["text"]) for part in parts for _, b in part for row in b.to_pylist()
    )


def test_all_rows_come_once_under_the_names_of_the_views_and_keys_as_declared(read, way):
    raw = read()
    assert rows_of(raw) == sorted((str(n), f"note {n}") for n in range(48))
    assert raw.source.schema().names == ["id", "text", "at", "written"]
    assert raw.newest == int((START + 47 * HOUR).timestamp() * 1e6)
    assert raw.source.file(raw.source.slices[0]).endswith(".notes")


def test_newer_rows_alone_come_and_as_few_more_as_can_be(read, way):
    found = {int(number) for number, _ in rows_of(read(newer=START + 30 * HOUR))}
    assert set(range(30, 48)) <= found
    assert len(found) == {"driver": 18, "windows": 48 - 2, "any other": 48}[way]


def test_a_window_comes_whole(read, way):
    day = timedelta(days=1)
    found = {int(n) for n, _ in rows_of(read(since=START + 40 * HOUR, until=START + 2 * day))}
    assert set(range(40, 48)) <= found
    assert rows_of(read(since=START + 9 * day)) == []


def test_a_column_that_is_not_there_is_named_before_any_row_is_read(read, postgres):
    postgres.run("ALTER TABLE notes RENAME body TO content")
    with pytest.raises(ColumnNotFound, match=r"'body' in source 'notes' of the postgres.* content"):
        read()


def test_the_newest_time_is_asked_for_alone(read, postgres):
    assert newest_time(read.config, read.source) == START + 47 * HOUR
    postgres.run("DELETE FROM notes")
    assert newest_time(read.config, read.source) is None
