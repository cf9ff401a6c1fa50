"""Local copies of files in an object store, for what must have a file on a disk: a memory map."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import uuid
from collections import OrderedDict
from pathlib import Path

from deepfeast.transforms.files.bucket import BucketPath, Place

# Of copies that a process keeps on its disk at a time.
LIMIT = 2 << 30


class Copies:
    """Copies of files that never change, in a folder that goes with the process.

    Parameters
    ----------
    limit : int
        Bytes; beyond them, what was asked for longest ago goes. A map of it stays readable.
    """

    def __init__(self, limit: int = LIMIT):
        self.limit = limit
        self._lock = threading.Lock()
        self._process = 0
        self._kept: OrderedDict[BucketPath, tuple[Path, int]] = OrderedDict()

    def of(self, place: BucketPath) -> Path:
        """Return the copy of a file, fetched where there is none.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        """
        with self._lock:
            folder = self._folder()
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place][0]
        path = fetch(place, folder / f"{uuid.uuid4().hex}-{place.name}")
        with self._lock:
            self._kept[place] = path, path.stat().st_size
            self._shrink()
        return path

    def _folder(self) -> Path:
        # A process that was forked has copies of its own: the other one's go when that ends.
        if self._process != os.getpid():
            self._process = os.getpid()
            self._kept.clear()
            self._path = Path(tempfile.mkdtemp(prefix="deepfeast-copies-"))
            atexit.register(_forget, self._path, self._process)
        return self._path

    def _shrink(self) -> None:
        while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self.limit:
            _, (path, _) = self._kept.popitem(last=False)
            path.unlink(missing_ok=True)


def _forget(folder: Path, process: int) -> None:
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


def fetch(place: Place, target: Path) -> Path:
    """Copy a file to a path on this disk; return the path."""
    if isinstance(place, Path):
        target.write_bytes(place.read_bytes())
    else:
        with target.open("wb") as file:
            for chunk in place.chunks():
                file.write(chunk)
    return target


def local(place: Place) -> Path:
    """Return where a file that never changes lies on this disk: itself, or its copy."""
    return place if isinstance(place, Path) else _copies.of(place)


_copies = Copies()
