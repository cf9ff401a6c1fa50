"""An engine for tests that is not Python's: Beam's portable runner in Go, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def prism():
    """The job server of Prism."""
    shared = os.environ.get("DEEPFEAST_SHARED", Path(__file__).resolve().parents[2] / "shared")
    program = shutil.which("prism") or str(Path(shared) / "bin" / "prism")
    if not Path(program).is_file():
        pytest.skip(f"Prism is neither on the path nor at {program}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"-job_port={port}", "-serve_http=false", "-log_level=error"]
    with subprocess.Popen([program, *options], stderr=subprocess.DEVNULL) as server:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"localhost:{port}"
        server.terminate()
