"""Rows are counted in one pass, and some of them are brought to say what all would cost."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.warehouse import foretell
from deepfeast.transforms.warehouse import postgres as dialect
from deepfeast.transforms.warehouse.catalog import looking
from deepfeast.transforms.warehouse.foretell import Rows, Sample, count, sample
from deepfeast.transforms.warehouse.open import open_warehouse
from deepfeast.transforms.warehouse.pull import Asked

START = datetime(2024, 3, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def warehouse(make_store, postgres):
    store = make_store(offline_store={"type": STORE, "warehouse": postgres.block})
    return open_warehouse(store.config)


@pytest.fixture
def asked(postgres):
    """Three rows of 2024, one of an hour ago, one of tomorrow, and one of no time."""
    postgres.run(
        "CREATE TABLE ticks (id text, at timestamptz, n numeric)",
        "INSERT INTO ticks SELECT 'a', '2024-03-01Z'::timestamptz + n * interval '1 day', n "
        "FROM generate_series(0, 2) n",
        "INSERT INTO ticks VALUES ('a', now() - interval '1 hour', 3.5)",
        "INSERT INTO ticks VALUES ('a', now() + interval '1 day', 1), ('a', NULL, 1e400)",
    )
    return Asked(postgres.source("ticks", "at"), ("id",), ("n",), "at")


def counted(warehouse, asked, **options):
    with looking(warehouse) as connection:
        return count(connection, asked, options.pop("ttl", None), **options)


def test_rows_with_a_time_are_counted_those_of_the_ttl_apart(warehouse, asked):
    found = counted(warehouse, asked, ttl=DAY)
    assert (found.all, found.recent) == (5, 1)
    assert counted(warehouse, asked).recent == 4  # of any age, but not of the future
    assert found.first == START
    assert found.seconds > 0


def test_a_number_beyond_a_double_is_found(warehouse, asked, postgres):
    postgres.run("INSERT INTO ticks VALUES ('b', now(), 'NaN')")
    assert counted(warehouse, asked, unbounded=["n"]).beyond == ()  # 1e400 has no time
    postgres.run("INSERT INTO ticks VALUES ('b', now(), -1e309)")
    assert counted(warehouse, asked, unbounded=["n"]).beyond == ("n",)


def test_what_takes_too_long_is_guessed(warehouse, asked, postgres):
    slow = "(SELECT id, at, n, pg_sleep(0.2) FROM ticks)"
    query = type(asked.source)(name="slow", query=slow[1:-1], timestamp_field="at")
    asked = Asked(query, ("id",), ("n",), "at")
    postgres.run("ANALYZE ticks")
    with looking(warehouse) as connection:
        connection.execute("SET statement_timeout = '50ms'")
        found = count(connection, asked, DAY)
    assert found == Rows(all=found.all, recent=found.recent)
    assert 1 <= found.all <= 6


@pytest.mark.parametrize("way", ["driver", "feast"])
def test_a_sample_comes_as_all_rows_would(warehouse, asked, postgres, monkeypatch, way):
    if way == "feast":
        monkeypatch.setattr(dialect, "streams", lambda: False)
    elif not dialect.streams():
        pytest.skip("adbc-driver-postgresql is not installed")
    monkeypatch.setattr(foretell, "SAMPLE", 4)
    found = sample(warehouse, asked, {"n": pa.float64()}, "view 'v'")
    assert found.rows == 4
    assert found.bytes > 4 * 10
    postgres.run("ALTER TABLE ticks ALTER n TYPE text USING 'many'")
    with pytest.raises(SourceError, match=r"view 'v': the column 'n' comes as .* to be double"):
        sample(warehouse, asked, {"n": pa.float64()}, "view 'v'")


def test_no_rows_cost_nothing():
    assert Sample(0, 0, 0.5).all(0) == (0, 0)
