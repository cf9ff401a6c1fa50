"""What does it cost to leave one process, and one disk?

``prism``: the embed job on Beam's portable runner in Go, with workers of their own, beside
FnApiRunner in this process, on the same cores; and the same of ``feast materialize``. Prism is
taken from the path or from the shared folder; without it there is no such ratio.

``unchanged_files``: the job over 1,000 files beside a night with one new file, with an encoder
that costs almost nothing. ``throughput_10m``, with ``--full``: rows a second at ten million rows
over those at a million, and what the driver holds.

``bucket``: the embed job with its table on a disk, beside one in a bucket of moto's S3 server,
which runs on loopback and on the same cores.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from _bucket import bucket
from _large_source import throughput_10m, unchanged_files
from embed_repo import TIME, forget, make_store, report, texts, timed, write_raw

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore

BIN = Path(sys.executable).parent
SHARED = Path(os.environ.get("DEEPFEAST_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@dataclass
class Measured:
    """What one of the functions below has measured."""

    ratios: dict[str, float] = field(default_factory=dict)
    figures: dict[str, object] = field(default_factory=dict)
    agree: bool = True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="more rows")
    parser.add_argument("--only", choices=sorted(RATIOS), help="measure this one alone")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    every = Measured()
    for name, measure in RATIOS.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                found = measure(Path(folder), arguments.full, arguments.rounds)
            every.ratios |= found.ratios
            every.figures |= found.figures
            every.agree &= found.agree
    every.figures["load"] = os.getloadavg()[0]
    return report("scale_out", every.ratios, every.figures, every.agree)


def prism(folder: Path, full: bool, rounds: int) -> Measured:
    """Take turns at the same rows on FnApiRunner and on Prism."""
    program = shutil.which("prism") or shutil.which(SHARED / "bin" / "prism")
    if program is None:
        return Measured(figures={"prism": f"neither on the path nor in {SHARED / 'bin'}"})
    rows = 12_000 if full else 1_200
    store = make_store(folder, "minilm")
    write_raw(folder, texts(rows, 40))
    with ExitStack() as servers:
        # It turns idly while workers work, and took a core from them: see docs/clusters.md.
        polite: list[str | Path] = ["nice", "-n", "19", str(program), "-serve_http=false"]
        engine = servers.enter_context(served(polite, "-job_port={port}"))
        engine_of = ["--runner=PortableRunner", f"--job_endpoint={engine}"]
        ours: list[str | Path] = [BIN / "deepfeast", "workers"]
        beams: list[str | Path] = [
            sys.executable,
            "-m",
            "apache_beam.runners.worker.worker_pool_main",
        ]
        options: dict[str, list[str]] = {"local": []}
        for name, command, port in (
            ("prism", ours, "--port={port}"),
            ("beam_pool", beams, "--service_port={port}"),
        ):
            pool = servers.enter_context(served(command, port))
            workers = ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
            options[name] = [*engine_of, *workers]
        # Networks are loaded once, here as there; Beam's own pool loads them for each job.
        jobs = {name: functools.partial(embed, store, folder, options[name]) for name in options}
        online = {
            name: functools.partial(materialize, store, folder, options[name])
            for name in ("local", "prism")
        }
        warm = {name: timed(job) for name, job in jobs.items()}
        taken: dict[str, list[float]] = {name: [] for name in jobs}
        written: dict[str, list[float]] = {name: [] for name in online}
        tables: dict[str, pa.Table] = {}
        for _ in range(rounds):
            for name in ("local", "prism"):
                taken[name].append(timed(jobs[name]))
                tables[name] = content(folder)
        taken["beam_pool"] = [timed(jobs["beam_pool"])]
        tables["beam_pool"] = content(folder)
        for name in online:
            online[name]()
        for _ in range(rounds):
            for name in online:
                written[name].append(timed(online[name]))
    seconds = {name: statistics.median(found) for name, found in taken.items()}
    brought = {name: statistics.median(found) for name, found in written.items()}
    return Measured(
        {"prism": seconds["local"] / seconds["prism"]},
        {
            "prism_rows": rows,
            "prism_goal": 0.77,
            "prism_materialize": brought["local"] / brought["prism"],
            "prism_beam_pool": seconds["local"] / seconds["beam_pool"],
            **{f"{name}_s": found for name, found in seconds.items()},
            **{f"{name}_first_s": found for name, found in warm.items()},
            **{f"{name}_materialize_s": found for name, found in brought.items()},
        },
        agree=all(table.equals(tables["local"]) for table in tables.values()),
    )


def embed(store: FeatureStore, folder: Path, options: list[str]) -> None:
    """Run the job from the beginning."""
    from deepfeast.pipelines.embed import embed as run

    forget(folder)
    run(store, "deep", options=options)


def materialize(store: FeatureStore, folder: Path, options: list[str]) -> None:
    """Bring the view into an empty online store."""
    from feast.infra.offline_stores.offline_utils import get_offline_store_from_config

    from deepfeast.pipelines.materialize.bring import bring_online

    empty = folder / "empty.db"
    if not empty.exists():
        shutil.copy(folder / "online.db", empty)
    shutil.copy(empty, folder / "online.db")
    view = store.get_feature_view("deep")
    offline = get_offline_store_from_config(store.config.offline_store)
    start, end = TIME - timedelta(days=1), datetime.now(timezone.utc)
    bring_online(
        store.config, offline, view, start, end, options=options, batch_rows=5_000, staging=None
    )


def content(folder: Path) -> pa.Table:
    """Return the embedding table in the order of its keys, without the commit's time."""
    from deltalake import DeltaTable

    table = DeltaTable(str(folder / "data" / "embeddings" / "deep")).to_pyarrow_table()
    return table.drop_columns(["created_timestamp"]).sort_by("id").combine_chunks()


@contextmanager
def served(command: list[str | Path], port: str) -> Iterator[str]:
    """Start a server on a port of its own; `port` is how it is told. Yield where it is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    # Beam's pool starts its workers as "python", whichever comes first on the path.
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, port.format(port=number)],
            env={**os.environ, "PATH": path},
            stdout=log,
            stderr=log,
        )
        try:
            while process.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", number)) == 0:
                        break
                time.sleep(0.05)
            yield f"localhost:{number}"
        finally:
            process.terminate()
            process.wait()


RATIOS: dict[str, Callable[[Path, bool, int], Measured]] = {
    "prism": prism,
    "bucket": lambda *how: Measured(*bucket(*how)),
    "unchanged_files": lambda *how: Measured(*unchanged_files(*how)),
    "throughput_10m": lambda *how: Measured(*throughput_10m(*how)),
}

if __name__ == "__main__":
    sys.exit(main())
