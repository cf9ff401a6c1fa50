"""The Beam job behind ``feast materialize``: find the latest rows, read them, write them online.

What crosses Beam's shuffle are places, never rows, so memory stays flat: a worker reads a row
group a batch at a time, turns the batch into bytes and writes it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import apache_beam as beam
import numpy as np
import pyarrow as pa

from deepfeast.pipelines.beam import counters, finished, without_pipeline
from deepfeast.pipelines.materialize.source import Source
from deepfeast.pipelines.options import alone, pipeline_options
from deepfeast.transforms.embed import count
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.history.latest import Span, latest_rows
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.protos import to_values
from deepfeast.transforms.online.table import OnlineRows, OnlineTable
from deepfeast.transforms.times import utc

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig, ValueType
    from numpy.typing import NDArray

KEYS_PER_PART = 5_000_000
# Of one write: more is held several times over, as columns, as bytes and by the store.
BATCH_BYTES = 1 << 20
# The latest rows, those of them that were written or not, and the bytes handed to the store.
COUNTS = ("rows_found", "rows_written", "rows_older_than_stored", "bytes_written")
Place = tuple[int, bytes]
T = TypeVar("T")


class FindLatest(beam.DoFn):
    """Turn the number of a part of the keys into the places of their latest rows."""

    def __init__(self, source: Source, span: Span, parts: int):
        self.source, self.span, self.parts = source, span, parts

    def process(self, part: int) -> Iterator[Place]:
        found = find_latest(self.source, self.span, part, self.parts)
        count("found", "rows", len(found))
        for group, rows in self.source.table.by_group(found):
            yield group, rows.tobytes()


class WriteOnline(beam.DoFn):
    """Read the rows at some places of a row group and write them to the online store.

    Parameters
    ----------
    source : Source
    config : RepoConfig
        Pickled with the job; the online store is opened by each worker.
    view : FeatureView
    batch_rows : int
        Rows of one write.
    epoch : str, optional
        Of the view's seal.
    """

    def __init__(
        self,
        source: Source,
        config: RepoConfig,
        view: FeatureView,
        batch_rows: int,
        epoch: str | None = None,
    ):
        self.source, self.batch_rows, self.epoch = source, batch_rows, epoch
        self.pickled = pickle.dumps((config, view))

    def setup(self) -> None:
        self.table, self.view = open_online(self.pickled)

    def process(self, place: tuple[int, Iterable[bytes]]) -> None:
        group, packed = place
        wanted = np.sort(np.concatenate([np.frombuffer(rows, np.int64) for rows in packed]))
        for rows in ahead(read_rows(self.source, self.view, group, wanted, self.batch_rows)):
            written = self.table.write_newer(rows, self.epoch)
            count("written", "rows", written)
            count("older_than_stored", "rows", len(rows.keys) - written)
            size = sum(len(v or b"") for column in rows.values.values() for v in column)
            count("written", "bytes", size)


def read_rows(
    source: Source, view: FeatureView, group: int, wanted: NDArray[np.int64], batch_rows: int
) -> Iterator[OnlineRows]:
    """Read some rows of one row group, as the online store keeps them.

    Parameters
    ----------
    wanted : ndarray of int64
        Numbers of rows inside the row group, ascending.
    batch_rows : int
        Rows read at once, at most; of wide rows as many as make 1 MiB.
    """
    first = 0
    table, columns = source.table, source.columns
    rows = int(BATCH_BYTES / max(1.0, table.row_bytes(columns.all)))
    for batch in table.read_group(group, columns.all, max(1, min(rows, batch_rows))):
        low, high = np.searchsorted(wanted, [first, first + len(batch)])
        if low < high:
            chosen = batch.take(pa.array(wanted[low:high] - first))
            yield to_online_rows(chosen, columns, view)
        first += len(batch)
        if first > wanted[-1]:
            break


def find_latest(source: Source, span: Span, part: int = 0, parts: int = 1) -> NDArray[np.int64]:
    """Return the numbers of the latest rows of a part of the keys, ascending."""
    columns = source.columns
    keys, created = list(columns.keys.values()), columns.created or None
    return latest_rows(source.table, keys, columns.time, created, span, part, parts)


def count_parts(source: Source) -> int:
    """Return in how many parts the keys are looked at, so that one fits into memory."""
    return len(source.table) // KEYS_PER_PART + 1 if source.columns.keys else 1


def open_online(pickled: bytes) -> tuple[OnlineTable, FeatureView]:
    """Open a view's online table for writing, from its pickled repo configuration and itself."""
    from feast.infra.online_stores.helpers import get_online_store_from_config

    config, view = pickle.loads(pickled)
    if hasattr(config.online_store, "skip_dedup"):
        # The rule of what is newer is ours: Feast's own would drop a vector embedded again.
        config.online_store.skip_dedup = True
    return online_table(get_online_store_from_config(config.online_store), config, view), view


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Make each item in a thread, while the one before it is in use.

    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    end: Any = object()
    with ThreadPoolExecutor(1, thread_name_prefix="deepfeast-ahead") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item


def to_online_rows(batch: pa.RecordBatch, columns: SourceColumns, view: FeatureView) -> OnlineRows:
    """Turn rows of a view's source into what its online table writes."""
    from feast.feature_view import DUMMY_ENTITY_VAL

    keys = [batch.column(name).to_pylist() for name in columns.keys.values()]
    times = _moments(batch, columns.time)
    created = _moments(batch, columns.created) if columns.created else None
    kinds = {field.name: field.dtype.to_value_type() for field in view.features}
    spec = deep_spec(view)
    storage = {deep.name: deep.storage for deep in spec.features} if spec else {}
    return OnlineRows(
        keys=list(zip(*keys, strict=True)) if keys else [(DUMMY_ENTITY_VAL,)] * len(batch),
        times=times,
        created=created,
        values={
            name: _values(batch.column(raw), kinds[name], name, view.name, storage.get(name))
            for name, raw in columns.features.items()
        },
    )


def _values(
    column: pa.Array, kind: ValueType, name: str, view: str, storage: str | None
) -> list[bytes | None]:
    try:
        return [*to_values(column, kind, storage or "float32")]
    except OverflowError as error:
        raise SourceError(
            f"{name!r} of view {view!r} cannot be written online as {kind.name}: {error}. Mend the "
            f"source, or declare the feature Float64 (rounded) or String."
        ) from error


def _moments(batch: pa.RecordBatch, name: str) -> list[datetime | None]:
    # Through numpy: Arrow makes a datetime with a zone at a fifth of the speed.
    naive = utc(batch.column(name), name, "the source").cast(pa.timestamp("us"))
    made = naive.to_numpy(zero_copy_only=False).astype(object)
    return [moment and moment.replace(tzinfo=timezone.utc) for moment in made]


def run(
    source: Source,
    span: Span,
    config: RepoConfig,
    view: FeatureView,
    *,
    options: Sequence[str],
    batch_rows: int,
    epoch: str | None = None,
) -> dict[str, int]:
    """Run the job and wait for it.

    Parameters
    ----------
    options : sequence of str
        Beam options, the runner among them.
    batch_rows : int
        Rows of one write.
    epoch : str, optional
        Of the view's seal; once another has begun, no more is written.

    Returns
    -------
    dict of str to int
        `COUNTS`; empty where the runner reports no metrics.

    Raises
    ------
    DeepfeastError
        What a worker raised, as it raised it.
    """
    parts = count_parts(source)
    write = WriteOnline(source, config, view, batch_rows, epoch)
    if parts == 1 and alone(options):
        # One worker, and nothing to bring together: places need not cross a shuffle.
        with without_pipeline() as counts:
            write.setup()
            for group, rows in FindLatest(source, span, 1).process(0):
                write.process((group, [rows]))
        return {name: counts[name] for name in COUNTS}
    pipeline = beam.Pipeline(options=pipeline_options(options))
    _ = (
        pipeline
        | "Parts" >> beam.Create(list(range(parts)), reshuffle=parts > 1)
        | "FindLatest" >> beam.ParDo(FindLatest(source, span, parts))
        | "ByRowGroup" >> beam.GroupByKey()
        | "WriteOnline" >> beam.ParDo(write)
    )
    told = counters(finished(pipeline))
    return {name: told.get(name, 0) for name in COUNTS} if told else {}
