"""From a table to the two files of a repo: rows, which become features, and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.pipelines.start.convert import as_numbers, as_photos, as_texts, as_times
from deepfeast.pipelines.start.plan import Plan
from deepfeast.pipelines.start.table import Table, open_table
from deepfeast.transforms.errors import ColumnNotFound, SourceEmpty, SourceError
from deepfeast.transforms.files.write import check_writable, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVENT = "event_timestamp"
# A table without times says of all its rows the same: it was always so.
ALWAYS = datetime(2000, 1, 1, tzinfo=timezone.utc)
GROUP_ROWS, GROUP_BYTES = 16_384, 1 << 26


@dataclass
class Written:
    """What `write_data` wrote.

    Attributes
    ----------
    rows, labels : int
    without_key, without_time : int
        Rows that were left out, for having none.
    """

    rows: int = 0
    labels: int = 0
    without_key: int = 0
    without_time: int = 0

    def __str__(self) -> str:
        told = f"{self.rows:,} rows, {self.labels:,} of them with a label"
        for count, what in ((self.without_key, "id"), (self.without_time, "time")):
            told += f"; {count:,} without {what} left out" if count else ""
        return told


def rows_file(plan: Plan, folder: Path) -> Path:
    """Where the rows of a plan lie below the data folder of a repo."""
    return folder / f"{plan.name}.parquet"


def labels_file(plan: Plan, folder: Path) -> Path:
    """Where its labels lie."""
    return folder / f"{plan.name}_labels.parquet"


def write_data(
    table: Path | str | Table,
    plan: Plan,
    folder: Path | str,
    rows: NDArray[np.int64] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Written:
    """Write the rows and labels of a table as Parquet, each file whole or not at all.

    Parameters
    ----------
    table : Path, str or Table
    plan : Plan
    folder : Path or str
        ``<name>.parquet`` and ``<name>_labels.parquet`` are written there.
    rows : ndarray of shape (n_rows,), optional
        Numbers of the rows to take, from 0, in order; by default all.
    progress : callable, optional
        Takes the rows read so far.

    Returns
    -------
    Written

    Raises
    ------
    ColumnNotFound
        If the table lacks a column of the plan.
    SourceError
        If two rows have one id and time, or an id is not what the plan says.
    """
    table = table if isinstance(table, Table) else open_table(Path(table))
    folder = Path(folder)
    check_writable(folder, "the repo's data")
    folder.mkdir(parents=True, exist_ok=True)
    for name in plan.used:
        if name not in table.names:
            raise ColumnNotFound.of(
                plan.names.get(name, name), str(table.path), table.names.values()
            )
    written = Written()
    with ExitStack() as stack:
        features = _Buffer(stack.enter_context(whole(rows_file(plan, folder))))
        stack.callback(features.close)
        labels = None
        if plan.target:
            labels = _Buffer(stack.enter_context(whole(labels_file(plan, folder))))
            stack.callback(labels.close)
        keys = []
        for number, batch in _wanted(table, plan, rows, progress):
            part = _features(table, plan, number, batch, written)
            features.add(part)
            keys.append(part.select([plan.join_key, EVENT]))
            written.rows += part.num_rows
            if labels is not None:
                told = _labels(plan, part, batch)
                labels.add(told)
                written.labels += told.num_rows
        if not written.rows:
            raise SourceEmpty(f"{table.path}: no row has an id and a time.")
        _once(pa.concat_tables(keys), table, plan)
    return written


def _wanted(
    table: Table,
    plan: Plan,
    rows: NDArray[np.int64] | None,
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[NDArray[np.int64], pa.RecordBatch]]:
    """Yield batches of the wanted rows, each with their numbers in the file."""
    skip = frozenset(table.names) - set(plan.used)
    first = 0
    for batch in table.batches(skip):
        last = first + batch.num_rows
        numbers = np.arange(first, last)
        if rows is not None:
            numbers = rows[np.searchsorted(rows, first) : np.searchsorted(rows, last)]
            batch = batch.take(pa.array(numbers - first))
        first = last
        if progress:
            progress(last)
        if len(numbers):
            yield numbers, batch


def _features(
    table: Table, plan: Plan, numbers: NDArray[np.int64], batch: pa.RecordBatch, written: Written
) -> pa.Table:
    """Return the key, the time and the features of a batch; `PLACE` says where a row stood."""
    columns: dict[str, Any] = {}
    count = batch.num_rows
    if plan.key:
        columns[plan.join_key] = _keys(batch.column(plan.key), table, plan)
    else:
        columns[plan.join_key] = pa.array(numbers + 1, pa.int64())
    moment = pa.scalar(ALWAYS, pa.timestamp("us", "UTC"))
    columns[EVENT] = (
        as_times(batch.column(plan.time), plan.time_format)
        if plan.time
        else pa.repeat(moment, count)
    )
    for name in plan.texts:
        columns[name] = as_texts(batch.column(name), name in plan.tagged)
    for name, separator in plan.photos.items():
        columns[name] = as_photos(batch.column(name), separator)
    for name in plan.numbers:
        columns[name] = as_numbers(batch.column(name), "," if name in plan.comma else ".")
    for name in plan.categories:
        columns[name] = as_texts(batch.column(name))
    columns[_PLACE] = pa.array(np.arange(count))
    part = pa.table(columns)
    for name, what in ((plan.join_key, "without_key"), (EVENT, "without_time")):
        known = part.column(name).is_valid()
        lacking = part.num_rows - (pc.sum(known).as_py() or 0)
        if lacking:
            setattr(written, what, getattr(written, what) + lacking)
            part = part.filter(known)
    return part


_PLACE = "__place"


def _keys(cells: pa.Array, table: Table, plan: Plan) -> pa.Array:
    if not plan.number_key:
        return as_texts(cells)
    try:
        return cells.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{table.path}: ids of {plan.key!r} looked like whole numbers, and one is none: "
            f"{str(error)[:120]}. Name another column with --id, or --id none."
        ) from None


def _labels(plan: Plan, part: pa.Table, batch: pa.RecordBatch) -> pa.Table:
    """Return the labels of the rows that have a target."""
    assert plan.target is not None
    places = part.column(_PLACE)
    columns: dict[str, Any] = {plan.join_key: part.column(plan.join_key)}
    if plan.time:
        columns[EVENT] = part.column(EVENT)
    cells = batch.column(plan.target).take(places.combine_chunks())
    if plan.target_is == "class":
        columns[plan.target] = as_texts(cells)
    else:
        values = as_numbers(cells, "," if plan.target in plan.comma else ".")
        whole_number = plan.target_is == "integer"
        columns[plan.target] = pc.round(values).cast(pa.int64()) if whole_number else values
    if plan.groups:
        columns[plan.groups] = as_texts(batch.column(plan.groups).take(places.combine_chunks()))
    told = pa.table(columns)
    return told.filter(told.column(plan.target).is_valid())


def _once(keys: pa.Table, table: Table, plan: Plan) -> None:
    """Refuse two rows of one id and time: nothing says which of them is true."""
    if not plan.key:
        return
    counts = keys.group_by([plan.join_key, EVENT]).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts.column("count_all"), 1))
    if twice.num_rows:
        one = twice.slice(0, 1).to_pylist()[0]
        at = f" at {one[EVENT]:%Y-%m-%d %H:%M}" if plan.time else ""
        way = "" if plan.time else ", name a column of times with --time"
        raise SourceError(
            f"{table.path}: the id {one[plan.join_key]!r} stands in {one['count_all']} rows{at}, "
            f"and in all {twice.num_rows:,} ids do so. Name another column with --id{way}, or say "
            f"--id none, and rows are numbered."
        )


class _Buffer:
    """A Parquet file whose row groups are neither tiny nor larger than memory likes."""

    def __init__(self, path: Path):
        self.path = path
        self.parts: list[pa.Table] = []
        self.writer: Any = None

    def add(self, part: pa.Table) -> None:
        if _PLACE in part.schema.names:
            part = part.drop([_PLACE])
        self.parts.append(part)
        rows = sum(one.num_rows for one in self.parts)
        if rows >= GROUP_ROWS or sum(one.nbytes for one in self.parts) >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow.parquet as pq

        if not self.parts:
            return
        table = pa.concat_tables(self.parts)
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, table.schema)
        self.writer.write_table(table)
        self.parts = []

    def close(self) -> None:
        """Write what is left; a file appears even where there was nothing."""
        self._flush()
        if self.writer is not None:
            self.writer.close()
