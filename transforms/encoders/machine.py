"""What a machine offers: its cores, its devices, the number formats it is fast in."""

from __future__ import annotations

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.errors import SpecError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

AGREEMENT = {"fast": 0.999, "exact": 0.99999}
"""Smallest cosine to torch in float32 at which another form may be used."""


def find_device(asked: str | None) -> str:
    """Return the device to compute on: the one asked for, or a GPU where there is one."""
    torch = torch_or_none()
    present = ["cpu"] + (["cuda"] if torch and torch.cuda.is_available() else [])
    if asked is None:
        return present[-1]
    if asked not in present:
        raise SpecError(f"device={asked!r}: this machine has {', '.join(present)}.")
    return asked


def torch_or_none() -> Any:
    """Return torch; None in a slim installation, which goes without."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        return None


def fast_dtype(device: str) -> torch.dtype:
    """Return the number format in which a device multiplies matrices fastest."""
    import torch

    if device != "cpu":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    has_bf16 = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    # In emulation bfloat16 is slower than float32; these flags mean real instructions.
    native = _cpu_has("avx512_bf16", "amx_bf16", "bf16")
    return torch.bfloat16 if native and has_bf16() else torch.float32


def agrees(exact: NDArray, other: NDArray, precision: str = "fast") -> bool:
    """Whether two forms of the same vectors agree: smallest cosine at least `AGREEMENT`.

    >>> agrees(np.array([[1.0, 0.0]]), np.array([[1.0, 0.01]]))
    True
    >>> agrees(np.array([[1.0, 0.0]]), np.array([[1.0, 0.01]]), "exact")
    False
    """
    return bool(np.isfinite(other).all() and smallest_cosine(exact, other) >= AGREEMENT[precision])


def smallest_cosine(a: NDArray, b: NDArray) -> float:
    """Return the smallest cosine between rows of the same place; two zero rows agree.

    >>> round(smallest_cosine(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])), 3)
    0.707
    """
    a, b = a.astype(np.float64), b.astype(np.float64)  # float32 would lose tiny vectors
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    dots = np.einsum("ij,ij->i", a, b)
    cosines = np.where(both_zero, 1, dots / np.where(lengths == 0, 1, lengths))
    return float(cosines.min(initial=1.0))


def core_pool(workers: int) -> ThreadPoolExecutor:
    """Start threads that each run torch on one core; without torch, plain threads.

    Batches side by side, each on a core of its own, never wait for one another. One batch
    spread over all cores does at every operation, and where another process holds a core,
    all of them wait for it: with a busy neighbour that was 10 times slower.
    """
    torch = torch_or_none()
    if torch is None:
        return ThreadPoolExecutor(workers, thread_name_prefix="deepfeast-core")
    before = torch.get_num_threads()
    all_started = threading.Barrier(workers)

    def on_one_core() -> None:
        torch.get_num_threads()  # a thread's first look takes over the common number: be it now
        torch.set_num_threads(1)
        all_started.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="deepfeast-core")
    for started in [pool.submit(on_one_core) for _ in range(workers)]:
        started.result()
    # torch keeps one number for threads still to come; the caller's must not change.
    torch.set_num_threads(before)
    return pool


def _cpu_has(*flags: str) -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as file:  # noqa: PTH123
            line = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return False
    return bool(set(flags) & set(line.split()))
