"""One job, several Beam runners, equal output."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepfeast.transforms.errors import SpecError

ROWS = [{"id": str(n), "title": f"{'x' * (n % 17 + 1)} shirt"} for n in range(400)]
EXPECTED = {row["id"]: [len(row["title"]) - 6, 5] for row in ROWS}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def worker_pool():
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    # The pool starts its workers as "python", whichever comes first on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pool = subprocess.Popen(
        [*command, f"--service_port={port}"],
        env={**os.environ, "PATH": path},
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"localhost:{port}"
    pool.terminate()
    pool.wait(30)


def embedded(shirts, options, monkeypatch):
    from deepfeast.transforms.files import slices as sources

    monkeypatch.setattr(sources, "SLICE_ROWS", 60)
    shirts.write(ROWS, row_group_size=150)
    run = shirts.embed(options=options)
    assert run.encoded == 17
    return shirts.vectors()


def test_two_worker_processes(shirts, monkeypatch):
    options = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    assert embedded(shirts, options, monkeypatch) == EXPECTED


def test_two_threads(shirts, monkeypatch):
    options = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]
    assert embedded(shirts, options, monkeypatch) == EXPECTED


@pytest.mark.timeout(180)
def test_the_portable_runner_with_an_external_worker_pool(shirts, worker_pool, monkeypatch):
    options = [
        "--runner=PortableRunner",
        "--job_endpoint=embed",
        "--environment_type=EXTERNAL",
        f"--environment_config={worker_pool}",
    ]
    assert embedded(shirts, options, monkeypatch) == EXPECTED


def test_dask_is_refused_with_the_reason(shirts):
    shirts.write(ROWS)
    with pytest.raises(SpecError, match="rows would be lost"):
        shirts.embed(options=["--runner=DaskRunner"])
    assert not shirts.table.exists()


@pytest.mark.timeout(180)
def test_one_worker_and_two_give_the_same_vectors_bit_for_bit(Shirts, tmp_path, monkeypatch):
    from deepfeast.transforms.files import slices as sources

    monkeypatch.setattr(sources, "SLICE_ROWS", 20)
    rows = [{"id": str(n), "title": f"a {'very ' * (n % 7)}red shirt {n}"} for n in range(60)]
    two = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    found = []
    for name, options in (("one", []), ("two", two)):
        shirts = Shirts(tmp_path / name)
        shirts.declare("minilm")
        shirts.write(rows)
        shirts.embed(options=options)
        found.append(shirts.vectors())
    assert found[0] == found[1]
