"""The embed job: raw table to embedding table.

Hash every content, plan what is new, encode each new content once, write the rows, publish.
The first four may be killed at any moment and repeated at no loss; the last is one transaction.
This is the one place that opens the run's folder and its session, keeps the order, and closes.
"""

from __future__ import annotations

import functools
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.pipelines.embed import plan
from deepfeast.pipelines.embed.fitting import RunEncoders, microseconds
from deepfeast.pipelines.embed.folder import RunFolder, Spill, kept, together
from deepfeast.pipelines.embed.job import Job, Progress, Run, silent
from deepfeast.pipelines.embed.lineage import traced
from deepfeast.pipelines.embed.publish import data_files, metadata, missing_cells, stamped
from deepfeast.pipelines.embed.raw import read_source
from deepfeast.pipelines.embed.rejects import gather_rejects, judge, tell
from deepfeast.pipelines.embed.reuse import reuse
from deepfeast.pipelines.embed.session import opened, parquet, spilled
from deepfeast.transforms.arrow import regroup
from deepfeast.transforms.embeddings.check import check_table, sound
from deepfeast.transforms.embeddings.rejects import add_rejects
from deepfeast.transforms.embeddings.table import EmbeddingTable, embedding_table, table_schema
from deepfeast.transforms.encoders.column import open_reader
from deepfeast.transforms.errors import ColumnNotFound
from deepfeast.transforms.features import DeepViewSpec
from deepfeast.transforms.files.schema import check_contents, check_keys, lost_column
from deepfeast.transforms.files.slices import EVENT_TIME
from deepfeast.transforms.views import find_deep_view

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from duckdb import DuckDBPyConnection as Session
    from duckdb import DuckDBPyRelation as Relation
    from feast import FeatureStore, FeatureView

PART_ROWS = 16_384
log = logging.getLogger(__name__)
Stage = Callable[..., None]


def embed(
    store: FeatureStore,
    view: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    fit_until: datetime | None = None,
    rebuild: bool = False,
    allowed_rejects: float = 0.05,
    options: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Bring a deep feature view's embedding table up to its source, in one commit.

    Parameters
    ----------
    store : FeatureStore
        With the view applied.
    view : str
        Name of a deep feature view.
    since, until : datetime, optional
        Only rows with an event time in this window, `until` excluded; naive means UTC.
    fit_until : datetime, optional
        For features that are fitted (PCA, TF-IDF) and declare no ``fit_until`` of their own:
        their first run sees rows before this time alone; by default those before `until`.
    rebuild : bool
        Encode all rows into a new version beside the old; needed after a change of encoder.
    allowed_rejects : float
        Largest share of the run's contents that may be rejected.
    options : sequence of str
        Beam options, e.g. ``["--direct_num_workers=2"]``. The runner is FnApiRunner by default.
    threads : int, optional
        Threads of a network in one worker; by default the cores, shared by local workers.
    progress : callable, optional
        Called with the stage, the units done, the units in all, and a note on reuse and rejects.

    Returns
    -------
    Run

    Raises
    ------
    SourceError, FeatureNotFound
        If the source cannot be used, or there is no such view. Nothing is written.
    FingerprintMismatch
        If the table holds vectors of another encoder and `rebuild` is False.
    TooManyRejects
        If more contents were rejected than allowed. Nothing is committed.
    RunInProgress
        If another run holds the view.
    TableDamaged, NotWritable
        If files of the table or its rejects are missing or cut, or may not be written.
    """
    from deepfeast.pipelines.beam import original_error

    feature_view, spec = find_deep_view(store, view)
    table = embedding_table(store, feature_view)
    run = Run(view, f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}")
    started = time.monotonic()
    fresh = not table.path.exists()
    try:
        # Opened first, since nothing is to be made in a folder of others; and again once it is
        # ours, since whoever held it may have published.
        table.open()
        with table.held(run.run_id), traced(store, feature_view, spec, run):
            embedding = EmbedRun(store, feature_view, spec, table, table.open(), run, rebuild)
            embedding.run_job(
                since, until, fit_until, allowed_rejects, options, threads, progress or silent
            )
    except BaseException as error:
        if fresh:
            table.forget_beginnings()
        told = original_error(error)
        if told is error:
            raise
        raise told from error
    run.seconds = time.monotonic() - started
    log.info(run.summary(), extra={"fields": run.to_dict()})
    return run


class EmbedRun:
    """One run, step by step."""

    def __init__(
        self,
        store: FeatureStore,
        view: FeatureView,
        spec: DeepViewSpec,
        table: EmbeddingTable,
        delta: DeltaTable | None,
        run: Run,
        rebuild: bool,
    ):
        self.store, self.view, self.spec, self.table = store, view, spec, table
        self.delta, self.run, self.rebuild = delta, run, rebuild
        self.damaged = check_table(table, delta, rebuild)
        self.folder = RunFolder(table.work(run.run_id))
        self.commits = table.commits(delta) if delta else []
        held = self.commits[0].meta["fingerprints"] if self.commits else {}
        self.encoders = RunEncoders(spec.features, table, held, self.folder.fitted, rebuild)

    def run_job(
        self,
        since: datetime | None,
        until: datetime | None,
        fit_until: datetime | None,
        allowed_rejects: float,
        options: Sequence[str],
        threads: int | None,
        progress: Progress,
    ) -> None:
        """Hash, plan, encode, write, publish."""
        from deepfeast.pipelines.beam import local_threads, run_stage

        stage = functools.partial(run_stage, options=options, progress=progress)
        run = self.run
        try:
            job = self._job(since, until, fit_until, threads or local_threads(options))
            if job is None:
                return
            run.source_rows, run.fingerprints = job.source.rows, self.encoders.fingerprints
            self.folder.make()
            for spill, _ in job.groups():
                spill.make()
            self._hash(stage, job)
            run.reached("hash")
            with opened(self.folder.overflow) as session:
                rows, contents = self._new_rows(session, job)
                run.reached("plan")
                if run.rows:
                    self._encode(stage, session, job, rows, contents)
                rejects = self._rejects(session, job, rows)
                found = tell(rejects, job.keys)
                judge(run.view, found, contents, run.source_rows, allowed_rejects)
                run.rejected, run.reasons = found.cells, found.reasons
                run.encoded -= found.contents
                run.reached("encode")
                if not run.rows:
                    return
                parts = self._locate(session, job, rows)
            created = time.time_ns() // 1000
            self._write(stage, job, parts, created)
            run.reached("write")
            self._publish(job, rejects, created)
            run.reached("publish")
        except BaseException as error:
            # An interrupt may come right after the commit, whose files must then stay.
            published = self._published()
            if not published:
                self.table.discard(run.run_id)
            if isinstance(error, KeyboardInterrupt):
                spills = {Spill(self.table.spill(m)) for m in self.encoders.fingerprints.values()}
                error.add_note(kept(run.view, run.run_id, spills, published))
            raise
        finally:
            self.folder.remove()
        for spill, _ in job.groups():
            spill.remove()

    def _published(self) -> bool:
        delta = self.table.open()
        commits = self.table.commits(delta) if delta else []
        return bool(commits) and commits[0].meta["run_id"] == self.run.run_id

    def _job(
        self,
        since: datetime | None,
        until: datetime | None,
        fit_until: datetime | None,
        threads: int,
    ) -> Job | None:
        """Open the source and the encoders; None where a warehouse has nothing that is newer."""
        held = self.table.dataset(self.delta).schema if self.delta else None
        last = self.commits[0].meta.get("read") if self.commits and not self.rebuild else None
        where = self.folder.source
        try:
            self.read = read_source(self.store, self.view, self.spec, where, last, since, until)
        except ColumnNotFound as error:
            name, view = self.spec.source, self.run.view
            raise lost_column(error, held, name, self.table.uri, view) from error
        source = self.read.source
        if source.slices:
            check_contents(source.schema(), source.name, [f.column for f in self.spec.features])
        self.encoders.settle(source, fit_until or until)
        if not source.slices:
            return None
        encoders = self.encoders.encoders
        job = Job(
            run_id=self.run.run_id,
            folder=self.folder,
            source=source,
            keys=tuple(key.name for key in self.view.entity_columns),
            features=self.spec.features,
            readers={
                feature.name: open_reader(feature, encoders[feature.name], source.root)
                for feature in self.spec.features
            },
            spills={
                name: Spill(self.table.spill(fingerprint))
                for name, fingerprint in self.encoders.fingerprints.items()
            },
            states=self.encoders.states,
            threads=threads,
            since=None if since is None else microseconds(since),
            until=None if until is None else microseconds(until),
            forgotten=self.encoders.forgotten,
        )
        if held:
            check_keys(job.key_schema(), held, source.name, self.table.uri, self.run.view)
        return job

    def _hash(self, stage: Stage, job: Job) -> None:
        from deepfeast.pipelines.embed.stages import HashSlice

        done = self.folder.hashed()
        stage("Hash", job.source.slices, HashSlice(job), done=done, total=job.source.rows)

    def _new_rows(self, session: Session, job: Job) -> tuple[Relation, int]:
        """Find the rows that are new; return them and the number of their contents."""
        columns = job.columns()
        hashes = parquet(session, self.folder.hashes())
        assert hashes is not None
        rows = plan.one_a_row(hashes, columns, job.source.name)
        if self.delta and not self.rebuild:
            table = session.from_arrow(self.table.dataset(self.delta))
            rows = plan.new_rows(rows, table, columns)
        # Kept, since every later step asks for them.
        rows.create("rows")
        rows = session.table("rows")
        self.run.rows, contents = plan.count_contents(rows, columns)
        return rows, contents

    def _encode(
        self, stage: Stage, session: Session, job: Job, rows: Relation, contents: int
    ) -> None:
        """Encode what is nowhere yet; `contents` counts those of the new rows."""
        from deepfeast.pipelines.embed.stages import EncodeSlice

        run = self.run
        by_number = {part.number: part for part in job.source.slices}
        elements: list[tuple[Any, str, str]] = []
        for spill, features in job.groups():
            for name, missing in self._missing(session, job, rows, spill, features):
                path = self.folder.todo(name)
                missing.order('slice, "row"').write_parquet(str(path), row_group_size=8192)
                slices = missing.aggregate("slice, count(*)", "slice").order("slice").fetchall()
                elements += [(by_number[number], name, str(path)) for number, _ in slices]
                run.encoded += sum(count for _, count in slices)
        run.reused = contents - run.encoded
        done = [spill.encoded(run.run_id) for spill, _ in job.groups()]
        rejected = self.folder.rejected()
        reused = f"{run.reused / max(1, contents):.0%} reused"
        stage(
            "Encode",
            elements,
            EncodeSlice(job),
            done=together([*done, rejected]),
            total=run.encoded,
            note=lambda: f"{reused}, {rejected():,} rejected" if rejected() else reused,
        )

    def _missing(
        self, session: Session, job: Job, rows: Relation, spill: Spill, features: list[str]
    ) -> Iterator[tuple[str, Relation]]:
        """Yield by feature the contents whose vectors are neither spilled nor in the table."""
        columns = job.columns(features)

        def wanted() -> Relation:
            known = parquet(session, spill.hashes())
            return plan.contents_to_encode(rows, known, columns)

        if self.delta:
            held = self.encoders.held_by(self.encoders.fingerprints[features[0]])
            hashes = wanted().project("hash").to_arrow_table()["hash"]
            table = sound(self.table.dataset(self.delta), self.damaged)
            reuse(table, held, hashes, spill, self.run.run_id)
        wanted().create("wanted")
        found = session.table("wanted")
        for name in features:
            mine = found.filter(f"feature = {plan.text(name)}").project("* exclude (feature)")
            yield name, mine
        session.execute("drop table wanted")

    def _rejects(self, session: Session, job: Job, rows: Relation) -> pa.Table:
        """Collect the rejects of the new rows, event times as in the source."""
        by_name = {feature.name: feature for feature in job.features}
        found = gather_rejects(
            rows,
            parquet(session, self.folder.unread()),
            parquet(session, self.folder.unencoded()),
            [[by_name[name] for name in names] for _, names in job.groups()],
            job.columns(),
        ).to_arrow_table()
        place = found.schema.get_field_index(job.source.timestamp)
        times = found.column(place).cast(EVENT_TIME)
        return found.set_column(place, job.source.timestamp, times)

    def _locate(self, session: Session, job: Job, rows: Relation) -> list[Path]:
        """Write the new rows out in parts, each saying where its vectors lie; return the files."""
        files: list[Path] = []
        spills: dict[str, Relation] = {}
        for number, (spill, features) in enumerate(job.groups()):
            found = spill.hashes()
            spilled(session, found, len(files)).create(f"spill_{number}")
            spills |= dict.fromkeys(features, session.table(f"spill_{number}"))
            files += found
        self.folder.write_places(files)
        batches = plan.places(rows, spills).to_arrow_reader(PART_ROWS)
        parts = enumerate(regroup(batches, PART_ROWS))
        return [self.folder.write_rows(number, part) for number, part in parts]

    def _write(self, stage: Stage, job: Job, parts: list[Path], created: int) -> None:
        from deepfeast.pipelines.embed.stages import WriteRows

        target = self.table.data(self.run.run_id)
        target.mkdir()
        dims = {name: encoder.dim for name, encoder in self.encoders.encoders.items()}
        write = WriteRows(job, target, dims, created)
        stage("Write", parts, write, done=self.folder.written(), total=self.run.rows)

    def _publish(self, job: Job, rejects: pa.Table, created: int) -> None:
        run = self.run
        parts = self.folder.parts()
        files = data_files(parts, run.run_id, run.rows)
        run.missing = missing_cells(parts, rejects)
        run.bytes = sum(part["size"] for part in parts)
        add_rejects(self.table, stamped(rejects, run.run_id, created), run.run_id)
        self.encoders.keep_fits()
        run.version = self.table.publish(
            table_schema(job.key_schema(), job.features),
            files,
            metadata(
                run,
                created,
                self.spec.to_tag(),
                self.folder.notes(),
                self.encoders.fingerprints,
                self.encoders.fits,
                self.commits,
                self.rebuild,
                self.read.settled(job.features, self.encoders.encoders, run.reasons),
            ),
            self.delta.version() if self.delta else None,
            replace=self.rebuild,
        )
