"""Vectors in Arrow: list columns to float32 matrices and back, without a Python float.

And frames of whatever library, through Arrow.

An embedding column is ``list<float32>``, null where there is no vector. A null list takes
no room in the child array, so a matrix cannot simply be a view of it unless every row is
there; these functions are the only place that knows.

A packed column takes a quarter of that: each vector is a binary value, as
`deepfeast.transforms.int8` has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.int8 import BLOCK, INT8, packed, unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

VECTOR_TYPE = pa.list_(pa.float32())
# What a table says of a column of packed vectors.
_KEPT_AS = b"deepfeast"


def vectors_to_matrix(
    column: pa.Array | pa.ChunkedArray, dim: int | None = None
) -> NDArray[np.float32]:
    """Turn a column of vectors into a matrix, NaN where there is no vector.

    Parameters
    ----------
    column : Array of list<float>, or of packed vectors, of length n_rows
        Variable-size, large or fixed-size lists; chunked or not.
    dim : int, optional
        Length of a vector. Needed only where every row is null; then 0 without it.

    Returns
    -------
    ndarray of shape (n_rows, dim), float32
        Shares memory with the column where no row is null and the values are float32
        (then it is read-only); a new array otherwise.

    Raises
    ------
    ValueError
        If vectors differ in length, or from `dim`; it names the first such row.

    Examples
    --------
    >>> vectors_to_matrix(pa.array([[1.0, 2.0], None], VECTOR_TYPE))
    array([[ 1.,  2.],
           [nan, nan]], dtype=float32)
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # zero chunks
            column = (
                pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
            )
    if pa.types.is_null(column.type):  # a store that found nothing at all does not know the type
        return np.full((len(column), dim or 0), np.nan, dtype=np.float32)
    present = column.drop_null() if column.null_count else column
    dim = _common_length(column, present, dim)
    if is_packed(column.type):
        dense = unpacked(_bytes(present), dim)
    else:
        values = present.flatten().cast(pa.float32()).to_numpy(zero_copy_only=False)
        dense = values.reshape(len(present), dim)
    if present is column:
        return dense
    matrix = np.full((len(column), dim), np.nan, dtype=np.float32)
    matrix[column.is_valid().to_numpy(zero_copy_only=False)] = dense
    return matrix


def _common_length(column: pa.Array, present: pa.Array, dim: int | None) -> int:
    """Return the one length all vectors have, or say which row differs."""
    if len(present) == 0:
        return dim or 0
    lengths = _lengths(present)
    expected = dim if dim is not None else lengths[0].as_py()
    if pc.all(pc.equal(lengths, expected)).as_py():
        return expected
    all_lengths = pc.fill_null(_lengths(column), expected)
    row = pc.index(pc.not_equal(all_lengths, expected), True).as_py()
    raise ValueError(
        f"the vector in row {row} has {all_lengths[row].as_py()} numbers, expected {expected}"
    )


def matrix_to_vectors(
    matrix: NDArray[np.floating], valid: NDArray[np.bool_] | None = None
) -> pa.ListArray:
    """Turn a matrix into a column of vectors, null where `valid` is False.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, dim)
        Cast to float32.
    valid : ndarray of bool of shape (n_rows,), optional
        Rows that have a vector; all of them where None.

    Returns
    -------
    ListArray of float32 of length n_rows
        Shares memory with the matrix where it is contiguous float32 and all rows are valid.

    Examples
    --------
    >>> matrix_to_vectors(np.eye(2), np.array([True, False])).to_pylist()
    [[1.0, 0.0], None]
    """
    dim = matrix.shape[1]
    if valid is None or valid.all():
        offsets = np.arange(len(matrix) + 1, dtype=np.int64) * dim
        mask = None
    else:
        offsets = np.concatenate([[0], np.cumsum(valid) * dim])
        matrix = matrix[valid]
        mask = pa.array(~valid)
    values = np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1)
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(values), type=VECTOR_TYPE, mask=mask
    )


def _lengths(column: pa.Array) -> pa.Array:
    """Return how many numbers each vector has."""
    if is_packed(column.type):
        sizes = pc.binary_length(column)
        return pc.subtract(sizes, pc.multiply(2, pc.divide(pc.add(sizes, BLOCK + 1), BLOCK + 2)))
    return pc.list_value_length(column)


def is_packed(kind: pa.DataType) -> bool:
    """Tell whether a column of vectors is packed."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _bytes(column: pa.Array) -> memoryview:
    """Return the bytes of a binary column without nulls, as they lie in memory."""
    if not len(column):
        return memoryview(b"")
    width = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    _, offsets, values = column.buffers()
    ends = np.frombuffer(offsets, width)[[column.offset, column.offset + len(column)]]
    return memoryview(values)[ends[0] : ends[1]]


def pack_vectors(
    matrix: NDArray[np.floating], valid: NDArray[np.bool_] | None = None
) -> pa.BinaryArray:
    """Turn a matrix into a column of packed vectors, null where `valid` is False.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, dim)
    valid : ndarray of bool of shape (n_rows,), optional
        Rows that have a vector; all of them where None.

    Examples
    --------
    >>> vectors_to_matrix(pack_vectors(np.eye(2) * 127, np.array([True, False])))
    array([[127.,   0.],
           [ nan,  nan]], dtype=float32)
    """
    valid = np.ones(len(matrix), bool) if valid is None else valid
    records = packed(matrix[valid])
    offsets = np.concatenate([[0], np.cumsum(valid) * records.itemsize]).astype(np.int32)
    bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    return pa.BinaryArray.from_buffers(
        pa.binary(),
        len(valid),
        [bits, pa.py_buffer(offsets), pa.py_buffer(records.tobytes())],
        null_count=int((~valid).sum()),
    )


def vector_field(name: str, storage: str) -> pa.Field:
    """Return the column that a table keeps vectors in.

    >>> vector_field("vec", "int8").type
    DataType(binary)
    """
    return (
        pa.field(name, pa.binary(), metadata={_KEPT_AS: INT8})
        if storage == INT8
        else pa.field(name, VECTOR_TYPE)
    )


def says_packed(field: pa.Field) -> bool:
    """Tell whether a table says of a column that its vectors are packed."""
    return (field.metadata or {}).get(_KEPT_AS) == INT8.encode()


def as_read(schema: pa.Schema) -> pa.Schema:
    """Return the columns of a table as its readers see them: packed vectors as vectors.

    >>> as_read(pa.schema([vector_field("vec", "int8")])).field("vec").type
    ListType(list<item: float>)
    """
    fields = [pa.field(one.name, VECTOR_TYPE) if says_packed(one) else one for one in schema]
    return pa.schema(fields, schema.metadata)


def flat_names(feature: str, dim: int) -> list[str]:
    """Name the flat columns of a vector: zero-padded, so that they sort, and legal for XGBoost.

    >>> flat_names("photo_vec", 2)
    ['photo_vec_000', 'photo_vec_001']
    """
    width = max(3, len(str(max(dim - 1, 0))))
    return [f"{feature}_{position:0{width}d}" for position in range(dim)]


def whole_type(kind: pa.DataType) -> Any:
    """Return what pandas calls a column of whole numbers some of which are missing.

    >>> str(whole_type(pa.int8())), str(whole_type(pa.uint64()))
    ('Int64', 'UInt64')
    """
    import pandas as pd

    return pd.UInt64Dtype() if kind == pa.uint64() else pd.Int64Dtype()


def as_pandas(frame: Any) -> Any:
    """Return a DataFrame of polars, Arrow or any library that speaks to Arrow as one of pandas.

    Parameters
    ----------
    frame : pandas.DataFrame, or an object with ``__arrow_c_stream__``
        That of pandas is returned as it is.

    Returns
    -------
    pandas.DataFrame
        Index 0, 1, 2…. Whole numbers beside missing ones stay whole, as `whole_type` says.

    Raises
    ------
    JoinError
        If it is no table.

    Examples
    --------
    >>> as_pandas(pa.table({"id": [1, None]}))["id"].tolist()
    [1, <NA>]
    """
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        return frame
    if not hasattr(frame, "__arrow_c_stream__"):
        raise JoinError(
            f"expected a DataFrame of pandas, polars or another library that Arrow can read, got "
            f"{type(frame).__name__}."
        )
    table = pa.table(frame)
    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    table = table.cast(pa.schema([f.with_type(views.get(f.type, f.type)) for f in table.schema]))
    whole = {
        name: pd.array(column.to_pylist(), whole_type(column.type))
        for name, column in zip(table.column_names, table.columns, strict=True)
        if column.null_count and pa.types.is_integer(column.type)
    }
    return table.to_pandas().assign(**whole)


def regroup(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Join batches of any size to tables of `rows` rows; the last may have fewer.

    >>> batch = pa.record_batch({"a": [1, 2, 3]})
    >>> [table["a"].to_pylist() for table in regroup([batch, batch], 4)]
    [[1, 2, 3, 1], [2, 3]]
    """
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(len(part) for part in held) >= rows:
            table = pa.Table.from_batches(held)
            yield table.slice(0, rows)
            held = table.slice(rows).to_batches()
    if sum(len(part) for part in held):
        yield pa.Table.from_batches(held)
