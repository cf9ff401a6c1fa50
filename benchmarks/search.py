"""How fast is an exact search, and is it exact? Beside plain numpy on one thread.

A million vectors of 384 numbers lie around some hundred centres, as those of real texts do. The
peer multiplies the whole matrix and picks the ten largest. What is true is told by float64. All
pairs of a tenth of the rows are compared for near-copies. Then
a table of a tenth of the rows, or with ``--full`` of all, is embedded, opened and searched by a
process of its own, whose peak of memory is measured.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from embed_repo import embed, make_store, report, write_raw
from threadpoolctl import threadpool_limits

from deepfeast.transforms.nearest import near_copies, nearest, to_units

DIM, COUNT, PIECE = 384, 10, 1 << 16
ENCODER = "python:deepfeast.transforms.testing:TextSums?dim=384"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="open a million rows from a table, too")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=25)
    parser.add_argument("--open", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        print(json.dumps(opened(Path(arguments.open))))
        return 0
    rows = arguments.rows
    with threadpool_limits(1):
        units, _ = to_units(vectors(rows))
        queries = [one for _, one in zip(range(arguments.queries), ask(units), strict=False)]
        ours_tenth, _, _, right_tenth = race(units[: rows // 10], queries)
        ours, plain, ratio, right = race(units, queries)
        start = time.perf_counter()
        copies = sum(len(found) for found, _, _ in near_copies(units[: rows // 10], 0.95))
        copies_s = time.perf_counter() - start
    del units
    recall = float(np.mean([*right, *right_tenth]))
    figures = {
        "rows": rows,
        "ms": 1e3 * ours,
        "numpy_ms": 1e3 * plain,
        "ms_tenth": 1e3 * ours_tenth,
        "copies_s_tenth": copies_s,
        "copies_tenth": copies,
        **from_table(rows if arguments.full else rows // 10),
    }
    goals = {"ms": 250, "ms_tenth": 50, "copies_s_tenth": 120, "open_peak_mb": 2048}
    met = [name for name, goal in goals.items() if figures[name] <= goal]
    ratios = {"numpy_1m": ratio, "recall": recall}
    return report("search", ratios, {**figures, "goals_met": met}, agree=recall == 1.0)


def vectors(rows: int) -> np.ndarray:
    """Draw vectors around centres, piece by piece: nothing is held twice."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((100, DIM), dtype=np.float32)
    matrix = np.empty((rows, DIM), np.float32)
    for start in range(0, rows, PIECE):
        part = matrix[start : start + PIECE]
        random.standard_normal(out=part, dtype=np.float32)
        part += centres[random.integers(0, len(centres), len(part))]
    return matrix


def ask(units: np.ndarray) -> Any:
    """Yield queries that are near to some vectors, and to none exactly."""
    random = np.random.default_rng(1)
    while True:
        near = units[random.integers(len(units))]
        yield near + random.standard_normal(DIM, dtype=np.float32) / np.float32(40)


def race(units: np.ndarray, queries: list[np.ndarray]) -> tuple[float, float, float, list[float]]:
    """Search in turn, now one first and now the other.

    Returns our median time and the peer's, in seconds, the median of their ratios, and our recalls.
    """
    found: list[float] = []
    times: list[float] = []
    peers: list[float] = []
    for number, query in enumerate(queries):
        calls: list[tuple[Callable[[], Any], list[float]]] = [
            (partial(nearest, units, query, COUNT), times),
            (partial(plainly, units, query), peers),
        ]
        for call, spent in calls[:: -1 if number % 2 else 1]:
            answer, seconds = timed(call)
            spent.append(seconds)
            if spent is times:
                found.append(len(set(answer[0].tolist()) & truth(units, query)) / COUNT)
    ratio = statistics.median(peer / ours for peer, ours in zip(peers, times, strict=True))
    return statistics.median(times), statistics.median(peers), ratio, found


def plainly(units: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Search as one would by hand."""
    scores = units @ (query / np.linalg.norm(query))
    largest = np.argpartition(scores, -COUNT)[-COUNT:]
    return largest[np.argsort(-scores[largest])]


def truth(units: np.ndarray, query: np.ndarray) -> set[int]:
    """Return the nearest rows by float64."""
    exact = query.astype(np.float64)
    scores = np.concatenate(
        [
            units[start : start + PIECE].astype(np.float64) @ exact
            for start in range(0, len(units), PIECE)
        ]
    )
    return set(np.argsort(-scores)[:COUNT].tolist())


def timed(what: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    done = what()
    return done, time.perf_counter() - start


def from_table(rows: int) -> dict[str, Any]:
    """Embed so many rows, and search them in another process."""
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), ENCODER)
        write_raw(Path(folder), [f"text {number}" for number in range(rows)])
        embed(store)
        command = [sys.executable, __file__, "--open", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"opened_rows": rows, **json.loads(done.stdout)}


def opened(folder: Path) -> dict[str, float]:
    """Open a table, and ask it once for what was written."""
    from deepfeast.pipelines.search import VectorSearch
    from deepfeast.pipelines.terminal import listen, open_repo

    listen()
    store = open_repo(folder)
    opened, opening = timed(lambda: VectorSearch(store, "deep"))
    found, asking = timed(lambda: opened.search("text 5"))
    assert found.hits[0].contents == {"text": "text 5"}
    # Of this program alone; what getrusage says may be that of the one that started it.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return {
        "open_s": opening,
        "search_and_texts_ms": 1e3 * asking,
        "open_peak_mb": int(peak) / 1024,
    }


if __name__ == "__main__":
    sys.exit(main())
