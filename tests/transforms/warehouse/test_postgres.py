"""PostgreSQL in its own words: a read-only stream, hours, windows, and what goes wrong."""

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import psycopg
import pytest

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import SourceError, SourceNotFound
from deepfeast.transforms.warehouse import postgres as dialect
from deepfeast.transforms.warehouse.open import open_warehouse

START = datetime(2024, 5, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
needs_driver = pytest.mark.skipif(
    not dialect.streams(), reason="adbc-driver-postgresql is not installed"
)


@pytest.fixture
def warehouse(make_store, postgres):
    store = make_store(offline_store={"type": STORE, "warehouse": postgres.block})
    return open_warehouse(store.config)


@needs_driver
def test_a_stream_reads_in_utc_and_can_write_nothing(warehouse, postgres):
    postgres.run("CREATE TABLE t (at timestamptz)", "INSERT INTO t VALUES ('2024-05-01 12:00Z')")
    (batch,) = dialect.stream(warehouse, "SELECT at, at::timestamp AS bare FROM t")
    bare = START + 12 * HOUR
    assert batch.to_pylist() == [{"at": bare, "bare": bare.replace(tzinfo=None)}]
    with (
        pytest.raises(SourceError, match=r"what: .*read-only"),
        dialect.reaching(warehouse, "what"),
    ):
        list(
            dialect.stream(warehouse, "WITH gone AS (DELETE FROM t RETURNING 1) SELECT * FROM gone")
        )


@needs_driver
def test_a_server_that_stops_in_the_middle_is_an_error(warehouse, postgres):
    sql = "SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 500000) n"

    def read():
        with dialect.reaching(warehouse, "view 'v'"):
            for number, _ in enumerate(dialect.stream(warehouse, sql)):
                if number == 0:
                    postgres.run(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE query LIKE '%generate_series(1, 500000)%' "
                        "AND pid <> pg_backend_pid()"
                    )

    with pytest.raises(SourceNotFound, match=r"view 'v': PostgreSQL at .* or stopped to"):
        read()


def test_rows_are_counted_by_the_hour_those_without_a_time_are_of_none(warehouse, postgres):
    postgres.run(
        "CREATE TABLE t (at timestamptz)",
        "INSERT INTO t VALUES ('2024-05-01 00:10Z'), ('2024-05-01 00:50Z'), (NULL)",
        "INSERT INTO t VALUES ('2024-05-01 02:30Z')",
    )
    found = dialect.rows_by_hour(warehouse, postgres.source("t"), "at")
    assert found == [(START + HOUR / 6, 2), (START + 2.5 * HOUR, 1)]
    assert dialect.rows_by_hour(warehouse, postgres.source("t"), "at", "at > '2024-05-02Z'") == []


@pytest.mark.parametrize("most", [1, 5, 7, 100])
def test_windows_cover_all_of_time_once_and_hold_few_rows(most):
    hours = [(START + number * HOUR, 1 + number % 5) for number in range(20)]
    cut = dialect.windows(hours, most)
    assert cut[0][0] is None
    assert cut[-1][1] is None
    assert all(one[1] == other[0] for one, other in pairwise(cut))
    for start, end in cut:
        inside = [
            rows
            for first, rows in hours
            if (start is None or first >= start) and (end is None or first < end)
        ]
        assert sum(inside) <= most or len(inside) == 1


def test_no_rows_make_one_window():
    assert dialect.windows([], 5) == [(None, None)]


def test_a_wrong_password_is_told_without_it(warehouse, postgres, monkeypatch):
    # The server of the tests trusts everybody: what it would say is said in its stead.
    warehouse.config.offline_store.password = "hush-hush"
    said = 'FATAL: password authentication failed for user "feast" (hush-hush)'
    with (
        pytest.raises(SourceNotFound, match=r"refuses user 'feast'.*Mend user and pass") as error,
        dialect.reaching(warehouse, "source 't'"),
    ):
        raise psycopg.OperationalError(said)
    assert "hush-hush" not in str(error.value)


def test_times_without_zone_are_named_where_the_server_is_not_in_utc(warehouse, postgres):
    postgres.run('CREATE TABLE t (at timestamptz, "Bare" timestamp, day date)')
    source = postgres.source("t", "at")
    assert dialect.bare_times(warehouse, source, ["at", "Bare", "day"]) == ["Bare", "day"]
    user = postgres.strict_user("word")
    warehouse.config.offline_store.user = user
    warehouse.config.offline_store.password = "word"
    for zone, found in (("Europe/London", ["Bare"]), ("Etc/UTC", []), ("Africa/Abidjan", [])):
        postgres.run(f"ALTER ROLE {user} SET timezone = '{zone}'")
        assert dialect.bare_times(warehouse, source, ["at", "Bare"]) == found


def test_a_source_gets_zones_where_it_has_none_and_keeps_its_names(warehouse, postgres):
    postgres.run('CREATE TABLE t (id int, at timestamptz, "Bare" timestamp)')
    postgres.run("INSERT INTO t VALUES (1, '2024-05-01 12:00Z', '2024-05-01 12:00')")
    source = postgres.source("t", "at", created_timestamp_column="Bare", field_mapping={"id": "n"})
    assert dialect.with_zones(warehouse, source, ["id"], ["at"]) is source
    made = dialect.with_zones(warehouse, source, ["id"], ["at", "Bare"])
    assert (made.timestamp_field, made.created_timestamp_column) == ("at", "Bare")
    assert made.field_mapping == {"id": "n"}
    noon = START + 12 * HOUR
    assert postgres.run(f"SELECT * FROM {dialect.rows_of(made)}") == [(1, noon, noon)]
