"""Raw rows of a warehouse, brought to one file: all of them, or those that are newer.

What is newer is told by the created column. Rows without a created time are always read again, and
so are those of a while before the newest one known: a row is seen when its transaction commits,
which may be after others that were created later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import ColumnNotFound
from deepfeast.transforms.files.columns import in_source
from deepfeast.transforms.files.slices import Source, cut
from deepfeast.transforms.files.table import open_table
from deepfeast.transforms.times import NEVER, in_utc, nanoseconds
from deepfeast.transforms.warehouse import postgres, pull, spark
from deepfeast.transforms.warehouse.open import Warehouse, data_uri, photo_root, warehouse_of
from deepfeast.transforms.warehouse.postgres import moment, quoted, reaching
from deepfeast.transforms.warehouse.pull import FIRST, LAST, Asked, write_rows

if TYPE_CHECKING:
    from feast import RepoConfig

GROUP_ROWS = 8192
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Wanted:
    """Which raw rows are read.

    Attributes
    ----------
    newer : datetime, optional
        Only rows created since then, or at no known time; not told to warehouses that have no
        words of their own here, which give all of theirs.
    since, until : datetime, optional
        Only rows with an event time in this window, or without one; some more may come.
    """

    newer: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Raw:
    """Raw rows as they were read.

    Attributes
    ----------
    source : Source
        Without slices, where there are no such rows.
    newest : int or None
        The latest created time among them, in microseconds since 1970.
    """

    source: Source
    newest: int | None


def read_raw(
    config: RepoConfig,
    source: Any,
    types: Mapping[str, pa.DataType],
    contents: Sequence[str],
    folder: Path,
    wanted: Wanted,
) -> Raw:
    """Read a raw source of a warehouse into a file, and cut it into slices.

    Parameters
    ----------
    config : RepoConfig
    source : DataSource
        Of the warehouse; a table or a query.
    types : mapping of str to DataType
        The keys, as views call them, and what they are declared as.
    contents : sequence of str
        The columns of texts or photos.
    folder : Path
        Where to write.
    wanted : Wanted

    Raises
    ------
    SpecError
        If the repo names no warehouse.
    ColumnNotFound
        If the source lacks a column.
    SourceNotFound, SourceError
        If the warehouse does not answer, or not as declared. What was written by then is no more
        than a file in `folder`.
    """
    warehouse = warehouse_of(config, source)
    what = f"source {source.name!r}"
    created = source.created_timestamp_column or ""
    times = [source.timestamp_field, *([created] if created else [])]
    names = {name: in_source(source, name) for name in [*types, *contents, *times]}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.parquet"
    asked = Asked(
        source=source,
        keys=tuple(names[key] for key in types),
        features=tuple(dict.fromkeys(names[name] for name in contents)),
        time=names[source.timestamp_field],
        created=names[created] if created else "",
        start=FIRST if wanted.since is None else wanted.since,
        end=LAST if wanted.until is None else wanted.until,
    )
    with reaching(warehouse, what):
        _check_columns(warehouse, source, names)
        rows = _rows(warehouse, asked, wanted)
        declared = {names[key]: type_ for key, type_ in types.items()}
        write_rows(rows, path, declared, what, asked.columns, GROUP_ROWS)
    table = open_table(str(path), name=what)
    renamed = {known: column for known, column in names.items() if known != column}
    slices = cut(table, source.name, list(names.values()), renamed)
    where, root = data_uri(config, source), photo_root(config, source)
    opened = Source(source.name, where, source.timestamp_field, created, tuple(slices), root, True)
    return Raw(opened, _newest(str(path), asked.created))


def newest_time(config: RepoConfig, source: Any) -> datetime | None:
    """Return the latest event time in a source of the warehouse, in UTC; None where it has none."""
    warehouse = warehouse_of(config, source)
    time = in_source(source, source.timestamp_field)
    with reaching(warehouse, f"source {source.name!r}"):
        found = warehouse.store.get_monitoring_max_timestamp(warehouse.config, source, time)
    return None if found is None else in_utc(found)


def _check_columns(warehouse: Warehouse, source: Any, names: Mapping[str, str]) -> None:
    there = [name for name, _ in source.get_table_column_names_and_types(warehouse.config)]
    for column in names.values():
        if column not in there:
            raise ColumnNotFound.of(
                column, f"source {source.name!r} of the {warehouse.kind} warehouse", there
            )


def _rows(warehouse: Warehouse, asked: Asked, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    if spark.reads(warehouse.store, asked.source):
        settings, spans = warehouse.config.offline_store, _spans(asked, wanted)
        yield from spark.read(settings, asked.source, asked.columns, spans)
        return
    if not postgres.speaks(warehouse):
        yield from pull.pull(warehouse, asked)
        return
    streams = postgres.streams()
    where = _condition(asked, wanted, streams)
    columns = ", ".join(map(quoted, asked.columns))
    sql = f"SELECT {columns} FROM {postgres.rows_of(asked.source)} WHERE {where}"
    if streams:
        yield from postgres.stream(warehouse, sql)
        return
    time = quoted(asked.time)
    hours = postgres.rows_by_hour(warehouse, asked.source, asked.time, where)
    for start, end in postgres.windows(hours, pull.WINDOW_ROWS):
        bounds = [f"{time} IS NOT NULL"]
        bounds += [f"{time} >= {moment(start)}"] if start else []
        bounds += [f"{time} < {moment(end)}"] if end else []
        yield from postgres.fetch(warehouse, f"{sql} AND {' AND '.join(bounds)}").to_batches()
    yield from postgres.fetch(warehouse, f"{sql} AND {time} IS NULL").to_batches()


def _spans(asked: Asked, wanted: Wanted) -> list[spark.Span]:
    """Say by Spark's columns which rows are wanted."""
    spans = []
    if wanted.newer is not None:
        spans.append(spark.Span(asked.created, wanted.newer, unknown=True))
    if wanted.since is not None or wanted.until is not None:
        spans.append(spark.Span(asked.time, wanted.since, wanted.until, unknown=True))
    return spans


def _condition(asked: Asked, wanted: Wanted, streams: bool) -> str:
    """Say as SQL which rows are wanted; a day more where a clock without zone may be another's."""
    parts = ["TRUE"]
    time, created = quoted(asked.time), quoted(asked.created)
    if wanted.newer is not None:
        newer = wanted.newer if streams else wanted.newer - _DAY
        parts.append(f"({created} >= {moment(newer)} OR {created} IS NULL)")
    if wanted.since is not None:
        parts.append(f"({time} >= {moment(wanted.since - _DAY)} OR {time} IS NULL)")
    if wanted.until is not None:
        parts.append(f"({time} < {moment(wanted.until + _DAY)} OR {time} IS NULL)")
    return " AND ".join(parts)


def _newest(path: str, created: str) -> int | None:
    import pyarrow.parquet as pq

    if not created:
        return None
    times = nanoseconds(pq.read_table(path, columns=[created]).column(created))
    newest = int(times.max(initial=NEVER))
    return None if newest == NEVER else newest // 1000
