"""When two forms of a vector agree, and how many cores a batch takes."""

import numpy as np
import pytest
import torch

from deepfeast.transforms.encoders.machine import (
    agrees,
    core_pool,
    fast_dtype,
    find_device,
    smallest_cosine,
)
from deepfeast.transforms.errors import SpecError


def test_the_smallest_cosine_is_of_the_worst_row_however_short():
    ones, turned = np.ones((3, 2), np.float32), np.ones((3, 2), np.float32)
    turned[1] = [1, -1]
    assert smallest_cosine(ones, ones * 1e-30) == pytest.approx(1)
    assert smallest_cosine(ones, turned) == pytest.approx(0)


def test_two_zero_rows_agree_and_one_alone_does_not():
    zero, one = np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32)
    assert agrees(zero, zero)
    assert not agrees(zero, one)
    assert agrees(np.empty((0, 2)), np.empty((0, 2)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_agrees_with_nothing(wrong):
    assert not agrees(np.ones((1, 2)), np.array([[1, wrong]]))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_each_thread_of_the_pool_keeps_to_one_core(two_threads):
    with core_pool(3) as pool:
        seen = set(pool.map(lambda _: torch.get_num_threads(), range(6)))
    # Also after the caller's number was put back.
    assert (seen, torch.get_num_threads()) == ({1}, 2)


def test_a_device_is_the_one_asked_for_or_the_best_there_is():
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert (find_device("cpu"), find_device(None)) == ("cpu", best)
    with pytest.raises(SpecError, match="device='tpu': this machine has cpu"):
        find_device("tpu")
    assert fast_dtype("cpu") in (torch.bfloat16, torch.float32)


def test_without_torch_there_is_the_processor_alone(without_torch):
    assert find_device(None) == "cpu"
    with core_pool(2) as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
