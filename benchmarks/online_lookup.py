"""How long does a lookup take, from entity keys to the float32 row that a model reads?

1,000 entities of 10 numbers and a vector of 384; 1 and 100 of them at once, from SQLite, and from
Redis where a server can be started. The peer is Feast's ``get_online_features`` followed by the
fastest conversion we know (the vector's bytes taken out of the response, never a Python float).

``unseen_p50_ms``: a row that the store does not know, with its text: encode it with MiniLM, look
the rest up, and score all columns with an XGBoost model of 100 trees.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from _online_repo import (
    DIM,
    END,
    FLOATS,
    INTS,
    START,
    make_store,
    redis_server,
    versions,
    write_rows,
)
from _rounds import in_blocks, spread

if TYPE_CHECKING:
    from feast import FeatureStore

ENTITIES = 1000
ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine", "runner": "FnApiRunner"}
WORDS = ["quiet", "flat", "near", "old", "harbour", "balcony", "bikes", "view", "sea", "garden"]
Lookup = Callable[[list[dict[str, Any]]], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="ten times the requests")
    arguments = parser.parse_args()
    requests = 3000 if arguments.full else 300
    with tempfile.TemporaryDirectory() as name, redis_server() as redis:
        result = measure(Path(name), requests, redis)
    print("RESULT", json.dumps(result))
    sys.exit(0 if result["agree"] else 1)


def measure(folder: Path, requests: int, redis: str | None) -> dict[str, Any]:
    """Time both on each store; return what BENCHMARKS asks for."""
    write_rows(folder / "rows.parquet", ENTITIES)
    stores = {"": {"type": "sqlite", "path": str(folder / "online.db")}}
    if redis:
        stores["redis_"] = {"type": "redis", "connection_string": redis}
    milliseconds: dict[str, dict[str, float]] = {}
    spreads: dict[str, list[float]] = {}
    same = []
    for prefix, online in stores.items():
        store = make_store(folder / f"{prefix}repo", folder / "rows.parquet", online, ENGINE)
        with contextlib.redirect_stdout(io.StringIO()):
            store.materialize(START, END)
        ours, feast = our_lookup(store), feast_lookup(store)
        rows = draw(np.random.default_rng(1), 50)
        same.append(bool(np.array_equal(ours(rows), feast(rows))))
        for count in (1, 100):
            name = f"{prefix}k{count}"
            milliseconds[name], spreads[name] = take_turns(ours, feast, count, requests)
    show(milliseconds)
    return {
        "benchmark": "online_lookup",
        "ratios": {name: round(m["feast"] / m["ours"], 2) for name, m in milliseconds.items()},
        "agree": all(same),
        "figures": {"p50_ms": milliseconds, **unseen(folder, requests)},
        "spread": spreads,
        "data": f"{ENTITIES:,} generated rows of 10 numbers and a vector of 384, "
        f"{requests} requests each",
        "versions": versions(),
    }


def our_lookup(store: FeatureStore) -> Lookup:
    from deepfeast.transforms import OnlineFeatures

    online = OnlineFeatures(store, "model")
    return lambda rows: online.matrix(rows)[0]


def feast_lookup(store: FeatureStore) -> Lookup:
    """Feast's response, and the fastest obvious way from it to a matrix."""
    service = store.get_feature_service("model")

    def look(rows: list[dict[str, Any]]) -> np.ndarray:
        response = store.get_online_features(service, rows).proto
        names = response.metadata.feature_names.val
        columns = dict(zip(names, response.results, strict=True))
        X = np.empty((len(rows), len(FLOATS) + len(INTS) + DIM), np.float32)
        for position, name in enumerate(FLOATS):
            X[:, position] = [value.double_val for value in columns[name].values]
        for position, name in enumerate(INTS, len(FLOATS)):
            X[:, position] = [value.int64_val for value in columns[name].values]
        for row, value in enumerate(columns["vec"].values):
            X[row, -DIM:] = np.frombuffer(value.SerializeToString()[-4 * DIM :], "<f4")
        return X

    return look


def draw(random: np.random.Generator, count: int) -> list[dict[str, Any]]:
    return [{"listing_id": f"listing-{number}"} for number in random.integers(0, ENTITIES, count)]


def take_turns(
    ours: Lookup, feast: Lookup, count: int, requests: int
) -> tuple[dict[str, float], list[float]]:
    """Return each one's median time in milliseconds, and the spread of the ratio over blocks.

    Every request asks for other entities.
    """
    random = np.random.default_rng(0)
    taken: dict[str, list[float]] = {"ours": [], "feast": []}
    for _ in range(requests):
        for name, look in (("ours", ours), ("feast", feast)):
            rows = draw(random, count)
            started = time.perf_counter()
            look(rows)
            taken[name].append(time.perf_counter() - started)
    spreads = spread(in_blocks(taken["feast"]), in_blocks(taken["ours"]))
    return {name: round(1000 * median(found), 4) for name, found in taken.items()}, spreads


def unseen(folder: Path, requests: int) -> dict[str, float]:
    """Encode the text of a listing that nobody has seen, and score it."""
    import xgboost

    from deepfeast.transforms import OnlineFeatures

    store = deep_store(folder / "deep")
    online = OnlineFeatures(store, "model")
    random = np.random.default_rng(0)
    X = random.standard_normal((200, len(online.columns))).astype(np.float32)
    model = xgboost.XGBRegressor(n_estimators=100, max_depth=6, n_jobs=1).fit(X, X[:, 0])
    taken = []
    for number in range(min(requests, 300) + 10):
        text = " ".join(random.choice(WORDS, 40))
        started = time.perf_counter()
        found, _ = online.matrix([{"listing_id": f"new-{number}", "text": text}])
        model.predict(found)
        taken.append(time.perf_counter() - started)
    return {"unseen_p50_ms": round(1000 * median(taken[10:]), 2), "unseen_words": 40}


def deep_store(folder: Path) -> FeatureStore:
    """Apply a repo with a deep view of MiniLM, embedded and materialized."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from feast import Entity, FeatureService, FeatureStore, FileSource, ValueType

    from deepfeast.transforms import DeepFeature, deep_feature_view

    folder.mkdir()
    (folder / "feature_store.yaml").write_text(
        "project: bench\nregistry: registry.db\nprovider: local\n"
        "online_store: {type: sqlite, path: online.db}\n"
        "batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}\n"
        "entity_key_serialization_version: 3\n"
    )
    times = pa.array([START, START + timedelta(days=1)], pa.timestamp("us", "UTC"))
    rows = {"listing_id": ["a", "b"], "at": times, "text": [" ".join(WORDS), "a view"]}
    pq.write_table(pa.table(rows), folder / "raw.parquet")
    listing = Entity(name="listing", join_keys=["listing_id"], value_type=ValueType.STRING)
    raw = FileSource(name="raw", path="raw.parquet", timestamp_field="at")
    deep = deep_feature_view(
        name="deep",
        entities=[listing],
        source=raw,
        features=[DeepFeature("text_vec", column="text", encoder="minilm")],
    )
    store = FeatureStore(str(folder))
    store.apply([listing, raw, deep, FeatureService(name="model", features=[deep])])
    with contextlib.redirect_stdout(io.StringIO()):
        store.materialize(START, END)
    return store


def show(milliseconds: dict[str, dict[str, float]]) -> None:
    print("p50, ms         ours    Feast   times")
    for name, found in milliseconds.items():
        ours, feast = found["ours"], found["feast"]
        print(f"{name:<12} {ours:7.3f} {feast:8.3f} {feast / ours:7.2f}")


if __name__ == "__main__":
    main()
