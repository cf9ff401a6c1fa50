"""Raw tables as slices: small references that cross a Beam shuffle, and how to read one.

A slice names a file, a row group and a range of its rows. Workers read the rows themselves, so
that neither the driver nor the shuffle ever holds them.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator, Mapping, Sequence
from csv import reader
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deepfeast.transforms.errors import (
    ColumnNotFound,
    SourceEmpty,
    SourceError,
    SourceNotFound,
)
from deepfeast.transforms.files.place import source_uri
from deepfeast.transforms.files.schema import check_file

if TYPE_CHECKING:
    from feast import FeatureStore

EVENT_TIME = pa.timestamp("us", tz="UTC")
SLICE_ROWS = 8192
BATCH_ROWS = 512


@dataclass(frozen=True)
class Slice:
    """A range of rows of one row group of one Parquet file.

    Attributes
    ----------
    number : int
        Position among the slices of the source; with the row's offset it orders all rows.
    path : str
        As the filesystem of `Source` understands it.
    row_group, start, stop : int
        Rows ``start`` to ``stop`` (excluded) of that row group.
    size : int
        Bytes of the file when the run was planned: a file that changes during a run is noticed.
    """

    number: int
    path: str
    row_group: int
    start: int
    stop: int
    size: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start


@dataclass(frozen=True)
class Source:
    """A raw table, opened.

    Attributes
    ----------
    name : str
        Its name in the registry.
    uri : str
        Where it lies: a file, a folder, a glob, or a Delta table.
    timestamp, created : str
        Columns of event time and, where the source has one, of the time a row was written.
    slices : tuple of Slice
    root : str
        Folder that image paths are relative to.
    """

    name: str
    uri: str
    timestamp: str
    created: str
    slices: tuple[Slice, ...]
    root: str

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(part.rows for part in self.slices)

    def schema(self) -> pa.Schema:
        """Return the columns of its first file, which are those of all."""
        with open_parquet(self.slices[0].path) as file:
            return file.schema_arrow


def open_source(
    store: FeatureStore, name: str, types: Mapping[str, pa.DataType], scratch: Path
) -> Source:
    """Find a raw source in the registry and cut it into slices.

    Parameters
    ----------
    store : FeatureStore
    name : str
        Name of a registered FileSource: Parquet, CSV or Delta.
    types : mapping of str to DataType
        Columns that must be there, besides the timestamp, and how a CSV's are read.
    scratch : Path
        Where a CSV is rewritten as Parquet, since a CSV cannot be entered in the middle.

    Raises
    ------
    SourceNotFound, SourceEmpty, ColumnNotFound, SourceError
        If there is nothing, or no rows, a column is missing, or a file is damaged.
    """
    raw: Any = store.get_data_source(name)
    uri = source_uri(store.config, raw)
    created = raw.created_timestamp_column or ""
    times = [raw.timestamp_field, created] if created else [raw.timestamp_field]
    types = {**{column: pa.string() for column in times}, **types}
    files = _files(raw, name, uri)
    if uri.endswith(".csv"):
        files = [_csv_to_parquet(path, name, types, scratch) for path in files]
    slices = _cut(files, name, list(types))
    if not slices:
        raise SourceEmpty(f"the source {name!r} at {uri} has no rows; nothing to embed.")
    root = uri if Path(uri).is_dir() else str(PurePosixPath(uri).parent)
    return Source(name, uri, raw.timestamp_field, created, tuple(slices), root)


def _files(raw: Any, name: str, uri: str) -> list[str]:
    """List the Parquet or CSV files of a source, in a fixed order."""
    from feast.data_format import DeltaFormat

    if isinstance(raw.file_format, DeltaFormat):
        return _delta_files(name, uri)
    fs, path = filesystem(uri)
    if any(mark in path for mark in "*?["):
        files = [found for found in fs.glob(path) if not fs.isdir(found)]
    elif fs.isdir(path):
        files = [found for found in fs.find(path) if found.endswith((".parquet", ".pq"))]
    elif fs.exists(path):
        files = [path]
    else:
        files = []
    if not files:
        raise SourceNotFound(
            f"the source {name!r} points to {uri}, where there is no Parquet or CSV file. "
            f"Mend its path in the feature repo, or put the file there."
        )
    protocol = uri.split("://")[0] + "://" if "://" in uri else ""
    return [f"{protocol}{found}" for found in sorted(files)]


def _delta_files(name: str, uri: str) -> list[str]:
    from deltalake import DeltaTable

    if not DeltaTable.is_deltatable(uri):
        raise SourceNotFound(f"the source {name!r} points to {uri}, which is no Delta table.")
    table = DeltaTable(uri)
    if table.metadata().partition_columns:
        raise SourceError(
            f"the Delta table {uri} is partitioned by {table.metadata().partition_columns}; "
            f"a raw source of deepfeast must be unpartitioned."
        )
    return sorted(table.file_uris())


def filesystem(uri: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a location, and the path within."""
    from fsspec.core import url_to_fs

    return url_to_fs(uri)


def is_local(fs: Any) -> bool:
    """Tell whether a filesystem is this machine's."""
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(fs, LocalFileSystem)


def open_parquet(path: str) -> pq.ParquetFile:
    """Open a Parquet file anywhere; a damaged one is named."""
    fs, inner = filesystem(path)
    try:
        # A local file is read by Arrow itself, without Python in between.
        return pq.ParquetFile(inner if is_local(fs) else fs.open(inner, "rb"))
    except FileNotFoundError as error:
        raise SourceNotFound(f"the file {path} vanished while it was read.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(
            f"the file {path} is not readable as Parquet ({error}). Replace or remove it; "
            f"nothing was published."
        ) from error


def _cut(files: Sequence[str], name: str, wanted: Sequence[str]) -> list[Slice]:
    """Cut files into slices.

    Entering a row group in the middle means decoding what precedes it, so a large row group
    is cut into at most 8 slices.
    """
    slices: list[Slice] = []
    first: pa.Schema | None = None
    for path in files:
        with open_parquet(path) as file:
            check_file(file.schema_arrow, path, name, wanted, first)
            first = first or file.schema_arrow
            fs, inner = filesystem(path)
            size = fs.size(inner)
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                step = max(SLICE_ROWS, math.ceil(rows / 8))
                for start in range(0, rows, step):
                    stop = min(start + step, rows)
                    slices.append(Slice(len(slices), path, group, start, stop, size))
    return slices


def read_slice(
    part: Slice, columns: Sequence[str], batch_rows: int = BATCH_ROWS
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Read a slice as record batches of at most `batch_rows` rows.

    Yields
    ------
    offset : int
        Row of the slice that the batch starts with.
    batch : RecordBatch
    """
    fs, inner = filesystem(part.path)
    if fs.exists(inner) and fs.size(inner) != part.size:
        raise SourceError(
            f"the file {part.path} changed during the run. Run again once it is complete."
        )
    with open_parquet(part.path) as file:
        position = 0
        try:
            for batch in file.iter_batches(
                batch_rows, row_groups=[part.row_group], columns=list(columns)
            ):
                low, high = max(part.start - position, 0), min(part.stop - position, len(batch))
                if low < high:
                    yield position + low - part.start, batch.slice(low, high - low)
                position += len(batch)
                if position >= part.stop:
                    return
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(
                f"the file {part.path} is damaged in row group {part.row_group} ({error}). "
                f"Replace or remove it; nothing was published."
            ) from error


def _csv_to_parquet(path: str, name: str, types: Mapping[str, pa.DataType], folder: Path) -> str:
    """Rewrite the wanted columns of a CSV as Parquet, a block at a time.

    Types are declared, never guessed: a listing id of digits stays a text if its entity says so.
    """
    from pyarrow import csv

    fs, inner = filesystem(path)
    target = folder / (PurePosixPath(inner).stem + ".parquet")
    folder.mkdir(parents=True, exist_ok=True)
    with fs.open(inner, "rb") as file:
        present = next(codecs.iterdecode(iter([file.readline()]), "utf-8-sig"), "").strip()
    header = next(reader([present]), [])
    for column in types:
        if column not in header:
            raise ColumnNotFound.of(column, f"source {name!r} ({path})", header)
    convert = csv.ConvertOptions(
        column_types=dict(types),
        include_columns=list(types),
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    try:
        with (
            fs.open(inner, "rb") as file,
            csv.open_csv(
                file,
                # Quoted texts may hold line breaks.
                parse_options=csv.ParseOptions(newlines_in_values=True),
                read_options=csv.ReadOptions(block_size=1 << 24),
                convert_options=convert,
            ) as blocks,
            pq.ParquetWriter(target, blocks.schema) as writer,
        ):
            for block in blocks:
                writer.write_batch(block, row_group_size=SLICE_ROWS)
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"the source {name!r} at {path} is not readable as CSV: {error}"
        ) from error
    return str(target)


def event_times(column: pa.Array, name: str, where: str) -> pa.Array:
    """Bring event times to UTC microseconds: a time without a zone is UTC, a date its midnight.

    Parameters
    ----------
    column : Array of timestamp, date or ISO 8601 string
    name : str
        Name of the column, for the error.
    where : str
        Which rows these are, for the error.

    Raises
    ------
    SourceError
        If a value is null or cannot be read as a time; it names the first such row.

    Examples
    --------
    >>> event_times(pa.array(["2024-05-01"]), "event_timestamp", "row 0")[0].as_py().isoformat()
    '2024-05-01T00:00:00+00:00'
    """
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise SourceError(
            f"row {row} of {where} has no {name!r}. Every row needs an event time: fill it, "
            f"or leave the row out of the source."
        )
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return _parse_times(column)
        if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
            raise pa.ArrowInvalid(f"its type is {column.type}")
        if pa.types.is_timestamp(column.type) and column.type.tz:
            return column.cast(EVENT_TIME, safe=False)
        return column.cast(pa.timestamp("us"), safe=False).cast(EVENT_TIME)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise SourceError(
            f"the column {name!r} of {where} is not readable as time: {error}. "
            f"Expected timestamps, dates, or ISO 8601 text such as 2024-05-01T12:00:00Z."
        ) from error


def _parse_times(column: pa.Array) -> pa.Array:
    import pandas as pd

    parsed = pd.to_datetime(column.to_pandas(), utc=True, format="ISO8601")
    return pa.Array.from_pandas(parsed, type=EVENT_TIME)
