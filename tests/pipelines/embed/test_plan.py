"""The plan at the size of a large table: what is looked up, and in how much memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.files.slices import EVENT_TIME

HELD = 2_000_000
NEW = 20_000


def hashes(numbers):
    """Turn numbers into hashes: 16 bytes whose first eight say which."""
    pairs = np.stack([numbers, np.zeros_like(numbers)], axis=1).astype(np.int64)
    return pa.Array.from_buffers(pa.binary(16), len(numbers), [None, pa.py_buffer(pairs.tobytes())])


def plan(folder):
    """Look 20,000 rows up among two million; every second content is held under another key."""
    import resource

    from deepfeast.pipelines.embed.job import Job
    from deepfeast.pipelines.embed.plan import Planner
    from deepfeast.transforms import DeepFeature
    from deepfeast.transforms.files.slices import Source

    feature = DeepFeature("vec", column="title", encoder="any")
    source = Source("raw", "raw.parquet", "event_timestamp", "", (), ".")
    spill = folder / "spill"
    job = Job("run", folder, source, ("id",), (feature,), {}, {"vec": str(spill)}, {})
    planner = Planner(job, ds.dataset(folder / "table"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows, values = planner.find_rows(rebuild=False)
    todo = planner.find_contents({"vec": str(spill)})
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reused = sum(len(pq.read_table(path)) for path in spill.glob("*.parquet"))
    encode = todo["vec"][1]
    grown = (after - before) / 1024
    return {"rows": rows, "values": values, "encode": encode, "reused": reused, "mib": grown}


def write(folder):
    """Write a table of two million hashes, and the hashes of a run."""
    for name in ("hashes", "rejects", "todo", "rows", "spill", "table"):
        (folder / name).mkdir()
    time = pa.scalar(0, EVENT_TIME)
    for start in range(0, HELD, HELD // 8):
        numbers = np.arange(start, start + HELD // 8)
        vectors = np.zeros(2 * len(numbers), np.float32)
        columns = {
            "id": pa.array(numbers).cast(pa.string()),
            "event_timestamp": pa.repeat(time, len(numbers)),
            "created_timestamp": pa.repeat(time, len(numbers)),
            "vec": pa.FixedSizeListArray.from_arrays(vectors, 2).cast(pa.list_(pa.float32())),
            "vec_hash": hashes(numbers).cast(pa.binary()),
        }
        pq.write_table(pa.table(columns), folder / "table" / f"{start:08d}.parquet")
    numbers = np.arange(NEW)
    contents = np.where(numbers % 2, numbers * 50, HELD + numbers)
    columns = {
        "slice": pa.array(np.zeros(NEW, np.int32)),
        "row": pa.array(numbers.astype(np.int32)),
        "id": pa.array([f"new {number}" for number in numbers]),
        "event_timestamp": pa.repeat(time, NEW),
        "source_created": pa.nulls(NEW, EVENT_TIME),
        "vec_hash": hashes(contents),
    }
    pq.write_table(pa.table(columns), folder / "hashes" / f"000000-{NEW}.parquet")


@pytest.mark.slow
def test_two_million_hashes_are_looked_up_in_little_memory(tmp_path):
    write(tmp_path)
    # A process of its own, for the peak of memory that is its alone.
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] == found["values"] == NEW
    assert (found["encode"], found["reused"]) == (NEW // 2, NEW // 2)
    assert found["mib"] < 700


if __name__ == "__main__":
    print(json.dumps(plan(Path(sys.argv[1]))))
