"""The repo that the benchmarks of the embed job share: one text a row.

Not a benchmark itself.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from feast import FeatureStore

    from deepfeast.pipelines.embed import Run

LIBRARIES = ("apache-beam", "deltalake", "duckdb", "numpy", "pyarrow", "sentence-transformers")
TIME = datetime(2024, 1, 1, tzinfo=timezone.utc)
WORDS = """
quiet bright flat near the river two rooms garden kitchen station view house with a small terrace
over old town sunny loft for families close to market beach wide bed desk wifi
""".split()  # noqa: SIM905


def texts(rows: int, length: int) -> list[str]:
    """Generate distinct texts of 1 to about three times `length` words, the same each time."""
    choose = random.Random(0)
    lengths = [max(1, round(choose.gammavariate(3, length / 3))) for _ in range(rows)]
    return [f"{' '.join(choose.choices(WORDS, k=n))} {number}" for number, n in enumerate(lengths)]


def write_raw(folder: Path, texts: Sequence[str], start: int = 0) -> None:
    """Write a raw file of keys, texts and one event time, in row groups of 64k rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "id": [f"row-{number}" for number in range(start, start + len(texts))],
            "text": pa.array(texts, pa.string()),
            "event_timestamp": pa.array([TIME] * len(texts), pa.timestamp("us", "UTC")),
        }
    )
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "raw" / f"{start:09d}.parquet", row_group_size=65_536)


def make_store(folder: Path, encoder: str) -> FeatureStore:
    """Apply a repo of one deep view ``deep`` of one feature ``vec``."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from feast import Entity, FeatureStore, FileSource, ValueType

    from deepfeast.transforms import DeepFeature, deep_feature_view

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "feature_store.yaml").write_text(
        "project: bench\nregistry: registry.db\nprovider: local\n"
        "online_store: {type: sqlite, path: online.db}\nentity_key_serialization_version: 3\n"
    )
    store = FeatureStore(str(folder))
    row = Entity(name="row", join_keys=["id"], value_type=ValueType.STRING)
    source = FileSource(name="raw", path="raw", timestamp_field="event_timestamp")
    feature = DeepFeature("vec", column="text", encoder=encoder)
    view = deep_feature_view(name="deep", entities=[row], source=source, features=[feature])
    store.apply([row, source, view])
    return store


def forget(folder: Path) -> None:
    """Delete the embedding table, so that the next run is a full one."""
    shutil.rmtree(folder / "data" / "embeddings", ignore_errors=True)


def embed(store: FeatureStore) -> Run:
    """Run the job once."""
    from deepfeast.pipelines.embed import embed as run

    return run(store, "deep")


def vectors(folder: Path) -> np.ndarray:
    """Return the table's vectors, one a row, in the order of the keys' numbers."""
    import numpy as np
    from deltalake import DeltaTable

    from deepfeast.transforms.arrow import vectors_to_matrix

    table = DeltaTable(str(folder / "data" / "embeddings" / "deep")).to_pyarrow_table()
    numbers = np.array([int(key[4:]) for key in table["id"].to_pylist()])
    return vectors_to_matrix(table["vec"])[np.argsort(numbers)]


def timed(call: Callable[[], object]) -> float:
    """Return the seconds a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(
    name: str,
    ratios: dict[str, float],
    figures: dict[str, object],
    agree: bool,
    more: Mapping[str, object] | None = None,
) -> int:
    """Print a table and the line that is read by machines; return the exit status."""
    for what, value in {**ratios, **figures}.items():
        print(f"{what:26} {value:,.4g}" if isinstance(value, float) else f"{what:26} {value}")
    versions = {library: version(library) for library in LIBRARIES}
    result = {
        "benchmark": name,
        "ratios": ratios,
        "agree": agree,
        "figures": figures,
        **(more or {}),
    }
    print("RESULT", json.dumps({**result, "versions": versions}, default=float))
    return 0 if agree else 1
