"""The latest row of every key in a span of event time, found without reading a feature.

A source is cut into row groups. Only keys and times are scanned, by DuckDB, which spills to disk;
what comes out are places (row group, rows), so that every row group is read once, by whichever
worker writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from deepfeast.transforms.errors import ColumnNotFound, SourceError
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.times import instant, utc

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY_BATCH = 65_536
MEMORY_LIMIT = "1GB"


@dataclass(frozen=True)
class Span:
    """From one event time to another, both included.

    Attributes
    ----------
    start, end : datetime
        Timezone-aware.
    news : bool
        Rows created since `start` count as well, however old their event: what was embedded
        again must reach the online store, though its event times are those of before.
    """

    start: datetime
    end: datetime
    news: bool = False


@dataclass(frozen=True)
class Reading:
    """A source, cut into row groups; pickles to references, not to rows.

    Attributes
    ----------
    groups : tuple of Fragment
        One row group each.
    schema : Schema
        Of the source, partition columns included.
    columns : SourceColumns
    """

    groups: tuple[ds.Fragment, ...]
    schema: pa.Schema
    columns: SourceColumns

    @classmethod
    def of_dataset(cls, dataset: ds.Dataset, columns: SourceColumns, where: str) -> Reading:
        """Cut a dataset into row groups.

        Raises
        ------
        ColumnNotFound
            If the source lacks a column that the view declares.
        SourceError
            If its times are none.
        """
        for name in columns.all:
            if name not in dataset.schema.names:
                raise ColumnNotFound.of(name, where, dataset.schema.names)
        for name in filter(None, (columns.time, columns.created)):
            utc(pa.array([], dataset.schema.field(name).type), name, where)
        groups = [g for file in dataset.get_fragments() for g in file.split_by_row_group()]
        return cls(tuple(groups), dataset.schema, columns)

    def scan(self, group: int, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Read some columns of a row group, in order, `rows` rows at a time."""
        return self.groups[group].to_batches(
            schema=self.schema,
            columns=list(names),
            batch_size=rows,
            # Reading ahead would hold whole row groups of vectors.
            batch_readahead=0,
            fragment_readahead=0,
            use_threads=False,
        )


def find_latest(
    reading: Reading, span: Span, part: int = 0, parts: int = 1
) -> dict[int, NDArray[np.int64]]:
    """Find the latest row of each key in a span.

    Parameters
    ----------
    reading : Reading
    span : Span
    part, parts : int
        Only the keys whose hash falls into this part.

    Returns
    -------
    dict of int to ndarray of int64
        Per row group, the rows to read, ascending. Rows without a key are left out; ties in
        event time go to the later created time, then to the later row of the source.
    """
    import duckdb

    keys = [f"k{number}" for number in range(len(reading.columns.keys))]
    partition = f"PARTITION BY {', '.join(keys)}" if keys else ""
    known = "".join(f" AND {key} IS NOT NULL" for key in keys)
    mine = f" AND hash({', '.join(keys)}) % {parts} = {part}" if keys and parts > 1 else ""
    when = "time BETWEEN $start AND $end"
    if span.news:
        when = "time <= $end AND (time >= $start OR created >= $start)"
    failed: list[SourceError] = []
    try:
        with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "threads": 2}) as connection:
            connection.register("rows", _places(reading, failed))
            found = connection.sql(
                f"""SELECT place, list(row ORDER BY row) FROM (
                        SELECT place, row FROM rows WHERE {when}{known}{mine}
                        QUALIFY row_number() OVER (
                            {partition} ORDER BY time DESC, created DESC, place DESC, row DESC) = 1)
                    GROUP BY place ORDER BY place""",
                params={"start": instant(span.start) // 1000, "end": instant(span.end) // 1000},
            ).to_arrow_table()
    except duckdb.Error:
        if failed:  # DuckDB would tell it as a traceback in a text
            raise failed[0] from None
        raise
    rows = found.column(1).combine_chunks()
    return {
        place: rows[number].values.to_numpy()
        for number, place in enumerate(found.column(0).to_pylist())
    }


def _places(reading: Reading, failed: list[SourceError]) -> pa.RecordBatchReader:
    """Stream keys and times, and where each row lies."""
    columns = reading.columns
    names = [*columns.keys.values(), columns.time, *([columns.created] if columns.created else [])]
    key_fields = [
        pa.field(f"k{number}", reading.schema.field(name).type)
        for number, name in enumerate(columns.keys.values())
    ]
    numbers = [pa.field(name, pa.int64()) for name in ("time", "created", "place", "row")]
    schema = pa.schema([*key_fields, *numbers])

    def batches() -> Iterator[pa.RecordBatch]:
        for place in range(len(reading.groups)):
            first = 0
            for batch in reading.scan(place, list(dict.fromkeys(names)), KEY_BATCH):
                count = len(batch)
                time = utc(batch.column(columns.time), columns.time, "the source").cast(pa.int64())
                created = pa.array(np.zeros(count, np.int64))
                if columns.created:
                    made = utc(batch.column(columns.created), columns.created, "the source")
                    created = made.cast(pa.int64()).fill_null(0)
                keys = [batch.column(name) for name in columns.keys.values()]
                where = [
                    pa.array(np.full(count, place)),
                    pa.array(np.arange(first, first + count)),
                ]
                yield pa.RecordBatch.from_arrays([*keys, time, created, *where], schema=schema)
                first += count

    def told() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches()
        except SourceError as error:
            failed.append(error)
            raise

    return pa.RecordBatchReader.from_batches(schema, told())
