"""Where a Feast FileSource lies: its address, its filesystem, and the files that it means.

Relative paths mean the repo, as Feast documents, wherever the process was started.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.files.bucket import BucketPath

if TYPE_CHECKING:
    from feast import FileSource, RepoConfig


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


def on_arrow(place: BucketPath) -> tuple[Any, str]:
    """Return the Arrow filesystem of a place in a bucket, and its path there."""
    from feast import FileSource

    if place.options and str(place).startswith("s3://"):
        endpoint = place.options.get("AWS_ENDPOINT_URL", "")
        return FileSource.create_filesystem_and_path(str(place), endpoint, place.options)
    return resolve_filesystem(str(place))


def source_uri(config: RepoConfig, source: FileSource) -> str:
    """Return the absolute path or URI of a source."""
    from feast import FileSource

    return FileSource.get_uri_for_file_path(config.repo_path, source.path)


def is_delta(source: FileSource) -> bool:
    """Tell whether a source was declared as Delta; everything else is Parquet."""
    from feast.data_format import DeltaFormat

    return isinstance(source.file_format, DeltaFormat)


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
