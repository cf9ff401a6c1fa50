"""The latest row of each entity, and the rows of a range of time, by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.files.table import FeatureTable
from deepfeast.transforms.times import NEVER, Ints, nanoseconds

# Rows kept before all but the latest of each entity are dropped: some 100 MB of keys.
PENDING = 4_000_000


def rows_between(table: FeatureTable, timestamp: str, start: int | None, end: int | None) -> Ints:
    """Return the numbers of the rows whose event time lies in a range, ends included.

    Parameters
    ----------
    start, end : int, optional
        Nanoseconds since 1970, UTC.
    """
    found, seen = [np.empty(0, np.int64)], 0
    for batch in table.scan([timestamp]):
        times = nanoseconds(batch.column(0))
        found.append(np.flatnonzero(_inside(times, start, end)) + seen)
        seen += len(batch)
    return np.concatenate(found)


def latest_rows(
    table: FeatureTable,
    keys: Sequence[str],
    timestamp: str,
    created: str | None,
    start: int | None = None,
    end: int | None = None,
) -> Ints:
    """Return the number of each entity's latest row in a range of event time, ascending.

    Among rows of the same event time the one created last wins, then the one written last.
    A row with a null in a key belongs to no entity.

    Parameters
    ----------
    keys : sequence of str
        Join key columns; without any, the whole table is one entity.
    timestamp, created : str
        Columns; `created` may be None.
    start, end : int, optional
        Nanoseconds since 1970, UTC; both included.
    """
    columns = list(dict.fromkeys([*keys, timestamp, *([created] if created else [])]))
    pending: list[_Rows] = []
    seen = 0
    for batch in table.scan(columns):
        pending.append(_candidates(batch, keys, timestamp, created, start, end, seen))
        seen += len(batch)
        if sum(len(rows.numbers) for rows in pending) > PENDING:
            pending = [_reduce(pending)]
    return np.sort(_reduce(pending).numbers) if pending else np.empty(0, np.int64)


@dataclass
class _Rows:
    keys: pa.Table
    times: Ints
    created: Ints
    numbers: Ints


def _candidates(
    batch: pa.Table,
    keys: Sequence[str],
    timestamp: str,
    created: str | None,
    start: int | None,
    end: int | None,
    offset: int,
) -> _Rows:
    times = nanoseconds(batch.column(timestamp))
    inside = _inside(times, start, end)
    for key in keys:
        inside &= np.asarray(pc.is_valid(batch.column(key)))
    at = np.flatnonzero(inside)
    known = nanoseconds(batch.column(created)) if created else np.full(len(times), NEVER)
    taken = batch.select(list(keys)).take(pa.array(at))
    return _Rows(taken, times[at], known[at], at + offset)


def _reduce(pending: list[_Rows]) -> _Rows:
    """Keep the latest row of each key."""
    keys = pa.concat_tables([rows.keys for rows in pending])
    times = np.concatenate([rows.times for rows in pending])
    created = np.concatenate([rows.created for rows in pending])
    numbers = np.concatenate([rows.numbers for rows in pending])
    codes = _key_codes(keys, len(times))
    order = np.lexsort((numbers, created, times, codes))
    last = np.append(codes[order][1:] != codes[order][:-1], True)[: len(order)]
    kept = order[last]
    return _Rows(keys.take(pa.array(kept)), times[kept], created[kept], numbers[kept])


def _key_codes(keys: pa.Table, n_rows: int) -> Ints:
    """Give distinct keys numbers; renumbering after each column keeps numbers from overflowing."""
    codes = np.zeros(n_rows, np.int64)
    for column in keys.columns:
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        column = column.unify_dictionaries()
        part = np.concatenate(
            [np.empty(0, np.int64), *(np.asarray(c.indices, np.int64) for c in column.chunks)]
        )
        width = int(part.max(initial=0)) + 1
        _, codes = np.unique(codes * width + part, return_inverse=True)
    return codes


def _inside(times: Ints, start: int | None, end: int | None) -> np.ndarray:
    inside = times != NEVER
    if start is not None:
        inside &= times >= start
    if end is not None:
        inside &= times <= end
    return inside
