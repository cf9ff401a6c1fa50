"""Few large files instead of one for each night.

A run adds at least a file, however few its rows. Compacting writes the rows of small files into
large ones, in one commit, and changes no row: readers who opened the table before go on reading
the old files, which stay until nobody can be reading them any more.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.transforms.arrow import regroup
from deepfeast.transforms.embeddings.check import check_table
from deepfeast.transforms.embeddings.rejects import compact_rejects
from deepfeast.transforms.embeddings.table import EmbeddingTable, file_options
from deepfeast.transforms.embeddings.vacuum import KEEP, Swept, sweep
from deepfeast.transforms.embeddings.versions import file_schema, version_files
from deepfeast.transforms.features import CREATED
from deepfeast.transforms.files.bucket import open_input
from deepfeast.transforms.files.damage import file_faults
from deepfeast.transforms.files.write import whole

if TYPE_CHECKING:
    from deltalake import DeltaTable

FILE_BYTES = 128 << 20
# As a run writes them, so that reading costs what it costs from a fresh table.
GROUP_ROWS = 16_384


@dataclass(frozen=True)
class Compacted:
    """What compacting did.

    Attributes
    ----------
    before, after : int
        Data files of all versions.
    rows : int
        Rows that were written anew.
    version : int or None
        Of the Delta table after it; None where there was nothing to do.
    swept : Swept
        What was deleted, because nobody can be reading it any more.
    """

    before: int
    after: int
    rows: int
    version: int | None
    swept: Swept

    def __str__(self) -> str:
        """Say it for a terminal.

        >>> print(Compacted(100, 1, 5000, 100, Swept(waiting=9)))
        100 data files are 1 now; nothing to delete; left to those who are reading: 9 replaced files
        """
        told = f"{self.before:,} data files are {self.after:,} now"
        if self.version is None:
            told = f"nothing to compact in {self.before:,} data files"
        return f"{told}; {self.swept}"


def compact(table: EmbeddingTable, keep: timedelta = KEEP) -> Compacted:
    """Write the small files of each version into large ones, in one commit.

    No row, version, run or fingerprint changes. Memory holds about twice 16,384 rows.

    Parameters
    ----------
    table : EmbeddingTable
    keep : timedelta
        How long files and entries of the log stay after they were replaced, for readers that
        have the table open.

    Raises
    ------
    NeverEmbedded
        If there is no table.
    RunInProgress
        If a run is under way. One on another machine, which no lock can see, wins: whichever
        commits second commits nothing.
    TableDamaged
        If files of the table are missing or cut.
    """
    stamp = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"
    name = f"{stamp}-compact-{uuid.uuid4().hex[:8]}"
    with table.held(name):
        delta = table.must_exist()
        check_table(table, delta, rebuild=False)
        files = version_files(table, table.commits(delta))
        try:
            merged = {
                number: one
                for number, found in files.items()
                if not file_faults(table.path, found)
                and (one := _merge(table, name, number, found))
            }
            version = _publish(table, delta, name, files, merged) if merged else None
        except BaseException:
            table.discard(name)
            raise
        if merged:
            table.must_exist().create_checkpoint()
        compact_rejects(table, name, keep)
        swept = sweep(table, keep)
    before = sum(len(found) for found in files.values())
    fewer = sum(len(one.small) - len(one.parts) for one in merged.values())
    rows = sum(part["rows"] for one in merged.values() for part in one.parts)
    return Compacted(before, before - fewer, rows, version, swept)


@dataclass(frozen=True)
class _Merged:
    """The small files of a version, and the large ones that have their rows."""

    small: list[dict[str, Any]]
    parts: list[dict[str, Any]]

    def of(self, files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the files of the version, with these in the place of those."""
        return [*(file for file in files if file not in self.small), *self.parts]


def _publish(
    table: EmbeddingTable,
    delta: DeltaTable,
    name: str,
    files: Mapping[int, list[dict[str, Any]]],
    merged: Mapping[int, _Merged],
) -> int:
    """Commit the new files of the current version; say of earlier ones which they have now."""
    newest = table.commits(delta)[0]
    current = merged.get(newest.meta["generation"], _Merged([], []))
    earlier = {
        number: one.of(files[number])
        for number, one in merged.items()
        if number != newest.meta["generation"]
    }
    return table.publish(
        table.dataset(delta).schema,
        current.parts,
        newest.followed_by("compact", {"folder": name, "files": earlier}),
        delta.version(),
        replace=False,
        instead_of=current.small,
    )


def _merge(
    table: EmbeddingTable, name: str, number: int, files: Sequence[dict[str, Any]]
) -> _Merged | None:
    """Write the rows of a version's small files into large ones; None where that is no use."""
    small = [file for file in files if file["size"] < FILE_BYTES / 2]
    if len(small) < 2:
        return None
    target = table.data(name)
    target.mkdir(exist_ok=True)
    schema = file_schema(table.path / small[0]["path"])
    row = schema.names[: schema.get_field_index(CREATED)]
    groups = regroup(_batches(table, small, schema), GROUP_ROWS)
    parts: list[dict[str, Any]] = []
    group = next(groups, None)
    while group is not None:
        path, rows = target / f"version-{number}-{len(parts):06d}.parquet", 0
        with whole(path) as aside, pq.ParquetWriter(aside, schema, **file_options(row)) as writer:
            while group is not None and (not rows or aside.stat().st_size < FILE_BYTES):
                writer.write_table(group)
                rows += len(group)
                group = next(groups, None)
        parts.append({"path": f"{name}/{path.name}", "size": path.stat().st_size, "rows": rows})
    return _Merged(small, parts)


def _batches(
    table: EmbeddingTable, files: Sequence[dict[str, Any]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Read files one after another, oldest run first, under one schema."""
    for file in sorted(files, key=lambda file: str(file["path"])):
        with pq.ParquetFile(open_input(table.path / file["path"])) as parquet:
            for batch in parquet.iter_batches(GROUP_ROWS):
                yield from pa.table(batch).select(schema.names).cast(schema).to_batches()
