"""What it costs to bring rows of a PostgreSQL here: how many there are, and how fast some come."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.times import in_utc
from deepfeast.transforms.warehouse import postgres
from deepfeast.transforms.warehouse.postgres import moment, quoted, rows_of
from deepfeast.transforms.warehouse.pull import Asked, write_rows

if TYPE_CHECKING:
    from deepfeast.transforms.warehouse.open import Warehouse

SAMPLE = 50_000
LARGEST = "1.7976931348623157e308"


@dataclass(frozen=True)
class Rows:
    """How many rows a source has.

    Attributes
    ----------
    all : int
        That have an event time.
    recent : int
        Of these, within the ttl before now.
    first, last : datetime or None
        The earliest and the latest event time, in UTC.
    seconds : float or None
        That counting took; None where the server took too long and these are its guesses.
    beyond : tuple of str
        Columns with a number that is larger than a double.
    """

    all: int
    recent: int
    first: datetime | None = None
    last: datetime | None = None
    seconds: float | None = None
    beyond: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """Some rows, brought here as all would be.

    Attributes
    ----------
    rows, bytes : int
    seconds : float
        That they took.
    start : float
        That one row took: to connect, to plan, and whatever a query does before its first row.
    """

    rows: int
    bytes: int
    seconds: float
    start: float = 0.0

    def all(self, rows: int) -> tuple[float, float]:
        """Return the bytes and the seconds of so many rows.

        >>> Sample(rows=100, bytes=1000, seconds=0.5, start=0.25).all(1000)
        (10000.0, 2.75)
        """
        share = rows / max(1, self.rows)
        return share * self.bytes, self.start + share * max(0.0, self.seconds - self.start)


def count(
    connection: Any, asked: Asked, ttl: timedelta | None, unbounded: Sequence[str] = ()
) -> Rows:
    """Count the rows of a source in one pass; ask the planner, where that takes too long.

    Parameters
    ----------
    connection : Connection
        As `catalog.looking` gives it.
    ttl : timedelta, optional
        None or zero for any age.
    unbounded : sequence of str
        Columns whose numbers are to be compared with the largest double.
    """
    import psycopg

    column = quoted(asked.time)
    now = datetime.now(timezone.utc)
    recent = f"{column} <= {moment(now)}"
    if ttl:
        recent += f" AND {column} >= {moment(now - ttl)}"
    beyond = "".join(f", {_beyond(quoted(name))}" for name in unbounded)
    rows = f"FROM {rows_of(asked.source)} WHERE {column} IS NOT NULL"
    started = time.perf_counter()
    try:
        found = connection.execute(
            f"SELECT COUNT(*), COUNT(*) FILTER (WHERE {recent}), MIN({column})::timestamptz, "
            f"MAX({column})::timestamptz{beyond} {rows}"
        ).fetchone()
    except psycopg.errors.QueryCanceled:
        every, few = (
            _guess(connection, f"SELECT 1 {rows} AND {when}") for when in ("TRUE", recent)
        )
        return Rows(every, few)
    every, few, first, last, *over = found
    return Rows(
        every,
        few,
        first and in_utc(first),
        last and in_utc(last),
        time.perf_counter() - started,
        tuple(name for name, is_so in zip(unbounded, over, strict=True) if is_so),
    )


def sample(
    warehouse: Warehouse, asked: Asked, types: Mapping[str, pa.DataType], what: str
) -> Sample:
    """Bring a few thousand rows here, as a frame or a run would.

    Raises
    ------
    SourceError
        If a value among them is not of the type that is declared.
    """
    _, _, start = _bring(warehouse, asked, types, what, 1)
    rows, size, seconds = _bring(warehouse, asked, types, what, SAMPLE)
    return Sample(rows, size, seconds, start)


def _bring(
    warehouse: Warehouse, asked: Asked, types: Mapping[str, pa.DataType], what: str, most: int
) -> tuple[int, int, float]:
    """Bring rows, and return how many, their bytes and the seconds that it took."""
    columns = ", ".join(map(quoted, asked.columns))
    sql = (
        f"SELECT {columns} FROM {rows_of(asked.source)} "
        f"WHERE {quoted(asked.time)} IS NOT NULL LIMIT {most}"
    )
    started, sizes = time.perf_counter(), [0]
    with tempfile.TemporaryDirectory(prefix="deepfeast-sample-") as folder:
        batches = _weighed(_batches(warehouse, sql), sizes)
        rows = write_rows(batches, Path(folder) / "rows.parquet", types, what, asked.columns)
    return rows, sum(sizes), time.perf_counter() - started


def _batches(warehouse: Warehouse, sql: str) -> Iterator[pa.RecordBatch]:
    if postgres.streams():
        yield from postgres.stream(warehouse, sql)
    else:
        yield from postgres.fetch(warehouse, sql).to_batches()


def _weighed(batches: Iterable[pa.RecordBatch], sizes: list[int]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sizes.append(batch.nbytes)
        yield batch


def _beyond(column: str) -> str:
    written = f"{column}::text NOT IN ('NaN', 'Infinity', '-Infinity')"
    return f"BOOL_OR(abs({column}) > {LARGEST} AND {written})"


def _guess(connection: Any, sql: str) -> int:
    (plan,) = connection.execute(f"EXPLAIN (FORMAT JSON) {sql}").fetchone()
    found = json.loads(plan) if isinstance(plan, str) else plan
    return int(found[0]["Plan"]["Plan Rows"])
