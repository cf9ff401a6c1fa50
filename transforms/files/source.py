"""A Feast FileSource, opened for reading: Delta, Parquet or CSV, as one kind of table."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import NeverEmbedded, SourceError, SourceNotFound
from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.files.columns import in_source, join_keys
from deepfeast.transforms.files.csv import declared_types, header, is_csv, to_parquet
from deepfeast.transforms.files.place import (
    is_delta,
    list_files,
    locate,
    source_uri,
    storage_options,
)
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


def _missing(source: FileSource, view: Any, where: str) -> Exception:
    if view is not None and deep_spec(view):
        return NeverEmbedded(
            f"the deep feature view {view.name!r} has no embedding table at {where} yet. "
            f"Run: deepfeast embed {view.name}"
        )
    return SourceNotFound(f"source {source.name!r}: there is nothing at {where}.")
