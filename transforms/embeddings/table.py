"""One run, one Delta commit: the embedding table and what its log says of each run.

Workers write Parquet files; nothing reads them until one transaction of the Delta log names
them all. The commit's metadata says which run it was, with which encoders, and what it counted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.arrow import vector_field
from deepfeast.transforms.embeddings.commit import META, Commit
from deepfeast.transforms.embeddings.delta import Options, commit_files, named_files, open_delta
from deepfeast.transforms.embeddings.lease import Lease, leased
from deepfeast.transforms.embeddings.lock import locked
from deepfeast.transforms.embeddings.log import read_archive
from deepfeast.transforms.embeddings.state import SCRATCH, Fit, fits_of
from deepfeast.transforms.errors import (
    BucketError,
    NeverEmbedded,
    RunInProgress,
    TableDamaged,
    TableError,
)
from deepfeast.transforms.features import CREATED, DeepFeature
from deepfeast.transforms.files.bucket import BucketPath, Place, at, remove_tree
from deepfeast.transforms.files.place import file_source, source_uri, storage_options
from deepfeast.transforms.files.store import told
from deepfeast.transforms.files.table import open_table
from deepfeast.transforms.files.write import whole

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from feast import FeatureStore, FeatureView


log = logging.getLogger(__name__)
# Rolling back needs the log of old versions; Delta would drop it after thirty days.
CONFIGURATION = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


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
        self.lease: Lease | None = None

    @property
    def path(self) -> Place:
        """The table's folder."""
        return at(self.uri, self.options)

    @property
    def scratch(self) -> Place:
        """Where runs work and what was fitted is kept; Delta ignores names with an underscore."""
        return self.path / SCRATCH

    def work(self, run_id: str) -> Place:
        """Where a run works."""
        return self.scratch / "runs" / run_id

    def spill(self, fingerprint: str) -> Place:
        """Where runs collect the vectors of an encoder until they are published."""
        return self.scratch / "spill" / fingerprint[:16]

    def data(self, run_id: str) -> Place:
        """Where the data files of a run lie."""
        return self.path / run_id

    def discard(self, run_id: str) -> None:
        """Remove the data files of a run that will not be published."""
        remove_tree(self.data(run_id))

    def forget_beginnings(self) -> None:
        """Leave no trace of runs that never came to encode or publish anything."""
        # In a bucket they leave no folder, and another run may have begun since.
        if isinstance(self.path, BucketPath) or self.open() is not None:
            return
        if not any(self.scratch.glob("spill/*/*.parquet")):
            remove_tree(self.path)

    @property
    def marker(self) -> Place:
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
        version = 0 if expected is None else expected + 1
        if self.lease:
            self.lease.renew()
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
        except (CommitFailedError, DeltaError) as error:
            # In a bucket a commit may be there although its answer got lost.
            if not (self.lease and self._says(version, meta, error)):
                raise RunInProgress(
                    f"another run published to view {self.view!r} while this one worked (planned "
                    f"on version {expected}): {error}. Nothing of this run was published; run it "
                    f"again."
                ) from error
        self._mark(version)
        return version

    def _says(self, version: int, meta: dict[str, Any], error: Exception) -> bool:
        """Tell whether a version is there and says just this of itself."""
        table = open_delta(self.uri, self.options)
        if table is None or table.version() < version:
            raise BucketError(
                f"the commit to view {self.view!r} at {self.uri} failed: {told(error)}. Nothing of "
                f"this run was published; run it again: what it encoded is reused."
            ) from error
        return any(one.version == version and one.meta == meta for one in self.commits(table))

    def _mark(self, version: int) -> None:
        self.scratch.mkdir(exist_ok=True)
        try:
            with whole(self.marker) as marker:
                marker.write_text(str(version))
        except BucketError as error:
            # It is published all the same; an older mark is a weaker check, and no fault.
            log.warning(f"version {version} of view {self.view!r} could not be noted: {error}")

    def still_held(self) -> None:
        """Raise RunInProgress if the lease on a table in a bucket has run out."""
        if self.lease:
            self.lease.check()

    @contextmanager
    def held(self, run_id: str) -> Iterator[None]:
        """Hold the view while a run works: no other run, compaction or vacuum can.

        Raises
        ------
        RunInProgress
            If another process holds it; it says which.
        NotWritable
            If this process may not write there.
        BucketError
            If it lies in a bucket that cannot keep two runs apart.
        """
        lock = self.scratch / "lock"
        if not isinstance(lock, BucketPath):
            with locked(lock, [Path(self.uri), Path(self.rejects)], self.view, run_id):
                yield
            return
        with leased(lock, self.view, run_id) as (self.lease, taken_over):
            try:
                if taken_over:
                    self._fence()
                yield
            finally:
                self.lease = None

    def _fence(self) -> None:
        """Put a commit where that of an owner who may wake up would have to go."""
        table = self.open()
        if table is not None:
            schema, version = self.dataset(table).schema, table.version()
            meta = self.commits(table)[0].followed_by("takeover", version)
            self.publish(schema, [], meta, version, replace=False)


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
