"""What is written to PostgreSQL is what Feast would write, and only under the seal of its run."""

import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.errors import RunInProgress, SourceNotFound
from deepfeast.transforms.online import postgres as module
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.postgres import PostgresTable
from deepfeast.transforms.online.protos import to_values
from deepfeast.transforms.online.seal import Seal
from deepfeast.transforms.online.table import OnlineRows

pytest.importorskip("psycopg")
pytestmark = pytest.mark.parametrize("online_store", ["postgres"], indirect=True)

AT = datetime(2024, 1, 1, tzinfo=timezone.utc)
SEAL = Seal({}, 1, 0, 0, {})


def write(table, *ids, epoch=None, at=AT):
    values = {"size": [b"\x20\x05"] * len(ids), "vec": [b""] * len(ids)}
    return table.write_newer(OnlineRows([(name,) for name in ids], [at] * len(ids), values), epoch)


def pool(store, size=4):
    """Let Feast's store open some connections instead of one."""
    settings = store.config.online_store
    settings.conn_type, settings.max_conn = type(settings.conn_type)("pool"), size


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_the_rows_are_those_that_feast_writes_and_each_reads_the_other(store, table, zone):
    import pandas as pd

    with store.provider.online_store._get_conn(store.config) as connection:
        connection.execute(f"SET TIME ZONE '{zone}'")
        connection.commit()

    def stored():
        with store.provider.online_store._get_conn(store.config) as connection:
            query = "SELECT * FROM shop_shops ORDER BY entity_key, feature_name"
            found = connection.execute(query).fetchall()
            connection.execute("DELETE FROM shop_shops")
            connection.commit()
            return found

    def asked():
        features = ["shops:size", "shops:vec"]
        answer = store.get_online_features(features, [{"shop_id": "b"}, {"shop_id": "a"}]).to_dict()
        return answer["size"], answer["vec"]

    kinds = {field.name: field.dtype.to_value_type() for field in table.view.features}
    columns = {"size": pa.array([None, 10]), "vec": pa.array([[1.0, 2.0], None], VECTOR_TYPE)}
    values: dict[str, list[bytes | None]] = {
        name: [*to_values(column, kinds[name])] for name, column in columns.items()
    }
    at = datetime(2024, 7, 1, 12, 30, 15, 123456, timezone.utc)
    rows = OnlineRows([("b",), ("a",)], [at, at], values)
    assert table.write_newer(rows) == 2
    found = table.read([("a",), ("b",)], ["size", "vec"])
    by_us, ours = asked(), stored()
    frame = {"shop_id": ["b", "a"], "at": [at, at], "vec": [[1.0, 2.0], None]}
    frame["size"] = pd.array([None, 10], "Int64")
    store.write_to_online_store("shops", pd.DataFrame(frame))
    assert asked() == by_us == ([None, 10], [[1.0, 2.0], None])
    assert table.read([("a",), ("b",)], ["size", "vec"]) == found
    assert found.times == [at, at]
    assert stored() == ours
    assert len(ours) == 4


def test_what_a_view_had_once_is_not_read_and_its_time_does_not_count(store, table):
    write(table, "a", "b")
    expected = table.read([("a",), ("nobody",), ("b",)], ["size", "vec"])
    with store.provider.online_store._get_conn(store.config) as connection:
        connection.execute(
            "INSERT INTO shop_shops (entity_key, feature_name, value, event_ts) "
            "SELECT entity_key, 'colour', value, event_ts - interval '1 year' FROM shop_shops "
            "WHERE feature_name = 'size'"
        )
        connection.commit()
    assert expected.times == [AT, None, AT]
    for _ in range(2):
        assert table.read([("a",), ("nobody",), ("b",)], ["size", "vec"]) == expected
    assert table.read([("a",)], ["size"]).values == {"size": [b"\x20\x05"]}
    assert table.read([("a",)], ["size"]).times == [AT]


def test_the_oldest_of_a_rows_values_speaks_for_it(store, table):
    write(table, "a")
    later = OnlineRows([("a",)], [AT + timedelta(days=1)], {"size": [b"\x20\x06"]})
    table.write_newer(later)
    found = table.read([("a",)], ["size", "vec"])
    assert (found.values["size"], found.times) == ([b"\x20\x06"], [AT])
    assert table.read([("a",)], ["size"]).times == [AT + timedelta(days=1)]


def test_of_one_batch_what_is_not_older_is_written(table):
    write(table, "a", at=AT + timedelta(days=2))
    write(table, "b")
    assert write(table, "c", "b", "a", at=AT + timedelta(days=1)) == 2
    days = [time - AT for time in table.read([("a",), ("b",), ("c",)], ["size"]).times]
    assert days == [timedelta(days=2), timedelta(days=1), timedelta(days=1)]


def test_a_table_with_columns_of_a_search_is_written_by_feast(store, table):
    store.config.online_store.db_schema = "public"
    with store.provider.online_store._get_conn(store.config) as connection:
        connection.execute("ALTER TABLE shop_shops ADD COLUMN value_num double precision")
        connection.commit()
        assert write(table, "a") == 1
        numbers = connection.execute("SELECT value_num FROM shop_shops").fetchall()
        connection.commit()
    assert (5.0,) in numbers


def test_who_begins_anew_waits_for_rows_on_their_way_and_removes_them(
    store, table, postgres, monkeypatch
):
    pool(store)
    table.begin(SEAL)
    check, new = module.check_epoch, SEAL.renewed()
    beginner = threading.Thread(target=table.begin, args=[new])

    def overtaken(*arguments):
        check(*arguments)
        beginner.start()
        for _ in range(1000):
            if postgres.run("SELECT 1 FROM pg_locks WHERE mode = 'ExclusiveLock' AND NOT granted"):
                break
            time.sleep(0.005)

    with monkeypatch.context() as patched:
        patched.setattr(module, "check_epoch", overtaken)
        assert write(table, "a", epoch=SEAL.epoch) == 1
    beginner.join()
    assert list(table.keys()) == []
    assert table.seal() == new.broken()


def test_a_refused_write_gives_its_connection_back(store, table):
    pool(store, 1)
    table.begin(SEAL)
    for _ in range(3):
        with pytest.raises(RunInProgress):
            write(table, "a", epoch="another")
    assert write(table, "a", epoch=SEAL.epoch) == 1


@pytest.mark.parametrize("connections", ["singleton", "pool"])
def test_rows_are_listed_removed_and_written_again(store, connections):
    settings = store.config.online_store
    settings.conn_type = type(settings.conn_type)(connections)
    view = store.get_feature_view("shops")
    table = online_table(store.provider.online_store, store.config, view)
    assert type(table) is PostgresTable
    assert write(table, "a", "b") == 2
    assert sorted(*table.keys()) == [("a",), ("b",)]
    table.begin(SEAL)
    assert list(table.keys()) == []
    rows = table.read_sealed([("a",)], ["size"])
    assert (rows.times, rows.values, rows.seals) == (
        [None],
        {"size": [None]},
        (SEAL.broken().to_bytes(),),
    )
    assert write(table, "c") == 1
    assert sorted(*table.keys()) == [("c",)]


def test_a_transaction_that_fails_leaves_all_rows(store, table):
    write(table, "a")
    unwritable: Any = object()
    with pytest.raises(TypeError):
        table.begin(Seal({"vec": unwritable}, 1, 0, 0, {}))
    assert sorted(*table.keys()) == [("a",)]
    assert write(table, "b") == 1


@pytest.mark.parametrize("connections", ["singleton", "pool"])
def test_a_server_that_was_started_anew_is_asked_again(store, table, postgres, connections):
    """What the server ends is what a restart ends: all connections."""
    if connections == "pool":
        pool(store, 1)
    write(table, "a")
    for _ in range(2):
        postgres.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        assert table.read([("a",)], ["size"]).times == [AT]
        assert write(table, "a") == 1


@pytest.mark.parametrize("connections", ["singleton", "pool"])
def test_a_server_that_stops_in_the_middle_is_an_error_and_then_forgotten(
    store, table, postgres, connections
):
    if connections == "pool":
        pool(store, 1)
    write(table, "a")

    def read_on():
        with table._connection(autocommit=True) as connection:
            (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
            postgres.run(f"SELECT pg_terminate_backend({pid}, 5000)")
            connection.execute("SELECT 1")

    with pytest.raises(SourceNotFound, match=r"view 'shops': .* stopped to .*administrator"):
        read_on()
    assert table.read([("a",)], ["size"]).times == [AT]


def test_a_server_that_is_down_is_named_and_no_password_is(store, table):
    write(table, "a")
    settings, own = store.config.online_store, store.provider.online_store
    own._conn.close()
    port, settings.port, settings.password = settings.port, 1, "hush-hush"
    with pytest.raises(SourceNotFound, match=r"PostgreSQL at 127.0.0.1:1, does not") as failed:
        table.read([("a",)], ["size"])
    assert "hush" not in str(failed.value)
    settings.port, settings.password = port, ""
    assert table.read([("a",)], ["size"]).times == [AT]


def test_a_text_with_a_nul_is_kept_as_it_is(make_store, online_store, tmp_path):
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import String

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="file", path=str(tmp_path / "x.parquet"), timestamp_field="at")
    fields = [Field(name="name", dtype=String)]
    view = FeatureView(name="names", entities=[shop], schema=fields, source=source)
    pq.write_table(pa.table({"shop_id": ["a"], "at": [AT], "name": ["x"]}), tmp_path / "x.parquet")
    store = make_store(shop, source, view, online_store=online_store)
    table = online_table(store.provider.online_store, store.config, view)
    values = {"name": [*to_values(pa.array(["one\0two"]), ValueType.STRING)]}
    assert table.write_newer(OnlineRows([("a",)], [AT], values)) == 1
    answer = store.get_online_features(["names:name"], [{"shop_id": "a"}]).to_dict()
    store.teardown()
    assert answer["name"] == ["one\0two"]
