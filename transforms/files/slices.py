"""Raw tables as slices: small references that cross a Beam shuffle, and how to read one.

A slice names a file, a row group and a range of its rows. Workers read the rows themselves, so
that neither the driver nor the shuffle ever holds them. Columns carry the names that the views
have for them, whatever the source calls them.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import ColumnNotFound, SourceEmpty, SourceError, SourceNotFound
from deepfeast.transforms.files import place, source
from deepfeast.transforms.files.columns import in_source
from deepfeast.transforms.files.csv import is_csv
from deepfeast.transforms.files.row_groups import RowGroup
from deepfeast.transforms.files.schema import check_file, plain_schema
from deepfeast.transforms.files.table import Choose, FeatureTable
from deepfeast.transforms.times import EVENT_TIME, event_times

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["EVENT_TIME", "Origin", "Slice", "Source", "event_times", "open_source", "read_slice"]

SLICE_ROWS = 8192
# Slices for each worker, so that none waits long for the last; and the fewest rows of one.
TURNS, FEWEST = 4, 128
BATCH_ROWS = 512


@dataclass(frozen=True)
class Origin:
    """What a worker needs beside the path to read a file of a source.

    Attributes
    ----------
    filesystem : pyarrow.fs.FileSystem, optional
        With the endpoint and credentials of the source; the local one by default.
    partition : pyarrow.dataset.Expression, optional
        What is true of all rows of the file, where the source is partitioned.
    schema : Schema, optional
        The columns of the source; by default those of the file.
    names : dict of str to str
        From the views' name of a column to the source's, where they differ.
    """

    filesystem: Any = None
    partition: Any = None
    schema: pa.Schema | None = None
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Slice:
    """A range of rows of one row group of one Parquet file.

    Attributes
    ----------
    number : int
        Position among the slices of the source; with the row's offset it orders all rows.
    path : str
        On the filesystem of `origin`.
    row_group, start, stop : int
        Rows ``start`` to ``stop`` (excluded) of that row group.
    size : int
        Bytes of the file when the run was planned: a file that changes during a run is noticed.
    origin : Origin
    before : int
        Rows of the file before the row group.
    """

    number: int
    path: str
    row_group: int
    start: int
    stop: int
    size: int
    origin: Origin = Origin()
    before: int = 0

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
        Where it lies: a file, a folder, a glob, a Delta table, or a table of a warehouse.
    timestamp, created : str
        Columns of event time and, where the source has one, of the time a row was written.
    slices : tuple of Slice
    root : str
        Folder that image paths are relative to.
    rewritten : bool
        Whether the files are what was read out of a warehouse.
    """

    name: str
    uri: str
    timestamp: str
    created: str
    slices: tuple[Slice, ...]
    root: str
    rewritten: bool = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(part.rows for part in self.slices)

    def file(self, part: Slice) -> str:
        """Return what a person calls the file of a slice, though it lies rewritten elsewhere."""
        if self.rewritten:
            return self.uri
        if not is_csv(self.uri):
            return part.path
        name = f"{Path(part.path).stem.rpartition('-')[0]}.csv"
        return self.uri if self.uri.endswith(f"/{name}") else f"{name} of {self.uri}"

    def schema(self) -> pa.Schema:
        """Return its columns, under the names that views have for them."""
        first = self.slices[0]
        schema = first.origin.schema or plain_schema(_fragment(first).physical_schema)
        called = {column: name for name, column in first.origin.names.items()}
        return pa.schema([one.with_name(called.get(one.name, one.name)) for one in schema])


def open_source(
    store: FeatureStore,
    name: str,
    types: Mapping[str, pa.DataType],
    scratch: Path,
    choose: Choose | None = None,
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
    choose : callable, optional
        Which files to open: see `FeatureTable`. There may then be no slice.

    Raises
    ------
    SourceNotFound, SourceEmpty, ColumnNotFound, SourceError
        If there is nothing, or no rows, a column is missing, or a file is damaged.
    """
    raw = place.file_source(store.get_data_source(name))
    uri = place.source_uri(store.config, raw)
    created = raw.created_timestamp_column or ""
    times = [raw.timestamp_field, created] if created else [raw.timestamp_field]
    names = {column: in_source(raw, column) for column in [*types, *times]}
    # Times stay text, so that a row whose time cannot be read is no worse for the others.
    types = {**dict.fromkeys(times, pa.string()), **types}
    declared = {names[column]: type_ for column, type_ in types.items()}
    try:
        table = source.open_source(
            store.config, raw, types=declared, scratch=scratch, choose=choose
        )
    except SourceNotFound as error:
        kind = "Delta table" if place.is_delta(raw) else "Parquet or CSV file"
        raise SourceNotFound(
            f"the source {name!r} points to {uri}, where there is no {kind}. "
            f"Mend its path in the feature repo, or put the file there."
        ) from error
    for column in names.values():
        if column not in table.schema.names:
            raise ColumnNotFound.of(column, f"source {name!r} ({uri})", table.schema.names)
    renamed = {known: column for known, column in names.items() if known != column}
    slices = cut(table, name, list(names.values()), renamed)
    if not slices and choose is None:
        raise no_rows(name, uri)
    root = place.photo_folder(store.config, raw)
    return Source(name, uri, raw.timestamp_field, created, tuple(slices), root)


def no_rows(name: str, uri: str) -> SourceEmpty:
    """Say of a source that it is empty."""
    return SourceEmpty(f"the source {name!r} at {uri} has no rows; nothing to embed.")


def cut(
    table: FeatureTable, name: str, wanted: Sequence[str], renamed: Mapping[str, str]
) -> list[Slice]:
    """Cut the row groups of a table into slices.

    Entering a row group in the middle means decoding what precedes it, so a large row group
    is cut into at most 8 slices.

    Parameters
    ----------
    table : FeatureTable
    name : str
        Of the source, for errors.
    wanted : sequence of str
        Columns that each file must have.
    renamed : mapping of str to str
        From the views' name of a column to the table's, where they differ.
    """
    import pyarrow.dataset as ds

    slices: list[Slice] = []
    sizes: dict[str, int] = {}
    before: Counter[str] = Counter()
    schema = table.schema
    for group in table.row_groups:
        fragment = group.fragment
        if fragment.path not in sizes:
            constants = ds.get_partition_keys(fragment.partition_expression)
            stored = [column for column in wanted if column not in constants]
            check_file(fragment.physical_schema, fragment.path, name, stored, schema)
            sizes[fragment.path] = fragment.filesystem.get_file_info(fragment.path).size
            origin = Origin(fragment.filesystem, fragment.partition_expression, schema, renamed)
        step = max(SLICE_ROWS, math.ceil(group.n_rows / 8))
        for start in range(0, group.n_rows, step):
            stop = min(start + step, group.n_rows)
            size = sizes[fragment.path]
            slices.append(
                Slice(
                    len(slices),
                    fragment.path,
                    group.number,
                    start,
                    stop,
                    size,
                    origin,
                    before[fragment.path],
                )
            )
        before[fragment.path] += group.n_rows
    return slices


def spread(slices: Sequence[Slice], workers: int) -> tuple[Slice, ...]:
    """Cut slices smaller where several workers would find too few.

    Each part decodes what precedes it in its row group, which is little beside encoding it.

    Parameters
    ----------
    workers : int
        How many share the slices; for one they are left as they are.
    """
    wanted = TURNS * workers
    if workers == 1 or len(slices) >= wanted:
        return tuple(slices)
    most = max(FEWEST, math.ceil(sum(part.rows for part in slices) / wanted))
    cut_up: list[Slice] = []
    for part in slices:
        step = math.ceil(part.rows / math.ceil(part.rows / most))
        for start in range(part.start, part.stop, step):
            stop = min(start + step, part.stop)
            cut_up.append(replace(part, number=len(cut_up), start=start, stop=stop))
    return tuple(cut_up)


def read_slice(
    part: Slice, columns: Sequence[str], batch_rows: int = BATCH_ROWS
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Read a slice as record batches of at most `batch_rows` rows.

    Parameters
    ----------
    part : Slice
    columns : sequence of str
        As the views call them; so do the batches.
    batch_rows : int

    Yields
    ------
    offset : int
        Row of the slice that the batch starts with.
    batch : RecordBatch
    """
    fragment = _fragment(part)
    found = fragment.filesystem.get_file_info(part.path)
    if found.type.name == "NotFound":
        raise SourceNotFound(f"the file {part.path} vanished while it was read.")
    if found.size != part.size:
        raise SourceError(
            f"the file {part.path} changed during the run. Run again once it is complete."
        )
    position = 0
    try:
        schema = part.origin.schema or plain_schema(fragment.physical_schema)
        stored = [schema.field(part.origin.names.get(name, name)) for name in columns]
        # Two views' columns may be one of the source, which is read once.
        read = pa.schema({one.name: one for one in stored}.values())
        group = RowGroup(fragment, part.row_group, part.stop)
        for batch in group.read(read, batch_rows):
            low, high = max(part.start - position, 0), min(part.stop - position, len(batch))
            if low < high:
                arrays = [batch.column(one.name).slice(low, high - low) for one in stored]
                rows = pa.RecordBatch.from_arrays(arrays, names=list(columns))
                yield position + low - part.start, rows
            position += len(batch)
            if position >= part.stop:
                return
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(
            f"the file {part.path} is damaged in row group {part.row_group} ({error}). "
            f"Replace or remove it; nothing was published."
        ) from error


def _fragment(part: Slice) -> Any:
    import pyarrow.dataset as ds
    import pyarrow.fs as fs

    return ds.ParquetFileFormat().make_fragment(
        part.path,
        part.origin.filesystem or fs.LocalFileSystem(),
        ds.scalar(True) if part.origin.partition is None else part.origin.partition,
    )


def stored_bytes(parts: Iterable[Slice], columns: Sequence[str]) -> int:
    """Return the size of some columns on disk, of the row groups that slices are of.

    Parameters
    ----------
    columns : sequence of str
        As the views call them.
    """
    size = 0
    groups = {(part.path, part.row_group): part for part in parts}
    # One footer at a time, since those of many files would fill the memory.
    for _, found in itertools.groupby(groups.values(), lambda part: part.path):
        here = list(found)
        metadata = _fragment(here[0]).metadata
        names = {here[0].origin.names.get(column, column) for column in columns}
        for part in here:
            group = metadata.row_group(part.row_group)
            chunks = (group.column(number) for number in range(group.num_columns))
            size += sum(
                chunk.total_compressed_size
                for chunk in chunks
                if chunk.path_in_schema.partition(".")[0] in names
            )
    return size
