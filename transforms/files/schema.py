"""What the columns of a raw source must be, so that a changed source is noticed before any work.

A column more is nobody's business. A column less, or one of another type, would give rows that
cannot be found again, or hours of rejects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from deepfeast.transforms.errors import ColumnNotFound, SourceError


def check_file(
    schema: pa.Schema, path: str, name: str, wanted: Sequence[str], first: pa.Schema | None
) -> None:
    """Check that a file has the wanted columns, of the types that the source's first file has.

    Raises
    ------
    ColumnNotFound, SourceError
    """
    for column in wanted:
        if column not in schema.names:
            raise ColumnNotFound.of(column, f"source {name!r} ({path})", schema.names)
        if first is not None and not alike(schema.field(column).type, first.field(column).type):
            raise SourceError(
                f"the column {column!r} of source {name!r} is {schema.field(column).type} in "
                f"{path}, and {first.field(column).type} in the files before it. Write all files "
                f"with one type."
            )


def check_contents(schema: pa.Schema, name: str, columns: Iterable[str]) -> None:
    """Check that columns can hold texts or photos.

    Raises
    ------
    SourceError
        If one holds numbers or times.
    """
    for column in columns:
        type_ = schema.field(column).type
        if pa.types.is_dictionary(type_):
            type_ = type_.value_type
        if pa.types.is_primitive(type_):
            raise SourceError(
                f"the column {column!r} of source {name!r} is {type_}; a deep feature reads texts "
                f"(string) or photos (binary, or string paths). Did the source change? Mend it, or "
                f"point the feature to another column."
            )


def check_keys(
    declared: Iterable[pa.Field], table: pa.Schema, name: str, where: str, view: str
) -> None:
    """Check that the source's keys are of the types that the embedding table has.

    Raises
    ------
    SourceError
        If one is not; it names both types.
    """
    for field in declared:
        if field.name not in table.names:
            raise SourceError(
                f"the embedding table {where} has no column {field.name!r}, a key or the event "
                f"time of source {name!r}. Give the view a new name: the rows of another key "
                f"cannot share its table."
            )
        held = table.field(field.name).type
        if not alike(field.type, held):
            raise SourceError(
                f"the key {field.name!r} of source {name!r} is {field.type}, in the embedding "
                f"table {where} it is {held}: no row of it would be found again. Write the source "
                f"with {held} as before, or give view {view!r} a new name."
            )


def alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Tell whether two types hold the same values: all kinds of text are one.

    >>> alike(pa.string(), pa.large_string()), alike(pa.string(), pa.int64())
    (True, False)
    """
    return _plain(one) == _plain(other)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Read views of text and bytes, which polars writes, as texts and bytes: all of Arrow can.

    >>> plain_schema(pa.schema([("title", pa.string_view())])).field("title").type
    DataType(string)
    """
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return pa.schema(
        [field.with_type(plain.get(field.type, field.type)) for field in schema], schema.metadata
    )


def _plain(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if str(type_) in ("large_string", "string_view", "null"):
        return pa.string()
    if str(type_) in ("large_binary", "binary_view"):
        return pa.binary()
    return type_
