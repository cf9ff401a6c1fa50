"""The embed job: raw table to embedding table.

Hash every content, plan what is new, encode each new content once, write the rows, publish.
The first four may be killed at any moment and repeated at no loss; the last is one transaction.
"""

from __future__ import annotations

import functools
import json
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deepfeast.pipelines.embed.fitting import RunEncoders, microseconds
from deepfeast.pipelines.embed.job import Job, Progress, Run
from deepfeast.pipelines.embed.rejects import by_reason, gather_rejects, judge
from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.embeddings.table import EmbeddingTable, embedding_table
from deepfeast.transforms.encoders.column import open_reader
from deepfeast.transforms.errors import (
    DeepfeastError,
)
from deepfeast.transforms.features import CREATED, DeepViewSpec
from deepfeast.transforms.files.schema import check_contents, check_keys
from deepfeast.transforms.files.slices import (
    EVENT_TIME,
    open_source,
)
from deepfeast.transforms.views import find_deep_view

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from feast import FeatureStore, FeatureView

    from deepfeast.pipelines.embed.plan import Planner

LIBRARIES = ("apache-beam", "deltalake", "feast", "numpy", "pyarrow", "torch")
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
    """
    from deepfeast.pipelines.beam import original_error

    feature_view, spec = find_deep_view(store, view)
    table = embedding_table(store, feature_view)
    run = Run(view, f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}")
    started = time.monotonic()
    fresh = not table.path.exists()
    try:
        delta = table.open()
        embedding = EmbedRun(store, feature_view, spec, table, delta, run, rebuild)
        with table.held(run.run_id):
            embedding.run_job(
                since, until, fit_until, allowed_rejects, options, threads, progress or _silent
            )
    except BaseException as error:
        if fresh and table.open() is None:
            _forget(table)
        told = original_error(error)
        if told is error:
            raise
        raise told from error
    run.seconds = time.monotonic() - started
    return run


def _silent(stage: str, done: int, total: int, note: str = "") -> None:
    pass


def _forget(table: EmbeddingTable) -> None:
    """Leave no trace of a run that never came to encode anything."""
    spilled = any(table.scratch.glob("spill/*/*.parquet"))
    if not spilled:
        shutil.rmtree(table.path, ignore_errors=True)


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
        self.folder = table.scratch / "runs" / run.run_id
        self.commits = table.commits(delta) if delta else []
        self.current = self.commits[0].meta if self.commits else None
        self.held: dict[str, str] = (self.current or {}).get("fingerprints", {})
        self.encoders = RunEncoders(spec.features, table, self.held, self.folder, rebuild)

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
        from deepfeast.pipelines.embed.plan import Planner

        stage = functools.partial(run_stage, options=options, progress=progress)
        try:
            job = self._job(since, until, fit_until, threads or local_threads(options))
            self.run.source_rows = job.source.rows
            self._make_folders(job)
            self._hash(stage, job)
            planner = Planner(job, self.table.dataset(self.delta) if self.delta else None)
            self.run.rows, values = planner.find_rows(self.rebuild)
            if not self.run.rows:
                return
            self._encode(stage, job, planner, values)
            rejects = gather_rejects(planner)
            self._judge(job, rejects, values, allowed_rejects)
            created = time.time_ns() // 1000
            self._write(stage, job, planner, created)
            self._publish(job, rejects, created)
        except BaseException:
            shutil.rmtree(self.table.path / self.run.run_id, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        for spill in set(job.spills.values()):
            shutil.rmtree(spill, ignore_errors=True)

    def _hash(self, stage: Stage, job: Job) -> None:
        from deepfeast.pipelines.embed.stages import HashSlice

        done = _counter(self.folder / "hashes", "*.parquet")
        stage("Hash", job.source.slices, HashSlice(job), done=done, total=job.source.rows)

    def _encode(self, stage: Stage, job: Job, planner: Planner, values: int) -> None:
        """Encode what is nowhere yet; `values` counts the contents of the new rows."""
        from deepfeast.pipelines.embed.stages import EncodeSlice

        todo = planner.find_contents(self._known(job))
        by_number = {part.number: part for part in job.source.slices}
        elements = [
            (by_number[number], name, path)
            for name, (path, _) in todo.items()
            for number in pq.read_table(path, columns=["slice"])["slice"].unique().to_pylist()
        ]
        self.run.encoded = sum(count for _, count in todo.values())
        self.run.reused = values - self.run.encoded
        done = _counter(self.table.scratch / "spill", f"*/{self.run.run_id}-*.parquet")
        note = functools.partial(self._note, values)
        encode = EncodeSlice(job)
        stage("Encode", elements, encode, done=done, total=self.run.encoded, note=note)

    def _write(self, stage: Stage, job: Job, planner: Planner, created: int) -> None:
        from deepfeast.pipelines.embed.stages import WriteRows

        parts = planner.locate()
        planner.close()
        target = self.table.path / self.run.run_id
        target.mkdir()
        dims = {name: encoder.dim for name, encoder in self.encoders.encoders.items()}
        write = WriteRows(job, target, dims, created)
        done = _counter(self.folder / "parts", "*.json")
        stage("Write", parts, write, done=done, total=self.run.rows)

    def _job(
        self,
        since: datetime | None,
        until: datetime | None,
        fit_until: datetime | None,
        threads: int,
    ) -> Job:
        types = {key.name: _arrow_type(key) for key in self.view.entity_columns}
        types |= {feature.column: pa.string() for feature in self.spec.features}
        source = open_source(self.store, self.spec.source, types, self.folder / "source")
        check_contents(source.schema(), source.name, [f.column for f in self.spec.features])
        self.encoders.settle(source, fit_until or until)
        job = Job(
            run_id=self.run.run_id,
            folder=self.folder,
            source=source,
            keys=tuple(key.name for key in self.view.entity_columns),
            features=self.spec.features,
            readers={
                feature.name: open_reader(
                    feature, self.encoders.encoders[feature.name], source.root
                )
                for feature in self.spec.features
            },
            spills={
                name: str(self.table.scratch / "spill" / fingerprint[:16])
                for name, fingerprint in self.encoders.fingerprints.items()
            },
            states=self.encoders.states,
            threads=threads,
            since=None if since is None else microseconds(since),
            until=None if until is None else microseconds(until),
        )
        if self.delta:
            held = self.table.dataset(self.delta).schema
            check_keys(job.key_schema(), held, source.name, self.table.uri, self.run.view)
        return job

    def _make_folders(self, job: Job) -> None:
        for name in ("hashes", "notes", "rejects", "todo", "rows", "parts"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for spill in job.spills.values():
            Path(spill).mkdir(parents=True, exist_ok=True)

    def _known(self, job: Job) -> dict[str, str]:
        """Return by feature of the table the spill folder of the fingerprint its vectors have."""
        declared = self.encoders.fingerprints
        folders = {declared[name]: folder for name, folder in job.spills.items()}
        return {name: folders[one] for name, one in self.held.items() if one in folders}

    def _note(self, values: int) -> str:
        """Say how much is reused, and what was rejected so far."""
        files = (self.folder / "rejects").glob(f"{self.run.run_id}-*.parquet")
        rejected = sum(pq.read_metadata(path).num_rows for path in files)
        reused = f"{self.run.reused / max(1, values):.0%} reused"
        return f"{reused}, {rejected:,} rejected" if rejected else reused

    def _judge(self, job: Job, rejects: pa.Table, values: int, allowed: float) -> None:
        """Count the rejects, and stop where there are too many."""
        run = self.run
        run.rejected = len(rejects)
        run.encoded -= len(set(rejects["hash"].drop_null().to_pylist()))
        run.reasons = by_reason(rejects, job.keys)
        # Cells that could not be read, or had no key, are not among the contents.
        judge(run.view, run.rejected, values + rejects["hash"].null_count, run.reasons, allowed)

    def _publish(self, job: Job, rejects: pa.Table, created: int) -> None:
        run = self.run
        parts = [
            json.loads(path.read_text()) for path in sorted((job.folder / "parts").glob("*.json"))
        ]
        written = sum(part["rows"] for part in parts)
        if written != run.rows:
            raise DeepfeastError(
                f"the runner wrote {written} rows where {run.rows} were planned; nothing was "
                f"committed. Some runners lose data: run again with --runner=FnApiRunner."
            )
        empty = sum(sum(part["missing"].values()) for part in parts)
        # A row without its key was left out, so that it has no empty cell.
        run.missing = empty - len(rejects.filter(pc.not_equal(rejects["feature"], "")))
        for part in parts:
            part["path"] = f"{run.run_id}/{part['path']}"
        stamp = pa.array([created] * len(rejects), pa.int64()).cast(EVENT_TIME)
        rejects = rejects.append_column(
            "run_id", pa.array([run.run_id] * len(rejects), pa.string())
        )
        self.table.add_rejects(rejects.append_column(CREATED, stamp), run.run_id)
        self.encoders.keep_fits()
        run.version = self.table.publish(
            self._schema(job),
            parts,
            self._meta(created),
            self.delta.version() if self.delta else None,
            replace=self.rebuild,
        )

    def _schema(self, job: Job) -> pa.Schema:
        fields = [*job.key_schema(), pa.field(CREATED, EVENT_TIME)]
        for feature in job.features:
            fields += [
                pa.field(feature.name, VECTOR_TYPE),
                pa.field(feature.hash_column, pa.binary()),
            ]
        return pa.schema(fields)

    def _read_notes(self) -> dict[str, dict[str, Any]]:
        """Return by feature the engine that each worker used, and what the encoder counted."""
        notes: dict[str, dict[str, Any]] = {}
        for path in sorted((self.folder / "notes").glob("*.json")):
            note = json.loads(path.read_text())
            known = notes.setdefault(note["feature"], {"used": [], "counts": {}})
            if note["used"] not in known["used"]:
                known["used"].append(note["used"])
            known["counts"] = dict(Counter(known["counts"]) + Counter(note["counts"]))
        return notes

    def _meta(self, created: int) -> dict[str, Any]:
        run, generation = self.run, (self.current or {}).get("generation", 0)
        newest = max((c.meta["generation"] for c in self.commits), default=0)
        kept = (self.current or {}).get("fits", {})
        counts = ("source_rows", "rows", "encoded", "reused", "missing", "rejected")
        return {
            "run_id": run.run_id,
            "created": created,
            "generation": newest + 1 if self.rebuild or not self.current else generation,
            "fingerprints": self.encoders.fingerprints,
            "fits": {**({} if self.rebuild else kept), **self.encoders.fits},
            "spec": self.spec.to_tag(),
            "counts": {name: getattr(run, name) for name in counts},
            "encoders": self._read_notes(),
            "versions": {name: version(name) for name in LIBRARIES},
        }


def _counter(folder: Path, pattern: str) -> Callable[[], int]:
    """Count the units that workers finished: each file's name ends with its number of them."""
    return lambda: sum(int(path.stem.rpartition("-")[2]) for path in folder.glob(pattern))


def _arrow_type(key: Any) -> pa.DataType:
    from feast.type_map import feast_value_type_to_pa

    return feast_value_type_to_pa(key.dtype.to_value_type())
