"""What the columns of a raw source must be, so that a changed source is noticed before any work.

A column more is nobody's business. A column less, or one of another type, would give rows that
cannot be found again, or hours of rejects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from deepfeast.transforms.errors import ColumnNotFound, SourceError
from deepfeast.transforms.features import CREATED


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
    declared: Sequence[pa.Field], table: pa.Schema, name: str, where: str, view: str
) -> None:
    """Check that the source's keys and event time are columns of the embedding table, as they were.

    Parameters
    ----------
    declared : sequence of Field
        The keys and the event time.
    table : Schema
        Of the embedding table.
    name, where, view : str
        Names of the source and the view, and where the table lies, for the error.

    Raises
    ------
    ColumnNotFound
        If the table has other names for them; it says which, and the two ways out.
    SourceError
        If one is of another type; it names both types.
    """
    check_row([field.name for field in declared], table, name, where, view)
    for field in declared:
        held = table.field(field.name).type
        if not alike(field.type, held):
            raise SourceError(
                f"the key {field.name!r} of source {name!r} is {field.type}, in the embedding "
                f"table {where} it is {held}: no row of it would be found again. Write the source "
                f"with {held} as before, or give view {view!r} a new name."
            )


def check_row(row: Sequence[str], table: pa.Schema, name: str, where: str, view: str) -> None:
    """Check that keys and event time, by their names, are columns of the embedding table."""
    lost = [column for column in row if column not in table.names]
    if not lost:
        return
    made = row_columns(table)
    new = [column for column in made if column not in row]
    pairs = dict(zip(lost, new, strict=False)) if len(lost) == len(new) else {}
    told = ", ".join(map(repr, lost))
    raise ColumnNotFound(
        f"no column {told} in the embedding table {where} of view {view!r}. "
        f"{ways_out(made, pairs, name, view)}"
    )


def lost_column(
    error: ColumnNotFound, table: pa.Schema | None, name: str, where: str, view: str
) -> ColumnNotFound:
    """Say more of a column that a source lacks, where the embedding table was made with it.

    Parameters
    ----------
    table : Schema, optional
        Of the embedding table, if there is one.
    """
    made = row_columns(table) if table else []
    if not any(f"no column {column!r}" in str(error) for column in made):
        return ColumnNotFound(str(error))
    return ColumnNotFound(
        f"{error} The embedding table {where} of view {view!r} has it. "
        f"{ways_out(made, {}, name, view)}"
    )


def row_columns(table: pa.Schema) -> list[str]:
    """Return the columns that name a row of an embedding table: its keys, and its event time."""
    return table.names[: table.get_field_index(CREATED)]


def ways_out(made: Sequence[str], pairs: Mapping[str, str], name: str, view: str) -> str:
    """Say what an embedding table was made with, and what to do where its source has other names.

    Parameters
    ----------
    made : sequence of str
        Its keys and its event time.
    pairs : mapping of str to str
        From the source's new names to those of the table, as far as they are known.

    Examples
    --------
    >>> print(ways_out(["id", "at"], {"ts": "at"}, "raw", "deep"))
    It was made with the keys 'id' and the event time 'at'. Where source 'raw' only calls them \
otherwise now, keep the old names in the feature repo and map the new ones to them, \
FileSource(name='raw', timestamp_field='at', field_mapping={'ts': 'at'}, ...), and the table goes \
on. Where its rows are others, give view 'deep' a new name: it is embedded into a table of its own.
    """
    *keys, time = made
    mapping = str(dict(pairs)) if pairs else "{<new name>: <old name>}"
    return (
        f"It was made with the keys {', '.join(map(repr, keys))} and the event time {time!r}. "
        f"Where source {name!r} only calls them otherwise now, keep the old names in the feature "
        f"repo and map the new ones to them, FileSource(name={name!r}, timestamp_field={time!r}, "
        f"field_mapping={mapping}, ...), and the table goes on. Where its rows are others, give "
        f"view {view!r} a new name: it is embedded into a table of its own."
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
