"""Rows of a warehouse, brought here: through Feast's own call, in parts, to a file on disk.

Only the columns and the span of event time that are asked for are read, and only reading is
needed. A part is written before the next one comes, so that memory holds one part.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.files.table import FeatureTable, open_table
from deepfeast.transforms.warehouse import postgres, spark
from deepfeast.transforms.warehouse.typed import conform

if TYPE_CHECKING:
    from deepfeast.transforms.warehouse.open import Warehouse

# Of a window of time that is fetched at once, where nothing streams.
WINDOW_ROWS = 50_000
GROUP_ROWS = 1 << 16
FIRST = datetime(1, 1, 3, tzinfo=timezone.utc)
LAST = datetime(9999, 12, 28, tzinfo=timezone.utc)
_DAY, _TICK = timedelta(days=1), timedelta(microseconds=1)


@dataclass(frozen=True)
class Asked:
    """What is read of a source.

    Attributes
    ----------
    source : DataSource
    keys, features : tuple of str
        Columns, as the source calls them.
    time, created : str
        Columns of times; `created` may be empty.
    start, end : datetime
        A span of event time, both ends included. Rows of a day before and after may come with it.
    """

    source: Any
    keys: tuple[str, ...]
    features: tuple[str, ...]
    time: str
    created: str = ""
    start: datetime = FIRST
    end: datetime = LAST

    @property
    def columns(self) -> list[str]:
        """All columns, once."""
        times = [self.time, *([self.created] if self.created else [])]
        return list(dict.fromkeys([*self.keys, *self.features, *times]))


def count_rows(warehouse: Warehouse, asked: Asked) -> int | None:
    """Count the rows that a pull would bring; None where only the pull itself could tell."""
    if spark.reads(warehouse.store, asked.source):
        span = spark.Span(asked.time, *_widened(asked))
        return spark.count(warehouse.config.offline_store, asked.source, span)
    if not postgres.speaks(warehouse):
        return None
    return sum(rows for _, rows in _hours(warehouse, asked))


def pull(warehouse: Warehouse, asked: Asked) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a span, in any order.

    Through `pull_all_from_table_or_query` of Feast's store: its query is streamed where PostgreSQL
    has a driver for that, else run over windows of time; Spark answers in parts, where it can, and
    other warehouses at once.
    """
    start, end = _widened(asked)
    if postgres.streams() or not postgres.speaks(warehouse):
        yield from rows_of_job(warehouse, _job(warehouse, asked, start, end))
    else:
        for since, until in postgres.windows(_hours(warehouse, asked), WINDOW_ROWS):
            last = end if until is None else until - _TICK
            yield from _job(warehouse, asked, since or start, last).to_arrow().to_batches()


def rows_of_job(warehouse: Warehouse, job: Any) -> Iterator[pa.RecordBatch]:
    """Yield what a retrieval of Feast's store gives: as a stream where it can be one."""
    if in_parts := getattr(job, "batches", None):
        yield from in_parts()
    elif postgres.speaks(warehouse) and postgres.streams():
        yield from postgres.stream(warehouse, job.to_sql())
    else:
        yield from job.to_arrow().to_batches()


def pull_table(
    warehouse: Warehouse, asked: Asked, types: Mapping[str, pa.DataType], view: str
) -> FeatureTable:
    """Bring rows to a file of a temporary folder, which goes when the table does.

    Parameters
    ----------
    types : mapping of str to DataType
        What the columns are declared as, by their names in the source.
    view : str
        Name of the view that asks, for errors.

    Raises
    ------
    SourceError
        If the warehouse does not answer, or not as declared.
    """
    what = f"view {view!r}, source {asked.source.name!r}"
    folder = tempfile.TemporaryDirectory(prefix="deepfeast-pulled-")
    path = Path(folder.name) / "rows.parquet"
    with postgres.reaching(warehouse, what):
        write_rows(pull(warehouse, asked), path, types, what, asked.columns)
    table = open_table(str(path), name=f"source {asked.source.name!r}")
    table.kept = folder
    return table


def write_rows(
    batches: Iterable[pa.RecordBatch],
    path: Path,
    types: Mapping[str, pa.DataType],
    what: str,
    columns: Iterable[str],
    group_rows: int = GROUP_ROWS,
) -> int:
    """Write rows as Parquet as they come, each column of one type; return how many there were."""
    import pyarrow.parquet as pq

    schema: pa.Schema | None = None
    writer: pq.ParquetWriter | None = None
    rows = 0
    try:
        for batch in batches:
            made = conform(batch, types, what, schema)
            if writer is None:
                schema = made.schema
                # Dictionaries of texts that never repeat would take time and memory.
                writer = pq.ParquetWriter(path, schema, use_dictionary=False)
            writer.write_table(made, group_rows)
            rows += len(made)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        stamp = pa.timestamp("us", "UTC")
        none = pa.schema([(name, types.get(name, stamp)) for name in columns])
        pq.write_table(none.empty_table(), path)
    return rows


def _hours(warehouse: Warehouse, asked: Asked) -> list[tuple[datetime, int]]:
    start, end = _widened(asked)
    column = postgres.quoted(asked.time)
    where = f"{column} BETWEEN {postgres.moment(start)} AND {postgres.moment(end)}"
    return postgres.rows_by_hour(warehouse, asked.source, asked.time, where)


def _job(warehouse: Warehouse, asked: Asked, start: datetime, end: datetime) -> Any:
    times = (asked.time, asked.created)
    features = [name for name in asked.features if name not in (*asked.keys, *times)]
    # To ask for no features is to ask for all columns.
    keys, features = (list(asked.keys), features) if features else ([], list(asked.keys))
    how = warehouse.store.pull_all_from_table_or_query
    return ask_feast(warehouse, how, asked.source, (keys, features, times), start, end)


def ask_feast(
    warehouse: Warehouse,
    how: Callable[..., Any],
    source: Any,
    columns: tuple[Sequence[str], Sequence[str], Sequence[str | None]],
    start: datetime | None,
    end: datetime | None,
    zones: bool = False,
) -> Any:
    """Ask Feast's store for rows, by a method of it.

    Parameters
    ----------
    columns : tuple of three sequences of str
        Keys, features, and the event and the created time; of the latter, there may be none. No
        features are all columns.
    zones : bool
        Have times without zone mean UTC also where the clock of the server's sessions is another:
        the span is then exact, and an index on time of no use.
    """
    names = [[name or "" for name in some] for some in columns]
    if postgres.speaks(warehouse):
        if zones and names[1]:
            times = [name for name in names[2] if name]
            source = postgres.with_zones(warehouse, source, [*names[0], *names[1]], times)
        names = [postgres.inside_quotes(some) for some in names]
    keys, features, (time, created) = names
    return how(
        config=warehouse.config,
        data_source=source,
        join_key_columns=keys,
        feature_name_columns=features,
        timestamp_field=time,
        created_timestamp_column=created or None,
        start_date=start,
        end_date=end,
    )


def _widened(asked: Asked) -> tuple[datetime, datetime]:
    """Add a day to both ends: a column without zone is compared by the clock of the server."""
    return max(asked.start - _DAY, FIRST), min(asked.end + _DAY, LAST)
