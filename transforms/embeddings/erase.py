"""Rows of forgotten keys leave every version of an embedding table, and the disk.

Each data file that has such rows is written anew without them; all other rows, and all other files,
stay as they are, bit for bit. Delta's log cannot be told of the past, so that the entries that name
the old files go, and what they said is kept beside the table, as after compacting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deepfeast.transforms.embeddings.check import check_table
from deepfeast.transforms.embeddings.table import EmbeddingTable, file_options
from deepfeast.transforms.embeddings.vacuum import Swept, sweep, sweep_leftovers
from deepfeast.transforms.embeddings.versions import version_files
from deepfeast.transforms.features import CREATED
from deepfeast.transforms.files.bucket import Place, open_input
from deepfeast.transforms.files.damage import file_faults
from deepfeast.transforms.files.write import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.transforms.embeddings.tombstones import Tombstones

NOW = timedelta(0)


@dataclass
class Traces:
    """What an embedding table has of some keys.

    Attributes
    ----------
    rows : dict of int to int
        By number of a version.
    hashes : set of str
        Of the keys that it knows, as `Tombstones.hash` gives them.
    first, last : datetime or None
        The earliest and latest event time among the rows.
    """

    rows: dict[int, int] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None


def find_traces(table: EmbeddingTable, gone: Tombstones) -> Traces:
    """Look for rows of some keys in all versions of a table."""
    traces = Traces()
    if table.open() is None:
        return traces
    for number, files in sorted(version_files(table, table.commits()).items()):
        for file in files:
            path = table.path / file["path"]
            if not path.is_file():
                continue
            for rows, hit in _groups(path, gone):
                if hit.any():
                    chosen = rows.filter(pa.array(hit))
                    traces.rows[number] = traces.rows.get(number, 0) + len(chosen)
                    traces.hashes |= set(filter(None, gone.hashes(chosen)))
                    span = pc.min_max(chosen.column(chosen.num_columns - 1)).as_py()
                    traces.first = min(filter(None, (traces.first, span["min"])))
                    traces.last = max(filter(None, (traces.last, span["max"])))
    return traces


def _groups(path: Place, gone: Tombstones) -> Iterator[tuple[pa.Table, NDArray[np.bool_]]]:
    """Yield for each row group keys and event times, and which of the keys are forgotten."""
    with pq.ParquetFile(open_input(path)) as parquet:
        names = parquet.schema_arrow.names
        row = names[: names.index(CREATED)]
        for number in range(parquet.num_row_groups):
            rows = parquet.read_row_group(number, columns=row)
            yield rows, gone.matches(rows)


def erase_rows(table: EmbeddingTable, gone: Tombstones, name: str) -> Swept:
    """Remove the rows of forgotten keys from all versions, for one who holds the table.

    Parameters
    ----------
    name : str
        Of the folder for the files that are written.

    Returns
    -------
    Swept
        The files that were deleted: those with such rows, and all that no version needs, since
        nobody can tell whose rows are in them.

    Raises
    ------
    TableDamaged
        If the current version has missing or cut files. Those of earlier versions, which nobody
        could go back to, are deleted.
    """
    delta = table.open()
    check_table(table, delta, rebuild=False)
    if delta is None:
        swept = Swept()
        if table.path.is_dir():
            sweep_leftovers(table, swept)
        return swept
    newest, *_ = commits = table.commits(delta)
    files = version_files(table, commits)
    anew = _rewrite_files(table, files, gone, table.data(name))
    if anew:
        current = files.pop(newest.meta["generation"])
        old = [file for file in current if file["path"] in anew]
        earlier = {
            number: [anew.get(file["path"], file) for file in found]
            for number, found in files.items()
            if any(file["path"] in anew for file in found)
        }
        table.publish(
            table.dataset(delta).schema,
            [anew[file["path"]] for file in old],
            newest.followed_by("forget", {"folder": name, "files": earlier}),
            delta.version(),
            replace=False,
            instead_of=old,
        )
        table.must_exist().create_checkpoint()
    swept = sweep(table, NOW)
    sweep_leftovers(table, swept)
    return swept


def _rewrite_files(
    table: EmbeddingTable, files: dict[int, list[dict[str, Any]]], gone: Tombstones, target: Place
) -> dict[str, dict[str, Any]]:
    """Write the files that have rows of forgotten keys anew; return these by the old path."""
    anew: dict[str, dict[str, Any]] = {}
    for known in files.values():
        damaged = file_faults(table.path, known)
        for file in known:
            path = table.path / file["path"]
            if file["path"] in damaged:
                path.unlink(missing_ok=True)
                continue
            hits = [hit for _, hit in _groups(path, gone)]
            if any(hit.any() for hit in hits):
                target.mkdir(exist_ok=True)
                part = _rewrite(path, hits, target / f"part-{len(anew):06d}.parquet")
                anew[file["path"]] = part
    return anew


def _rewrite(path: Place, hits: list[NDArray[np.bool_]], target: Place) -> dict[str, Any]:
    """Write a data file without some of its rows."""
    left = 0
    with pq.ParquetFile(open_input(path)) as parquet:
        schema = parquet.schema_arrow
        row = schema.names[: schema.names.index(CREATED)]
        with whole(target) as aside, pq.ParquetWriter(aside, schema, **file_options(row)) as writer:
            for number, hit in enumerate(hits):
                rows = parquet.read_row_group(number).filter(pa.array(~hit))
                left += len(rows)
                if len(rows):
                    writer.write_table(rows)
    size = target.stat().st_size
    return {"path": f"{target.parent.name}/{target.name}", "size": size, "rows": left}
