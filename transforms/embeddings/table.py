"""One run, one Delta commit: the embedding table and what its log says of each run.

Workers write Parquet files; nothing reads them until one transaction of the Delta log names
them all. The commit's metadata says which run it was, with which encoders, and what it counted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.arrow import vector_field
from deepfeast.transforms.embeddings.delta import Options, commit_files, named_files, open_delta
from deepfeast.transforms.embeddings.log import read_archive
from deepfeast.transforms.embeddings.state import SCRATCH, Fit, fits_of
from deepfeast.transforms.errors import NeverEmbedded, RunInProgress, TableDamaged, TableError
from deepfeast.transforms.features import CREATED, DeepFeature
from deepfeast.transforms.files.place import file_source, source_uri, storage_options
from deepfeast.transforms.files.table import open_table
from deepfeast.transforms.files.write import check_writable, whole

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from feast import FeatureStore, FeatureView


META = "deepfeast"
# What a commit that is no run was, and says of itself in its metadata.
KINDS = ("compact", "forget", "rollback")
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
        """What was published: a ``run``, or one of `KINDS`."""
        return next((kind for kind in KINDS if kind in self.meta), "run")

    @property
    def folder(self) -> str:
        """Where the data files lie that it made, within the table's folder."""
        what = self.meta.get(self.kind)
        return what["folder"] if isinstance(what, dict) else str(self.meta["run_id"])

    @property
    def files(self) -> dict[str, list[dict[str, Any]]]:
        """The data files of earlier versions that it wrote anew, by number of the version."""
        what = self.meta.get(self.kind)
        return what.get("files", {}) if isinstance(what, dict) else {}

    def followed_by(self, kind: str, what: Any) -> dict[str, Any]:
        """Return the metadata of a commit of some kind that goes on from this one."""
        return {name: v for name, v in self.meta.items() if name not in KINDS} | {kind: what}


class EmbeddingTable:
    """The Delta table behind a deep feature view.

    Parameters
    ----------
    uri : str
        Its folder.
    view : str
        Name of the view, for messages.
    options : dict of str to str, optional
        What ``deltalake`` must be told to reach its object store.
    """

    def __init__(self, uri: str, view: str, options: Options = None):
        self.uri = uri
        self.view = view
        self.options = options

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
    def marker(self) -> Path:
        """The file that says which version was published last."""
        return self.scratch / "published"

    @property
    def anew(self) -> str:
        """What to do where the log is damaged."""
        return (
            f"Restore {self.uri} from a backup; or move it aside and run deepfeast embed "
            f"{self.view}: all is encoded anew, and earlier versions are gone."
        )

    @property
    def rejects(self) -> str:
        """The table of rejects, beside this one."""
        return f"{self.uri}_rejects"

    def open(self) -> DeltaTable | None:
        """Open the Delta table; None where the view was never embedded.

        Raises
        ------
        TableDamaged
            If its log cannot be read, or does not know what was published last.
        TableError
            If there is a Delta table that deepfeast did not write, or other files.
        """
        # Read first: what is published meanwhile is no fault.
        last = int(self.marker.read_text()) if self.marker.is_file() else -1
        table = open_delta(self.uri, self.options, mend=self.anew)
        if (table.version() if table else -1) < last:
            raise TableDamaged(
                f"the log of the table of view {self.view!r} at {self.uri} "
                f"{f'ends at version {table.version()}' if table else 'is gone'}, and version "
                f"{last} was published: entries were lost. {self.anew} To go on without them, "
                f"delete {self.marker}."
            )
        if table is None:
            strange = [p.name for p in self.path.glob("*") if p.name != self.scratch.name]
            if any(not (self.path / name).is_dir() for name in strange):
                raise TableError(
                    f"{self.uri} holds files that are no embedding table: "
                    f"{', '.join(strange[:3])}. "
                    f"Point view {self.view!r} to another folder with table=…"
                )
            return None
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
        table = open_delta(self.uri, self.options, version)
        return named_files(table) if table else []

    def fingerprints(self) -> dict[str, str]:
        """Return the encoders' fingerprints by feature, from the newest commit that says so.

        Empty where there is no table, or none of its commits is of deepfeast.
        """
        table = open_delta(self.uri, self.options)
        commits = self.commits(table) if table else []
        return dict(commits[0].meta.get("fingerprints", {})) if commits else {}

    def fits(self) -> dict[str, Fit]:
        """Return what the fitted features of the table have seen."""
        return fits_of(self.commits()[0].meta)

    def newest(self, time: str) -> tuple[datetime | None, datetime | None]:
        """Return the latest event time and the latest created time; None where there is no row.

        Parameters
        ----------
        time : str
            The column of event times.
        """
        import pyarrow.compute as pc

        newest: list[datetime | None] = [None, None]
        rows = open_table(self.uri, delta=True, storage_options=self.options)
        for batch in rows.scan([time, CREATED]):
            for place, old in enumerate(newest):
                late = pc.max(batch.column(place)).as_py()
                newest[place] = max(filter(None, (old, late)), default=None)
        return newest[0], newest[1]

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
        from deltalake import CommitProperties, Transaction
        from deltalake.exceptions import CommitFailedError, DeltaError

        # Two commits that carry one application's id conflict, so that the later one fails.
        properties = CommitProperties(
            custom_metadata={META: json.dumps(meta, sort_keys=True)},
            app_transactions=[Transaction("deepfeast", (expected or 0) + 1)],
            max_commit_retries=0,
        )
        try:
            table = None if expected is None else open_delta(self.uri, self.options)
            if table and table.version() != expected:
                raise CommitFailedError(f"the table is at version {table.version()}")
            commit_files(
                self.uri,
                schema,
                parts,
                table=table,
                options=self.options,
                replace=replace,
                instead_of=instead_of,
                properties=properties,
                name=self.view,
                configuration=CONFIGURATION,
            )
            version = 0 if expected is None else expected + 1
            self.scratch.mkdir(exist_ok=True)
            with whole(self.marker) as marker:
                marker.write_text(str(version))
            return version
        except (CommitFailedError, DeltaError) as error:
            raise RunInProgress(
                f"another run published to view {self.view!r} while this one worked (planned on "
                f"version {expected}): {error}. Nothing of this run was published; run it again."
            ) from error

    @contextmanager
    def held(self, run_id: str) -> Iterator[None]:
        """Hold the view while a run works; the kernel lets go when its process ends.

        Raises
        ------
        RunInProgress
            If another process holds it; it says which.
        NotWritable
            If this process may not write there.
        """
        import fcntl
        import os
        import socket

        held = self.scratch / "lock"
        for path in (held, self.path / "_delta_log", Path(self.rejects) / "_delta_log"):
            check_writable(path, f"view {self.view!r}")
        self.scratch.mkdir(parents=True, exist_ok=True)
        with held.open("a+") as lock:
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


def table_schema(row: Sequence[pa.Field], features: Sequence[DeepFeature]) -> pa.Schema:
    """Return the columns of an embedding table.

    Parameters
    ----------
    row : sequence of Field
        What names a row: the join keys and the event time.
    features : sequence of DeepFeature

    Examples
    --------
    >>> vec = DeepFeature("vec", column="title", encoder="minilm")
    >>> table_schema([pa.field("id", pa.string())], [vec]).names
    ['id', 'created_timestamp', 'vec', 'vec_hash']
    """
    fields = [*row, pa.field(CREATED, pa.timestamp("us", tz="UTC"))]
    for feature in features:
        fields += [
            vector_field(feature.name, feature.storage),
            pa.field(feature.hash_column, pa.binary()),
        ]
    return pa.schema(fields)


def file_options(row: Sequence[str]) -> dict[str, Any]:
    """Say how a data file is written; `row` are the columns that name a row.

    Vectors and hashes do not compress, and a dictionary of them would be built to be dropped.
    """
    return {"compression": dict.fromkeys(row, "zstd"), "use_dictionary": False}


def embedding_table(store: FeatureStore, view: FeatureView) -> EmbeddingTable:
    """Return the table behind a deep feature view, whether or not it exists yet."""
    source = file_source(view.batch_source)
    return EmbeddingTable(source_uri(store.config, source), view.name, storage_options(source))
