"""A small repo over a real online store of each kind, started on a free port of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.lookup import OnlineFeatures
from deepfeast.transforms.online.open import online_table

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
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    options: dict[str, Any] = {
        "cwd": folder,
        "check": True,
        "stdout": subprocess.DEVNULL,
        **as_user,
    }
    subprocess.run(
        [initdb, "-D", str(folder / "db"), "-U", "feast", "-A", "trust", "--no-sync"], **options
    )
    port = free_port()
    postgres = str(Path(initdb).with_name("postgres"))
    command = [postgres, "-D", str(folder / "db"), "-p", str(port), "-k", str(folder)]
    command += ["-c", "fsync=off"]
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


@pytest.fixture
def write(store):
    """To replace the source by rows of (shop_id, day, size, vec)."""

    def write(*rows):
        ids, days, sizes, vectors = zip(*rows, strict=True)
        times = pa.array([START + day * DAY for day in days], pa.timestamp("us", "UTC"))
        columns = {
            "shop_id": list(ids),
            "at": times,
            "size": pa.array(sizes, pa.int64()),
            "vec": pa.array(vectors, VECTOR_TYPE),
        }
        pq.write_table(pa.table(columns), store.get_data_source("file").path)

    return write


@pytest.fixture
def look(store):
    """To look shops up on some day: their frame, and the statuses of their vectors."""

    def look(*ids, day=5):
        frame, statuses = OnlineFeatures(store, "model").frame(
            [{"shop_id": name} for name in ids], statuses=True, now=START + day * DAY
        )
        return frame, statuses["vec"].tolist()

    return look


@pytest.fixture
def table(store):
    """The view, in the store's own words."""
    view = store.get_feature_view("shops")
    return online_table(store.provider.online_store, store.config, view)
