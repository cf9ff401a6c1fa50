"""What is kept where a trial is stopped; tests/whole/test_try_page.py runs a whole one."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from deepfeast.pipelines.start.trial import drawn_rows


def test_rows_are_drawn_once_in_order_and_the_same_again():
    rows = drawn_rows(1000, 100, 0)
    assert len(set(rows)) == 100
    assert (np.diff(rows) > 0).all()
    assert (drawn_rows(1000, 100, 0) == rows).all()
    assert drawn_rows(100, 100, 0) is None


# Waits where the first vectors are made, until it is interrupted.
WAITS = """
import time
from deepfeast.transforms.testing import WordLengths

class Waits(WordLengths):
    def encode_batch(self, prepared):
        print("encoding", flush=True)
        time.sleep(60)
"""


@pytest.mark.slow
def test_ctrl_c_while_encoding_says_what_is_kept(folder):
    (folder / "waits.py").write_text(WAITS)
    words = ["try", "shop.csv", "--target", "price", "--text-encoder", "python:waits:Waits?dim=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "deepfeast.pipelines.cli", *words],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert any("encoding" in line for line in process.stdout)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in told
    assert "the same command goes on from there" in told
    assert "Traceback" not in told
