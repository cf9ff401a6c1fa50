"""One run, one Delta commit: the embedding table and what its log says of each run.

Workers write Parquet files; nothing reads them until one transaction of the Delta log names
them all. The commit's metadata says which run it was, with which encoders, and what it counted.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.embeddings.log import read_archive
from deepfeast.transforms.embeddings.state import SCRATCH
from deepfeast.transforms.errors import NeverEmbedded, RunInProgress, TableError
from deepfeast.transforms.features import CREATED, hash_column
from deepfeast.transforms.files.place import source_uri

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from feast import FeatureStore, FeatureView


META = "deepfeast"
# Rolling back needs the log of old versions; Delta would drop it after thirty days.
CONFIGURATION = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


@dataclass(frozen=True)
class Commit:
    """One commit of an embedding table.

    Attributes
    ----------
    version : int
        Of the Delta table.
    time : datetime
        When it was published, in UTC.
    meta : dict
        ``run_id``, ``generation``, ``fingerprints``, ``spec``, ``counts``, ``versions`` (of
        libraries) and what else the run noted.
    """

    version: int
    time: datetime
    meta: dict[str, Any]

    @property
    def kind(self) -> str:
        """What was published: a ``run``, a ``rollback`` to earlier vectors, or a ``compact``."""
        return next((kind for kind in ("compact", "rollback") if kind in self.meta), "run")


class EmbeddingTable:
    """The Delta table behind a deep feature view.

    Parameters
    ----------
    uri : str
        Its folder.
    view : str
        Name of the view, for messages.
    """

    def __init__(self, uri: str, view: str):
        self.uri = uri
        self.view = view

    @property
    def path(self) -> Path:
        """The table's folder."""
        return Path(self.uri)

    @property
    def scratch(self) -> Path:
        """Where runs work and what was fitted is kept; Delta ignores names with an underscore."""
        return self.path / SCRATCH

    def work(self, run_id: str) -> Path:
        """Where a run works."""
        return self.scratch / "runs" / run_id

    def spill(self, fingerprint: str) -> Path:
        """Where runs collect the vectors of an encoder until they are published."""
        return self.scratch / "spill" / fingerprint[:16]

    def data(self, run_id: str) -> Path:
        """Where the data files of a run lie."""
        return self.path / run_id

    def discard(self, run_id: str) -> None:
        """Remove the data files of a run that will not be published."""
        shutil.rmtree(self.data(run_id), ignore_errors=True)

    def forget_beginnings(self) -> None:
        """Leave no trace of runs that never came to encode or publish anything."""
        if self.open() is None and not any(self.scratch.glob("spill/*/*.parquet")):
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def rejects(self) -> str:
        """The table of rejects, beside this one."""
        return f"{self.uri}_rejects"

    def open(self) -> DeltaTable | None:
        """Open the Delta table; None where the view was never embedded.

        Raises
        ------
        TableError
            If there is a Delta table that deepfeast did not write, or other files.
        """
        from deltalake import DeltaTable

        if not DeltaTable.is_deltatable(self.uri):
            strange = [p.name for p in self.path.glob("*") if p.name != self.scratch.name]
            if any(not (self.path / name).is_dir() for name in strange):
                raise TableError(
                    f"{self.uri} holds files that are no embedding table: "
                    f"{', '.join(strange[:3])}. "
                    f"Point view {self.view!r} to another folder with table=…"
                )
            return None
        table = DeltaTable(self.uri)
        if not any(META in commit for commit in table.history()):
            raise TableError(
                f"the Delta table at {self.uri} was not written by deepfeast. "
                f"Point view {self.view!r} to another folder with table=…"
            )
        return table

    def must_exist(self) -> DeltaTable:
        """Open the Delta table, or say how to make it."""
        table = self.open()
        if table is None:
            raise NeverEmbedded(
                f"view {self.view!r} was never embedded: there is no table at {self.uri}. "
                f"Run: deepfeast embed {self.view}"
            )
        return table

    def dataset(self, table: DeltaTable) -> ds.Dataset:
        """Return the table's current files as an Arrow dataset."""
        return table.to_pyarrow_dataset()

    def commits(self, table: DeltaTable | None = None) -> list[Commit]:
        """Return the commits of deepfeast, newest first; also those that left the log."""
        table = table or self.must_exist()
        logged = [
            {
                "version": one["version"],
                "timestamp": one["timestamp"],
                "meta": json.loads(one[META]),
            }
            for one in table.history()
            if META in one
        ]
        known = {one["version"] for one in logged}
        before = [
            one for one in read_archive(self.scratch)["commits"] if one["version"] not in known
        ]
        return [
            Commit(
                one["version"],
                datetime.fromtimestamp(one["timestamp"] / 1000, tz=timezone.utc),
                one["meta"],
            )
            for one in [*logged, *before]
        ]

    def files(self, version: int | None = None) -> list[dict[str, Any]]:
        """Return the data files of a version of the Delta table: ``path``, ``size``, ``rows``."""
        from deltalake import DeltaTable

        found = pa.table(DeltaTable(self.uri, version=version).get_add_actions())
        names = {"path": "path", "size_bytes": "size", "num_records": "rows"}
        return found.select(list(names)).rename_columns(list(names.values())).to_pylist()

    def publish(
        self,
        schema: pa.Schema,
        parts: Sequence[dict[str, Any]],
        meta: dict[str, Any],
        expected: int | None,
        replace: bool,
        instead_of: Sequence[dict[str, Any]] = (),
    ) -> int:
        """Publish data files in one transaction; return the table's new version.

        Parameters
        ----------
        parts : sequence of dict
            ``path`` relative to the table, ``size`` in bytes, ``rows``.
        meta : dict
            Goes into the commit.
        expected : int, optional
            Version that the run was planned on; None where there was no table.
        replace : bool
            The table is these files alone: those of before leave the table, not the disk.
        instead_of : sequence of dict
            Files of the table whose rows `parts` have now: a reader of changes sees none.

        Raises
        ------
        RunInProgress
            If another run published meanwhile.
        """
        from deltalake import CommitProperties, DeltaTable, Schema, Transaction
        from deltalake.exceptions import CommitFailedError, DeltaError
        from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

        stamp = int(time.time() * 1000)
        news = not instead_of
        actions: list[Any] = [
            AddAction(
                part["path"],
                part["size"],
                {},
                stamp,
                news,
                json.dumps({"numRecords": part["rows"]}),
            )
            for part in parts
        ]
        actions += [RemoveAction(old["path"], news, stamp, old["size"], {}) for old in instead_of]
        # Two commits that carry one application's id conflict, so that the later one fails.
        properties = CommitProperties(
            custom_metadata={META: json.dumps(meta, sort_keys=True)},
            app_transactions=[Transaction("deepfeast", (expected or 0) + 1)],
            max_commit_retries=0,
        )
        try:
            if expected is None:
                create_table_with_add_actions(
                    self.uri,
                    Schema.from_arrow(schema),
                    actions,
                    mode="error",
                    name=self.view,
                    configuration=CONFIGURATION,
                    commit_properties=properties,
                )
                return 0
            table = DeltaTable(self.uri)
            if table.version() != expected:
                raise CommitFailedError(f"the table is at version {table.version()}")
            mode = "overwrite" if replace else "append"
            table.create_write_transaction(actions, mode, schema, commit_properties=properties)
            return expected + 1
        except (CommitFailedError, DeltaError) as error:
            raise RunInProgress(
                f"another run published to view {self.view!r} while this one worked (planned on "
                f"version {expected}): {error}. Nothing of this run was published; run it again."
            ) from error

    def add_rejects(self, rejects: pa.Table, run_id: str) -> None:
        """Append the rejects of a run to their table, once."""
        from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

        if DeltaTable.is_deltatable(self.rejects):
            if DeltaTable(self.rejects).transaction_version(run_id) is not None:
                return
        elif not len(rejects):
            return
        write_deltalake(
            self.rejects,
            rejects,
            mode="append",
            commit_properties=CommitProperties(app_transactions=[Transaction(run_id, 1)]),
        )

    def read_rejects(self) -> pa.Table | None:
        """Return the rejects of runs that were published; None where there is none."""
        import pyarrow.compute as pc
        from deltalake import DeltaTable

        if not DeltaTable.is_deltatable(self.rejects):
            return None
        rejects = DeltaTable(self.rejects).to_pyarrow_table()
        published = pa.array([commit.meta["run_id"] for commit in self.commits()])
        return rejects.filter(pc.is_in(rejects["run_id"], published))

    @contextmanager
    def held(self, run_id: str) -> Iterator[None]:
        """Hold the view while a run works; the kernel lets go when its process ends.

        Raises
        ------
        RunInProgress
            If another process holds it; it says which.
        """
        import fcntl
        import os
        import socket

        self.scratch.mkdir(parents=True, exist_ok=True)
        with (self.scratch / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.seek(0)
                raise RunInProgress(
                    f"view {self.view!r} is held by {lock.read().strip() or 'another run'}. "
                    f"Wait until it ends, then run again."
                ) from error
            lock.truncate(0)
            lock.write(f"run {run_id}, process {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()
            yield


def table_schema(row: Sequence[pa.Field], features: Sequence[str]) -> pa.Schema:
    """Return the columns of an embedding table.

    Parameters
    ----------
    row : sequence of Field
        What names a row: the join keys and the event time.
    features : sequence of str

    Examples
    --------
    >>> table_schema([pa.field("id", pa.string())], ["vec"]).names
    ['id', 'created_timestamp', 'vec', 'vec_hash']
    """
    fields = [*row, pa.field(CREATED, pa.timestamp("us", tz="UTC"))]
    for name in features:
        fields += [pa.field(name, VECTOR_TYPE), pa.field(hash_column(name), pa.binary())]
    return pa.schema(fields)


def file_options(row: Sequence[str]) -> dict[str, Any]:
    """Say how a data file is written; `row` are the columns that name a row.

    Vectors and hashes do not compress, and a dictionary of them would be built to be dropped.
    """
    return {"compression": dict.fromkeys(row, "zstd"), "use_dictionary": False}


def embedding_table(store: FeatureStore, view: FeatureView) -> EmbeddingTable:
    """Return the table behind a deep feature view, whether or not it exists yet."""
    source: Any = view.batch_source
    return EmbeddingTable(source_uri(store.config, source), view.name)
