"""Where a Feast FileSource lies, and how to read and write it.

Relative paths mean the repo, as Feast documents, wherever the process was started.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import NeverEmbedded, SourceNotFound
from deepfeast.transforms.tables import FeatureTable, open_table, resolve_filesystem
from deepfeast.transforms.views import deep_spec

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
    table = open_table(
        source_uri(config, source) if delta else path,
        delta=delta,
        name=f"source {source.name!r}",
        filesystem=filesystem,
        storage_options=_storage_options(source) if delta else None,
        missing=lambda where: _missing(source, view, where),
    )
    table.threads = getattr(config.offline_store, "threads", None) or table.threads
    return table


def write_source(
    config: RepoConfig,
    source: FileSource,
    table: pa.Table,
    *,
    append: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a table where a source lies: a new file, more rows, or in place of what is there.

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
    if append and exists:
        table = table.cast(open_source(config, source).schema)
    if is_delta(source):
        _write_delta(config, source, table, append=append)
    else:
        _write_parquet(filesystem, path, table, append=append and exists)


def locate(config: RepoConfig, source: FileSource) -> tuple[Any, str]:
    """Return the Arrow filesystem of a source, None for the local one, and its path there."""
    from feast import FileSource

    uri = source_uri(config, source)
    if uri.startswith("s3://"):
        return FileSource.create_filesystem_and_path(
            uri, source.s3_endpoint_override or "", source.resolve_credentials()
        )
    return resolve_filesystem(uri) if "://" in uri else (None, uri)


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


def _storage_options(source: FileSource) -> dict[str, str] | None:
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


def _write_delta(config: RepoConfig, source: FileSource, table: pa.Table, *, append: bool) -> None:
    from deltalake import write_deltalake

    write_deltalake(
        source_uri(config, source),
        table,
        mode="append" if append else "overwrite",
        schema_mode=None if append else "overwrite",
        storage_options=_storage_options(source),
    )


def _write_parquet(filesystem: Any, path: str, table: pa.Table, *, append: bool) -> None:
    import pyarrow.dataset as ds
    import pyarrow.fs as fs
    import pyarrow.parquet as pq

    system = filesystem or fs.LocalFileSystem()
    kind = system.get_file_info(path).type
    if kind == fs.FileType.Directory or (
        kind == fs.FileType.NotFound and not path.endswith((".parquet", ".pq"))
    ):
        ds.write_dataset(
            table,
            path,
            format="parquet",
            filesystem=system,
            basename_template=f"{uuid.uuid4().hex}-{{i}}.parquet",
            existing_data_behavior="overwrite_or_ignore" if append else "delete_matching",
        )
        return
    if append:
        table = pa.concat_tables([pq.read_table(path, filesystem=system), table])
    parent = path.rpartition("/")[0]
    if parent:
        system.create_dir(parent, recursive=True)
    # Beside it and then in its place: a reader never sees half a file.
    beside = f"{path}.{uuid.uuid4().hex}.tmp"
    pq.write_table(table, beside, filesystem=system)
    system.move(beside, path)
