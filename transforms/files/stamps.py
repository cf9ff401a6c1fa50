"""What tells one state of a file from another without reading it: its stamp.

On a disk that is size, time of change and time of the inode's change, which nobody sets by hand;
on an object store the ETag, and size and time where there is none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Two writes within a tick of a file system's clock have one time; the coarsest ticks take two
# seconds. So the time of a file that was written just now tells nothing yet.
TICK_NS = 2_000_000_000
REQUESTS = 16


def stamps(filesystem: Any, paths: Sequence[str]) -> dict[str, str]:
    """Stamp files; one that vanished, or whose state cannot be told, has no stamp.

    Parameters
    ----------
    filesystem : pyarrow.fs.FileSystem or None
        None for the local one.
    paths : sequence of str
        Of files on it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     os.utime(file.name, (0, 0))
    ...     stamps(None, [file.name])[file.name].startswith("0 0 ")
    True
    """
    import pyarrow.fs as fs

    base = ""
    if isinstance(filesystem, fs.SubTreeFileSystem):
        base, filesystem = filesystem.base_path, filesystem.base_fs
    if filesystem is None or isinstance(filesystem, fs.LocalFileSystem):
        found = [_local(base + path) for path in paths]
    else:
        infos = filesystem.get_file_info([base + path for path in paths])
        with ThreadPoolExecutor(REQUESTS) as pool:
            tags = pool.map(lambda path: _etag(filesystem, base + path), paths)
            found = [
                tag or _timed(info.size, info.mtime_ns)
                for info, tag in zip(infos, tags, strict=True)
            ]
    return {path: stamp for path, stamp in zip(paths, found, strict=True) if stamp}


def _local(path: str) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return ""
    timed = _timed(found.st_size, found.st_mtime_ns)
    return timed and f"{timed} {found.st_ctime_ns}"


def _timed(size: int | None, changed: int | None) -> str:
    if size is None or changed is None or time.time_ns() - changed < TICK_NS:
        return ""
    return f"{size} {changed}"


def _etag(filesystem: Any, path: str) -> str:
    """Return what an object store calls this state of an object; empty where it does not."""
    import pyarrow.fs as fs

    try:
        if isinstance(filesystem, fs.PyFileSystem):
            known = getattr(filesystem.handler, "fs", None)
            if known is None:
                return ""
            # It remembers listings, for longer than a file stays as it is.
            known.invalidate_cache()
            said = known.info(path)
        else:
            with filesystem.open_input_stream(path) as stream:
                said = stream.metadata() or {}
    except OSError:
        return ""
    tag = said.get("ETag") or said.get("etag")
    return f"{said.get('size', said.get('Content-Length', ''))} {tag}" if tag else ""
