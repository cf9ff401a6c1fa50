"""Few large files instead of one for each night.

A run adds at least a file, however few its rows. Compacting writes the rows of small files into
large ones, in one commit, and changes no row: readers who opened the table before go on reading
the old files, which stay until nobody can be reading them any more.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.transforms.arrow import regroup
from deepfeast.transforms.embeddings.check import check_table
from deepfeast.transforms.embeddings.rejects import compact_rejects
from deepfeast.transforms.embeddings.table import EmbeddingTable, file_options
from deepfeast.transforms.embeddings.vacuum import KEEP, Swept, sweep
from deepfeast.transforms.features import CREATED

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
        Data files of the table.
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
    """Write the small files of the current version into large ones, in one commit.

    No row, version, run or fingerprint changes. Earlier versions keep their files. Memory holds
    about twice 16,384 rows.

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
        files = table.files(delta.version())
        small = [file for file in files if file["size"] < FILE_BYTES / 2]
        version, parts = None, small
        if len(small) > 1:
            try:
                parts = [
                    {**part, "path": f"{name}/{part['path']}"}
                    for part in _merge(table, delta, small, table.data(name))
                ]
                version = _publish(table, delta, name, small, parts)
            except BaseException:
                table.discard(name)
                raise
            table.must_exist().create_checkpoint()
        compact_rejects(table, name, keep)
        swept = sweep(table, keep)
    rows = sum(part["rows"] for part in parts) if version is not None else 0
    return Compacted(len(files), len(files) - len(small) + len(parts), rows, version, swept)


def _publish(
    table: EmbeddingTable,
    delta: DeltaTable,
    name: str,
    small: Sequence[dict[str, Any]],
    parts: Sequence[dict[str, Any]],
) -> int:
    meta = dict(table.commits(delta)[0].meta)
    meta.pop("rollback", None)
    meta["compact"] = {"folder": name, "before": len(small), "after": len(parts)}
    schema = table.dataset(delta).schema
    return table.publish(schema, parts, meta, delta.version(), replace=False, instead_of=small)


def _merge(
    table: EmbeddingTable, delta: DeltaTable, files: Sequence[dict[str, Any]], target: Path
) -> list[dict[str, Any]]:
    """Write the rows of some files into large ones; return these."""
    target.mkdir()
    schema = table.dataset(delta).schema
    row = schema.names[: schema.get_field_index(CREATED)]
    groups = regroup(_batches(table, files, schema), GROUP_ROWS)
    parts: list[dict[str, Any]] = []
    group = next(groups, None)
    while group is not None:
        path, rows = target / f"part-{len(parts):06d}.parquet", 0
        with pq.ParquetWriter(path, schema, **file_options(row)) as writer:
            while group is not None and (not rows or path.stat().st_size < FILE_BYTES):
                writer.write_table(group)
                rows += len(group)
                group = next(groups, None)
        parts.append({"path": path.name, "size": path.stat().st_size, "rows": rows})
    return parts


def _batches(
    table: EmbeddingTable, files: Sequence[dict[str, Any]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Read files one after another, oldest run first, under one schema."""
    for file in sorted(files, key=lambda file: str(file["path"])):
        with pq.ParquetFile(table.path / file["path"]) as parquet:
            for batch in parquet.iter_batches(GROUP_ROWS):
                yield from pa.table(batch).select(schema.names).cast(schema).to_batches()
