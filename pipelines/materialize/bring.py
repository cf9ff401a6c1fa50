"""Bring a view's rows online, so that the store knows at every moment what it holds.

Rows of one set of encoders are added to as they come. Where the table was rebuilt, rolled back or
declared anew, and where a run was killed before all rows of such a change were there, the view is
written from scratch: seal broken, rows removed, rows written, seal whole. A process that dies in
between leaves a broken seal, and every lookup says so.
"""

from __future__ import annotations

import dataclasses
import logging
import pickle
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.materialize.job import open_online, run
from deepfeast.pipelines.materialize.source import open_view
from deepfeast.transforms.history.latest import Span, rows_between
from deepfeast.transforms.online.seal import judge_seal
from deepfeast.transforms.times import in_utc

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig

    from deepfeast.pipelines.materialize.source import Source
    from deepfeast.transforms.online.seal import Seal
    from deepfeast.transforms.online.table import OnlineTable

log = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def bring_online(
    config: RepoConfig,
    offline_store: Any,
    view: FeatureView,
    start: datetime,
    end: datetime,
    *,
    options: Sequence[str],
    batch_rows: int,
    staging: str | None = None,
) -> dict[str, int]:
    """Write the latest rows of a view in a span of event time, both ends included.

    Parameters
    ----------
    options : sequence of str
        Beam options, the runner among them.
    batch_rows : int
        Rows of one write.
    staging : str, optional
        Folder that driver and workers share.

    Returns
    -------
    dict of str to int
        As `job.run`.

    Raises
    ------
    RunInProgress
        If another run began to write the view from scratch meanwhile.
    SpecError
        If it must be written from scratch and the online store cannot be emptied.
    """
    start, end = in_utc(start), in_utc(end)
    span = Span(start, end)
    with tempfile.TemporaryDirectory(dir=staging, prefix="deepfeast-") as folder:
        source, holds = open_view(config, offline_store, view, span, Path(folder))
        table, seal = None, None
        if holds is not None:
            table, _ = open_online(pickle.dumps((config, view)))
            span, seal = _begin(table, source, holds, view, start, end)
        epoch = seal.epoch if seal else None
        written = run(
            source, span, config, view, options=options, batch_rows=batch_rows, epoch=epoch
        )
        if table is not None and seal is not None:
            table.finish(seal)
    return written


def _begin(
    table: OnlineTable,
    source: Source,
    holds: Seal,
    view: FeatureView,
    start: datetime,
    end: datetime,
) -> tuple[Span, Seal | None]:
    """Say which rows are to be written, and the seal that is true once they are.

    None where the store keeps no seal. Rows count that were created since the last run, however
    old their event: those of late events, and those embedded again.
    """
    asked = Span(start, end, news=start)
    if not table.sealable:
        return asked, None
    last = view.most_recent_end_time and in_utc(view.most_recent_end_time)
    seal = table.seal()
    if seal is not None and seal.holds(holds):
        since = _EPOCH + timedelta(microseconds=seal.created + 1)
        created = holds.created if _reaches(end, last, source) else seal.created
        grown = dataclasses.replace(holds, epoch=seal.epoch, created=created)
        # Who asks for a span that was online before wants its rows written again.
        news = since if last is not None and start >= last else min(since, start)
        return Span(start, end, news), grown
    if seal is None and last is not None and not table.emptiable:
        log.warning(
            f"{view.name}: nobody knows what its online rows were made with, and a "
            f"{type(table.store).__name__} cannot be emptied: lookups that expect a signature "
            f"are refused."
        )
        return asked, None
    table.begin(holds, bare=seal is None and last is None)
    if seal is None and last is None:
        return asked, holds
    log.warning(f"{view.name}: {judge_seal(seal, holds)}; all of them are written anew.")
    return Span(None, max(end, last or end)), holds


def _reaches(end: datetime, last: datetime | None, source: Source) -> bool:
    """Tell whether a span leaves no event out that an earlier one would have taken.

    Of a span of the past, newer events are still to come.
    """
    if last is None or end >= last:
        return True
    later = Span(end + timedelta(microseconds=1))
    return not len(rows_between(source.table, source.columns.time, later))
