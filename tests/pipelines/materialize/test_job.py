"""The Beam job: what it reads, what it turns rows into, and how little memory it needs."""

import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.materialize.job import ahead, to_online_rows
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.files.columns import SourceColumns

START = datetime(2024, 1, 1, tzinfo=timezone.utc)

MATERIALIZE = """
import sys
from datetime import datetime, timedelta, timezone
from feast import FeatureStore

def peak():
    # Of this process alone: what getrusage says begins with the peak of its parent.
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
store = FeatureStore(sys.argv[1])
store.materialize(START, START + timedelta(days=1), ["few"])  # imports are not what is measured
before = peak()
store.materialize(START, START + timedelta(days=1), ["many"])
print("MEASURED", peak() - before)
"""


def write_vectors(path, count, dim):
    random = np.random.default_rng(0)
    numbers = pa.array(random.normal(size=count * dim).astype(np.float32))
    table = pa.table(
        {
            "id": pa.array(np.arange(count)),
            "at": pa.array([START] * count, pa.timestamp("us", "UTC")),
            "vec": pa.FixedSizeListArray.from_arrays(numbers, dim).cast(pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path, row_group_size=count, use_dictionary=False)


def make_repo(folder, count):
    """A repo of two views of vectors: one of a few rows, one of many, in one row group each."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Float32

    (folder / "feature_store.yaml").write_text(
        "project: shops\nregistry: registry.db\nprovider: local\n"
        "online_store: {type: sqlite, path: online.db}\noffline_store: {type: file}\n"
        "batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}\n"
        "entity_key_serialization_version: 3\n"
    )
    entity = Entity(name="row", join_keys=["id"], value_type=ValueType.INT64)
    views = []
    for name, rows in (("few", 10), ("many", count)):
        write_vectors(folder / f"{name}.parquet", rows, 384)
        source = FileSource(name=f"{name}_file", path=f"{name}.parquet", timestamp_field="at")
        field = Field(name="vec", dtype=Array(Float32), vector_length=384)
        views.append(FeatureView(name=name, entities=[entity], schema=[field], source=source))
    FeatureStore(str(folder)).apply([entity, *views])


def measure(folder):
    """MiB that materializing the many rows takes, beyond the few."""
    ran = subprocess.run(
        [sys.executable, "-c", MATERIALIZE, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "MEASURED" in ran.stdout, ran.stderr[-2000:]
    return int(ran.stdout.split("MEASURED")[1].split()[0])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak there")
def test_one_row_group_of_many_vectors_takes_little_memory(tmp_path):
    """150,000 x 384 are 231 MB in one row group; Arrow's own scanner held them several times."""
    make_repo(tmp_path, 150_000)
    assert measure(tmp_path) < 100


def shops():
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Int64, String

    entity = Entity(name="shop", join_keys=["id"], value_type=ValueType.STRING)
    return FeatureView(
        name="shops",
        entities=[entity],
        schema=[Field(name="id", dtype=String), Field(name="size", dtype=Int64)],
        source=FileSource(name="file", path="x.parquet", timestamp_field="at"),
    )


def test_rows_become_keys_times_and_bytes():
    batch = pa.RecordBatch.from_pydict(
        {
            "id": ["a", "b"],
            "at": pa.array([START, START], pa.timestamp("us")),
            "made": pa.array([START, None], pa.timestamp("us", "UTC")),
            "n": [1, None],
        }
    )
    rows = to_online_rows(batch, SourceColumns({"id": "id"}, {"size": "n"}, "at", "made"), shops())
    assert rows.keys == [("a",), ("b",)]
    assert rows.times == [START, START]
    assert rows.created == [START, None]
    assert rows.values == {"size": [b"\x20\x01", b""]}


def test_a_number_too_large_to_be_written_is_told_with_its_feature():
    at = pa.array([START], pa.timestamp("us"))
    big = pa.array([2**63], pa.uint64())
    batch = pa.RecordBatch.from_pydict({"id": ["a"], "at": at, "n": big})
    with pytest.raises(SourceError, match=r"'size' of view 'shops' .* as INT64: .*775808 not in"):
        to_online_rows(batch, SourceColumns({"id": "id"}, {"size": "n"}, "at", ""), shops())


def test_the_next_item_is_made_while_one_is_in_use():
    assert list(ahead(iter([1, 2, 3]))) == [1, 2, 3]
    assert list(ahead(iter([]))) == []
