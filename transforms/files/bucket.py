"""Paths in an object store, in the words of `pathlib`: a place is one, or a path on a disk.

A `Place` is a path on a disk or one of these, so that code which joins, lists, reads, writes and
removes need not know which. What a disk can and a bucket cannot (rename, lock, append) no code
asks for: a file appears whole under its own name, on both.

Options are those that ``deltalake`` takes, since both speak to the store through one library.
Credentials stay in the process: what crosses to a worker says where, and not with which key.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from deepfeast.transforms.errors import BucketError
from deepfeast.transforms.files.ranges import BUFFER, Ranges
from deepfeast.transforms.files.store import asking, opened

log = logging.getLogger(__name__)
Options = dict[str, str] | None
Tag = dict[str, str]
SECRET = re.compile(r"key|secret|token|password|credential|account(?!_name)|sas", re.IGNORECASE)
# Of the stores that this process was told of, by scheme and bucket.
_known: dict[str, Options] = {}


@dataclass(frozen=True)
class Stat:
    """What a store says of an object.

    Attributes
    ----------
    st_size : int
        In bytes.
    modified : datetime
        By the clock of the store.
    tag : dict of str to str
        It changes with each write: an ETag, and a version where the store counts them.
    """

    st_size: int
    modified: datetime
    tag: Tag


class BucketPath:
    """A path in an object store.

    Parameters
    ----------
    uri : str
        Such as ``s3://shop/tables/deep``.
    options : dict of str to str, optional
        As ``deltalake`` takes them; by default those that this process was told of the bucket, and
        the environment's.

    Examples
    --------
    >>> path = BucketPath("s3://shop/tables") / "deep.parquet"
    >>> str(path), path.name, path.stem, str(path.parent)
    ('s3://shop/tables/deep.parquet', 'deep.parquet', 'deep', 's3://shop/tables')
    """

    def __init__(self, uri: str, options: Options = None):
        self.uri = uri.rstrip("/")
        scheme, _, rest = self.uri.partition("://")
        bucket, _, self.key = rest.partition("/")
        self.root = f"{scheme}://{bucket}"
        if options:
            _known[self.root] = dict(options)

    def __reduce__(self) -> tuple[Any, ...]:
        said = {name: v for name, v in self.options.items() if not SECRET.search(name)}
        return _unpickled, (self.uri, said)

    @property
    def options(self) -> dict[str, str]:
        """What this process was told of the bucket."""
        return _known.get(self.root) or {}

    @property
    def store(self) -> Any:
        """The bucket, as ``obstore`` opens it."""
        return opened(self.root, tuple(sorted(self.options.items())))

    def __truediv__(self, name: str | PurePosixPath) -> BucketPath:
        return BucketPath(f"{self.uri}/{name}")

    def __str__(self) -> str:
        return self.uri

    def __repr__(self) -> str:
        return f"BucketPath({self.uri!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BucketPath) and self.uri == other.uri

    def __lt__(self, other: BucketPath) -> bool:
        return self.uri < other.uri

    def __hash__(self) -> int:
        return hash(self.uri)

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return PurePosixPath(self.key).stem

    @property
    def parent(self) -> BucketPath:
        """What it lies in."""
        return BucketPath(self.uri.rpartition("/")[0])

    def with_name(self, name: str) -> BucketPath:
        """Return its neighbour of a name."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> BucketPath:
        """Return its neighbour with another suffix."""
        return self.parent / f"{self.stem}{suffix}"

    def stat(self) -> Stat:
        """Return what the store says of the object.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        import obstore

        with asking(self):
            return _stat(obstore.head(self.store, self.key))

    def is_file(self) -> bool:
        """Tell whether there is an object."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Tell whether there are objects below it."""
        import obstore

        with asking(self):
            return any(obstore.list(self.store, f"{self.key}/", chunk_size=1))

    def exists(self) -> bool:
        """Tell whether there is an object, or any below it."""
        return self.is_file() or self.is_dir()

    def read_bytes(self) -> bytes:
        """Return all of the object."""
        import obstore

        with asking(self):
            return bytes(obstore.get(self.store, self.key).bytes())

    def read_text(self) -> str:
        """Return all of the object, as text."""
        return self.read_bytes().decode()

    def chunks(self) -> Iterator[Any]:
        """Yield the object's bytes, some megabytes at a time."""
        import obstore

        with asking(self):
            yield from obstore.get(self.store, self.key).stream(min_chunk_size=8 << 20)

    def open_input(self) -> io.BufferedReader:
        """Open the object for reading in parts."""
        return io.BufferedReader(Ranges(self.stat().st_size, self._range), BUFFER)

    def _range(self, start: int, stop: int) -> bytes:
        import obstore

        with asking(self):
            return bytes(obstore.get_range(self.store, self.key, start=start, end=stop))

    def write_bytes(self, data: Any) -> None:
        """Write an object, whole, whatever was there."""
        self._put(data, None)

    def write_text(self, text: str) -> None:
        """Write an object of text, whole, whatever was there."""
        self._put(text.encode(), None)

    def put(self, data: bytes, over: Tag | None) -> Tag:
        """Write an object on a condition, in one step; return its tag.

        Parameters
        ----------
        data : bytes
        over : dict of str to str, or None
            Tag of what must be there; None where nothing must be.

        Raises
        ------
        FileExistsError
            If the store has something else there.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            return self._put(data, over or "create")
        except (AlreadyExistsError, PreconditionError, FileNotFoundError) as error:
            raise FileExistsError(f"{self} was written or removed by somebody else") from error

    def _put(self, data: Any, mode: Literal["create"] | Tag | None) -> Tag:
        import obstore

        with asking(self):
            found: Any = obstore.put(self.store, self.key, data, mode=mode)  # type: ignore[arg-type]
        return _tag(found)

    def unlink(self, missing_ok: bool = True) -> None:
        """Delete the object; a store does not say whether there was one."""
        self._delete([self.key])

    def remove(self) -> None:
        """Delete the object and all below it."""
        self._delete([self.key, *(key for key, _ in self._walk())])

    def _delete(self, keys: list[str]) -> None:
        import obstore

        with asking(self):
            obstore.delete(self.store, keys)

    def mkdir(self, mode: int = 0o777, parents: bool = True, exist_ok: bool = True) -> None:
        """Do nothing: a bucket has no folders."""

    def rmdir(self) -> None:
        """Do nothing: a bucket has no folders."""

    def size(self) -> int:
        """Return the bytes of the object, or of all below it; 0 where nothing is left of it."""
        below = [stat.st_size for _, stat in self._walk()]
        try:
            return sum(below) if below else self.stat().st_size
        except FileNotFoundError:
            return 0

    def walk(self) -> Iterator[tuple[BucketPath, Stat]]:
        """Yield all objects below it, by name."""
        for key, stat in sorted(self._walk()):
            yield BucketPath(f"{self.root}/{key}"), stat

    def _walk(self) -> Iterator[tuple[str, Stat]]:
        import obstore

        with asking(self):
            for some in obstore.list(self.store, f"{self.key}/" if self.key else None):
                yield from ((one["path"], _stat(one)) for one in some)

    def iterdir(self) -> Iterator[BucketPath]:
        """Yield what lies directly in it, by name: objects, and what objects lie in."""
        import obstore

        with asking(self):
            found = obstore.list_with_delimiter(self.store, self.key)
        keys = [*found["common_prefixes"], *(one["path"] for one in found["objects"])]
        for key in sorted(keys):
            yield BucketPath(f"{self.root}/{key}")

    def glob(self, pattern: str) -> Iterator[BucketPath]:
        """Yield what is of a pattern below it, by name; ``**`` is none."""
        parts = pattern.split("/")
        below = self
        while len(parts) > 1 and not set(parts[0]) & set("*?["):
            below /= parts.pop(0)
        if len(parts) == 1:
            yield from (path for path in below.iterdir() if fnmatchcase(path.name, parts[0]))
            return
        depth, found = len(PurePosixPath(below.key).parts), set()
        for key, _ in below._walk():
            there = key.split("/")[depth : depth + len(parts)]
            if len(there) == len(parts) and all(map(fnmatchcase, there, parts)):
                found.add("/".join([below.key, *there]))
        yield from (BucketPath(f"{self.root}/{key}") for key in sorted(found))


Place = Path | BucketPath


def at(where: str | Place, options: Options = None) -> Place:
    """Return the place of a path or URI.

    >>> at("/shop/deep"), at("s3://shop/deep")
    (PosixPath('/shop/deep'), BucketPath('s3://shop/deep'))
    """
    if isinstance(where, BucketPath):
        return where
    return BucketPath(str(where), options) if "://" in str(where) else Path(where)


def remove_tree(place: Place) -> None:
    """Delete a folder and all in it, as far as this process may.

    In a bucket without the right to delete, what is left over stays, and a warning says so.
    """
    import shutil

    if isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
        return
    try:
        place.remove()
    except BucketError as error:
        log.warning(f"what lies below {place} was left there: {error}")


def size_of(place: Place) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if not isinstance(place, Path):
        return place.size()
    if place.is_dir():
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    return place.stat().st_size


def open_input(place: Place) -> Any:
    """Open a file as Arrow reads it: by its path on a disk, else in parts as they are asked for."""
    return place if isinstance(place, Path) else place.open_input()


def in_memory(place: Place) -> Any:
    """Open a small file as Arrow reads it: by its path on a disk, else whole, in one request."""
    return place if isinstance(place, Path) else io.BytesIO(place.read_bytes())


def _unpickled(uri: str, options: dict[str, str]) -> BucketPath:
    path = BucketPath(uri)
    _known.setdefault(path.root, options)
    return path


def _stat(found: Any) -> Stat:
    return Stat(found["size"], found["last_modified"], _tag(found))


def _tag(found: Any) -> Tag:
    return {name: found[name] for name in ("e_tag", "version") if found[name] is not None}
