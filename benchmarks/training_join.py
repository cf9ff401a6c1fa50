"""How long does it take to put features beside labels, and how much memory?

20,000 labels, 100,000 feature rows of 10 numbers and a vector of 384 (``--full``: 200,000 and
1,000,000). Two questions, each against its own peers, all in turn in one run:

- through Feast: ``get_historical_features(...).to_df()`` on our store, on Feast's default
  store (dask) and on its duckdb store;
- to a float32 matrix of 394 columns in the labels' order: ``training_matrix`` against a bare
  ``join_asof`` of polars, ``merge_asof`` of pandas and ``ASOF JOIN`` of DuckDB, which know nothing
  of ttl, created timestamps or a registry.

Memory is what a process that does nothing else grows by, at its peak, after its imports.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from _rounds import spread

DIM = 384
NUMBERS = [f"x{number}" for number in range(10)]
OURS = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
YEAR = 365 * 86_400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="ten times the rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dask-rounds", type=int, default=1, help="of Feast's default store")
    parser.add_argument("--child", nargs=2, metavar=("PEER", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.child:
        print(json.dumps(peak_growth(arguments.child[0], Path(arguments.child[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        rounds = arguments.rounds, arguments.dask_rounds
        result = measure(Path(folder), arguments.full, *rounds)
    print("RESULT", json.dumps(result))
    sys.exit(0 if result["agree"] else 1)


def measure(folder: Path, full: bool, rounds: int, dask_rounds: int) -> dict[str, Any]:
    n_labels, n_rows = (200_000, 1_000_000) if full else (20_000, 100_000)
    write_tables(folder, n_labels, n_rows)
    labels = pd.read_parquet(folder / "labels.parquet")
    tasks: dict[str, Callable[[], Any]] = {
        "ours, Feast": feast_frame(folder, OURS, labels),
        "feast_duckdb": feast_frame(folder, "duckdb", labels),
        "ours, matrix": our_matrix(folder, labels),
        "polars": lambda: polars_matrix(folder, labels),
        "pandas": lambda: pandas_matrix(folder, labels),
        "duckdb": lambda: duckdb_matrix(folder, labels),
    }
    times, results = time_in_turn(tasks, rounds)
    if not full:  # it takes most of a minute as it is
        slow = {
            "feast_file": feast_frame(folder, "dask", labels),
            "ours, Feast, beside dask": tasks["ours, Feast"],
        }
        once, result = time_in_turn(slow, dask_rounds, warm=False)
        times.update(once)
        results.update(result)
    seconds = {name: median(values) for name, values in times.items()}
    memory = {peer: child(peer, folder) for peer in ("ours", "polars")}
    show(times, seconds, memory)
    ours = {
        peer: "ours, Feast" if "feast" in peer else "ours, matrix"
        for peer in seconds
        if not peer.startswith("ours")
    }
    if not full:
        ours["feast_file"] = "ours, Feast, beside dask"
    ratios = {peer: seconds[peer] / seconds[own] for peer, own in ours.items()}
    pairs = {peer: (times[peer], times[own]) for peer, own in ours.items()}
    ratios["memory_polars"] = memory["polars"]["grown_mb"] / memory["ours"]["grown_mb"]
    return {
        "benchmark": "training_join",
        "ratios": {name: round(value, 2) for name, value in ratios.items()},
        "agree": agree(results, labels),
        "spread": {peer: spread(*taken) for peer, taken in pairs.items()},
        "data": f"{n_labels:,} generated labels × {n_rows:,} rows of 10 numbers and a vector of "
        f"{DIM}",
        "figures": {
            "labels": n_labels,
            "rows": n_rows,
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "memory": memory,
            "rows_out": {n: len(r) for n, r in results.items()},
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("feast", "pyarrow", "polars", "pandas", "duckdb")},
        },
    }


def write_tables(folder: Path, n_labels: int, n_rows: int) -> None:
    """Write features in parts, so that the full size needs no memory of its own."""
    rng = np.random.default_rng(0)
    n_shops = n_labels
    names = np.array([f"shop{number:06d}" for number in range(n_shops)])
    # Distinct times: what a bare join_asof does among equal ones is its own affair.
    seconds = rng.permutation(YEAR)[:n_rows]
    with contextlib.ExitStack() as stack:
        writer = None
        for start in range(0, n_rows, 100_000):
            part = feature_rows(rng, names, seconds[start : start + 100_000])
            if writer is None:
                path = folder / "features.parquet"
                writer = stack.enter_context(pq.ParquetWriter(path, part.schema))
            writer.write_table(part)
    labels = {
        "shop_id": names[rng.integers(0, n_shops, n_labels)],
        "event_timestamp": moments(rng.permutation(YEAR)[:n_labels]),
        "price": rng.normal(size=n_labels),
        "label": np.arange(n_labels),
    }
    pq.write_table(pa.table(labels), folder / "labels.parquet")


def feature_rows(rng: np.random.Generator, names: np.ndarray, seconds: np.ndarray) -> pa.Table:
    n = len(seconds)
    values = pa.array(rng.standard_normal(n * DIM, dtype=np.float32))
    offsets = np.arange(n + 1, dtype=np.int32) * DIM
    columns: dict[str, Any] = {
        "shop_id": names[rng.integers(0, len(names), n)],
        "event_timestamp": moments(seconds),
        "created": moments(seconds + 3600),
    }
    for number, name in enumerate(NUMBERS):
        columns[name] = rng.integers(0, 1000, n) if number % 2 else rng.normal(size=n)
    columns["vector"] = pa.ListArray.from_arrays(offsets, values)
    return pa.table(columns)


def moments(seconds: np.ndarray) -> pa.Array:
    first = 1_704_067_200  # 2024
    return pa.array((seconds + first) * 10**6).cast(pa.timestamp("us", "UTC"))


def make_store(folder: Path, offline: str) -> Any:
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

    repo = folder / offline.rpartition(".")[2]
    repo.mkdir(exist_ok=True)
    store = FeatureStore(
        config=RepoConfig(
            project="join",
            provider="local",
            registry=str(repo / "registry.db"),
            online_store=None,
            offline_store={"type": offline},
            entity_key_serialization_version=3,
            repo_path=repo,
        )
    )
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    numbers = [
        Field(name=name, dtype=Int64 if number % 2 else Float64)
        for number, name in enumerate(NUMBERS)
    ]
    view = FeatureView(
        name="shops",
        entities=[shop],
        schema=[*numbers, Field(name="vector", dtype=Array(Float32), vector_length=DIM)],
        source=FileSource(
            path=str(folder / "features.parquet"),
            timestamp_field="event_timestamp",
            created_timestamp_column="created",
        ),
    )
    store.apply([shop, view, FeatureService(name="model", features=[view])])
    return store


def feast_frame(folder: Path, offline: str, labels: pd.DataFrame) -> Callable[[], pd.DataFrame]:
    store = make_store(folder, offline)
    service = store.get_feature_service("model")
    return lambda: store.get_historical_features(labels, service).to_df()


def our_matrix(folder: Path, labels: pd.DataFrame) -> Callable[[], np.ndarray]:
    from deepfeast.transforms.join import training_matrix

    store = make_store(folder, OURS)
    return lambda: training_matrix(store, labels, service="model")[0]


def polars_matrix(folder: Path, labels: pd.DataFrame) -> np.ndarray:
    import polars as pl

    features = pl.read_parquet(folder / "features.parquet").sort("event_timestamp")
    left = pl.from_pandas(labels).with_columns(
        pl.col("event_timestamp").cast(features.schema["event_timestamp"])
    )
    found = (
        left.sort("event_timestamp")
        .join_asof(features, on="event_timestamp", by="shop_id", check_sortedness=False)
        .sort("label")
    )
    X = np.full((len(found), len(NUMBERS) + DIM), np.nan, np.float32)
    X[:, : len(NUMBERS)] = found.select(NUMBERS).cast(pl.Float32).to_numpy()
    there = found["vector"].is_not_null().to_numpy()
    vectors = found["vector"].drop_nulls().explode().to_numpy()
    X[there, len(NUMBERS) :] = vectors.reshape(-1, DIM)
    return X


def pandas_matrix(folder: Path, labels: pd.DataFrame) -> np.ndarray:
    features = pd.read_parquet(folder / "features.parquet").sort_values("event_timestamp")
    left = labels.sort_values("event_timestamp")
    found = pd.merge_asof(left, features, on="event_timestamp", by="shop_id").sort_values("label")
    return to_matrix(found)


def duckdb_matrix(folder: Path, labels: pd.DataFrame) -> np.ndarray:
    import duckdb

    names = ", ".join(NUMBERS)
    with duckdb.connect() as connection:
        connection.register("labels", labels)
        found: pa.Table = connection.execute(
            f"SELECT {names}, vector FROM labels ASOF LEFT JOIN read_parquet(?) features "
            "ON labels.shop_id = features.shop_id "
            "AND labels.event_timestamp >= features.event_timestamp ORDER BY label",
            [str(folder / "features.parquet")],
        ).to_arrow_table()
    X = np.full((len(labels), len(NUMBERS) + DIM), np.nan, np.float32)
    for position, name in enumerate(NUMBERS):
        X[:, position] = found[name].to_numpy()
    vectors = found["vector"].combine_chunks()
    there = vectors.is_valid().to_numpy(zero_copy_only=False)
    X[there, len(NUMBERS) :] = vectors.flatten().to_numpy().reshape(-1, DIM)
    return X


def to_matrix(frame: pd.DataFrame) -> np.ndarray:
    """Flatten a frame with a column of arrays, missing where there is none."""
    X = np.full((len(frame), len(NUMBERS) + DIM), np.nan, np.float32)
    X[:, : len(NUMBERS)] = frame[NUMBERS].to_numpy(np.float32)
    there = frame["vector"].notna().to_numpy()
    X[there, len(NUMBERS) :] = np.stack(frame["vector"][there].to_numpy())
    return X


def time_in_turn(
    tasks: dict[str, Callable[[], Any]], rounds: int, *, warm: bool = True
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Run the tasks in turn, A B A B; a first round warms caches and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    results = {}
    for number in range(rounds + warm):
        for name, task in tasks.items():
            began = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                results[name] = task()
            if number or not warm:
                times[name].append(time.perf_counter() - began)
    return times, results


def agree(results: dict[str, Any], labels: pd.DataFrame) -> bool:
    """Every label row, in order, with equal numbers; Feast's default store may lose rows."""
    ours = results["ours, matrix"]
    for name, found in results.items():
        if isinstance(found, np.ndarray):
            same = np.array_equal(found, ours, equal_nan=True)
        else:
            same = np.array_equal(to_matrix(found), ours[found["label"]], equal_nan=True)
        if name.startswith("ours, Feast"):
            same &= found["label"].tolist() == labels["label"].tolist()
        if not same:
            print(f"{name} disagrees")
            return False
    return bool(np.isfinite(ours).any())


def child(peer: str, folder: Path) -> dict[str, float]:
    """Measure memory in a process of its own."""
    command = [sys.executable, __file__, "--child", peer, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peak_growth(peer: str, folder: Path) -> dict[str, float]:
    labels = pd.read_parquet(folder / "labels.parquet")
    if peer == "ours":
        task = our_matrix(folder, labels)
    else:
        import polars as pl

        pl.Series([1]).sort()
        task = lambda: polars_matrix(folder, labels)  # noqa: E731
    before = peak_mb()
    task()
    return {"grown_mb": round(peak_mb() - before, 1), "peak_mb": round(peak_mb(), 1)}


def peak_mb() -> float:
    """Return this process's own peak; ``ru_maxrss`` would start from its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmHWM in /proc/self/status: memory can be measured on Linux only")


def show(
    times: dict[str, list[float]], seconds: dict[str, float], memory: dict[str, dict[str, float]]
) -> None:
    print(f"{'':26}{'median s':>10}{'fastest':>10}")
    for name, value in sorted(seconds.items(), key=lambda item: item[1]):
        print(f"{name:26}{value:10.3f}{min(times[name]):10.3f}")
    for peer, figures in memory.items():
        print(f"memory of {peer}: grows by {figures['grown_mb']} MB to {figures['peak_mb']} MB")


if __name__ == "__main__":
    main()
