"""Feature values as an online store keeps them: the bytes of one Feast ``Value`` each.

Feast builds a ``Value`` from a Python list, one float at a time. The bytes of a vector are a
short prefix and then the floats as they lie in memory, so whole columns are turned into bytes,
and back, without touching a float. Types that are rare online go through Feast's own conversion,
so every type Feast knows is accepted, and every byte equals what Feast would write.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.int8 import INT8, packed, packed_dim, packed_size, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.value_type import ValueType
    from numpy.typing import NDArray

# Field numbers of ``Value``: part of Feast's wire format, so they never change.
_BYTES, _DOUBLE, _FLOAT, _DOUBLE_LIST, _FLOAT_LIST = 1, 5, 6, 15, 16
_WIDE, _NARROW, _BLOCK = 1, 5, 2  # protobuf wire types: 8 bytes, 4 bytes, length-prefixed
_TEXT, _NUMBER = struct.Struct("<II").pack, struct.Struct("<IIq").pack
_NUMBERS = {"FLOAT": ("<f", _FLOAT, _NARROW), "DOUBLE": ("<d", _DOUBLE, _WIDE)}
_LISTS: dict[str, tuple[np.dtype[Any], int]] = {
    "FLOAT_LIST": (np.dtype("<f4"), _FLOAT_LIST),
    "DOUBLE_LIST": (np.dtype("<f8"), _DOUBLE_LIST),
}
_FIELDS = {
    "INT32": "int32_val",
    "INT64": "int64_val",
    "STRING": "string_val",
    "BYTES": "bytes_val",
    "BOOL": "bool_val",
}
_ARROW = {
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "BOOL": pa.bool_(),
}


def to_values(
    column: pa.Array | pa.ChunkedArray, value_type: ValueType, storage: str = "float32"
) -> list[bytes]:
    r"""Turn a column into the bytes of one ``Value`` a row.

    Parameters
    ----------
    column : Array of length n_rows
    value_type : feast.ValueType
        Type of the feature, e.g. ``field.dtype.to_value_type()``.
    storage : {"float32", "int8"}
        Of a deep feature. ``"int8"`` makes of a vector the bytes of a ``Value`` of bytes, packed.

    Returns
    -------
    list of bytes, of length n_rows
        Empty where the value is null, and where a float is NaN, as Feast has it.

    Raises
    ------
    OverflowError
        If a whole number is too large for the type.

    Examples
    --------
    >>> from feast import ValueType
    >>> to_values(pa.array([1.0, None], pa.float32()), ValueType.FLOAT)
    [b'5\x00\x00\x80?', b'']
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks else pa.array([], column.type)
    name = value_type.name
    if storage == INT8:
        return _packed_vectors(column)
    if name in _LISTS and _is_list(column.type):
        return _lists(column, *_LISTS[name])
    if name in _ARROW:
        try:
            return _scalars(column.cast(_ARROW[name]), name)
        except pa.ArrowInvalid as error:
            # Such as an int feature in a float column with NaN: Feast has rules for it.
            if pa.types.is_integer(column.type) and pa.types.is_integer(_ARROW[name]):
                raise OverflowError(f"{error}") from error
    return _through_feast(column, value_type)


def _packed_vectors(column: pa.Array) -> list[bytes]:
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    records = packed(vectors_to_matrix(column)[valid])
    prefix, made = _prefix(_BYTES, records.itemsize), iter(records)
    return [prefix + next(made).tobytes() if there else b"" for there in valid.tolist()]


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _lists(column: pa.Array, dtype: np.dtype[Any], field: int) -> list[bytes]:
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths) * dtype.itemsize
    present = column.drop_null() if column.null_count else column
    raw = present.flatten().to_numpy(zero_copy_only=False).astype(dtype, copy=False).tobytes()
    starts = (ends - lengths * dtype.itemsize).tolist()
    values = [
        _list_prefix(field, end - start) + raw[start:end]
        for start, end in zip(starts, ends.tolist(), strict=True)
    ]
    if present is not column:
        for row in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist():
            values[row] = b""
    return values


@functools.lru_cache(maxsize=1024)
def _list_prefix(field: int, size: int) -> bytes:
    """Return all that stands before the `size` bytes of numbers of a list."""
    inner = _prefix(1, size) if size else b""
    return _prefix(field, len(inner) + size) + inner


def _prefix(field: int, size: int) -> bytes:
    return _varint(field << 3 | _BLOCK) + _varint(size)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _scalars(column: pa.Array, name: str) -> list[bytes]:
    if name in _NUMBERS:
        numbers = column.to_pylist()
        code, field, wire = _NUMBERS[name]
        pack = struct.Struct(f"<B{code[1]}").pack
        tag = field << 3 | wire
        return [
            b"" if number is None or number != number else pack(tag, number) for number in numbers
        ]
    from feast.protos.feast.types.Value_pb2 import Value

    field_name = _FIELDS[name]
    # Counts, codes and words repeat: each is written once.
    distinct = column.dictionary_encode()
    made = [
        Value(**{field_name: value}).SerializeToString()
        for value in distinct.dictionary.to_pylist()
    ]
    return [b"" if place is None else made[place] for place in distinct.indices.to_pylist()]


def _through_feast(column: pa.Array, value_type: ValueType) -> list[bytes]:
    from feast.type_map import python_values_to_proto_values

    rows = list(column.to_numpy(zero_copy_only=False))
    return [v.SerializeToString() for v in python_values_to_proto_values(rows, value_type)]


def to_vectors(
    values: Sequence[bytes | None],
    dim: int,
    value_type: ValueType,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Turn values of an array feature into a matrix, NaN where there is none.

    Parameters
    ----------
    values : sequence of bytes or None, of length n_rows
        Lists of floats, or packed vectors.
    dim : int
        Length of a vector.
    value_type : feast.ValueType
        ``FLOAT_LIST`` or ``DOUBLE_LIST``.
    out : ndarray of shape (n_rows, dim), optional
        Where to write.

    Returns
    -------
    ndarray of shape (n_rows, dim), float32

    Raises
    ------
    ValueError
        If a vector has another length; it names the row.
    """
    dtype, field = _LISTS[value_type.name]
    start = len(_list_prefix(field, dtype.itemsize * dim))
    size = start + dtype.itemsize * dim
    matrix = np.empty((len(values), dim), np.float32) if out is None else out
    if all(values) and {len(value) for value in values if value} == {size}:
        record = [("prefix", f"V{start}"), ("vector", dtype, (dim,))]
        matrix[:] = np.frombuffer(b"".join(values), record)["vector"]  # type: ignore[arg-type]
        return matrix
    head = _prefix(_BYTES, packed_size(dim))
    if all(value and value.startswith(head) for value in values):
        matrix[:] = unpacked(b"".join(value[len(head) :] for value in values if value), dim)
        return matrix
    for row, value in enumerate(values):
        if not value:
            matrix[row] = np.nan
        elif value.startswith(head):
            matrix[row] = unpacked(value[len(head) :], dim)[0]
        elif len(value) == size:
            matrix[row] = np.frombuffer(value, dtype, dim, start)
        else:
            found = len(python_value(as_list(value)) or ())
            raise ValueError(f"the vector in row {row} has {found} numbers, expected {dim}")
    return matrix


def as_list(value: bytes) -> bytes:
    r"""Turn a packed vector into the list of floats that Feast knows; leave any other value alone.

    >>> as_list(b"\n\x03\x80?\x02")
    b'\x82\x01\x06\n\x04\x00\x00\x00@'
    """
    from feast.protos.feast.types.Value_pb2 import Value

    kept = Value.FromString(value).bytes_val
    if not kept:
        return value
    numbers = unpacked(kept, packed_dim(len(kept))).tobytes()
    return _list_prefix(_FLOAT_LIST, len(numbers)) + numbers


def to_scalars(values: Sequence[bytes | None], value_type: ValueType) -> list[Any]:
    """Turn values into Python values, None where there is none."""
    if value_type.name in _NUMBERS:
        if values and all(values):
            return _packed(values, value_type).tolist()
        unpack = struct.Struct(_NUMBERS[value_type.name][0]).unpack_from
        return [unpack(value, 1)[0] if value else None for value in values]
    if value_type.name in _FIELDS:
        field = _FIELDS[value_type.name]
        distinct = {value: _scalar(field, value) if value else None for value in set(values)}
        return [distinct[value] for value in values]
    return [python_value(value) for value in values]


@functools.lru_cache(maxsize=16_384)
def _scalar(field: str, value: bytes) -> Any:
    """Read one value; counts, codes and words come again with every batch."""
    from feast.protos.feast.types.Value_pb2 import Value

    return getattr(Value.FromString(value), field)


def to_numbers(values: Sequence[bytes | None], value_type: ValueType) -> NDArray[np.float64]:
    """Turn values into floats, NaN where there is none.

    Raises
    ------
    TypeError
        If they are no numbers.
    """
    name = value_type.name
    if name in _NUMBERS and all(values):
        return _packed(values, value_type).astype(np.float64)
    if name not in ("FLOAT", "DOUBLE", "INT32", "INT64", "BOOL"):
        raise TypeError(f"{name} is no number")
    scalars = to_scalars(values, value_type)
    return np.array(scalars, np.float64)


def _packed(values: Sequence[bytes | None], value_type: ValueType) -> NDArray[Any]:
    """Read floats none of which is missing, in the precision they are kept in."""
    record = [("tag", "u1"), ("number", _NUMBERS[value_type.name][0])]
    return np.frombuffer(b"".join(values), record)["number"]  # type: ignore[arg-type]


def python_value(value: bytes | None) -> Any:
    """Read one value of any type as Feast would show it."""
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.type_map import feast_value_type_to_python_type

    return feast_value_type_to_python_type(Value.FromString(value)) if value else None


class EntityKeys:
    """Writes the keys of one view, as bytes for stores that index by them, or as protos.

    Parameters
    ----------
    join_keys : dict of str to feast.ValueType
        Name and type of each join key.
    version : int
        ``entity_key_serialization_version`` of the repo.

    Attributes
    ----------
    head : bytes
        What every key begins with: the names of the join keys.
    """

    def __init__(self, join_keys: dict[str, ValueType], version: int = 3):
        self.join_keys = join_keys
        self.version = version
        names = sorted(join_keys)
        self._order = [list(join_keys).index(name) for name in names]
        encoded = [name.encode() for name in names]
        self.head = struct.pack("<I", len(names)) + b"".join(
            struct.pack("<II", 2, len(name)) + name for name in encoded
        )
        # Written here only where the format is known to be the same; else Feast writes it.
        simple = {"STRING", "INT64"}
        self._simple = version == 3 and {t.name for t in join_keys.values()} <= simple

    def to_bytes(self, key: tuple[Any, ...]) -> bytes:
        """Serialize one key: the values of the join keys, in their order.

        The bytes are those of Feast's ``serialize_entity_key``.
        """
        if not self._simple:
            return self.serialize(self.to_proto(key))
        parts = [self.head]
        for position in self._order:
            value = key[position]
            if isinstance(value, str):
                raw = value.encode()
                parts += (_TEXT(2, len(raw)), raw)
            else:
                parts.append(_NUMBER(4, 8, value))
        return b"".join(parts)

    def own(self) -> EntityKey:
        """Return the view's own key, which no entity has: of bytes that say whose it is."""
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey
        from feast.protos.feast.types.Value_pb2 import Value

        values = [Value(bytes_val=b"deepfeast") for _ in self.join_keys]
        return EntityKey(join_keys=list(self.join_keys), entity_values=values)

    def serialize(self, key: EntityKey) -> bytes:
        """Serialize any key as this repo does."""
        from feast.infra.key_encoding_utils import serialize_entity_key

        return serialize_entity_key(key, self.version)

    def from_bytes(self, key: bytes) -> tuple[Any, ...]:
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            If these are not the bytes of one key, and nothing else.

        Examples
        --------
        >>> from feast import ValueType
        >>> keys = EntityKeys({"shop": ValueType.STRING, "item": ValueType.INT64})
        >>> keys.from_bytes(keys.to_bytes(("a", 7)))
        ('a', 7)
        """
        from feast.infra.key_encoding_utils import deserialize_entity_key

        try:
            proto = deserialize_entity_key(key, self.version)
            found = dict(zip(proto.join_keys, proto.entity_values, strict=True))
            values = [found[name].SerializeToString() for name in self.join_keys]
        except (struct.error, KeyError) as error:
            raise ValueError(f"{key!r} is no key of {', '.join(self.join_keys)}") from error
        return tuple(map(python_value, values))

    def to_proto(self, key: tuple[Any, ...]) -> EntityKey:
        """Build one key as the proto that every Feast online store accepts."""
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey
        from feast.type_map import python_values_to_proto_values

        values = [
            python_values_to_proto_values([value], kind)[0]
            for value, kind in zip(key, self.join_keys.values(), strict=True)
        ]
        return EntityKey(join_keys=list(self.join_keys), entity_values=values)
