"""A nightly job as a script of pandas and sentence-transformers, and as `deepfeast embed`.

Two nights, each a process of its own, as cron starts it: all rows are new on the first, one in
fifty on the second. The script reads Parquet, encodes, and writes Parquet; it encodes everything
again on the second night, or, with the lines most people add later, keeps yesterday's vectors
by text. All write the same vectors. Beside the time by the clock stand processor seconds, which a
busy neighbour does not lower.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from _rounds import spread
from embed_job import smallest_cosine
from embed_repo import forget, make_store, report, texts, vectors, write_raw

SCRIPT = """
import sys

import pandas as pd
from sentence_transformers import SentenceTransformer

raw, model, out, kept = sys.argv[1:]
frame = pd.read_parquet(raw)
{encode}
frame.to_parquet(out)
"""
AGAIN = """
model = SentenceTransformer(model, device="cpu")
frame["vec"] = list(model.encode(frame["text"].tolist()))
"""
KEEPING = """
known = pd.read_parquet(kept).set_index("text")["vec"]
known = known[~known.index.duplicated()]
new = frame.loc[~frame["text"].isin(known.index), "text"].unique().tolist()
if new:
    model = SentenceTransformer(model, device="cpu")
    known = pd.concat([known, pd.Series(list(model.encode(new)), index=new)])
frame["vec"] = frame["text"].map(known)
"""
NEW = 50  # one row in so many is new on the second night


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="20,000 rows instead of 1,000")
    parser.add_argument("--rows", type=int, help="how many")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows = arguments.rows or (20_000 if arguments.full else 1_000)
    with tempfile.TemporaryDirectory() as folder:
        times, cosine = measure(Path(folder), texts(rows + rows // NEW, 40), rows, arguments.rounds)
    seconds = {name: median(clock for clock, _ in taken) for name, taken in times.items()}
    processor = {name: median(cpu for _, cpu in taken) for name, taken in times.items()}
    pairs = {
        "first": ("script, first", "ours, first"),
        "second": ("script, second", "ours, second"),
        "second_kept": ("script keeping, second", "ours, second"),
    }
    more = {
        "data": f"{rows:,} distinct generated texts of 40 words in the mean, {rows // NEW} more on "
        "the second night",
        "spread": {
            name: spread([clock for clock, _ in times[peer]], [clock for clock, _ in times[own]])
            for name, (peer, own) in pairs.items()
        },
    }
    ratios = {name: seconds[peer] / seconds[own] for name, (peer, own) in pairs.items()}
    figures = {
        "rows": rows,
        "cosine": cosine,
        "seconds": seconds,
        "processor_seconds": processor,
        "processor": {n: processor[peer] / processor[own] for n, (peer, own) in pairs.items()},
    }
    return report("script_nights", ratios, figures, agree=cosine >= 0.999, more=more)


def measure(
    folder: Path, values: list[str], rows: int, rounds: int
) -> tuple[dict[str, list[tuple[float, float]]], float]:
    """Run each night of each job in turn; return all times, and the smallest cosine to ours."""
    from deepfeast.transforms.encoders import get_encoder
    from deepfeast.transforms.encoders.text.encoder import TextEncoder

    encoder = get_encoder("minilm")
    assert isinstance(encoder, TextEncoder)
    make_store(folder, "minilm")
    for name, encode in (("again", AGAIN), ("keeping", KEEPING)):
        (folder / f"{name}.py").write_text(SCRIPT.format(encode=encode))
    raw, yesterday = folder / "raw", folder / "first.parquet"

    def job() -> None:
        deepfeast = Path(sys.executable).with_name("deepfeast")
        run([str(deepfeast), "embed", "--repo", str(folder), "--quiet"])

    def script(name: str, out: Path) -> Callable[[], None]:
        command = [sys.executable, folder / f"{name}.py", raw, encoder.folder, out, yesterday]
        return lambda: run([str(word) for word in command])

    nights = {
        "ours, first": job,
        "script, first": script("again", yesterday),
        "ours, second": job,
        "script, second": script("again", folder / "again.parquet"),
        "script keeping, second": script("keeping", folder / "keeping.parquet"),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in nights}
    for _ in range(rounds):
        forget(folder)
        shutil.rmtree(raw, ignore_errors=True)
        write_raw(folder, values[:rows])
        for name, night in nights.items():
            if name == "ours, second":
                write_raw(folder, values[rows:], start=rows)
            times[name].append(clocks(night))
    ours = vectors(folder)
    peers = [in_order(folder / f"{name}.parquet") for name in ("again", "keeping")]
    return times, min(smallest_cosine(ours, peer) for peer in peers)


def run(command: list[str]) -> None:
    """Run a job, with nothing on the terminal; end with what it said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{Path(command[1]).name} failed:\n{done.stderr[-2000:]}")


def clocks(call: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds by the clock, and those of processors in the processes that it starts."""
    started, before = time.perf_counter(), os.times()
    call()
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return time.perf_counter() - started, cpu


def in_order(path: Path) -> np.ndarray:
    """Return the vectors of a script, in the order of the keys' numbers."""
    import pandas as pd

    frame = pd.read_parquet(path)
    frame.index = frame["id"].str.removeprefix("row-").astype(int)
    return np.stack(frame.sort_index()["vec"].to_numpy())


if __name__ == "__main__":
    sys.exit(main())
