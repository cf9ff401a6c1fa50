"""Vectors as int8: how they are rounded, packed and unpacked.

Every 64 numbers of a vector share a scale, so that a few large ones cost the others nothing. A
packed vector is its scales, two bytes each, and then a byte a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

INT8 = "int8"
BLOCK = 64
MOST = np.float32(127)
# Blocks whose every number is smaller than this are zero: no scale could be kept for them.
_NOTHING = np.float32(1e-30)
# The largest bfloat16 of which 127 are a float32.
_LARGEST = np.uint32(0x7C010000).view(np.float32)


def round_to_int8(matrix: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round vectors so that int8 keeps them: a number becomes its scale times -127 to 127.

    A scale is the largest of its 64 numbers by 127, of which 8 bits are kept (a bfloat16). So the
    product is exact in float32, packing loses nothing more, and rounding twice changes nothing.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, dim)
        A row of NaN stays one; other rows are finite.

    Examples
    --------
    >>> round_to_int8(np.array([[127.0, 0.6, -30.2]]))
    array([[127.,   1., -30.]], dtype=float32)
    """
    steps, scales = _in_steps(matrix)
    return steps * _spread(scales, steps.shape[1])


def packed(matrix: NDArray[np.floating]) -> NDArray[Any]:
    """Write vectors, none of which is NaN, as int8 behind their scales.

    Returns
    -------
    ndarray of records ``scales`` and ``steps``, of shape (n_rows,)
        Each of `packed_size` bytes. A scale is the upper half of a float32.
    """
    steps, scales = _in_steps(matrix)
    records = np.empty(len(steps), _record(steps.shape[1]))
    records["scales"], records["steps"] = scales.view(np.uint32) >> 16, steps
    return records


def unpacked(values: bytes | memoryview, dim: int) -> NDArray[np.float32]:
    """Read what `packed` wrote, one record after another.

    >>> unpacked(packed(np.array([[127.0, -3.0]])).tobytes(), 2)
    array([[127.,  -3.]], dtype=float32)
    """
    records = np.frombuffer(values, _record(dim))
    scales = (records["scales"].astype(np.uint32) << 16).view(np.float32)
    return records["steps"] * _spread(scales, dim)


def packed_size(dim: int) -> int:
    """Return the bytes of a packed vector.

    >>> packed_size(384), packed_size(65)
    (396, 69)
    """
    return dim + 2 * _blocks(dim)


def packed_dim(size: int) -> int:
    """Return how many numbers a packed vector of so many bytes has.

    >>> [packed_dim(packed_size(dim)) for dim in (1, 64, 65, 384)]
    [1, 64, 65, 384]
    """
    return size - 2 * -(-size // (BLOCK + 2))


def _blocks(dim: int) -> int:
    return -(-dim // BLOCK)


def _record(dim: int) -> np.dtype[Any]:
    return np.dtype([("scales", "<u2", (_blocks(dim),)), ("steps", "i1", (dim,))])


def _spread(scales: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Give each number its scale."""
    return np.repeat(scales, BLOCK, axis=1)[:, :dim]


def _in_steps(matrix: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return whole numbers from -127 to 127, and the scales of each row's blocks."""
    matrix = np.asarray(matrix, np.float32)
    dim = matrix.shape[1]
    if not dim:
        return matrix, np.empty((len(matrix), 0), np.float32)
    largest = np.maximum.reduceat(np.abs(matrix), range(0, dim, BLOCK), axis=1)
    scales = _bfloat16(np.divide(largest, MOST, dtype=np.float32))
    scales[scales < _NOTHING] = 0
    each = _spread(scales, dim)
    steps = np.divide(matrix, each, out=np.zeros_like(matrix), where=each != 0)
    # The largest is 127 again, whichever way its scale was rounded.
    steps = np.clip(np.rint(steps, out=steps), -MOST, MOST, out=steps)
    return steps + np.float32(0), scales  # + 0: int8 knows no -0


def _bfloat16(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round to a float32 whose lower half is zero, and 127 times which is finite."""
    bits = numbers.view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    return np.minimum(nearest.view(np.float32), _LARGEST)
