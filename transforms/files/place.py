"""Where a Feast FileSource lies, and how to read and write it.

Relative paths mean the repo, as Feast documents, wherever the process was started.
"""

from __future__ import annotations

import itertools
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import NeverEmbedded, SourceError, SourceNotFound, SpecError
from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.files.columns import in_source, join_keys
from deepfeast.transforms.files.csv import declared_types, header, is_csv, to_parquet
from deepfeast.transforms.files.schema import check_row
from deepfeast.transforms.files.table import Choose, FeatureTable, open_table

if TYPE_CHECKING:
    from feast import FileSource, RepoConfig


def open_source(
    config: RepoConfig,
    source: FileSource,
    view: Any = None,
    *,
    types: Mapping[str, pa.DataType] | None = None,
    scratch: Path | None = None,
    choose: Choose | None = None,
) -> FeatureTable:
    """Open a source for reading.

    Parameters
    ----------
    config : RepoConfig
    source : FileSource
        Delta, Parquet (a file, a folder, a glob) or CSV.
    view : FeatureView, optional
        The view that reads it: its declarations say how the cells of a CSV are read.
    types : mapping of str to DataType, optional
        The columns of a CSV, by their names in the source, where no view declares them.
    scratch : Path, optional
        Where a CSV is rewritten as Parquet; by default in a folder that goes with the table.
    choose : callable, optional
        Which files to open, at least one if they are CSV: see `FeatureTable`.

    Raises
    ------
    NeverEmbedded
        If `view` is a deep feature view without an embedding table.
    SourceNotFound
        If there is nothing at the path.
    SourceError, ColumnNotFound
        If it is a CSV that cannot be read as declared.
    """
    filesystem, _ = locate(config, source)
    where = source_uri(config, source)
    delta = is_delta(source)
    kept = None
    try:
        paths: str | list[str] = where if delta else list_files(config, source)
        if not delta and is_csv(where):
            if types is None:
                types = _declared(source, view)
            if scratch is None:
                kept = tempfile.TemporaryDirectory(prefix="deepfeast-csv-")
                scratch = Path(kept.name)
            paths = _rewrite_csv(filesystem, paths, source, types, scratch, choose)
            filesystem = choose = None
        table = open_table(
            paths,
            delta=delta,
            name=f"source {source.name!r}",
            filesystem=filesystem,
            storage_options=storage_options(source) if delta else None,
            choose=choose,
        )
    except FileNotFoundError:
        raise _missing(source, view, where) from None
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"the source {source.name!r} at {where} is not readable as Parquet ({error}). "
            f"Replace it, or mend its path."
        ) from error
    spec = deep_spec(view) if view is not None else None
    if spec:
        keys = [*join_keys(view), source.timestamp_field]
        check_row(keys, table.schema, spec.source, where, view.name)
    table.kept = kept
    table.threads = getattr(config.offline_store, "threads", None) or table.threads
    return table


def _declared(source: FileSource, view: Any) -> dict[str, pa.DataType]:
    if view is not None:
        return declared_types(view, source)
    raise SourceError(
        f"the source {source.name!r} is a CSV, whose types only a view can say, and none is asked "
        f"for. Write it as Parquet: DataFrame.to_parquet(...) in pandas."
    )


def _rewrite_csv(
    filesystem: Any,
    paths: str | list[str],
    source: FileSource,
    types: Mapping[str, pa.DataType],
    scratch: Path,
    choose: Choose | None,
) -> list[str]:
    import pyarrow.fs as fs

    system = filesystem or fs.LocalFileSystem()
    paths = [paths] if isinstance(paths, str) else paths
    declared = (source.timestamp_field, source.created_timestamp_column)
    times = [in_source(source, name) for name in declared if name]
    return [
        str(
            to_parquet(
                system, path, source.name, types, times, scratch / f"{Path(path).stem}-{at}.parquet"
            )
        )
        for at, path in enumerate(choose(filesystem, paths) if choose else paths)
    ]


def column_names(config: RepoConfig, source: FileSource) -> list[str]:
    """Return what the columns of a source are called there; a CSV's without its types.

    Raises
    ------
    SourceNotFound
        If there is nothing at the path.
    """
    where = source_uri(config, source)
    if is_delta(source) or not is_csv(where):
        return open_source(config, source).schema.names
    import pyarrow.fs as fs

    try:
        files = list_files(config, source)
        system = locate(config, source)[0] or fs.LocalFileSystem()
        return header(system, files if isinstance(files, str) else files[0])
    except FileNotFoundError:
        raise _missing(source, None, where) from None


def list_files(config: RepoConfig, source: FileSource) -> str | list[str]:
    """Return the path of a source that is a file or a folder, or the files that a glob names.

    A path that is there is taken as it is written. Else its marks ``*?[`` make it a glob; those
    of the repo's own folder never do.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    """
    import pyarrow.fs as fs

    filesystem, path = locate(config, source)
    system = filesystem or fs.LocalFileSystem()
    if system.get_file_info(path).type != fs.FileType.NotFound:
        return path
    base, pattern = _glob_parts(source.path)
    if not pattern:
        raise FileNotFoundError(path)
    _, folder = _located(config, source, base or ".")
    found = system.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    depth = len(PurePosixPath(folder).parts)
    files = sorted(
        info.path
        for info in found
        if info.type == fs.FileType.File
        and _matches(PurePosixPath(info.path).parts[depth:], pattern)
    )
    if not files:
        raise FileNotFoundError(path)
    return files


def _glob_parts(path: str) -> tuple[str, list[str]]:
    """Split a path before its first part that has a mark.

    >>> _glob_parts("raw/2024-*/x.parquet")
    ('raw', ['2024-*', 'x.parquet'])
    """
    parts = path.split("/")
    at = next((i for i, part in enumerate(parts) if any(m in part for m in "*?[")), len(parts))
    return "/".join(parts[:at]), parts[at:]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Match the parts of a path; ``**`` stands for any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[at:], pattern[1:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def photo_folder(config: RepoConfig, source: FileSource) -> str:
    """Return the folder that paths of photos in a raw source are relative to: its own.

    That is the source itself where it is a folder, and else the folder it lies in; of a glob the
    folder before its first mark.
    """
    uri = source_uri(config, source)
    if Path(uri).is_dir():
        return uri
    base, pattern = _glob_parts(source.path)
    if pattern and not Path(uri).exists():
        return str(Path(config.repo_path or ".") / base) if "://" not in uri else base
    return uri.rpartition("/")[0] or "."


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
    """Return the Arrow filesystem of a source, None for the local one, and its path there.

    With the endpoint, the region and the credentials that Feast has for it.
    """
    return _located(config, source, source.path)


def _located(config: RepoConfig, source: FileSource, path: str) -> tuple[Any, str]:
    from feast import FileSource

    uri = FileSource.get_uri_for_file_path(config.repo_path, path)
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
        if source.s3_endpoint_override.startswith("http://"):
            options["AWS_ALLOW_HTTP"] = "true"
    return options or None


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
