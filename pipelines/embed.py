"""The embed job: raw table to embedding table.

Hash every content, plan what is new, encode each new content once, write the rows, publish.
The first four may be killed at any moment and repeated at no loss; the last is one transaction.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.pipelines.publish import EmbeddingTable
from deepfeast.pipelines.source_schema import check_contents, check_keys
from deepfeast.pipelines.sources import (
    EVENT_TIME,
    Source,
    event_times,
    open_source,
    read_slice,
)
from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.contents import HASH_TYPE, image_reader, read_contents
from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.errors import (
    DeepfeastError,
    EncoderError,
    FingerprintMismatch,
    TooManyRejects,
)
from deepfeast.transforms.file_sources import source_uri
from deepfeast.transforms.fitted import state_path
from deepfeast.transforms.views import CREATED, DeepFeature, DeepViewSpec, find_deep_view

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from feast import FeatureStore, FeatureView

    from deepfeast.pipelines.stages import Job
    from deepfeast.transforms.encoders import Encoder

LIBRARIES = ("apache-beam", "deltalake", "feast", "numpy", "pyarrow", "torch")
# More contents make a PCA or a vocabulary hardly better, and take the memory of the driver.
FIT_ROWS = 20_000
Progress = Callable[[str, int, int], None]


@dataclass
class Run:
    """What a run did.

    Attributes
    ----------
    view, run_id : str
    version : int or None
        Of the embedding table after it; None where nothing was committed.
    source_rows, rows : int
        Rows of the source, and those written because they were new.
    encoded, reused, missing, rejected : int
        Contents that went through a network, that were found in the table or an earlier run or
        a row of this one, cells without content, and cells that could not be encoded.
    reasons : dict of str to dict
        By reason of rejection: ``count`` and up to three ``examples``.
    seconds : float
    """

    view: str
    run_id: str
    version: int | None = None
    source_rows: int = 0
    rows: int = 0
    encoded: int = 0
    reused: int = 0
    missing: int = 0
    rejected: int = 0
    reasons: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return dataclasses.asdict(self)


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
        Encoders that are fitted (PCA, TF-IDF) see rows before this time alone, in their first
        run; by default those before `until`. Set it to the end of your training period.
    rebuild : bool
        Encode all rows into a new version beside the old; needed after a change of encoder.
    allowed_rejects : float
        Largest share of the run's contents that may be rejected.
    options : sequence of str
        Beam options, e.g. ``["--direct_num_workers=2"]``. The runner is FnApiRunner by default.
    threads : int, optional
        Threads of a network in one worker; by default the cores, shared by local workers.
    progress : callable, optional
        Called with the stage, the units done and the units in all.

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
        embedding = _Embedding(store, feature_view, spec, table, delta, run, rebuild)
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


def embedding_table(store: FeatureStore, view: FeatureView) -> EmbeddingTable:
    """Return the table behind a deep feature view, whether or not it exists yet."""
    source: Any = view.batch_source
    return EmbeddingTable(source_uri(store.config, source), view.name)


def _silent(stage: str, done: int, total: int) -> None:
    pass


def _forget(table: EmbeddingTable) -> None:
    """Leave no trace of a run that never came to encode anything."""
    spilled = any(table.scratch.glob("spill/*/*.parquet"))
    if not spilled:
        shutil.rmtree(table.path, ignore_errors=True)


class _Embedding:
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
        self.fits: dict[str, dict[str, Any]] = {}
        self.encoders: dict[str, Encoder] = {f.name: build_encoder(f) for f in spec.features}
        self.fingerprints: dict[str, str] = {}
        self.states: dict[str, str | None] = dict.fromkeys(self.encoders)
        self.folder = table.scratch / "runs" / run.run_id
        self.commits = table.commits(delta) if delta else []
        self.current = self.commits[0].meta if self.commits else None

    def settle_encoders(self, source: Source, until: int | None) -> None:
        """Fit or restore what is fitted, so that each encoder has its fingerprint."""
        for feature in self.spec.features:
            encoder = self.encoders[feature.name]
            if encoder.has_state and not self._restore(feature, encoder):
                self._fit(feature, encoder, source, until)
            self.fingerprints[feature.name] = encoder.fingerprint
        self._check_fingerprints()

    def _restore(self, feature: DeepFeature, encoder: Encoder) -> bool:
        """Load what an earlier run fitted, unless it is to be rebuilt."""
        held = (self.current or {}).get("fingerprints", {}).get(feature.name, "")
        path = state_path(self.table.uri, held)
        if self.rebuild or not path.is_file():
            return False
        try:
            encoder.load_state(path)
        except EncoderError as error:
            raise self._mismatch(feature.name, str(error)) from error
        self.states[feature.name] = str(path)
        return True

    def _fit(
        self, feature: DeepFeature, encoder: Encoder, source: Source, until: int | None
    ) -> None:
        """Fit on the first contents of the source that are old enough."""
        values = list(islice(_old_contents(source, feature, encoder, until), FIT_ROWS))
        if not values:
            raise EncoderError(
                f"nothing to fit {feature.encoder!r} of {feature.name!r} on: column "
                f"{feature.column!r} of source {source.name!r} is empty up to then."
            )
        encoder.fit(values)
        path = self.folder / "fitted" / f"{encoder.fingerprint}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        encoder.save_state(path)
        self.states[feature.name] = str(path)
        self.fits[feature.name] = {"rows": len(values), "until": until}

    def _keep_fits(self) -> None:
        """Freeze beside the table what this run fitted, before the commit that needs it."""
        for path in (self.folder / "fitted").glob("*.safetensors"):
            kept = state_path(self.table.uri, path.stem)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, kept)

    def _check_fingerprints(self) -> None:
        """Refuse to mix vectors of different encoders in one version of the table."""
        if self.current is None or self.rebuild:
            return
        held = self.current["fingerprints"]
        for name, fingerprint in self.fingerprints.items():
            if held.get(name) != fingerprint:
                what = f"was encoded as {held[name][:12]}…" if name in held else "is new to it"
                raise self._mismatch(name, f"it {what}, declared is {fingerprint[:12]}…")

    def _mismatch(self, feature: str, why: str) -> FingerprintMismatch:
        view = self.table.view
        return FingerprintMismatch(
            f"the table of view {view!r} cannot take feature {feature!r} as declared: {why}. "
            f"Either give the view a new name, or write a new version beside the old: "
            f"deepfeast embed {view} --rebuild"
        )

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
        from deepfeast.pipelines.plan import Planner
        from deepfeast.pipelines.stages import EncodeSlice, HashSlice, WriteRows

        job = self._job(since, until, fit_until, threads or local_threads(options))
        run, slices = self.run, job.source.slices
        self._make_folders(job)
        dims = {name: encoder.dim for name, encoder in self.encoders.items()}
        try:
            run.source_rows = job.source.rows
            stage = functools.partial(run_stage, options=options, progress=progress)
            stage(
                "Hash",
                slices,
                HashSlice(job),
                done=_counter(self.folder / "hashes", "*.parquet"),
                total=job.source.rows,
            )
            dataset = self.table.dataset(self.delta) if self.delta else None
            planner = Planner(job, dataset)
            run.rows, values = planner.find_rows(self.rebuild)
            if not run.rows:
                return
            todo = planner.find_contents(self._known(job))
            by_number = {part.number: part for part in slices}
            elements = [
                (by_number[number], name, path)
                for name, (path, _) in todo.items()
                for number in pq.read_table(path, columns=["slice"])["slice"].unique().to_pylist()
            ]
            run.encoded = sum(count for _, count in todo.values())
            run.reused = values - run.encoded
            spilled = _counter(self.table.scratch / "spill", f"*/{run.run_id}-*.parquet")
            stage("Encode", elements, EncodeSlice(job), done=spilled, total=run.encoded)
            self._judge_rejects(job, values, allowed_rejects)
            parts = planner.locate()
            planner.close()
            created = time.time_ns() // 1000
            target = self.table.path / run.run_id
            target.mkdir()
            write = WriteRows(job, target, dims, created)
            stage(
                "Write",
                parts,
                write,
                done=_counter(self.folder / "parts", "*.json"),
                total=run.rows,
            )
            self._publish(job, created)
        except BaseException:
            shutil.rmtree(self.table.path / run.run_id, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        for spill in set(job.spills.values()):
            shutil.rmtree(spill, ignore_errors=True)

    def _job(
        self,
        since: datetime | None,
        until: datetime | None,
        fit_until: datetime | None,
        threads: int,
    ) -> Job:
        from deepfeast.pipelines.stages import Job

        types = {key.name: _arrow_type(key) for key in self.view.entity_columns}
        types |= {feature.column: pa.string() for feature in self.spec.features}
        source = open_source(self.store, self.spec.source, types, self.folder / "source")
        check_contents(source.schema(), source.name, [f.column for f in self.spec.features])
        self.settle_encoders(source, _micros(fit_until or until))
        job = Job(
            run_id=self.run.run_id,
            folder=self.folder,
            source=source,
            keys=tuple(key.name for key in self.view.entity_columns),
            features=self.spec.features,
            modalities={name: encoder.modality for name, encoder in self.encoders.items()},
            spills={
                name: str(self.table.scratch / "spill" / fingerprint[:16])
                for name, fingerprint in self.fingerprints.items()
            },
            states=self.states,
            threads=threads,
            since=_micros(since),
            until=_micros(until),
        )
        if self.delta:
            held = self.table.dataset(self.delta).schema
            check_keys(job.key_schema(), held, source.name, self.table.uri, self.run.view)
        return job

    def _make_folders(self, job: Job) -> None:
        for name in ("hashes", "rejects", "todo", "rows", "parts"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for spill in job.spills.values():
            Path(spill).mkdir(parents=True, exist_ok=True)

    def _known(self, job: Job) -> dict[str, str]:
        """Return by feature of the table the spill folder of the fingerprint its vectors have."""
        held = (self.current or {}).get("fingerprints", {})
        folders = {self.fingerprints[name]: folder for name, folder in job.spills.items()}
        return {name: folders[one] for name, one in held.items() if one in folders}

    def _judge_rejects(self, job: Job, values: int, allowed: float) -> None:
        rejects = self._read_rejects(job)
        run = self.run
        run.rejected = len(rejects)
        run.encoded -= sum(1 for _ in rejects.column("hash") if _.is_valid) if len(rejects) else 0
        reasons = rejects["reason"].to_pylist()
        for reason in sorted(set(reasons)):
            rows = [row for row in rejects.to_pylist() if row["reason"] == reason]
            run.reasons[reason] = {
                "count": len(rows),
                "examples": [_example(row, job) for row in rows[:3]],
            }
        share = run.rejected / max(
            1, values + sum(1 for row in rejects["hash"] if not row.is_valid)
        )
        if share > allowed:
            worst = max(run.reasons, key=lambda reason: run.reasons[reason]["count"])
            raise TooManyRejects(
                f"{run.rejected} of {values} contents of view {run.view!r} were rejected "
                f"({share:.1%}, allowed {allowed:.1%}); most often {worst}: "
                f"{run.reasons[worst]['examples'][0]}. Nothing was committed. Mend the source, or "
                f"allow more with --allowed-rejects."
            )

    def _read_rejects(self, job: Job) -> pa.Table:
        tables = [
            pq.read_table(path) for path in sorted((job.folder / "rejects").glob("*.parquet"))
        ]
        table = pa.concat_tables(tables, promote_options="default")
        if "hash" not in table.column_names:
            table = table.append_column("hash", pa.nulls(len(table), HASH_TYPE))
        return table

    def _publish(self, job: Job, created: int) -> None:
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
        run.missing = sum(sum(part["missing"].values()) for part in parts) - run.rejected
        for part in parts:
            part["path"] = f"{run.run_id}/{part['path']}"
        rejects = self._read_rejects(job)
        stamp = pa.array([created] * len(rejects), pa.int64()).cast(EVENT_TIME)
        rejects = rejects.append_column(
            "run_id", pa.array([run.run_id] * len(rejects), pa.string())
        )
        self.table.add_rejects(rejects.append_column(CREATED, stamp), run.run_id)
        self._keep_fits()
        run.version = self.table.publish(
            job,
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

    def _meta(self, created: int) -> dict[str, Any]:
        run, generation = self.run, (self.current or {}).get("generation", 0)
        newest = max((c.meta["generation"] for c in self.commits), default=0)
        counts = ("source_rows", "rows", "encoded", "reused", "missing", "rejected")
        return {
            "run_id": run.run_id,
            "created": created,
            "generation": newest + 1 if self.rebuild or not self.current else generation,
            "fingerprints": self.fingerprints,
            "fits": {**(self.current or {}).get("fits", {}), **self.fits},
            "spec": self.spec.to_tag(),
            "counts": {name: getattr(run, name) for name in counts},
            "versions": {name: version(name) for name in LIBRARIES},
        }


def _old_contents(
    source: Source, feature: DeepFeature, encoder: Encoder, until: int | None
) -> Iterator[Any]:
    """Yield the contents of a column that are old enough, in the order of the source."""
    reader = image_reader(feature.root or source.root, encoder.modality)
    for part in source.slices:
        for _, batch in read_slice(part, [source.timestamp, feature.column]):
            times = event_times(batch.column(0), source.timestamp, part.path).cast(pa.int64())
            values = read_contents(batch.column(1), encoder.modality, reader).values
            for time_, value in zip(times.to_pylist(), values, strict=True):
                if value is not None and (until is None or time_ < until):
                    yield value


def _counter(folder: Path, pattern: str) -> Callable[[], int]:
    """Count the units that workers finished: each file's name ends with its number of them."""
    return lambda: sum(int(path.stem.rpartition("-")[2]) for path in folder.glob(pattern))


def _arrow_type(key: Any) -> pa.DataType:
    from feast.type_map import feast_value_type_to_pa

    return feast_value_type_to_pa(key.dtype.to_value_type())


def _micros(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1_000_000)


def _example(row: dict[str, Any], job: Job) -> str:
    keys = ", ".join(f"{key}={row[key]}" for key in job.keys)
    return f"{keys}, column {row['column']!r}: {row['message']}"
