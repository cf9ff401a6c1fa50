"""Cores are those of the process, wherever they are counted."""

import os

import pytest

from deepfeast.pipelines.options import local_threads
from deepfeast.transforms.cores import cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be pinned here")
def test_a_pinned_process_counts_the_cores_it_was_given():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert (cores(), local_threads([])) == (1, 1)
    finally:
        os.sched_setaffinity(0, before)
    assert cores() == len(before)
