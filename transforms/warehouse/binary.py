"""Vectors as PostgreSQL takes them in binary: as ``real[]``, and as pgvector's ``vector``.

A driver would turn each number into a Python object first, and each into text.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REAL, REALS = 700, 1021
_CELL = np.dtype([("bytes", ">i4"), ("value", ">f4")])


class Ready(bytes):
    """A value as the server takes it."""


def real_arrays(matrix: NDArray[np.floating]) -> list[Ready | None]:
    """Turn vectors into values of type ``real[]``.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, dim)
        A row of NaN is no vector.

    Returns
    -------
    list of Ready or None
        One a row; None for no vector.

    Examples
    --------
    >>> real_arrays(np.array([[1.0], [np.nan]]))[0].hex(" ", 4)
    '00000001 00000000 000002bc 00000001 00000001 00000004 3f800000'
    """
    cells = np.empty(matrix.shape, _CELL)
    cells["bytes"], cells["value"] = 4, matrix
    return _rows(cells, struct.pack(">5i", 1, 0, REAL, matrix.shape[1], 1), matrix)


def pgvectors(matrix: NDArray[np.floating]) -> list[Ready | None]:
    """Turn vectors into values of pgvector's type, as `real_arrays` does.

    >>> pgvectors(np.array([[1.0, 2.0]]))[0].hex(" ", 4)
    '00020000 3f800000 40000000'
    """
    return _rows(matrix.astype(">f4"), struct.pack(">2h", matrix.shape[1], 0), matrix)


def _rows(cells: Any, head: bytes, matrix: NDArray[np.floating]) -> list[Ready | None]:
    data, step = cells.tobytes(), cells[0].nbytes if len(cells) else 0
    there = (~np.isnan(matrix).all(axis=1)).tolist()
    return [
        Ready(head + data[row * step : (row + 1) * step]) if one else None
        for row, one in enumerate(there)
    ]


def takes_ready(connection: Any, *kinds: int) -> None:
    """Have a connection of psycopg send ready values as they are, for types of these numbers."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class ReadyDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: Any) -> Any:
            return obj

    for kind in kinds:
        connection.adapters.register_dumper(Ready, type("Of", (ReadyDumper,), {"oid": kind}))
