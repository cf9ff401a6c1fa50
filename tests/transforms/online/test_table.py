"""One rule for every online store: a row is written unless the store holds a later one.

SQLite always; Redis and PostgreSQL as real servers on a free port of this machine.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms import feast_api
from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.lookup import OnlineFeatures
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.protos import to_scalars
from deepfeast.transforms.online.table import OnlineRows

ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine"}
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(port, process):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "the server ended at once"
        time.sleep(0.05)
    raise AssertionError("the server did not answer within 10 seconds")


@pytest.fixture(scope="session")
def redis_port():
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen([*command, "--dir", tempfile.gettempdir()], stdout=subprocess.DEVNULL)
    wait_for(port, server)
    yield port
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def postgres_port():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(found[-1]) if found else None)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="deepfeast-pg-"))
    as_user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    options = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, **as_user}
    subprocess.run(
        [initdb, "-D", folder / "db", "-U", "feast", "-A", "trust", "--no-sync"], **options
    )
    port = free_port()
    postgres = str(Path(initdb).with_name("postgres"))
    command = [postgres, "-D", folder / "db", "-p", str(port), "-k", folder, "-c", "fsync=off"]
    # A session that is not in UTC: Feast's store mixes up the zone, we must not.
    server = subprocess.Popen(
        [*command, "-c", "timezone=America/New_York", "-h", "127.0.0.1"],
        cwd=folder,
        stderr=subprocess.DEVNULL,
        **as_user,
    )
    wait_for(port, server)
    yield port
    server.send_signal(signal.SIGINT)  # does not wait for open connections, as SIGTERM would
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def online_store(request, tmp_path):
    if request.param == "redis":
        port = request.getfixturevalue("redis_port")
        return {"type": "redis", "connection_string": f"127.0.0.1:{port},db=0"}
    if request.param == "postgres":
        port = request.getfixturevalue("postgres_port")
        return {
            "type": "postgres",
            "host": "127.0.0.1",
            "port": port,
            "database": "postgres",
            "user": "feast",
            "password": "",
            "sslmode": "disable",
        }
    return {"type": "sqlite", "path": str(tmp_path / "online.db")}


@pytest.fixture
def store(make_store, online_store, tmp_path):
    """A repo with one view, shops: size and vec, valid for ten days."""
    from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Float32, Int64

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="file", path=str(tmp_path / "shops.parquet"), timestamp_field="at")
    fields = [
        Field(name="size", dtype=Int64),
        Field(name="vec", dtype=Array(Float32), vector_length=2),
    ]
    shops = FeatureView(name="shops", entities=[shop], schema=fields, source=source, ttl=10 * DAY)
    model = FeatureService(name="model", features=[shops])
    made = make_store(
        shop,
        source,
        shops,
        model,
        offline_store={"type": "file"},
        online_store=online_store,
        batch_engine=ENGINE,
    )
    yield made
    made.teardown()


def write(store, *rows):
    """Replace the source by rows of (shop_id, day, size, vec)."""
    ids, days, sizes, vectors = zip(*rows, strict=True)
    times = pa.array([START + day * DAY for day in days], pa.timestamp("us", "UTC"))
    columns = {
        "shop_id": list(ids),
        "at": times,
        "size": pa.array(sizes, pa.int64()),
        "vec": pa.array(vectors, VECTOR_TYPE),
    }
    pq.write_table(pa.table(columns), store.get_data_source("file").path)


def look(store, *ids, day=5):
    frame, statuses = OnlineFeatures(store, "model").frame(
        [{"shop_id": name} for name in ids], statuses=True, now=START + day * DAY
    )
    return frame, statuses["vec"].tolist()


def test_what_is_materialized_is_looked_up(store):
    write(store, ("a", 1, 10, [1.0, 2.0]), ("a", 2, 20, [3.0, 4.0]), ("b", 1, 7, None))
    store.materialize(START, START + 5 * DAY)
    frame, statuses = look(store, "b", "a", "nobody", "a")
    assert list(frame.columns) == ["size", "vec_000", "vec_001"]
    assert frame["size"].tolist()[:2] == [7, 20]
    assert frame["size"].isna().tolist() == [False, False, True, False]
    assert frame["vec_001"].tolist()[1::2] == [4.0, 4.0]
    assert frame["vec_000"].isna().tolist() == [True, False, True, False]
    assert statuses == ["null", "present", "missing", "present"]


def test_feast_itself_reads_the_same(store):
    write(store, ("a", 1, 10, [1.0, 2.0]))
    store.materialize(START, START + 5 * DAY)
    answer = store.get_online_features(["shops:size", "shops:vec"], [{"shop_id": "a"}]).to_dict()
    assert (answer["size"], answer["vec"]) == ([10], [[1.0, 2.0]])


def test_a_value_older_than_its_ttl_is_not_served(store):
    write(store, ("old", 1, 10, [1.0, 2.0]), ("edge", 5, 50, [5.0, 5.0]))
    store.materialize(START, START + 5 * DAY)
    frame, statuses = look(store, "old", "edge", day=15)
    assert statuses == ["expired", "present"]
    assert frame["vec_000"].isna().tolist() == [True, False]


def test_nothing_older_overwrites(store):
    write(store, ("a", 3, 30, [3.0, 3.0]))
    store.materialize(START, START + 5 * DAY)
    write(store, ("a", 1, 10, [1.0, 1.0]), ("b", 1, 11, [1.0, 1.0]))
    store.materialize(START, START + 5 * DAY)
    assert look(store, "a", "b")[0]["size"].tolist() == [30, 11]


def test_a_vector_computed_again_for_the_same_event_arrives(store):
    write(store, ("a", 1, 10, [1.0, 1.0]))
    store.materialize(START, START + 5 * DAY)
    write(store, ("a", 1, 10, [9.0, 9.0]))
    store.materialize(START, START + 5 * DAY)
    assert look(store, "a")[0]["vec_000"].tolist() == [9.0]


def test_times_and_values_come_back_as_written(store):
    view = store.get_feature_view("shops")
    table = online_table(store.provider.online_store, store.config, view)
    at = datetime(2024, 7, 1, 12, 30, 15, tzinfo=timezone.utc)
    rows = OnlineRows([("a",)], [at], {"size": [b"\x20\x05"], "vec": [b""]})
    assert table.write_newer(rows) == 1
    found = table.read([("a",), ("b",)], ["size"])
    assert found.times == [at, None]
    kind = view.features[0].dtype.to_value_type()
    assert to_scalars(found.values["size"], kind) == [5, None]
    older = OnlineRows([("a",)], [at - DAY], {"size": [b"\x20\x07"], "vec": [b""]})
    assert table.write_newer(older) == 0
    np.testing.assert_equal(to_scalars(table.read([("a",)], ["size"]).values["size"], kind), [5])


@pytest.mark.parametrize("online_store", ["sqlite", "redis"], indirect=True)
def test_where_feast_moved_a_name_its_interface_gives_the_same_with_one_warning(
    store, monkeypatch, recwarn
):
    write(store, ("a", 1, 10, [1.0, 2.0]), ("b", 2, 20, [3.0, 4.0]))
    store.materialize(START, START + 5 * DAY)
    in_its_own_words = look(store, "a", "b", "c")[0]
    online, view = store.provider.online_store, store.get_feature_view("shops")
    assert type(online_table(online, store.config, view)).__name__ in ("SqliteTable", "RedisTable")
    module = type(online).__module__
    moved = feast_api.Name(f"{module}:_moved", "0.99", feast_api.SLOWER)
    monkeypatch.setattr(feast_api, "NAMES", (*feast_api.NAMES, moved))
    monkeypatch.setattr(feast_api, "_warned", set())
    recwarn.clear()
    assert look(store, "a", "b", "c")[0].equals(in_its_own_words)
    assert type(online_table(online, store.config, view)).__name__ == "OnlineTable"
    (told,) = [str(w.message) for w in recwarn if "_moved" in str(w.message)]
    assert f"this Feast has no {module}:_moved" in told


@pytest.mark.parametrize("online_store", ["redis"], indirect=True)
def test_a_lost_connection_is_opened_again(store):
    write(store, ("a", 1, 10, [1.0, 1.0]))
    store.materialize(START, START + 5 * DAY)
    online = OnlineFeatures(store, "model")
    now = START + DAY
    assert online.frame([{"shop_id": "a"}], now=now)["size"].tolist() == [10]
    address = store.config.online_store.connection_string.split(",")[0]
    pytest.importorskip("redis").from_url(f"redis://{address}").client_kill_filter(_type="normal")
    assert online.frame([{"shop_id": "a"}], now=now)["size"].tolist() == [10]
