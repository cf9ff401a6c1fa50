"""A file in an object store, read in parts as they are asked for."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

# A request takes as long as some hundred kilobytes do.
BUFFER = 1 << 20


class Ranges(io.RawIOBase):
    """Bytes of a file that are fetched a range at a time.

    Parameters
    ----------
    size : int
        Of the file.
    fetch : callable
        Returns the bytes from a start to a stop, excluded.

    Examples
    --------
    >>> file = Ranges(9, lambda start, stop: b"red shirt"[start:stop])
    >>> file.seek(-5, io.SEEK_END), file.read(3), file.read()
    (4, b'shi', b'rt')
    """

    def __init__(self, size: int, fetch: Callable[[int, int], Any]):
        self._size, self._fetch, self._at = size, fetch, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        found = self._fetch(self._at, stop)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)
