"""The repo that the two online benchmarks share: 10 numbers and a vector of 384 a row.

Not a benchmark itself.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from feast import FeatureStore

DIM = 384
FLOATS = [f"x{number}" for number in range(5)]
INTS = [f"n{number}" for number in range(5)]
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
END = START + timedelta(days=30)
LIBRARIES = ("feast", "apache-beam", "pyarrow", "numpy", "redis")


def write_rows(path: Path, rows: int) -> None:
    """Write the source: one row an entity, in row groups of 10,000."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    vectors = pa.array(random.standard_normal(rows * DIM).astype(np.float32))
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * DIM)
    seconds = [START + timedelta(seconds=second) for second in range(rows)]
    table = pa.table(
        {
            "listing_id": [f"listing-{number}" for number in range(rows)],
            "event_timestamp": pa.array(seconds, pa.timestamp("us", "UTC")),
            **{name: random.random(rows) for name in FLOATS},
            **{name: random.integers(0, 1000, rows) for name in INTS},
            "vec": pa.ListArray.from_arrays(offsets, vectors),
        }
    )
    pq.write_table(table, path, row_group_size=10_000)


def make_store(
    folder: Path, source: Path, online_store: dict[str, Any], engine: dict[str, Any] | str
) -> FeatureStore:
    """Apply a repo of one view and one service, ``model``."""
    warnings.simplefilter("ignore")
    from feast import (
        Entity,
        FeatureService,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        RepoConfig,
        ValueType,
    )
    from feast.types import Array, Float32, Float64, Int64

    folder.mkdir(parents=True, exist_ok=True)
    listing = Entity(name="listing", join_keys=["listing_id"], value_type=ValueType.STRING)
    file = FileSource(name="rows", path=str(source), timestamp_field="event_timestamp")
    view = FeatureView(
        name="listings",
        entities=[listing],
        source=file,
        ttl=timedelta(days=36_500),
        schema=[
            *(Field(name=name, dtype=Float64) for name in FLOATS),
            *(Field(name=name, dtype=Int64) for name in INTS),
            Field(name="vec", dtype=Array(Float32), vector_length=DIM),
        ],
    )
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store=online_store,
            offline_store={"type": "file"},
            batch_engine=engine,
            entity_key_serialization_version=3,
            repo_path=folder,
        )
    )
    store.apply([listing, file, view, FeatureService(name="model", features=[view])])
    return store


@contextmanager
def redis_server() -> Iterator[str | None]:
    """Start a Redis server of our own on this machine; None where none is installed."""
    if not shutil.which("redis-server"):
        yield None
        return
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen([*command, "--dir", tempfile.gettempdir()], stdout=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port},db=0"
    finally:
        server.terminate()
        server.wait()


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    return {name: version(name) for name in LIBRARIES}
