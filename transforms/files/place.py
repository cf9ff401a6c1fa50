"""Where a Feast FileSource lies, and how to read and write it.

Relative paths mean the repo, as Feast documents, wherever the process was started.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import NeverEmbedded, SourceNotFound, SpecError
from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.files.table import FeatureTable, open_table

if TYPE_CHECKING:
    from feast import FileSource, RepoConfig


def open_source(config: RepoConfig, source: FileSource, view: Any = None) -> FeatureTable:
    """Open a source for reading.

    Raises
    ------
    NeverEmbedded
        If `view` is a deep feature view without an embedding table.
    SourceNotFound
        If there is nothing at the path.
    """
    filesystem, path = locate(config, source)
    delta = is_delta(source)
    where = source_uri(config, source)
    try:
        table = open_table(
            where if delta else path,
            delta=delta,
            name=f"source {source.name!r}",
            filesystem=filesystem,
            storage_options=storage_options(source) if delta else None,
        )
    except FileNotFoundError:
        raise _missing(source, view, where) from None
    table.threads = getattr(config.offline_store, "threads", None) or table.threads
    return table


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
    exists = _exists(filesystem, path)
    if exists and not append and not overwrite:
        raise SavedDatasetLocationAlreadyExists(location=source.path)
    first, tables = _peek(tables)
    schema = open_source(config, source).schema if append and exists else first.schema
    batches = (batch for table in tables for batch in table.cast(schema).to_batches())
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    if is_delta(source):
        _write_delta(config, source, reader, append=append)
    else:
        _write_parquet(filesystem, path, reader, append=append and exists)


def _peek(tables: Iterable[pa.Table]) -> tuple[pa.Table, Iterator[pa.Table]]:
    tables = iter(tables)
    first = next(tables)
    return first, itertools.chain([first], tables)


def file_source(source: Any) -> FileSource:
    """Return a source if it is one of files; say what is wanted if it is not."""
    from feast import FileSource

    if not isinstance(source, FileSource):
        raise SpecError(
            f"{type(source).__name__} is no source for DeepFeastOfflineStore, which reads files: "
            f"use a FileSource (Parquet or Delta)."
        )
    return source


def locate(config: RepoConfig, source: FileSource) -> tuple[Any, str]:
    """Return the Arrow filesystem of a source, None for the local one, and its path there."""
    from feast import FileSource

    uri = source_uri(config, source)
    if uri.startswith("s3://"):
        return FileSource.create_filesystem_and_path(
            uri, source.s3_endpoint_override or "", source.resolve_credentials()
        )
    return resolve_filesystem(uri) if "://" in uri else (None, uri)


def resolve_filesystem(uri: str) -> tuple[Any, str]:
    """Return the filesystem of a URI and the path on it; fsspec's where Arrow has none."""
    import pyarrow.fs as fs

    try:
        return fs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        import fsspec

        system, path = fsspec.core.url_to_fs(uri)
        return fs.PyFileSystem(fs.FSSpecHandler(system)), path


def source_uri(config: RepoConfig, source: FileSource) -> str:
    """Return the absolute path or URI of a source."""
    from feast import FileSource

    return FileSource.get_uri_for_file_path(config.repo_path, source.path)


def is_delta(source: FileSource) -> bool:
    """Tell whether a source was declared as Delta; everything else is Parquet."""
    from feast.data_format import DeltaFormat

    return isinstance(source.file_format, DeltaFormat)


def _missing(source: FileSource, view: Any, where: str) -> Exception:
    if view is not None and deep_spec(view):
        return NeverEmbedded(
            f"the deep feature view {view.name!r} has no embedding table at {where} yet. "
            f"Run: deepfeast embed {view.name}"
        )
    return SourceNotFound(f"source {source.name!r}: there is nothing at {where}.")


def storage_options(source: FileSource) -> dict[str, str] | None:
    """Return what ``deltalake`` must be told to reach a source's object store."""
    options = {
        name: value
        for name, value in (source.resolve_credentials() or {}).items()
        if name.startswith("AWS_") and value
    }
    if source.s3_endpoint_override:
        options["AWS_ENDPOINT_URL"] = source.s3_endpoint_override
    return options or None


def _exists(filesystem: Any, path: str) -> bool:
    if filesystem is None:
        return Path(path).exists()
    import pyarrow.fs as fs

    return filesystem.get_file_info(path).type != fs.FileType.NotFound


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
