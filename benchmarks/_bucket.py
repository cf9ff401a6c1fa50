"""What a bucket costs the embed job: the same rows, with the table on a disk and on an S3 server.

The server is moto's, on loopback and on the same cores, one process of Python: it is slower than a
real store at each request, and nearer.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embed_repo import make_store, texts, timed, write_raw

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore


def bucket(
    folder: Path, full: bool, rounds: int
) -> tuple[dict[str, float], dict[str, object], bool]:
    """Take turns at the same rows on a disk and in a bucket; return ratios, figures, agreement."""
    missing = [name for name in ("moto", "flask_cors", "obstore") if not _is_installed(name)]
    if missing:
        return {}, {"bucket": f"not installed: {', '.join(missing)}"}, True
    rows = 12_000 if full else 1_200
    words = texts(rows, 40)
    with served() as where:
        uris = {"disk": str(folder / "disk" / "data" / "embeddings" / "deep"), "bucket": where}
        stores = {name: _store(folder / name, uri) for name, uri in uris.items()}
        for name in stores:
            write_raw(folder / name, words)
        jobs = {
            name: functools.partial(_embed, store, uris[name]) for name, store in stores.items()
        }
        rerun = {name: functools.partial(_rerun, store) for name, store in stores.items()}
        for job in jobs.values():
            job()
        taken: dict[str, list[float]] = {name: [] for name in jobs}
        again: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(rounds):
            for name, job in jobs.items():
                taken[name].append(timed(job))
                again[name].append(timed(rerun[name]))
        tables = [_content(uri) for uri in uris.values()]
    seconds = {name: statistics.median(found) for name, found in taken.items()}
    nothing = {name: statistics.median(found) for name, found in again.items()}
    return (
        {"bucket": seconds["disk"] / seconds["bucket"]},
        {
            "bucket_rows": rows,
            "bucket_goal": 0.7,
            "bucket_nothing_new": nothing["disk"] / nothing["bucket"],
            **{f"bucket_{name}_s": found for name, found in seconds.items()},
            **{f"bucket_{name}_nothing_new_s": found for name, found in nothing.items()},
        },
        tables[0].equals(tables[1]),
    )


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _store(folder: Path, uri: str) -> FeatureStore:
    """Apply a repo whose embedding table lies at an address."""
    from feast import FileSource
    from feast.data_format import DeltaFormat

    store = make_store(folder, "minilm")
    view = store.get_feature_view("deep")
    old: Any = view.batch_source
    view.batch_source = FileSource(
        name=old.name,
        path=uri,
        file_format=DeltaFormat(),
        timestamp_field=old.timestamp_field,
        created_timestamp_column=old.created_timestamp_column,
    )
    store.apply([view.batch_source, view])
    return store


def _embed(store: FeatureStore, uri: str) -> None:
    """Run the job from the beginning."""
    from deepfeast.pipelines.embed import embed
    from deepfeast.transforms.files.bucket import at, remove_tree

    remove_tree(at(uri))
    embed(store, "deep")


def _rerun(store: FeatureStore) -> None:
    from deepfeast.pipelines.embed import embed

    assert embed(store, "deep").version is None


def _content(uri: str) -> pa.Table:
    """Return the embedding table in the order of its keys, without the commit's time."""
    from deltalake import DeltaTable

    table = DeltaTable(uri).to_pyarrow_table()
    return table.drop_columns(["created_timestamp"]).sort_by("id").combine_chunks()


@contextmanager
def served() -> Iterator[str]:
    """Start an S3 server that the environment names; yield the address of a table on it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    url = f"http://127.0.0.1:{port}"
    os.environ |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
    }
    try:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        asked = urllib.request.Request(f"{url}/bench", method="PUT")
        urllib.request.urlopen(asked, timeout=60).close()
        yield "s3://bench/deep"
    finally:
        process.terminate()
        process.wait()
