"""The latest row of each entity, and the rows of a span of event time, by number.

Only keys and times are read. DuckDB picks the latest rows and spills to disk, so that neither
the table nor its keys need fit in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.errors import JoinError, SourceError
from deepfeast.transforms.files.table import FeatureTable
from deepfeast.transforms.times import NEVER, Ints, instant, nanoseconds

KEY_BATCH = 1 << 16
MEMORY_LIMIT = "1GB"


@dataclass(frozen=True)
class Span:
    """From one event time to another, both included.

    Attributes
    ----------
    start, end : datetime, optional
        Without a time zone, UTC is meant; None for no bound.
    news : datetime, optional
        Rows created since then count as well, however old their event: what was embedded again
        must reach the online store, though its event times are those of before.
    """

    start: datetime | None = None
    end: datetime | None = None
    news: datetime | None = None

    def holds(self, times: Ints, created: Ints | None = None) -> np.ndarray:
        """Tell of each row whether it lies in the span; one without an event time never does.

        Parameters
        ----------
        times, created : ndarray of int64 of shape (n_rows,)
            Nanoseconds, UTC; ``NEVER`` where null.
        """
        since = np.ones(len(times), bool)
        if self.start is not None:
            start = instant(self.start)
            since = times >= start
            if self.news is not None and created is not None:
                since |= created >= instant(self.news)
        if self.end is not None:
            since &= times <= instant(self.end)
        return since & (times != NEVER)


EVER = Span()


def rows_between(table: FeatureTable, timestamp: str, span: Span) -> Ints:
    """Return the numbers of the rows whose event time lies in a span."""
    found, seen = [np.empty(0, np.int64)], 0
    for batch in table.scan([timestamp]):
        found.append(np.flatnonzero(span.holds(_times(table, batch, timestamp))) + seen)
        seen += len(batch)
    return np.concatenate(found)


def latest_rows(
    table: FeatureTable,
    keys: Sequence[str],
    timestamp: str,
    created: str | None,
    span: Span = EVER,
    part: int = 0,
    parts: int = 1,
) -> Ints:
    """Return the number of each entity's latest row in a span, ascending.

    Times are compared to the nanosecond. Among rows of the same event time the one created last
    wins, a null created time being the earliest, then the one written last. A row with a null in
    a key belongs to no entity.

    Parameters
    ----------
    keys : sequence of str
        Join key columns; without any, the whole table is one entity.
    timestamp, created : str
        Columns; `created` may be None.
    span : Span
    part, parts : int
        Only the entities whose hash falls into this part.

    Raises
    ------
    SourceError
        If a column of times holds none.
    """
    import duckdb

    names = [f"k{number}" for number in range(len(keys))]
    by = f"PARTITION BY {', '.join(names)}" if names else ""
    wanted = [f"{name} IS NOT NULL" for name in names]
    if names and parts > 1:
        wanted.append(f"hash({', '.join(names)}) % {int(parts)} = {int(part)}")
    failed: list[SourceError] = []
    candidates = _candidates(table, keys, timestamp, created, span, failed)
    with tempfile.TemporaryDirectory(prefix="deepfeast-latest-") as folder:
        config: dict[str, Any] = {
            "memory_limit": MEMORY_LIMIT,
            "threads": 2,
            "temp_directory": folder,
        }
        try:
            with duckdb.connect(config=config) as connection:
                connection.register("candidates", candidates)
                found = connection.sql(
                    f"""SELECT number FROM candidates WHERE {" AND ".join(wanted) or "true"}
                        QUALIFY row_number() OVER (
                            {by} ORDER BY time DESC, created DESC, number DESC) = 1
                        ORDER BY number"""
                ).to_arrow_table()
        except duckdb.Error:
            if failed:  # DuckDB would tell it as a traceback in a text
                raise failed[0] from None
            raise
    return np.asarray(found.column(0).combine_chunks(), np.int64)


def _candidates(
    table: FeatureTable,
    keys: Sequence[str],
    timestamp: str,
    created: str | None,
    span: Span,
    failed: list[SourceError],
) -> pa.RecordBatchReader:
    """Stream keys, times and numbers of the rows in a span."""
    fields = [(f"k{at}", table.schema.field(key).type) for at, key in enumerate(keys)]
    schema = pa.schema([*fields, *((n, pa.int64()) for n in ("time", "created", "number"))])
    columns = list(dict.fromkeys([*keys, timestamp, *([created] if created else [])]))

    def stream() -> Iterator[pa.RecordBatch]:
        seen = 0
        for rows in table.scan(columns, KEY_BATCH):
            times = _times(table, rows, timestamp)
            made = _times(table, rows, created) if created else np.full(len(times), NEVER)
            at = np.flatnonzero(span.holds(times, made))
            some = rows if len(at) == len(rows) else rows.take(pa.array(at))
            numbers = [times[at], made[at], at + seen]
            taken = [*(some.column(key) for key in keys), *map(pa.array, numbers)]
            yield from pa.table(taken, schema=schema).to_batches()
            seen += len(rows)

    def told() -> Iterator[pa.RecordBatch]:
        try:
            yield from stream()
        except SourceError as error:
            failed.append(error)
            raise

    return pa.RecordBatchReader.from_batches(schema, told())


def _times(table: FeatureTable, rows: pa.Table, name: str) -> Ints:
    try:
        return nanoseconds(rows.column(name))
    except JoinError as error:
        raise SourceError(
            f"the column {name!r} of {table.name} is not readable as time: {error}"
        ) from None
