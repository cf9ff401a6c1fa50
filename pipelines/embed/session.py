"""The DuckDB session of a run: opened with its limits, and files as relations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.files.bucket import BucketPath, Place
from deepfeast.transforms.files.fetch import fetch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Session
    from duckdb import DuckDBPyRelation as Relation

# DuckDB spills what does not fit: a run of a million rows takes as little as one of ten thousand.
MEMORY_LIMIT = "256MB"
# At once to a store: they wait for it, and take no core.
REQUESTS = 16


@contextmanager
def opened(overflow: Path) -> Iterator[Session]:
    """Open a session that spills to a folder, and close it."""
    import duckdb

    config: dict[str, Any] = {"memory_limit": MEMORY_LIMIT, "temp_directory": str(overflow)}
    with duckdb.connect(config=config) as session:
        yield session


def parquet(session: Session, files: Sequence[Place]) -> Relation | None:
    """Open Parquet files as one relation; None where there are none.

    Files in a bucket are fetched to where the session spills, since it reads them several times.
    """
    if not files:
        return None
    if isinstance(files[0], BucketPath):
        files = _fetched(session, files)
    return session.read_parquet([_plain(str(file)) for file in files])


def _fetched(session: Session, files: Sequence[Place]) -> list[Path]:
    [(spills,)] = session.sql("select current_setting('temp_directory')").fetchall()
    folder = Path(spills) / "fetched"
    folder.mkdir(parents=True, exist_ok=True)

    def copy(file: Place) -> Path:
        target = folder / hashlib.blake2b(str(file).encode(), digest_size=16).hexdigest()
        return target if target.exists() else fetch(file, target)

    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(copy, files))


def spilled(session: Session, files: Sequence[Place], first: int) -> Relation:
    """Tell where vectors lie: the number of a file and the position within, as one number.

    Parameters
    ----------
    files : sequence of Path or BucketPath
        With columns ``hash`` and ``position``.
    first : int
        Number of the first file.

    Returns
    -------
    Relation
        ``hash``, each once, and ``place``: the file's number times 2**32, and the position.
    """
    found = parquet(session, files)
    if found is None:
        return session.sql("select null::blob as hash, 0::bigint as place where false")
    # Numbers, since a path for each of millions of hashes would fill the memory.
    place = f"((file_index + {first})::bigint << 32) + position"
    return found.aggregate(f"hash, min({place}) as place", "hash")


def _plain(path: str) -> str:
    """Write a path so that DuckDB takes no character of it for a pattern.

    >>> _plain("/data[1]/a.parquet")
    '/data[[]1]/a.parquet'
    """
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in path)
