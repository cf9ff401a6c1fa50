"""Who works on a table on a disk: a lock that the kernel lets go of when its process ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deepfeast.transforms.errors import RunInProgress
from deepfeast.transforms.files.write import check_writable


@contextmanager
def locked(path: Path, tables: Sequence[Path], view: str, run: str) -> Iterator[None]:
    """Hold a table on a disk while a run works.

    Parameters
    ----------
    path : Path
        Of the lock; its folder is made.
    tables : sequence of Path
        What the run will write to.
    view, run : str
        For those who find it held.

    Raises
    ------
    RunInProgress
        If another process holds it; it says which.
    NotWritable
        If this process may not write there.
    """
    import fcntl
    import os
    import socket

    for needed in (path, *(table / "_delta_log" for table in tables)):
        check_writable(needed, f"view {view!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise RunInProgress(
                f"view {view!r} is held by {lock.read().strip() or 'another run'}. "
                f"Wait until it ends, then run again."
            ) from error
        lock.truncate(0)
        lock.write(f"run {run}, process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield
