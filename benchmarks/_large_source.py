"""Sources of many files and of many rows, for `scale_out.py`. Not a benchmark itself.

Each function returns ratios, figures, and whether what was done is right.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embed_repo import TIME, embed, forget, make_store, timed

if TYPE_CHECKING:
    from feast import FeatureStore

FAKE = "python:deepfeast.transforms.testing:TextSums?dim=4"
FILES, FILE_ROWS = 1_000, 500
LARGE_FILE_ROWS = 250_000
SIZES = (1_000_000, 10_000_000)

Found = tuple[dict[str, float], dict[str, object], bool]


def unchanged_files(folder: Path, full: bool, rounds: int) -> Found:
    """Embed 1,000 files, and each night after that one more."""
    rows = FILE_ROWS * (4 if full else 1)
    store = make_store(folder, FAKE)
    write_file(folder, 0, rows)
    embed(store)
    forget(folder)
    for number in range(FILES):
        write_file(folder, number * rows, rows)
    # Of files that are written as a run begins it is not sure, so that the next reads them, too.
    time.sleep(2.1)
    whole = timed(lambda: embed(store))
    taken, right = [], True
    for night in range(FILES, FILES + rounds):
        path = write_file(folder, night * rows, rows)
        os.utime(path, (TIME.timestamp(), TIME.timestamp()))
        start = time.perf_counter()
        run = embed(store)
        taken.append(time.perf_counter() - start)
        right = right and (run.rows, run.unchanged) == (rows, night)
    again, reread = read_again(store)
    rerun = statistics.median(taken)
    figures: dict[str, object] = {
        "unchanged_goal": 20.0,
        "unchanged_rows": FILES * rows,
        "unchanged_full_s": whole,
        "unchanged_rerun_s": rerun,
        "unchanged_reread_s": reread,
    }
    return {"unchanged_files": whole / rerun}, figures, right and again.version is None


def throughput_10m(folder: Path, full: bool, rounds: int) -> Found:
    """Embed a million rows and ten million, each in a process of its own; with ``--full`` alone.

    The driver and its workers are one process here. Its peak of memory is what the system says, its
    processor time what all of its threads took: where others use the machine, too, the ratio by
    that is the steadier one.
    """
    if not full:
        return {}, {}, True
    found: dict[int, dict[str, Any]] = {}
    for size in SIZES:
        for start in range(0, size, LARGE_FILE_ROWS):
            write_file(folder / str(size), start, LARGE_FILE_ROWS)
        command = [sys.executable, __file__, str(folder / str(size)), str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{size:,} rows failed:\n{done.stderr[-2000:]}")
        found[size] = json.loads(done.stdout.splitlines()[-1])
    small, large = (found[size] for size in SIZES)
    figures: dict[str, object] = {
        f"{name}_{size}": run[name] for size, run in found.items() for name in run
    }
    figures["throughput_10m_goal"] = 0.8
    figures["throughput_10m_cpu"] = small["cpu_us_a_row"] / large["cpu_us_a_row"]
    right = all(run["right"] for run in found.values())
    return {"throughput_10m": large["rate"] / small["rate"]}, figures, right


def one_size(folder: Path, size: int) -> None:
    """Run once in full and twice with nothing new; print what it took."""
    from deepfeast.transforms.feast_api import import_lean

    # As the command does.
    import_lean()
    store = make_store(folder, FAKE)
    start, cpu = time.perf_counter(), time.process_time()
    run = embed(store)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    first_mb = peak_mb()
    unchanged = embed(store)
    again, reread = read_again(store)
    body = {
        "rate": size / seconds,
        "cpu_us_a_row": cpu / size * 1e6,
        "driver_mb": first_mb,
        "reread_driver_mb": peak_mb(),
        "reread_s": reread,
        "stages": run.stages,
        "right": (run.rows, unchanged.version, again.version) == (size, None, None),
    }
    print(json.dumps(body))


def read_again(store: FeatureStore) -> tuple[Any, float]:
    """Read all files again; return what was done, and the seconds it took."""
    from deepfeast.pipelines.embed import embed as run

    start = time.perf_counter()
    again = run(store, "deep", reread=True)
    return again, time.perf_counter() - start


def peak_mb() -> float:
    """Return the peak of this process's memory; its parent's does not count, as it would else."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def write_file(folder: Path, start: int, rows: int) -> Path:
    """Write a file of distinct texts under wide keys."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = range(start, start + rows)
    mixed = [number * 0x9E3779B97F4A7C15 % 2**64 for number in numbers]
    pairs = list(zip(mixed, numbers, strict=True))
    table = pa.table(
        {
            "id": [f"customer-{mix:016x}-{number:016x}" for mix, number in pairs],
            "text": [f"quiet bright flat {mix:x} by the river {number}" for mix, number in pairs],
            "event_timestamp": pa.array([TIME] * rows, pa.timestamp("us", "UTC")),
        }
    )
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    path = folder / "raw" / f"{start:09d}.parquet"
    pq.write_table(table, path, row_group_size=65_536)
    return path


if __name__ == "__main__":
    one_size(Path(sys.argv[1]), int(sys.argv[2]))
