"""Writing a file so that whoever finds it under its name finds all of it."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepfeast.transforms.errors import NotWritable
from deepfeast.transforms.files.bucket import Place


def check_writable(path: Path, what: str) -> None:
    """Check before any work that a file or folder can be written or made.

    Parameters
    ----------
    path : Path
    what : str
        Whose it is, for the error.

    Raises
    ------
    NotWritable
        It names the path that forbids it, its owner and its mode.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    needed = os.W_OK | os.X_OK if path.is_dir() else os.W_OK
    if os.access(path, needed, effective_ids=os.access in os.supports_effective_ids):
        return
    found = path.stat()
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise NotWritable(
            f"{what} needs to write {path}, which lies on a disk that is mounted read-only. Mount "
            f"it for writing."
        )
    try:
        owner = path.owner()
    except KeyError:
        owner = str(found.st_uid)
    raise NotWritable(
        f"{what} needs to write {path}, which this process may not (user {os.geteuid()}; it "
        f"belongs to {owner}, mode {stat.S_IMODE(found.st_mode):o}). Run as {owner}, or let both "
        f"write: chmod g+w, in one group."
    )


def attempt() -> str:
    """Name this attempt at something, unlike any other: by host, process and a number.

    Two containers may number their processes alike, and two threads share one.

    >>> attempt() == attempt()
    False
    """
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


@contextmanager
def whole(path: Place) -> Iterator[Path]:
    """Give a path on disk to write to, and put the file where it is wanted once all is written.

    Where the writing fails nothing of that name appears, and a file that was there stays as it
    was; where the process is killed a ``.tmp`` is left beside it. An object store gets the file
    in one step, as it shows no half of an upload.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with whole(path) as aside:
    ...     _ = aside.write_text("red")
    ...     path.exists()
    False
    >>> path.read_text()
    'red'
    """
    if not isinstance(path, Path):
        with tempfile.TemporaryDirectory(prefix="deepfeast-") as folder:
            written = Path(folder) / path.name
            yield written
            path.write_bytes(written)
        return
    aside = path.with_name(f"{path.name}.{attempt()}.tmp")
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
