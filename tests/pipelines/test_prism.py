"""The jobs on an engine that is not Python's: workers that it did not start, in other processes."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from deepfeast.transforms.errors import WorkerError

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
ROWS = [{"id": str(n), "title": f"{'x' * (n % 17 + 1)} shirt"} for n in range(400)]
LATER = datetime(2024, 2, 1, tzinfo=timezone.utc)
# It ends its process in the middle of a stage, once, and keeps a list of all that it encodes.
FATAL = """
import os, signal
from pathlib import Path
from deepfeast.transforms.testing import WordLengths

HERE = Path(__file__).parent

class Fatal(WordLengths):
    def encode_batch(self, prepared):
        with (HERE / "encoded.txt").open("a") as file:
            file.writelines(f"{words}\\n" for words in prepared)
        if [5, 5] in prepared and not (HERE / "killed").exists():
            (HERE / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_batch(prepared)
"""

# A pool that has nothing of the repository but what is in its wheel, and then becomes another user.
ELSEWHERE = """
import os, sys

wheel, user = sys.argv[1], int(sys.argv[2])
sys.path[:] = [wheel, *(path for path in sys.path if "__editable__" not in path)]
sys.meta_path[:] = [one for one in sys.meta_path if "__editable__" not in one.__module__]
# Imported before, as the Python itself may lie where the other user cannot look.
import deepfeast.pipelines.embed.stages as stages, deepfeast.transforms.testing
import obstore.store, apache_beam.runners.worker.sdk_worker, encodings.idna
from deepfeast.pipelines.workers import serve

assert stages.__file__.startswith(wheel), stages.__file__
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
server, port = serve("localhost:0")
print(port, os.geteuid(), os.getcwd(), flush=True)
server.wait_for_termination()
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def start_pool():
    """Start Beam's own pool of workers, as this user or another; return what Beam is told."""
    pools = []

    def start(python=Path(sys.executable), **process):
        port = free_port()
        command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
        # The pool starts its workers as "python", whichever comes first on the path.
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, **process.pop("env", {})}
        pools.append(
            subprocess.Popen(
                [*command, f"--service_port={port}"],
                env=env,
                stderr=subprocess.DEVNULL,
                **process,
            )
        )
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        return ["--environment_type=EXTERNAL", f"--environment_config=localhost:{port}"]

    yield start
    for pool in pools:
        pool.terminate()
        pool.wait(30)


@pytest.fixture
def workers():
    """Our own pool, whose workers stay; return what Beam is told."""
    from deepfeast.pipelines.workers import serve

    server, port = serve("localhost:0")
    yield ["--environment_type=EXTERNAL", f"--environment_config=localhost:{port}"]
    server.stop(None)


@pytest.fixture(scope="module")
def built():
    """A folder with what the wheel holds, which everybody may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        build = ["build_py", f"--build-lib={folder}/lib", "egg_info", f"--egg-base={folder}"]
        subprocess.run([sys.executable, "setup.py", "-q", *build], cwd=ROOT, check=True)
        yield f"{folder}/lib"


@pytest.fixture
def elsewhere(built):
    """A pool of another user, in another folder, that knows the wheel and a bucket alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        command = [sys.executable, "-c", ELSEWHERE, built, str(NOBODY)]
        env = {**os.environ, "HOME": folder, "TMPDIR": folder}
        with subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True
        ) as pool:
            port, user, where = pool.stdout.readline().split()
            assert int(user) == (NOBODY if os.geteuid() == 0 else os.geteuid())
            assert where == os.path.realpath(folder)
            yield ["--environment_type=EXTERNAL", f"--environment_config=localhost:{port}"]
            pool.kill()


@pytest.fixture
def on_prism(prism, monkeypatch):
    from deepfeast.transforms.files import slices

    monkeypatch.setattr(slices, "SLICE_ROWS", 60)
    return ["--runner=PortableRunner", f"--job_endpoint={prism}"]


def content(shirts):
    rows = [{k: v for k, v in row.items() if k != "created_timestamp"} for row in shirts.rows()]
    return sorted(rows, key=lambda row: (row["id"], row["event_timestamp"]))


def materialized(shirts, runner, *options):
    """Embed the news and bring all rows online, by Feast's own command; return what is there."""
    from feast import FeatureStore

    engine = {"type": "deepfeast.pipelines.engine.BeamEngine", "options": [*options]}
    config = shirts.folder / "feature_store.yaml"
    block = {"batch_engine": {**engine, "runner": runner.removeprefix("--runner=")}}
    config.write_text(config.read_text() + yaml.safe_dump(block))
    store = FeatureStore(str(shirts.folder))
    store.materialize(LATER - timedelta(days=60), LATER)
    keys = [{"id": key} for key in ("0", "16", "new", "bad")]
    return store.get_online_features(["deep:vec"], keys).to_dict()["vec"]


@pytest.mark.timeout(180)
def test_table_and_online_store_are_those_that_the_local_runner_makes(
    Shirts, tmp_path, on_prism, workers
):
    found = []
    for name, options in (("local", ["--runner=FnApiRunner"]), ("prism", [*on_prism, *workers])):
        shirts = Shirts(tmp_path / name)
        shirts.write([*ROWS, {"id": "bad", "title": "poison"}], row_group_size=150)
        run = shirts.embed(options=options)
        more = [{"id": "new", "title": "blue hat", "event_timestamp": LATER}]
        shirts.write([*ROWS, *more], row_group_size=150)
        online = materialized(shirts, *options)
        counts = (run.rows, run.encoded, run.reused, run.rejected)
        found.append((content(shirts), counts, online))
    assert found[0] == found[1]
    assert found[1][1:] == ((401, 17, 383, 1), [[1, 5], [17, 5], [4, 3], None])


@pytest.mark.timeout(180)
def test_a_killed_worker_costs_what_it_had_in_hand(
    shirts, on_prism, start_pool, tmp_path, monkeypatch
):
    (tmp_path / "fatal_words.py").write_text(FATAL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("deepfeast.pipelines.beam.PAUSE", 0)
    shirts.declare("python:fatal_words:Fatal?dim=2")
    shirts.write([{"id": str(n), "title": f"{'x' * n} shirt"} for n in range(1, 9)])
    monkeypatch.setattr("deepfeast.transforms.files.slices.SLICE_ROWS", 1)
    pool = start_pool(env={"PYTHONPATH": str(tmp_path)})
    run = shirts.embed(options=[*on_prism, *pool])
    assert (tmp_path / "killed").exists()
    assert run.encoded == 8
    assert shirts.vectors() == {str(n): [n, 5] for n in range(1, 9)}
    encoded = (tmp_path / "encoded.txt").read_text().splitlines()
    assert sorted(set(encoded)) == [f"[{n}, 5]" for n in range(1, 9)]
    assert encoded.count("[5, 5]") == 2


def test_workers_that_never_begin_are_told_after_a_while(shirts, on_prism, start_pool, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    shirts.write(ROWS)
    pool = start_pool(python=python)
    with pytest.raises(WorkerError, match=r"no worker began within 2 s.*deepfeast workers"):
        shirts.embed(options=[*on_prism, *pool, "--worker_start_timeout=2"])
    assert not shirts.table.exists()


@pytest.mark.timeout(180)
def test_workers_need_the_wheel_and_the_bucket_alone(Shirts, tmp_path, bucket, elsewhere, on_prism):
    from deepfeast.transforms.files.bucket import at

    local = Shirts(tmp_path / "local")
    local.write(ROWS, row_group_size=150)
    local.embed()
    # What pytest gives to a test is open to its own user, so that of the driver's disk nothing is
    # read by another.
    (at(bucket) / "raw.parquet").write_bytes((local.folder / "raw.parquet").read_bytes())
    source = {
        "path": f"{bucket}/raw.parquet",
        "s3_endpoint_override": os.environ["AWS_ENDPOINT_URL"],
    }
    far = Shirts(tmp_path / "far", uri=f"{bucket}/tables/deep", **source)
    run = far.embed(options=[*on_prism, *elsewhere])
    assert run.encoded == 17
    assert content(far) == content(local)
