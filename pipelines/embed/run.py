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
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.pipelines.embed.folder import RunFolder, Spill, kept, together
from deepfeast.pipelines.embed.job import Job, Progress, Run, silent
from deepfeast.pipelines.embed.lineage import traced
from deepfeast.pipelines.embed.news import News, find_news
from deepfeast.pipelines.embed.opening import Opening
from deepfeast.pipelines.embed.publish import data_files, metadata, missing_cells, stamped
from deepfeast.pipelines.embed.rejects import judge
from deepfeast.pipelines.embed.seen import Seen, write_seen
from deepfeast.transforms.embeddings.rejects import add_rejects
from deepfeast.transforms.embeddings.table import embedding_table, table_schema
from deepfeast.transforms.errors import RunInProgress
from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.write import whole
from deepfeast.transforms.views import find_deep_view

if TYPE_CHECKING:
    from feast import FeatureStore

# Slices whose contents to encode are listed in one file.
TODO_SLICES = 64
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
    reread: bool = False,
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
    reread : bool
        Read all files of the source, also those that have not changed since the last run.
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
            folder = RunFolder(table.work(run.run_id))
            delta = table.open()
            opening = Opening(store, feature_view, spec, table, delta, folder, rebuild, reread)
            EmbedRun(opening, run).run_job(
                since, until, fit_until, allowed_rejects, options, threads, progress or silent
            )
    except BaseException as error:
        if fresh and not isinstance(error, RunInProgress):
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

    def __init__(self, opening: Opening, run: Run):
        self.opening, self.run = opening, run
        self.table, self.encoders, self.folder = opening.table, opening.encoders, opening.folder

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
        from deepfeast.pipelines.beam import run_stage
        from deepfeast.pipelines.options import local_threads, workers

        stage = functools.partial(run_stage, options=options, progress=progress)
        run, opening = self.run, self.opening
        threads = threads or local_threads(options)
        windowed = since is not None or until is not None
        how = (run.run_id, since, until, fit_until, threads, workers(options))
        open_job = functools.partial(opening.job, *how)
        try:
            with find_news(opening, open_job, functools.partial(self._hash, stage)) as news:
                run.source_rows, run.unchanged = opening.rows, len(opening.choice.kept)
                if news is None:
                    return
                run.fingerprints = self.encoders.fingerprints
                job, run.rows = news.job, news.rows
                run.reached("plan")
                if run.rows:
                    self._encode(stage, job, news)
                bad = news.find_rejects()
                judge(run.view, bad, news.contents, run.source_rows, allowed_rejects)
                run.rejected, run.reasons = bad.cells, bad.reasons
                run.encoded -= bad.contents
                run.reached("encode")
                seen = news.seen(windowed)
                if not run.rows:
                    self._note(seen)
                    return
                rejects, parts = news.rejects(), news.locate()
            created = time.time_ns() // 1000
            self._write(stage, job, parts, created)
            run.reached("write")
            self._publish(job, rejects, created, seen)
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

    def _note(self, seen: Seen | None) -> None:
        """Note which files the table has, where the run found nothing to publish."""
        commits = self.opening.commits
        if commits and seen and seen != self.opening.choice.seen:
            write_seen(self.table, commits[0].meta["run_id"], seen, commits)

    def _hash(self, stage: Stage, job: Job) -> None:
        from deepfeast.pipelines.embed.stages import HashSlice

        done = self.folder.hashed()
        stage("Hash", job.source.slices, HashSlice(job), done=done, total=job.source.rows)
        self.run.reached("hash")

    def _encode(self, stage: Stage, job: Job, news: News) -> None:
        """Encode what is nowhere yet."""
        from deepfeast.pipelines.embed.stages import EncodeSlice

        run = self.run
        by_number = {part.number: part for part in job.source.slices}
        elements: list[tuple[Any, str, Place]] = []
        for spill, features in job.groups():
            spill.make()
            for name, missing in news.missing(spill, features):
                slices = missing.aggregate("slice, count(*)", "slice").order("slice").fetchall()
                run.encoded += sum(count for _, count in slices)
                numbers = [number for number, _ in slices]
                for start in range(0, len(numbers), TODO_SLICES):
                    these = numbers[start : start + TODO_SLICES]
                    path = self.folder.todo(name, these[0])
                    mine = missing.filter(f"slice between {these[0]} and {these[-1]}")
                    with whole(path) as aside:
                        mine.order('slice, "row"').write_parquet(str(aside), row_group_size=8192)
                    elements += [(by_number[number], name, path) for number in these]
        run.reused = news.contents - run.encoded
        done = [spill.encoded(run.run_id) for spill, _ in job.groups()]
        rejected = self.folder.rejected()
        reused = f"{run.reused / max(1, news.contents):.0%} reused"
        stage(
            "Encode",
            elements,
            EncodeSlice(job),
            done=together([*done, rejected]),
            total=run.encoded,
            note=lambda: f"{reused}, {rejected():,} rejected" if rejected() else reused,
        )

    def _write(self, stage: Stage, job: Job, parts: list[Place], created: int) -> None:
        from deepfeast.pipelines.embed.stages import WriteRows

        target = self.table.data(self.run.run_id)
        target.mkdir()
        dims = {name: encoder.dim for name, encoder in self.encoders.encoders.items()}
        write = WriteRows(job, target, dims, created)
        stage("Write", parts, write, done=self.folder.written(), total=self.run.rows)

    def _publish(self, job: Job, rejects: pa.Table, created: int, seen: Seen | None) -> None:
        run, opening = self.run, self.opening
        parts = self.folder.parts()
        files = data_files(parts, run.run_id, run.rows)
        run.missing = missing_cells(parts, rejects)
        run.bytes = sum(part["size"] for part in parts)
        add_rejects(self.table, stamped(rejects, run.run_id, created), run.run_id)
        self.encoders.keep_fits()
        if seen and seen.files:
            write_seen(self.table, run.run_id, seen, opening.commits)
        run.version = self.table.publish(
            table_schema(job.key_schema(), job.features),
            files,
            metadata(
                run,
                created,
                opening.spec.to_tag(),
                self.folder.notes(),
                self.encoders.fingerprints,
                self.encoders.fits,
                opening.commits,
                opening.rebuild,
                opening.read.settled(job.features, self.encoders.encoders, run.reasons),
            ),
            opening.delta.version() if opening.delta else None,
            replace=opening.rebuild,
        )
