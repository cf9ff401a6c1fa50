"""The figures that ``feast monitor`` wants of each feature, of scalars and of vectors.

Feast has columns for figures of one number a row. Of a vector that number is its norm; how far
all of them have moved is the distance of their centroid from that of the baseline, see `record`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.files.table import FeatureTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.transforms.times import Ints

ROWS = 1 << 14


def measure(
    table: FeatureTable,
    rows: Ints,
    features: Sequence[tuple[str, str, str]],
    *,
    bins: int = 20,
    top: int = 10,
) -> list[dict[str, Any]]:
    """Measure some rows of a table.

    Parameters
    ----------
    table : FeatureTable
    rows : ndarray of int64 of shape (n_rows,)
        Their numbers, ascending.
    features : sequence of (name, column, kind)
        Kind is ``"numeric"`` or ``"categorical"``, as Feast has it; of a vector it is that of its
        numbers.
    bins, top : int
        Bins of a histogram, and values of a category that are named.

    Returns
    -------
    list of dict, one a feature
        As Feast's ``MetricsCalculator`` has them. NaN counts as null. Of vectors ``mean`` and
        what follows are of their norms, and ``histogram`` holds ``centroid`` and ``spread`` (the
        root of the mean squared distance from it), too. Of other lists there are nulls alone.
        Memory holds the rows of one column of scalars, or 16,384 vectors.
    """
    found = []
    for name, column, kind in features:
        if _is_list(table.schema.field(column).type):
            figures = _of_vectors(table, rows, column, bins)
        else:
            figures = _of_scalars(table.take(rows, [column]).column(column), kind, bins, top)
        found.append({"feature_name": name, **figures})
    return found


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _of_scalars(column: pa.ChunkedArray, kind: str, bins: int, top: int) -> dict[str, Any]:
    from feast.monitoring.metrics_calculator import MetricsCalculator

    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    feast = MetricsCalculator(bins, top)
    return feast.compute_numeric(column) if kind == "numeric" else feast.compute_categorical(column)


def _of_vectors(table: FeatureTable, rows: Ints, column: str, bins: int) -> dict[str, Any]:
    sums = _Vectors()
    try:
        for matrix in _matrices(table, rows, column):
            sums.add(matrix)
    except (ValueError, pa.ArrowInvalid):  # lists of many lengths, or of no numbers
        return _nulls(table, rows, column)
    figures = _of_scalars(pa.chunked_array([sums.norms()]), "numeric", bins, 0)
    if figures["histogram"]:
        figures["histogram"] |= {"of": "norm", **sums.centre()}
    return figures


def _nulls(table: FeatureTable, rows: Ints, column: str) -> dict[str, Any]:
    nulls = sum(
        table.take(rows[start : start + ROWS], [column]).column(column).null_count
        for start in range(0, len(rows), ROWS)
    )
    figures = _of_scalars(pa.chunked_array([pa.nulls(len(rows), pa.float64())]), "numeric", 1, 0)
    return {**figures, "null_count": nulls, "null_rate": nulls / len(rows) if len(rows) else 0.0}


def _matrices(table: FeatureTable, rows: Ints, column: str) -> Iterator[NDArray[np.float32]]:
    dim = None
    for start in range(0, len(rows), ROWS):
        read = table.take(rows[start : start + ROWS], [column]).column(column)
        if dim is None and read.null_count < len(read):
            dim = len(read.drop_null()[0])
        yield vectors_to_matrix(read, dim)


class _Vectors:
    """Adds vectors up, some rows at a time; a row of NaN is none."""

    def __init__(self) -> None:
        self._norms: list[NDArray[np.float64]] = []
        self._sum: NDArray[np.float64] | float = 0.0
        self._squares = 0.0
        self._count = 0

    def add(self, matrix: NDArray[np.float32]) -> None:
        norms = np.full(len(matrix), np.nan)
        if matrix.shape[1]:
            wide = matrix.astype(np.float64)
            norms = np.sqrt((wide**2).sum(axis=1))
            there = np.isfinite(norms)
            self._sum = self._sum + wide[there].sum(axis=0)
            self._squares += float((norms[there] ** 2).sum())
            self._count += int(there.sum())
        self._norms.append(norms)

    def norms(self) -> pa.Array:
        """Return the norm of each row."""
        return pa.array(np.concatenate([np.empty(0), *self._norms]))

    def centre(self) -> dict[str, Any]:
        """Return the centroid, and how far the vectors lie from it."""
        centroid = np.asarray(self._sum) / self._count
        spread = max(0.0, self._squares / self._count - float((centroid**2).sum())) ** 0.5
        return {"centroid": centroid.astype(np.float32).tolist(), "spread": spread}
