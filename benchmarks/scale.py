"""Does the job stay as fast and as small when the source grows a hundredfold?

Each size runs in a process of its own, whose peak of memory is what the system says it was.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from embed_repo import embed, forget, make_store, report, texts, write_raw

FAKE = "python:deepfeast.transforms.testing:TextSums?dim=64"
SIZES = (10_000, 100_000, 1_000_000)
FILE_ROWS = 250_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="three rounds instead of one")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.size:
        return one_size(arguments.folder, arguments.size)
    found: dict[int, list[dict]] = {size: [] for size in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            write_source(Path(folder) / str(size), size)
        for _ in range(3 if arguments.full else 1):
            for size in SIZES:
                found[size].append(child(Path(folder) / str(size), size))
    print(f"{'rows':>10} {'rows/s':>10} {'seconds':>9} {'peak MiB':>9} {'rerun s':>9}")
    medians = {}
    for size, runs in found.items():
        medians[size] = {k: float(np.median([run[k] for run in runs])) for k in runs[0]}
        m = medians[size]
        line = f"{size:10,} {m['rate']:10,.0f} {m['seconds']:9.2f} {m['peak_mib']:9.0f}"
        print(f"{line} {m['rerun_s']:9.2f}")
    first, last = medians[SIZES[0]], medians[SIZES[-1]]
    ratios = {
        "throughput_1m": last["rate"] / first["rate"],
        "memory_1m": first["peak_mib"] / last["peak_mib"],
    }
    figures = {
        **{f"{name}_{size}": m[name] for size, m in medians.items() for name in m},
        "goals_met": [
            *(["throughput_1m"] if ratios["throughput_1m"] >= 0.8 else []),
            *(["memory_1m"] if ratios["memory_1m"] >= 1 / 1.5 else []),
        ],
    }
    agree = all(run["right"] for runs in found.values() for run in runs)
    return report("scale", ratios, figures, agree=agree)


def write_source(folder: Path, size: int) -> None:
    """Write distinct texts, in files of 250k rows."""
    values = texts(size, 12)
    for start in range(0, size, FILE_ROWS):
        write_raw(folder, values[start : start + FILE_ROWS], start)


def child(folder: Path, size: int) -> dict:
    """Run one size in its own process."""
    command = [sys.executable, __file__, "--size", str(size), "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{size:,} rows failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def one_size(folder: Path, size: int) -> int:
    """Warm up, run once in full and once with nothing new; print what it took."""
    warm = folder / "warm"
    write_raw(warm, texts(100, 12))
    embed(make_store(warm, FAKE))
    store = make_store(folder, FAKE)
    forget(folder)
    start = time.perf_counter()
    run = embed(store)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    again = embed(store)
    right = (run.rows, run.encoded, again.version) == (size, size, None)
    body = {"rate": size / seconds, "seconds": seconds, "peak_mib": peak, "right": right}
    print(json.dumps({**body, "rerun_s": time.perf_counter() - start}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
