"""The table of rejects beside an embedding table: what all runs rejected, and what still stands."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.embeddings.delta import commit_files, named_files, open_delta
from deepfeast.transforms.embeddings.log import covered
from deepfeast.transforms.features import CREATED
from deepfeast.transforms.files.bucket import Place, at
from deepfeast.transforms.files.write import whole

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from deepfeast.transforms.embeddings.table import EmbeddingTable
    from deepfeast.transforms.embeddings.tombstones import Tombstones

ABOUT = ("column", "feature", "reason", "message", "hash", "run_id", CREATED)


def add_rejects(table: EmbeddingTable, rejects: pa.Table, run_id: str) -> None:
    """Append the rejects of a run, once: one file, named by one commit.

    Parameters
    ----------
    rejects : Table
        Join keys, event time, and the columns of `ABOUT`. Without rows, nothing is written.
    """
    from deltalake import CommitProperties, Transaction

    known = open_delta(table.rejects, table.options)
    if not len(rejects) or (known and known.transaction_version(run_id) is not None):
        return
    commit_files(
        table.rejects,
        rejects.schema,
        [_write(table, rejects, run_id)],
        table=known,
        options=table.options,
        properties=CommitProperties(app_transactions=[Transaction(run_id, 1)]),
    )


def _write(table: EmbeddingTable, rejects: pa.Table, name: str) -> dict[str, Any]:
    import pyarrow.parquet as pq

    path = _folder(table) / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as aside:
        pq.write_table(rejects, aside)
    return {"path": path.name, "size": path.stat().st_size, "rows": len(rejects)}


def _folder(table: EmbeddingTable) -> Place:
    return at(table.rejects, table.options)


def read_rejects(table: EmbeddingTable) -> pa.Table | None:
    """Return the rejects of runs that were published; None where there is none."""
    import pyarrow.compute as pc

    known = open_delta(table.rejects, table.options)
    if known is None:
        return None
    rejects = known.to_pyarrow_table()
    published = pa.array([commit.meta["run_id"] for commit in table.commits()])
    return rejects.filter(pc.is_in(rejects["run_id"], published))


def compact_rejects(table: EmbeddingTable, name: str, keep: timedelta) -> None:
    """Write the rejects of all runs into one file; delete what nobody can be reading any more.

    Parameters
    ----------
    name : str
        Of the file.
    keep : timedelta
        How long replaced files and entries of the log stay.
    """
    known = open_delta(table.rejects, table.options)
    if known is None:
        return
    if len(named_files(known)) > 1:
        known = _replace(table, known, known.to_pyarrow_table(), name)
    _trim(table, known, keep)


def erase_rejects(table: EmbeddingTable, gone: Tombstones, name: str) -> int:
    """Remove the rejects of forgotten keys, and every file that may still have them.

    Parameters
    ----------
    name : str
        Of the file that has the others.

    Returns
    -------
    int
        How many rejects went.
    """
    known, folder = open_delta(table.rejects, table.options), _folder(table)
    if known is None:
        for path in folder.glob("*.parquet*"):
            path.unlink()
        return 0
    rejects = known.to_pyarrow_table()
    hit = gone.matches(rejects)
    if hit.any():
        known = _replace(table, known, rejects.filter(pa.array(~hit)), name)
    _trim(table, known, timedelta(0))
    return int(hit.sum())


def _replace(table: EmbeddingTable, known: DeltaTable, rejects: pa.Table, name: str) -> DeltaTable:
    """Let one file of some rejects stand for all files."""
    old, part = named_files(known), _write(table, rejects, name)
    commit_files(
        table.rejects, rejects.schema, [part], table=known, options=table.options, instead_of=old
    )
    # A table stays as it was opened, whatever is committed.
    anew = open_delta(table.rejects, table.options)
    assert anew is not None
    anew.create_checkpoint()
    return anew


def _trim(table: EmbeddingTable, known: DeltaTable, keep: timedelta) -> None:
    """Delete what nobody can be reading any more."""
    since = (datetime.now(timezone.utc) - keep).timestamp() * 1000
    log = known.history()
    before = max((one["version"] for one in log if one["timestamp"] <= since), default=0)
    needed = set()
    for version in {one["version"] for one in log if one["version"] >= before}:
        seen = open_delta(table.rejects, table.options, version)
        needed |= {file["path"] for file in named_files(seen)} if seen else set()
    folder = _folder(table)
    # A file that no version names is of a run that was killed before it published.
    gone = [path for path in folder.glob("*.parquet*") if path.name not in needed]
    for path in [*gone, *covered(folder, before)]:
        path.unlink()


def standing_rejects(table: EmbeddingTable) -> pa.Table | None:
    """Return the rejects that still stand; None where there never was one.

    A reject stands while the latest row of its key and event time is the one that its run wrote:
    a later run that wrote the row anew has either a vector for it or a reject of its own. Rows
    that were left out for want of a key or a time have no row; those of the newest run stand.
    """
    import duckdb

    rejects = read_rejects(table)
    if rejects is None:
        return None
    keys = [f'"{name}"' for name in rejects.column_names if name not in ABOUT]
    with duckdb.connect() as con:
        con.register("rejects", rejects)
        con.register("embedded", table.dataset(table.must_exist()))
        same = " and ".join(f"embedded.{key} = rejects.{key}" for key in keys)
        return con.sql(f"""
            select * from rejects
            where feature <> '' and {CREATED} = (
                select max(embedded.{CREATED}) from embedded where {same})
            or feature = '' and run_id = '{table.commits()[0].meta["run_id"]}'
            order by {CREATED} desc, {", ".join(keys)}, feature""").to_arrow_table()


def reject_hashes(table: EmbeddingTable, gone: Tombstones) -> dict[str, int]:
    """Count the rejects of some keys, by hash of the key."""
    known = open_delta(table.rejects, table.options)
    if known is None:
        return {}
    found = Counter(gone.hashes(known.to_pyarrow_table(columns=list(gone.names))))
    return {one: count for one, count in found.items() if one in gone.times}
