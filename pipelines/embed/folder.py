"""The folder of a run: every name in it, and how what lies there is written and counted.

Workers and driver meet in files alone. A file appears under its name only when it is complete,
so a job that is killed leaves finished files or none, and the next run can use the vectors.

=============  ===============================================================================
``hashes/``    by slice: its rows and the hashes of what they contain
``rejects/``   cells that could not be read, by slice; contents that could not be encoded
``todo/``      by feature and some slices: the rows whose contents are to be encoded
``notes/``     by feature and slice: the engine used, and what the encoder counted
``rows/``      the new rows in parts, each with the place of its vectors; what places mean
``parts/``     by part: the data file that was written of it
``workers/``   by stage: an empty file of each worker that has begun
=============  ===============================================================================

Vectors are spilled outside of it, in a folder of their encoder that outlives the run.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.transforms.errors import TableDamaged
from deepfeast.transforms.files.bucket import BucketPath, Place, at, open_input, remove_tree
from deepfeast.transforms.files.fetch import local
from deepfeast.transforms.files.write import attempt, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDERS = ("hashes", "rejects", "todo", "notes", "rows", "parts", "workers")
READ = b"rows read"
# Seconds between two looks at how far workers are in a bucket.
LOOK = 2.0
# And for each thousand files anywhere.
PAUSE = 0.2
P = TypeVar("P", Path, BucketPath, Place)


@dataclass(frozen=True)
class RunFolder:
    """Where a run works, seen by all of its workers.

    Parameters
    ----------
    path : Path or BucketPath
    """

    path: Place

    def make(self) -> None:
        """Make the folders."""
        for name in FOLDERS:
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove all that the run left here."""
        remove_tree(self.path)
        remove_tree(self.disk)

    @property
    def disk(self) -> Path:
        """A folder on the driver's disk, for what no worker needs."""
        if isinstance(self.path, Path):
            return self.path
        return Path(tempfile.gettempdir()) / f"deepfeast-{self.path.name}"

    @property
    def source(self) -> Path:
        """Where a source that cannot be entered in the middle is rewritten."""
        return self.disk / "source"

    @property
    def carried(self) -> Place:
        """Where workers read what was rewritten."""
        return self.path / "source"

    @property
    def fitted(self) -> Place:
        """Where the run keeps what it fitted, until it is published."""
        return self.path / "fitted"

    @property
    def overflow(self) -> Path:
        """Where the plan spills what memory does not hold."""
        return self.disk / "duckdb"

    def begin(self, stage: str) -> None:
        """Leave word that a worker has begun with a stage."""
        with whole(self.path / "workers" / f"{stage}-{attempt()}") as path:
            path.touch()

    def begun(self, stage: str) -> bool:
        """Tell whether any worker has begun with a stage."""
        return bool(_files(self.path / "workers", f"{stage}-*"))

    def write_hashes(self, number: int, rows: pa.Table, read: int) -> None:
        """Write the rows of a slice that take part; `read` rows were read for them."""
        rows = rows.replace_schema_metadata({READ: str(read)})
        write_table(rows, self.path / "hashes" / f"{number:06d}.parquet")

    def hashes(self) -> list[Place]:
        """Return the files of hashes, in the order of the slices."""
        return _files(self.path / "hashes", "*.parquet")

    def write_unread(self, number: int, rejects: pa.Table) -> None:
        """Write the rejects of reading a slice."""
        write_table(rejects, self.path / "rejects" / f"read-{number:06d}.parquet")

    def unread(self) -> list[Place]:
        """Return the files of cells that could not be read."""
        return _files(self.path / "rejects", "read-*.parquet")

    @staticmethod
    def slice_of(unread: Path) -> int:
        """Return the number of the slice that a file of unread cells is of."""
        return int(unread.stem.rpartition("-")[2])

    def write_unencoded(self, window: str, rejects: pa.Table) -> None:
        """Write the rejects of encoding a window."""
        write_table(rejects, self.path / "rejects" / f"encoded-{window}.parquet")

    def unencoded(self) -> list[Place]:
        """Return the files of contents that could not be encoded."""
        return _files(self.path / "rejects", "encoded-*.parquet")

    def todo(self, feature: str, first: int) -> Place:
        """Return the file that lists rows whose content of a feature is to be encoded.

        They are of some slices from the first on: the footer of one file for all slices of a large
        source would take each of them long to read.
        """
        return self.path / "todo" / f"{feature}-{first:06d}.parquet"

    def write_note(self, feature: str, number: int, used: Any, counts: Counter[str]) -> None:
        """Note the engine that a worker used on a slice, and what its encoder counted."""
        with whole(self.path / "notes" / f"{feature}-{number:06d}.json") as path:
            path.write_text(json.dumps({"feature": feature, "used": used, "counts": counts}))

    def notes(self) -> dict[str, dict[str, Any]]:
        """Return by feature the engines that workers used, and what the encoder counted in all."""
        notes: dict[str, dict[str, Any]] = {}
        for path in _files(self.path / "notes", "*.json"):
            note = json.loads(path.read_text())
            known = notes.setdefault(note["feature"], {"used": [], "counts": {}})
            if note["used"] not in known["used"]:
                known["used"].append(note["used"])
            known["counts"] = dict(Counter(known["counts"]) + Counter(note["counts"]))
        return notes

    def write_rows(self, number: int, rows: pa.Table) -> Place:
        """Write a part of the planned rows; return its file."""
        return write_table(rows, self.path / "rows" / f"{number:06d}.parquet")

    def write_places(self, files: Sequence[Place]) -> None:
        """Write which file each number in a place means."""
        with whole(self.path / "rows" / "files.json") as path:
            path.write_text(json.dumps([str(file) for file in files]))

    def places(self) -> list[Place]:
        """Return the file that each number in a place means."""
        return [at(file) for file in json.loads((self.path / "rows" / "files.json").read_text())]

    def write_part(self, planned: Place, part: dict[str, Any]) -> None:
        """Say which data file was written of a part of the planned rows."""
        with whole(self.path / "parts" / f"{planned.stem}.json") as path:
            path.write_text(json.dumps(part))

    def parts(self) -> list[dict[str, Any]]:
        """Return what is said of each data file, in the order of the rows."""
        return [json.loads(path.read_text()) for path in _files(self.path / "parts", "*.json")]

    def hashed(self) -> Callable[[], int]:
        """Return what counts the rows that were read so far."""
        return tally(self.hashes, lambda path: int(pq.read_schema(open_input(path)).metadata[READ]))

    def rejected(self) -> Callable[[], int]:
        """Return what counts the contents that could not be encoded so far."""
        return tally(self.unencoded, _rows)

    def written(self) -> Callable[[], int]:
        """Return what counts the rows that stand in data files so far."""
        return tally(
            lambda: _files(self.path / "parts", "*.json"),
            lambda path: json.loads(path.read_text())["rows"],
        )


@dataclass(frozen=True)
class Spill:
    """Vectors of one encoder by hash, in files that the next run can use.

    Parameters
    ----------
    path : Path or BucketPath
        ``spill/`` and the beginning of the encoder's fingerprint.
    """

    path: Place

    def make(self) -> None:
        """Make the folder."""
        self.path.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove all vectors."""
        remove_tree(self.path)

    def write(self, name: str, hashes: pa.ChunkedArray, vectors: NDArray[np.float32]) -> None:
        """Spill vectors (n, dim) of n hashes; the hashes come last and vouch for the vectors."""
        with whole(self.path / f"{name}.npy") as path, path.open("wb") as file:
            np.save(file, vectors)
        position = pa.array(np.arange(len(vectors), dtype=np.int32))
        table = pa.table({"hash": hashes, "position": position})
        write_table(table, self.path / f"{name}.parquet")

    def hashes(self) -> list[Place]:
        """Return the files that say which vectors there are, in a fixed order."""
        return _files(self.path, "*.parquet")

    def encoded(self, run: str) -> Callable[[], int]:
        """Return what counts the vectors that a run encoded so far."""
        return tally(lambda: _files(self.path, f"{run}-encoded-*.parquet"), _rows)

    def write_encoded(
        self, run: str, window: str, hashes: pa.ChunkedArray, vectors: NDArray[np.float32]
    ) -> None:
        """Spill what a run encoded of a window."""
        self.write(f"{run}-encoded-{window}", hashes, vectors)

    def windows(self, run: str, feature: str, number: int) -> set[int]:
        """Return where the windows of a slice begin that a run has encoded already."""
        begin = f"{run}-encoded-{feature}-{number:06d}-"
        found = _files(self.path, f"{begin}*.parquet")
        return {int(path.name.removeprefix(begin).split("-")[0]) for path in found}

    @staticmethod
    def vectors(hashes: Place) -> NDArray[np.float32]:
        """Open the vectors beside a file of hashes, read where they are asked for.

        Raises
        ------
        TableDamaged
            If somebody has deleted them.
        """
        path = hashes.with_suffix(".npy")
        try:
            return np.load(local(path), mmap_mode="r")
        except FileNotFoundError as error:
            raise TableDamaged(
                f"the vectors {path} were deleted while the run worked. Nothing was published; "
                f"run it again: what is left of them is reused."
            ) from error


def window_name(feature: str, number: int, start: int) -> str:
    """Name what a worker made of a window of a slice.

    Two attempts at one window have two names.
    """
    return f"{feature}-{number:06d}-{start:06d}-{attempt()}"


def write_table(table: pa.Table, path: P, **options: Any) -> P:
    """Write Parquet so that a file of that name is always complete."""
    with whole(path) as aside:
        pq.write_table(table, aside, **options)
    return path


def tally(find: Callable[[], Iterable[Place]], units: Callable[[Place], int]) -> Callable[[], int]:
    """Return what adds up the units in files as these appear, each opened once.

    In a bucket, where each look is a request, it looks every other second; less often, too, where
    there are thousands of files.
    """
    known: dict[Place, int] = {}
    next_look, total = 0.0, 0

    def count() -> int:
        nonlocal next_look, total
        if time.monotonic() < next_look:
            return total
        for path in find():
            if path not in known:
                known[path] = units(path)
                total += known[path]
        far = any(isinstance(path, BucketPath) for path in itertools.islice(known, 1))
        next_look = time.monotonic() + max(LOOK if far else 0.0, len(known) // 1000 * PAUSE)
        return total

    return count


def together(counts: Sequence[Callable[[], int]]) -> Callable[[], int]:
    """Return what adds several counts up."""
    return lambda: sum(count() for count in counts)


def kept(view: str, run: str, spills: Iterable[Spill], published: bool) -> str:
    """Say what an interrupted run leaves behind."""
    if published:
        return f"View {view!r}: the run was committed."
    vectors = together([spill.encoded(run) for spill in spills])()
    return (
        f"View {view!r}: nothing was committed; {vectors:,} vectors that were encoded are kept, "
        f"and the next run reuses them."
    )


def _rows(path: Place) -> int:
    return int(pq.read_metadata(open_input(path)).num_rows)


def _files(folder: Place, pattern: str) -> list[Place]:
    if not isinstance(folder, Path):
        return sorted(folder.glob(pattern))
    # Many times quicker than a glob, and asked for by every slice and every look.
    begin, _, end = pattern.partition("*")
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208
    return [folder / n for n in sorted(names) if n.startswith(begin) and n.endswith(end)]
