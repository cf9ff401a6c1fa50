"""CSV, read in one way for everybody: with declared types, never guessed ones.

A listing id of digits stays a text if its entity says so. A CSV cannot be entered in the middle,
so it is rewritten as Parquet before anything else, a block at a time.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from csv import reader
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import ColumnNotFound, SourceError
from deepfeast.transforms.files.columns import in_source, join_keys
from deepfeast.transforms.times import utc

if TYPE_CHECKING:
    from feast import FeatureView

GROUP_ROWS = 8192
BLOCK_BYTES = 1 << 24
HEADER_BYTES = 1 << 20


def header(system: Any, path: str) -> list[str]:
    """Return the names of the columns of a CSV, in order.

    Parameters
    ----------
    system : pyarrow.fs.FileSystem
    path : str
        On `system`.
    """
    with system.open_input_stream(path) as file:
        start = io.BytesIO(file.read(HEADER_BYTES))
    return next(reader(io.TextIOWrapper(start, "utf-8-sig", errors="replace", newline="")), [])


def declared_types(view: FeatureView, source: Any) -> dict[str, pa.DataType]:
    """Return the types that a view declares of its keys and features, by column of the source.

    Raises
    ------
    SourceError
        If one is a list, which a cell of a CSV cannot hold.
    """
    from feast.type_map import feast_value_type_to_pa
    from feast.types import PrimitiveFeastType

    types = {}
    for field in [*_keys(view), *view.features]:
        if not isinstance(field.dtype, PrimitiveFeastType):
            raise SourceError(
                f"{field.name!r} of view {view.name!r} is {field.dtype}, and its source "
                f"{source.name!r} a CSV, whose cells hold no lists. Write the source as Parquet: "
                f"DataFrame.to_parquet(...) in pandas."
            )
        types[in_source(source, field.name)] = feast_value_type_to_pa(field.dtype.to_value_type())
    return types


def raw_types(view: FeatureView, columns: Collection[str]) -> dict[str, pa.DataType]:
    """Return how a raw source of a deep view is read: its keys as declared, contents as text."""
    from feast.type_map import feast_value_type_to_pa

    keys = {key.name: feast_value_type_to_pa(key.dtype.to_value_type()) for key in _keys(view)}
    return keys | dict.fromkeys(columns, pa.string())


def _keys(view: FeatureView) -> list[Any]:
    names = join_keys(view)
    return [column for column in view.entity_columns if column.name in names]


def to_parquet(
    system: Any,
    path: str,
    name: str,
    types: Mapping[str, pa.DataType],
    times: Collection[str],
    target: Path,
) -> Path:
    """Rewrite columns of a CSV as Parquet.

    Parameters
    ----------
    system : pyarrow.fs.FileSystem
    path : str
        On `system`.
    name : str
        Of the source, for errors.
    types : mapping of str to DataType
        The wanted columns and what their cells are; an empty cell, ``NA``, ``null`` and the like
        are missing.
    times : collection of str
        Further columns, of ISO 8601 text; they come out as timestamps in UTC, but for those that
        `types` names.
    target : Path
        File to write; its folder is made.

    Returns
    -------
    Path
        The target.

    Raises
    ------
    ColumnNotFound, SourceError
        If a column is missing, or a cell is not what is declared.
    """
    import pyarrow.parquet as pq
    from pyarrow import csv

    present = header(system, path)
    times = [column for column in times if column not in types]
    types = {**types, **dict.fromkeys(times, pa.string())}
    for column in types:
        if column not in present:
            raise ColumnNotFound.of(column, f"source {name!r} ({path})", present)
    schema = pa.schema(
        [(c, pa.timestamp("us", "UTC") if c in times else type_) for c, type_ in types.items()]
    )
    convert = csv.ConvertOptions(
        column_types=types,
        include_columns=list(types),
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            system.open_input_stream(path) as file,
            csv.open_csv(
                file,
                # Quoted texts may hold line breaks.
                parse_options=csv.ParseOptions(newlines_in_values=True),
                read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
                convert_options=convert,
            ) as blocks,
            pq.ParquetWriter(target, schema) as writer,
        ):
            for block in blocks:
                columns = [
                    utc(block.column(c), c, f"source {name!r} ({path})")
                    if c in times
                    else block.column(c)
                    for c in schema.names
                ]
                writer.write_batch(
                    pa.RecordBatch.from_arrays(columns, schema=schema), row_group_size=GROUP_ROWS
                )
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"the source {name!r} at {path} is not readable as CSV: {error}. Expected, as declared "
            f"in the feature repo: {', '.join(f'{c} {t}' for c, t in types.items())}."
        ) from error
    return target


def is_csv(uri: str) -> bool:
    """Tell a CSV by its name.

    >>> is_csv("s3://shop/raw.csv")
    True
    """
    return PurePosixPath(uri).suffix.lower() == ".csv"
