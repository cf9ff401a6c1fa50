"""A PostgreSQL server on loopback for as long as a benchmark runs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def server() -> Iterator[dict[str, Any]]:
    """Start a server; yield the block by which Feast's store reaches it."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(programs[-1]) if programs else None)
    if initdb is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="deepfeast-pg-"))
    other: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        other = {"user": "postgres", "group": "postgres", "extra_groups": []}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **other}
    make = [initdb, "-D", str(folder / "db"), "-U", "feast", "-A", "trust", "--no-sync"]
    subprocess.run(make, cwd=folder, check=True, **quiet)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    run = [str(Path(initdb).with_name("postgres")), "-D", str(folder / "db"), "-p", str(port)]
    run += ["-k", str(folder), "-h", "127.0.0.1", "-c", "fsync=off"]
    process = subprocess.Popen(run, cwd=folder, **quiet)
    try:
        _wait(port)
        yield {
            "type": "postgres",
            "host": "127.0.0.1",
            "port": port,
            "database": "postgres",
            "db_schema": "public",
            "user": "feast",
            "password": "",
            "sslmode": "disable",
        }
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port: int) -> None:
    """Wait until the server lets somebody in: it listens a while before."""
    import psycopg

    for _ in range(200):
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} dbname=postgres user=feast").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server did not answer within 10 seconds")
