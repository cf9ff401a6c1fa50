"""Beside a PostgreSQL that was there before: joins, raw reads, and runs with nothing new.

Each ratio above 1 means that we are better; all on a server that this file starts.

- ``join``: 5,000 labels × 40,000 rows with a composite key, corrections, numeric and varchar.
  Feast's postgres store answers the warehouse's view alone; ours answers it, and vectors of a file
  beside it. Both are compared with a reference of pandas.
- ``read``, ``read_memory``: raw texts out of a table: Feast's ``to_arrow`` into memory against
  our read into a file. Memory is what a process of its own grows by, at its peak.
- ``nothing_new``: an embed run of all rows against one with nothing new, by a created column.
- ``materialize``, ``lookup``: PostgreSQL as online store, Feast's engine and SDK against ours:
  5,000 rows of 10 numbers and a vector of 384, what both wrote compared byte by byte; then 100 of
  them at once, the two matrices compared. ``lookup_k1`` is one row at once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import _online_repo
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from _postgres import server
from _rounds import spread
from materialize import materialize
from online_lookup import draw, feast_lookup, our_lookup, take_turns

OURS = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
LABELS, ROWS, ITEMS, DIM = 5_000, 40_000, 2_000, 64
ONLINE = 5_000
START = pd.Timestamp(2024, 1, 1, tz="UTC")
YEAR = 365 * 86_400
FEATURES = ["units", "price", "shelf"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000, help="rows of raw texts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3, metavar=("PEER", "PORT", "FOLDER"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.child:
        peer, port, folder = arguments.child
        print(json.dumps(read(peer, int(port), Path(folder))))
        return
    with server() as block, tempfile.TemporaryDirectory() as folder:
        result = measure(block, Path(folder), arguments.texts, arguments.rounds)
    result["versions"] = {name: version(name) for name in ("feast", "pyarrow", "psycopg")}
    print("RESULT", json.dumps(result))
    sys.exit(0 if result["agree"] else 1)


def measure(block: dict[str, Any], folder: Path, texts: int, rounds: int) -> dict[str, Any]:
    agree, joins = join(block, folder, rounds)
    make_texts(block, texts)
    port = block["port"]
    reads = [[child(peer, port, folder) for peer in ("feast", "ours")] for _ in range(rounds)]
    feast, ours = map(list, zip(*reads, strict=True))
    full, again = nothing_new(block, folder)
    same_rows, materialized = materialize_in_turn(block, folder, rounds)
    same_answers, lookups, spreads = look_up(block, folder)
    ratios = {
        "join": median(joins["feast"]) / median(joins["ours"]),
        "read": best(feast, "seconds") / best(ours, "seconds"),
        "read_memory": best(feast, "bytes") / best(ours, "bytes"),
        "nothing_new": full / again,
        "materialize": median(materialized["feast"]) / median(materialized["ours"]),
        "lookup": lookups[100]["feast"] / lookups[100]["ours"],
        "lookup_k1": lookups[1]["feast"] / lookups[1]["ours"],
    }
    texts_read = {one["rows"] for one in [*feast, *ours]} == {texts}
    return {
        "benchmark": "warehouse",
        "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
        "agree": agree and texts_read and same_rows and same_answers,
        "spread": {
            "join": spread(joins["feast"], joins["ours"]),
            "read": spread(*([one["seconds"] for one in peer] for peer in (feast, ours))),
            "materialize": spread(materialized["feast"], materialized["ours"]),
            "lookup": spreads[100],
            "lookup_k1": spreads[1],
        },
        "data": f"generated: {LABELS:,} labels × {ROWS:,} rows, {texts:,} texts of 1,750 "
        f"characters, {ONLINE:,} rows of 10 numbers and a vector of 384",
        "seconds": {
            "join": {name: round(median(found), 2) for name, found in joins.items()},
            "read": {"feast": best(feast, "seconds"), "ours": best(ours, "seconds")},
            "nothing_new": {"full": round(full, 2), "again": round(again, 2)},
            "materialize": {name: round(median(each), 2) for name, each in materialized.items()},
        },
        "milliseconds": {"lookup": lookups},
        "megabytes": {
            "feast": round(best(feast, "bytes") / 1e6),
            "ours": round(best(ours, "bytes") / 1e6),
        },
    }


def best(found: list[dict[str, float]], what: str) -> float:
    return min(one[what] for one in found)


def execute(block: dict[str, Any], *statements: str, copy: pd.DataFrame | None = None) -> None:
    """Run statements; into the table of the last, copy a frame."""
    import psycopg

    where = f"host=127.0.0.1 port={block['port']} dbname=postgres user=feast"
    with psycopg.connect(where) as connection:
        for statement in statements:
            connection.execute(statement)
        if copy is not None:
            with connection.cursor().copy("COPY stock FROM STDIN (FORMAT csv)") as sink:
                sink.write(copy.to_csv(index=False, header=False))


def make_repo(block: dict[str, Any], folder: Path, name: str, *objects: Any) -> Any:
    from feast import FeatureStore, RepoConfig

    ours = {"type": OURS, "warehouse": block}
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / f"{name}.db"),
        online_store={"type": "sqlite", "path": str(folder / f"{name}-online.db")},
        offline_store=block if name == "feast" else ours,
        entity_key_serialization_version=3,
        repo_path=folder,
    )
    store = FeatureStore(config=config)
    store.apply(list(objects))
    return store


def postgres_source(table: str, created: str, **options: Any) -> Any:
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
        PostgreSQLSource,
    )

    return PostgreSQLSource(
        table=table,
        timestamp_field="event_timestamp",
        created_timestamp_column=created,
        **options,
    )


def join(block: dict[str, Any], folder: Path, rounds: int) -> tuple[bool, dict[str, list[float]]]:
    """Join in turn with both stores; tell whether both agree with pandas."""
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Float32, String

    rng = np.random.default_rng(0)
    stock = make_stock(rng)
    execute(
        block,
        "CREATE TABLE stock (item text, region int, event_timestamp timestamptz, "
        "created timestamptz, units int, price numeric(10, 2), shelf varchar(9))",
        copy=stock,
    )
    execute(block, "CREATE INDEX ON stock (item, region, event_timestamp)", "ANALYZE stock")
    vectors = pa.array(list(rng.normal(size=(ITEMS, DIM)).astype(np.float32)))
    rows = {
        "item": [f"i{n}" for n in range(ITEMS)],
        "event_timestamp": [START] * ITEMS,
        "vec": vectors,
    }
    pq.write_table(pa.table(rows), folder / "vectors.parquet")
    item = Entity(name="item", join_keys=["item"], value_type=ValueType.STRING)
    region = Entity(name="region", join_keys=["region"], value_type=ValueType.INT32)
    ttl = timedelta(days=400)
    view = FeatureView(
        name="stock",
        entities=[item, region],
        source=postgres_source("stock", "created"),
        ttl=ttl,
    )
    deep = FeatureView(
        name="deep",
        entities=[item],
        schema=[Field(name="item", dtype=String), Field(name="vec", dtype=Array(Float32))],
        source=FileSource(path="vectors.parquet", timestamp_field="event_timestamp"),
        ttl=ttl,
    )
    labels = pd.DataFrame(
        {
            "item": [f"i{n}" for n in rng.integers(0, ITEMS, LABELS)],
            "region": rng.integers(0, 8, LABELS).astype(np.int32),
            "event_timestamp": START + pd.to_timedelta(rng.integers(0, YEAR, LABELS), unit="s"),
        }
    )
    wanted = [f"stock:{name}" for name in FEATURES]
    stores = {
        "feast": (make_repo(block, folder, "feast", item, region, view), wanted),
        "ours": (make_repo(block, folder, "ours", item, region, view, deep), [*wanted, "deep:vec"]),
    }
    expected, agree = reference(labels, stock), True
    seconds: dict[str, list[float]] = {name: [] for name in stores}
    for _ in range(rounds):
        for name, (store, features) in stores.items():
            started = time.perf_counter()
            found = store.get_historical_features(labels, features).to_df()
            seconds[name].append(time.perf_counter() - started)
            agree &= same(found, labels, expected)
    return agree, seconds


def make_stock(rng: np.random.Generator) -> pd.DataFrame:
    """Rows of stock, one in ten of them corrected a day later."""
    times = START + pd.to_timedelta(rng.integers(0, YEAR, ROWS), unit="s")
    stock = pd.DataFrame(
        {
            "item": [f"i{n}" for n in rng.integers(0, ITEMS, ROWS)],
            "region": rng.integers(0, 8, ROWS),
            "event_timestamp": times,
            "created": times,
            "units": rng.integers(0, 100, ROWS),
            "price": rng.integers(100, 10_000, ROWS) / 100,
            "shelf": rng.choice(["low", "middle", "high"], ROWS),
        }
    ).drop_duplicates(["item", "region", "event_timestamp"])
    fixed = stock.sample(frac=0.1, random_state=0)
    later = fixed["created"] + pd.Timedelta(days=1)
    return pd.concat([stock, fixed.assign(created=later, units=fixed["units"] + 1)])


def reference(labels: pd.DataFrame, stock: pd.DataFrame) -> pd.DataFrame:
    """Return what pandas finds for each label, in the labels' order."""
    rows = stock.sort_values(["event_timestamp", "created"], kind="stable")
    rows = rows.drop_duplicates(["item", "region", "event_timestamp"], keep="last")
    asked = labels.reset_index().sort_values("event_timestamp", kind="stable")
    asked["region"] = asked["region"].astype(rows["region"].dtype)
    asked["event_timestamp"] = asked["event_timestamp"].astype(rows["event_timestamp"].dtype)
    found = pd.merge_asof(asked, rows, on="event_timestamp", by=["item", "region"])
    return found.set_index("index").sort_index()[FEATURES]


def same(found: pd.DataFrame, labels: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Tell whether each label has the expected features; Feast's order is its own."""
    keys = ["item", "region", "event_timestamp"]
    whole = labels.assign(**expected).sort_values(keys, ignore_index=True)[FEATURES]
    mine = found.sort_values(keys, ignore_index=True)[FEATURES]
    if len(mine) != len(whole):
        return False
    numbers = ["units", "price"]
    close = np.allclose(mine[numbers].astype(float), whole[numbers].astype(float), equal_nan=True)
    return bool(close and (mine["shelf"].fillna("") == whole["shelf"].fillna("")).all())


def make_texts(block: dict[str, Any], rows: int) -> None:
    """Make a table of texts of some 1,750 characters."""
    execute(
        block,
        "CREATE TABLE texts (id text, event_timestamp timestamptz, written timestamptz, body text)",
        f"INSERT INTO texts SELECT 'r' || n, t, t, repeat(md5(n::text) || ' ', 53) "
        f"FROM generate_series(1, {rows}) n, LATERAL "
        f"(SELECT '2024-01-01Z'::timestamptz + n * interval '5 minutes' AS t) times",
        "ANALYZE texts",
    )


def raw_texts() -> Any:
    return postgres_source("texts", "written", name="texts")


def child(peer: str, port: int, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", peer, str(port), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def read(peer: str, port: int, folder: Path) -> dict[str, float]:
    """Read all texts; return the seconds, and the bytes that this process grew by."""
    from deepfeast.transforms.warehouse.raw import Wanted, read_raw

    block = {"type": "postgres", "host": "127.0.0.1", "port": port, "database": "postgres"}
    block |= {"db_schema": "public", "user": "feast", "password": "", "sslmode": "disable"}
    source = raw_texts()
    store = make_repo(block, folder, peer, source)

    def by_feast(start: datetime) -> int:
        job = store.provider.offline_store.pull_all_from_table_or_query(
            config=store.config,
            data_source=source,
            join_key_columns=["id"],
            feature_name_columns=["body"],
            timestamp_field="event_timestamp",
            created_timestamp_column="written",
            start_date=start,
            end_date=datetime(2100, 1, 1, tzinfo=timezone.utc),
        )
        return len(job.to_arrow())

    def by_us(start: datetime) -> int:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            wanted, keys = Wanted(since=start), {"id": pa.string()}
            raw = read_raw(store.config, source, keys, ["body"], Path(scratch), wanted)
            return raw.source.rows

    task = by_feast if peer == "feast" else by_us
    task(datetime(2099, 1, 1, tzinfo=timezone.utc))  # what is loaded late is loaded now
    before, started = peak(), time.perf_counter()
    rows = task(datetime(2000, 1, 1, tzinfo=timezone.utc))
    seconds = time.perf_counter() - started
    return {"seconds": round(seconds, 3), "bytes": max(peak() - before, 1), "rows": rows}


def peak() -> int:
    """Return this process's own peak; ``ru_maxrss`` would start from its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM in /proc/self/status: memory can be measured on Linux only")


def nothing_new(block: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Return the seconds of a run that reads all texts, and of one with nothing new."""
    from feast import Entity, ValueType

    from deepfeast.pipelines.embed import embed
    from deepfeast.transforms import DeepFeature, deep_feature_view

    entity = Entity(name="row", join_keys=["id"], value_type=ValueType.STRING)
    source = raw_texts()
    view = deep_feature_view(
        name="texts_deep",
        entities=[entity],
        source=source,
        features=[DeepFeature("body_vec", column="body", encoder="text-tiny")],
    )
    store = make_repo(block, folder, "ours", entity, source, view)
    full = embed(store, "texts_deep")
    again = [embed(store, "texts_deep") for _ in range(2)]
    assert all(run.rows == 0 for run in again)
    return full.seconds, min(run.seconds for run in again)


def materialize_in_turn(
    block: dict[str, Any], folder: Path, rounds: int
) -> tuple[bool, dict[str, list[float]]]:
    """Materialize into an empty table with both engines; tell whether both wrote the same."""
    import psycopg

    _online_repo.write_rows(folder / "online.parquet", ONLINE)
    _online_repo.write_rows(folder / "few.parquet", 10)
    seconds: dict[str, list[float]] = {"feast": [], "ours": []}
    content: dict[str, list[Any]] = {}
    query = "SELECT * FROM bench_listings ORDER BY entity_key, feature_name"
    for number in range(rounds + 1):
        for engine, taken in seconds.items():
            # Imports and first calls are not what is measured.
            source = "online.parquet" if number else "few.parquet"
            _online_repo.make_store(folder / engine, folder / source, block, "local")
            execute(block, "TRUNCATE bench_listings")
            found = materialize(folder, source, engine, block)
            if number:
                taken.append(found)
            where = f"host=127.0.0.1 port={block['port']} dbname=postgres user=feast"
            with psycopg.connect(where) as connection:
                content[engine] = connection.execute(query).fetchall()
    whole = len(content["ours"]) == ONLINE * 11
    return whole and content["ours"] == content["feast"], seconds


def look_up(
    block: dict[str, Any], folder: Path
) -> tuple[bool, dict[int, dict[str, float]], dict[int, list[float]]]:
    """Look 1 and 100 rows up with both; tell whether both give the same matrix."""
    store = _online_repo.make_store(folder / "ours", folder / "online.parquet", block, "local")
    execute(block, "ANALYZE bench_listings")  # as the server does by itself, a minute later
    ours, feast = our_lookup(store), feast_lookup(store)
    rows = draw(np.random.default_rng(1), 50)
    same = bool(np.array_equal(ours(rows), feast(rows)))
    found = {count: take_turns(ours, feast, count, 200) for count in (1, 100)}
    times = {count: milliseconds for count, (milliseconds, _) in found.items()}
    return same, times, {count: spreads for count, (_, spreads) in found.items()}


if __name__ == "__main__":
    main()
