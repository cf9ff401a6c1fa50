"""What a warehouse gives, as the views declare it: one type a column, whoever read it.

Drivers differ. A number of any length comes as text or as a decimal, an id as 16 bytes, a column
of nulls as anything; and integers beside nulls come as floats out of what passed through pandas.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.errors import SourceError

if TYPE_CHECKING:
    from feast import FeatureView

    from deepfeast.transforms.files.columns import SourceColumns


def declared(view: FeatureView) -> dict[str, pa.DataType]:
    """Return the types that a view declares of its keys and features, by their names in it."""
    from feast.type_map import feast_value_type_to_pa

    fields = [*view.entity_columns, *view.features]
    return {one.name: feast_value_type_to_pa(one.dtype.to_value_type()) for one in fields}


def by_source(view: FeatureView, columns: SourceColumns) -> dict[str, pa.DataType]:
    """Return the same types by the columns of a source."""
    types = declared(view)
    named = {**columns.keys, **columns.features}
    return {column: types[name] for name, column in named.items() if name in types}


def conform(
    batch: pa.RecordBatch | pa.Table,
    types: Mapping[str, pa.DataType],
    what: str,
    schema: pa.Schema | None = None,
) -> pa.Table:
    """Bring columns to their declared types; a float stays as long as it is.

    Parameters
    ----------
    batch : RecordBatch or Table
    types : mapping of str to DataType
        By column; others are only made plain.
    what : str
        What was read, for errors.
    schema : Schema, optional
        Of the batches before, which this one must agree with.

    Raises
    ------
    SourceError
        If a value is not of the type that is declared.
    """
    columns = {}
    for name in batch.schema.names:
        found = batch.column(name)
        try:
            column = plain(found)
            wanted = schema.field(name).type if schema else _wanted(column.type, types.get(name))
            columns[name] = column if column.type == wanted else column.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            told = schema.field(name).type if schema else types.get(name, "a number")
            raise SourceError(
                f"{what}: the column {name!r} comes as {found.type} and is to be {told}: "
                f"{str(error).splitlines()[0]}. Did the table change? Mend it, or the type that "
                f"the view declares, then feast apply."
            ) from error
    return pa.table(columns)


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Give a column a type of Arrow's own: numbers of any length become doubles, ids text.

    Raises
    ------
    ArrowInvalid
        If a number is larger than a double can be.

    Examples
    --------
    >>> plain(pa.array([1], pa.decimal128(10, 2))).type
    DataType(double)
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    type_ = column.type
    if str(type_) == "extension<arrow.uuid>":
        made = (raw and str(uuid.UUID(bytes=raw)) for raw in column.storage.to_pylist())
        return pa.array(made, pa.string())
    if isinstance(type_, pa.BaseExtensionType):
        numeric = getattr(type_, "type_name", "") == "numeric"
        return _doubles(column.storage) if numeric else column.storage
    if pa.types.is_decimal(type_):
        return column.cast(pa.float64())
    return column.cast(pa.string()) if pa.types.is_null(type_) else column


def _doubles(texts: pa.Array) -> pa.Array:
    doubles = texts.cast(pa.float64())
    written = pc.match_substring_regex(texts, "^-?[0-9]")
    beyond = pc.and_(pc.is_inf(doubles), written)
    if pc.any(beyond).as_py():
        raise pa.ArrowInvalid(f"{texts.filter(beyond)[0].as_py()[:40]} is larger than a double")
    return doubles


def _wanted(found: pa.DataType, declared: pa.DataType | None) -> pa.DataType:
    times = pa.types.is_temporal(found) and declared is not None and pa.types.is_temporal(declared)
    floats = pa.types.is_floating(found) and declared is not None and pa.types.is_floating(declared)
    return found if declared is None or times or floats else declared
