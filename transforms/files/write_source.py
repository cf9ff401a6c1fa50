"""Tables written where a Feast FileSource lies: a new file, more rows, or in place of others."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.files.place import is_delta, locate, source_uri, storage_options
from deepfeast.transforms.files.source import open_source

if TYPE_CHECKING:
    from feast import FileSource, RepoConfig


def write_source(
    config: RepoConfig,
    source: FileSource,
    tables: Iterable[pa.Table],
    *,
    append: bool = False,
    overwrite: bool = False,
) -> None:
    """Write tables where a source lies: a new file, more rows, or in place of what is there.

    Parameters
    ----------
    tables : iterable of Table
        At least one; written one after another, so that they need not fit in memory together.
    append, overwrite : bool
        What to do if something is there already.

    Raises
    ------
    SavedDatasetLocationAlreadyExists
        If something is there and neither `append` nor `overwrite` is set.
    """
    from feast.errors import SavedDatasetLocationAlreadyExists

    filesystem, path = locate(config, source)
    if (exists := _exists(filesystem, path)) and not append and not overwrite:
        raise SavedDatasetLocationAlreadyExists(location=source.path)
    first = next(tables := iter(tables))
    tables = itertools.chain([first], tables)
    schema = open_source(config, source).schema if append and exists else first.schema
    batches = (batch for table in tables for batch in table.cast(schema).to_batches())
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    if is_delta(source):
        _write_delta(config, source, reader, append=append)
    else:
        _write_parquet(filesystem, path, reader, append=append and exists)


def _exists(filesystem: Any, path: str) -> bool:
    import pyarrow.fs as fs

    system = filesystem or fs.LocalFileSystem()
    return bool(system.get_file_info(path).type != fs.FileType.NotFound)


def _write_delta(
    config: RepoConfig, source: FileSource, rows: pa.RecordBatchReader, *, append: bool
) -> None:
    from deltalake import write_deltalake

    write_deltalake(
        source_uri(config, source),
        rows,
        mode="append" if append else "overwrite",
        schema_mode=None if append else "overwrite",
        storage_options=storage_options(source),
    )


def _write_parquet(filesystem: Any, path: str, rows: pa.RecordBatchReader, *, append: bool) -> None:
    """Write one file if the path names one, otherwise a file in that folder."""
    import pyarrow.fs as fs

    system = filesystem or fs.LocalFileSystem()
    kind = system.get_file_info(path).type
    folder = kind == fs.FileType.Directory or (
        kind == fs.FileType.NotFound and not path.endswith((".parquet", ".pq"))
    )
    if not folder:
        _write_file(system, path, rows, append=append)
        return
    if not append and kind == fs.FileType.Directory:
        system.delete_dir_contents(path)
    _write_file(system, f"{path}/{uuid.uuid4().hex}.parquet", rows)


def _write_file(
    system: Any, path: str, rows: pa.RecordBatchReader, *, append: bool = False
) -> None:
    import pyarrow.parquet as pq

    system.create_dir(path.rpartition("/")[0] or ".", recursive=True)
    # Beside it and then in its place: a reader never sees half a file.
    beside = f"{path}.{uuid.uuid4().hex}.tmp"
    with pq.ParquetWriter(beside, rows.schema, filesystem=system) as writer:
        if append:
            with pq.ParquetFile(path, filesystem=system) as file:
                for batch in file.iter_batches():
                    writer.write_batch(batch)
        for batch in rows:
            writer.write_batch(batch)
    system.move(beside, path)
