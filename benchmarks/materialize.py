"""How long does ``feast materialize`` take on our engine, and on Feast's local one?

20,000 rows of 10 numbers and a vector of 384 (``--full``: 200,000), from a Parquet file into an
empty online store: SQLite, and Redis where a server can be started. The two engines take turns;
what they wrote is compared byte by byte.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from _online_repo import END, START, make_store, redis_server, versions, write_rows
from _rounds import spread

ENGINES: dict[str, dict[str, Any] | str] = {
    "ours": {"type": "deepfeast.pipelines.engine.BeamEngine", "runner": "FnApiRunner"},
    "feast": "local",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="ten times the rows")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows = 200_000 if arguments.full else 20_000
    with tempfile.TemporaryDirectory() as name, redis_server() as redis:
        result = measure(Path(name), rows, arguments.rounds, redis)
    print("RESULT", json.dumps(result))
    sys.exit(0 if result["agree"] else 1)


def measure(folder: Path, rows: int, rounds: int, redis: str | None) -> dict[str, Any]:
    """Take turns on each store; return what BENCHMARKS asks for."""
    write_rows(folder / "rows.parquet", rows)
    write_rows(folder / "few.parquet", 10)
    seconds, spreads, same = {}, {}, []
    sqlite = Sqlite(folder)
    for store in (sqlite, Redis(redis)) if redis else (sqlite,):
        for engine in ENGINES:  # imports and first calls are not what is measured
            store.run(folder, "few.parquet", engine)
        taken: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        content = {}
        for _ in range(rounds):
            for engine in ENGINES:
                taken[engine].append(store.run(folder, "rows.parquet", engine))
                content[engine] = store.content()
        same.append(content["ours"] == content["feast"] and len(content["ours"]) > 0)
        seconds[store.name] = {engine: median(found) for engine, found in taken.items()}
        spreads[f"feast_{store.name}"] = spread(taken["feast"], taken["ours"])
    show(seconds, rows)
    ratios = {f"feast_{name}": found["feast"] / found["ours"] for name, found in seconds.items()}
    ratios["feast"], spreads["feast"] = ratios.pop("feast_sqlite"), spreads.pop("feast_sqlite")
    return {
        "benchmark": "materialize",
        "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
        "agree": all(same),
        "figures": {"rows": rows, "seconds": seconds},
        "spread": spreads,
        "data": f"{rows:,} generated rows of 10 numbers and a vector of 384",
        "versions": versions(),
    }


class Sqlite:
    """An SQLite file, new for every run."""

    name = "sqlite"

    def __init__(self, folder: Path):
        self.path = folder / "online.db"

    def run(self, folder: Path, source: str, engine: str) -> float:
        """Materialize into an empty store; return the seconds it took."""
        self.path.unlink(missing_ok=True)
        online = {"type": "sqlite", "path": str(self.path)}
        return materialize(folder, source, engine, online)

    def content(self) -> Any:
        """Return every row, in order."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(
                "SELECT * FROM bench_listings ORDER BY entity_key, feature_name"
            ).fetchall()


class Redis:
    """A Redis server, flushed before every run."""

    name = "redis"

    def __init__(self, address: str):
        import redis

        self.address = address
        host, port = address.split(",")[0].split(":")
        self.client = redis.Redis(host=host, port=int(port))

    def run(self, folder: Path, source: str, engine: str) -> float:
        """Materialize into an empty store; return the seconds it took."""
        self.client.flushdb()
        online = {"type": "redis", "connection_string": self.address}
        return materialize(folder, source, engine, online)

    def content(self) -> Any:
        """Return every hash by key."""
        keys = sorted(self.client.scan_iter(count=10_000))
        with self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(key)
            return dict(zip(keys, pipe.execute(), strict=True))


def materialize(folder: Path, source: str, engine: str, online: dict[str, Any]) -> float:
    """Time ``FeatureStore.materialize`` alone, not the repo's set-up."""
    store = make_store(folder / engine, folder / source, online, ENGINES[engine])

    with contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        store.materialize(START, END)
        return time.perf_counter() - started


def show(seconds: dict[str, dict[str, float]], rows: int) -> None:
    print(f"{rows:,} rows        ours s   rows/s   Feast s   rows/s    times")
    for name, found in seconds.items():
        ours, feast = found["ours"], found["feast"]
        print(
            f"{name:<16} {ours:8.2f} {rows / ours:8,.0f} {feast:9.2f} {rows / feast:8,.0f} "
            f"{feast / ours:8.1f}"
        )


if __name__ == "__main__":
    main()
