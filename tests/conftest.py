"""Fixtures that several test modules share."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of several processes that wait for each other on the same cores take a hundred times
    # as long; set before torch and XGBoost are there to read it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config):
    """Bring in the fixtures of modules beside this one, by path: tests are no package."""
    for name in ("browser", "buckets", "engines", "sparks"):
        path = ROOT / "tests" / f"{name}.py"
        found: Any = importlib.util.spec_from_file_location(f"fixtures_{name}", path)
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        config.pluginmanager.register(module)


def pytest_collection_modifyitems(items):
    """Begin with the files that take long, so that no worker is left alone with one at the end."""
    long = {ROOT / "tests" / "whole": 0, ROOT / "tests" / "training": 1}
    items.sort(key=lambda item: long.get(item.path.parent, 2))


@pytest.fixture(autouse=True)
def stays_here():
    """Feast goes to the folder of the repo that it applies; the next test begins here again."""
    here = Path.cwd()
    yield
    os.chdir(here)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real listings and an image network; tests that need it skip elsewhere."""
    folder = Path(os.environ.get("DEEPFEAST_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "listings").is_dir():
        pytest.skip(f"no shared data at {folder}: set DEEPFEAST_SHARED to its folder")
    return folder


@pytest.fixture
def make_store(tmp_path):
    """Apply Feast objects to a repo of their own and return its FeatureStore."""

    def make(*objects, offline_store=None, online_store=None, name="repo", **config):
        from feast import FeatureStore, RepoConfig

        folder = tmp_path / name
        (folder / "data").mkdir(parents=True, exist_ok=True)
        ours = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
        store = FeatureStore(
            config=RepoConfig(
                project="shop",
                provider="local",
                registry=str(folder / "data" / "registry.db"),
                online_store=online_store
                or {"type": "sqlite", "path": str(folder / "data" / "online.db")},
                offline_store=offline_store or {"type": ours},
                entity_key_serialization_version=3,
                repo_path=folder,
                **config,
            )
        )
        if objects:
            store.apply(list(objects))
        return store

    return make


WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"


class Shirts:
    """A Feast repo about shirts: a raw table of titles, and a deep view over it.

    Parameters
    ----------
    folder : Path
    features : mapping of str to str
        Column by name of the deep feature; all of them count the letters of words.
    uri : str, optional
        Where the embedding table lies, if not in the repo.
    """

    def __init__(
        self,
        folder: Path,
        features: dict[str, str] | None = None,
        uri: str | None = None,
        **source: Any,
    ):
        from feast import Entity, FeatureStore, FileSource, ValueType

        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.uri = folder, uri
        (folder / "feature_store.yaml").write_text(
            "project: shirts\nregistry: registry.db\nprovider: local\n"
            "online_store: {type: sqlite, path: online.db}\n"
            "entity_key_serialization_version: 3\n"
        )
        self.store = FeatureStore(str(folder))
        self.entity = Entity(name="shirt", join_keys=["id"], value_type=ValueType.STRING)
        self.features = features or {"vec": "title"}
        source = {"path": "raw.parquet", "timestamp_field": "event_timestamp", **source}
        self.source = FileSource(name="raw", **source)
        self.declare(WORDS)

    def declare(self, encoder: str, groups: str | None = None, **options: Any) -> None:
        """Apply the deep view with an encoder."""
        from deepfeast.transforms import DeepFeature, deep_feature_view

        view = deep_feature_view(
            name="deep",
            entities=[self.entity],
            source=self.source,
            table=self.uri,
            groups=groups,
            features=[
                DeepFeature(name, column=column, encoder=encoder, **options)
                for name, column in self.features.items()
            ],
        )
        self.store.apply([self.entity, self.source, view])

    def write(self, rows: list[dict[str, Any]], name: str = "raw.parquet", **options: Any) -> None:
        """Write raw rows; the event time is 1 January 2024 unless a row has one."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        first = datetime(2024, 1, 1, tzinfo=timezone.utc)
        rows = [{"event_timestamp": first, **row} for row in rows]
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path, **options)

    def embed(self, **options: Any) -> Any:
        """Run the embed job."""
        from deepfeast.pipelines.embed import embed

        return embed(self.store, "deep", **options)

    @property
    def table(self) -> Path:
        """Folder of the embedding table."""
        return self.folder / "data" / "embeddings" / "deep"

    def vectors(self, feature: str = "vec") -> dict[str, list[float] | None]:
        """Return the latest vector of each shirt."""
        rows = self.rows()
        rows.sort(key=lambda row: (row["event_timestamp"], row["created_timestamp"]))
        return {row["id"]: row[feature] for row in rows}

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows of the embedding table."""
        from deltalake import DeltaTable

        return DeltaTable(self.uri or str(self.table)).to_pyarrow_table().to_pylist()


@pytest.fixture
def shirts(tmp_path: Path) -> Shirts:
    """A repo about shirts, without a raw table yet."""
    return Shirts(tmp_path / "shirts")


@pytest.fixture(scope="session", name="Shirts")
def shirts_class() -> type[Shirts]:
    """To build a repo about shirts of another kind."""
    return Shirts


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


def wait_until_started(port):
    """Wait until a PostgreSQL that listens lets somebody in, too."""
    psycopg = pytest.importorskip("psycopg")
    for _ in range(200):
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} dbname=postgres user=feast").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server let nobody in within 10 seconds")


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


@contextmanager
def serve_postgres(initdb):
    """Start a server of the PostgreSQL that this initdb is of; yield its port."""
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
    # Everybody is trusted but the members of a role.
    rules = folder / "db" / "pg_hba.conf"
    rules.write_text(f"host all +strict 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
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
    ready = [
        str(Path(initdb).resolve().with_name("pg_isready")),
        "-q",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    while subprocess.run(ready, check=False).returncode == 1:  # it answers, and starts up
        time.sleep(0.05)
    yield port
    server.send_signal(signal.SIGINT)  # does not wait for open connections, as SIGTERM would
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_port():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(found[-1]) if found else None)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed")
    with serve_postgres(initdb) as port:
        yield port


@pytest.fixture(scope="session")
def pgvector_port():
    """The port of a server that has pgvector: the one that the package pgserver brings along."""
    found = importlib.util.find_spec("pgserver")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pgserver, a PostgreSQL with pgvector, is not installed")
    initdb = Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / "initdb"
    with serve_postgres(str(initdb)) as port:
        Postgres(port, "of_pgvector").run("CREATE EXTENSION vector SCHEMA public")
        yield port


class Postgres:
    """A schema of its own in a real PostgreSQL, and how Feast is told of it.

    Attributes
    ----------
    block : dict
        What stands under ``offline_store:`` of a repo on it.
    """

    def __init__(self, port: int, schema: str):
        self.block = {
            "type": "postgres",
            "host": "127.0.0.1",
            "port": port,
            "database": "postgres",
            "db_schema": schema,
            "user": "feast",
            "password": "",
            "sslmode": "disable",
        }
        self.run(f"CREATE SCHEMA {schema}")

    def run(self, *statements: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run statements, times without zone meant as UTC; return the rows of the last."""
        import psycopg

        options = f"-c search_path={self.block['db_schema']},public -c timezone=UTC"
        where = f"host=127.0.0.1 port={self.block['port']} dbname=postgres user=feast"
        with psycopg.connect(where, options=options) as connection:
            for statement in statements:
                cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def strict_user(self, password: str) -> str:
        """Make a user who may read the schema, and comes in by a password alone."""
        schema = self.block["db_schema"]
        self.run(
            "DO $$ BEGIN CREATE ROLE strict; EXCEPTION WHEN duplicate_object THEN END $$",
            f"CREATE ROLE strict_{schema} LOGIN PASSWORD '{password}' IN ROLE strict",
            f"GRANT ALL ON SCHEMA {schema} TO strict_{schema}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO strict_{schema}",
        )
        return f"strict_{schema}"

    def source(self, table: str, time: str = "event_timestamp", **options: Any) -> Any:
        """Declare a source of the schema."""
        from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
            PostgreSQLSource,
        )

        return PostgreSQLSource(name=table, table=table, timestamp_field=time, **options)


@pytest.fixture
def postgres(postgres_port: int) -> Postgres:
    """An empty schema of a warehouse."""
    return Postgres(postgres_port, f"s{uuid.uuid4().hex[:12]}")


@pytest.fixture
def pgvector(pgvector_port: int) -> Postgres:
    """An empty schema of a warehouse that has pgvector."""
    return Postgres(pgvector_port, f"s{uuid.uuid4().hex[:12]}")


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def online_store(request, tmp_path):
    """Settings of an online store of each kind, started on a free port of this machine."""
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
