"""The embed job: raw table to embedding table.

Hash every content, plan what is new, encode each new content once, write the rows, publish.
The first four may be killed at any moment and repeated at no loss; the last is one transaction.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.embed.run import EmbedRun
from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.files.place import source_uri
from deepfeast.transforms.views import find_deep_view

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


Progress = Callable[..., None]


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


def embedding_table(store: FeatureStore, view: FeatureView) -> EmbeddingTable:
    """Return the table behind a deep feature view, whether or not it exists yet."""
    source: Any = view.batch_source
    return EmbeddingTable(source_uri(store.config, source), view.name)


def _silent(stage: str, done: int, total: int, note: str = "") -> None:
    pass


def _forget(table: EmbeddingTable) -> None:
    """Leave no trace of a run that never came to encode anything."""
    spilled = any(table.scratch.glob("spill/*/*.parquet"))
    if not spilled:
        shutil.rmtree(table.path, ignore_errors=True)
