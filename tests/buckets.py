"""Fixtures for tests of tables in a bucket: an S3 server of their own, on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
import uuid

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
    return make_bucket(s3_port)


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
