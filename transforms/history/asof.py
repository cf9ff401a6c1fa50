"""The as-of join, on keys and times alone: which feature row was true for which label.

Vectors never take part. Feature rows come in chunks of any size and only the best row so
far is remembered for each label, so that memory grows with the labels and the chunk, not
with the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.times import NEVER, Ints


class AsOf:
    """Find, for each label, the latest feature row at or before its time.

    Among feature rows of the same event time the one created last wins, then the one
    written last. A row exactly `ttl` old still counts, as Feast documents it.

    Parameters
    ----------
    keys : sequence of Array of length n_labels
        The labels' join keys; none for a view without entities. A null matches nothing.
    times : ndarray of int64 of shape (n_labels,)
        Nanoseconds since 1970, UTC.
    ttl : timedelta, optional
        How old a row may be; None or zero for any age.
    known : bool
        Leave out rows created after the label's time, or at no known time.

    Examples
    --------
    >>> labels = AsOf([pa.array(["a", "a", "b"])], np.array([5, 2, 9]))
    >>> labels.add([pa.array(["a", "a"])], np.array([1, 4]))
    >>> labels.rows
    array([ 1,  0, -1])
    """

    def __init__(
        self,
        keys: Sequence[pa.Array | pa.ChunkedArray],
        times: Ints,
        *,
        ttl: timedelta | None = None,
        known: bool = False,
    ):
        self._index = KeyIndex(keys, len(times))
        self._times = np.asarray(times, np.int64)
        self._last = self._times.max(initial=NEVER)
        self._ttl, self._known = ttl, known
        self._seen = 0
        self._best = np.full(len(times), -1, np.int64)
        self._best_time = np.full(len(times), NEVER, np.int64)
        self._best_created = np.full(len(times), NEVER, np.int64)

    def add(
        self,
        keys: Sequence[pa.Array | pa.ChunkedArray],
        times: Ints,
        created: Ints | None = None,
    ) -> None:
        """Take in the next feature rows, in the order in which they are stored.

        Parameters
        ----------
        keys : sequence of Array of length n_rows
        times : ndarray of int64 of shape (n_rows,)
            Event times; ``NEVER`` where null.
        created : ndarray of int64 of shape (n_rows,), optional
            Created times; ``NEVER`` where null.
        """
        created = np.full(len(times), NEVER, np.int64) if created is None else created
        codes = self._index.codes(keys, len(times))
        kept = np.flatnonzero((codes >= 0) & (times != NEVER) & (times <= self._last))
        order = kept[np.lexsort((created[kept], times[kept], codes[kept]))]
        self._offer(codes[order], times[order], created[order], order + self._seen)
        self._seen += len(times)

    def _offer(self, codes: Ints, times: Ints, created: Ints, rows: Ints) -> None:
        """Replace the best rows by sorted ones that are at least as late."""
        found = _last_at_or_before(codes, times, self._index.label_codes, self._times)
        if self._known:
            # Created at no known time: it cannot be shown to have been known.
            created_by = np.where(created == NEVER, np.iinfo(np.int64).max, created)
            found = _last_not_above(created_by, found, self._times)
            # Walking back may have left the label's own key.
            same = codes[np.maximum(found, 0)] == self._index.label_codes if len(codes) else False
            found = np.where((found >= 0) & same, found, -1)
        labels = np.flatnonzero(found >= 0)
        at = found[labels]
        later = (times[at] > self._best_time[labels]) | (
            (times[at] == self._best_time[labels]) & (created[at] >= self._best_created[labels])
        )
        labels, at = labels[later], at[later]
        self._best[labels] = rows[at]
        self._best_time[labels] = times[at]
        self._best_created[labels] = created[at]

    @property
    def rows(self) -> Ints:
        """Number of the feature row of each label, in the order added; -1 where none."""
        if not self._ttl:
            return self._best
        # Unsigned, so that no age overflows.
        age = self._times.view(np.uint64) - self._best_time.view(np.uint64)
        limit = np.uint64(min(self._ttl // timedelta(microseconds=1) * 1000, 2**64 - 1))
        return np.where(age <= limit, self._best, -1)


class KeyIndex:
    """Number the labels' distinct keys, and find the numbers of other rows' keys.

    Parameters
    ----------
    keys : sequence of Array of length n_labels
    n_labels : int
        Needed where there are no keys: then all rows have number 0.
    """

    def __init__(self, keys: Sequence[pa.Array | pa.ChunkedArray], n_labels: int):
        self._values = [pc.drop_null(pc.unique(_plain(column))) for column in keys]
        self._steps: list[Ints] = []
        self.label_codes = np.zeros(n_labels, np.int64)
        for position, column in enumerate(keys):
            codes = _positions(_plain(column), self._values[position])
            self.label_codes = self._combine(position, self.label_codes, codes, learn=True)

    def codes(self, keys: Sequence[pa.Array | pa.ChunkedArray], n_rows: int) -> Ints:
        """Return the number of each row's key; -1 where no label has it, or it has a null."""
        codes = np.zeros(n_rows, np.int64)
        for position, column in enumerate(keys):
            values = _like(self._values[position], column)
            found = _positions(_plain(column), values)
            codes = self._combine(position, codes, found, learn=False)
        return codes

    def _combine(self, position: int, before: Ints, codes: Ints, *, learn: bool) -> Ints:
        """Give pairs numbers; renumbering after each column keeps the numbers from overflowing."""
        pairs = np.where(
            (before >= 0) & (codes >= 0), before * (len(self._values[position]) + 1) + codes, -1
        )
        if position == 0:
            return pairs
        if learn:
            self._steps.append(np.unique(pairs[pairs >= 0]))
        known = self._steps[position - 1]
        if not len(known):
            return np.full(len(pairs), -1, np.int64)
        at = np.minimum(np.searchsorted(known, pairs), len(known) - 1)
        return np.where(known[at] == pairs, at, -1)


def _last_at_or_before(codes: Ints, times: Ints, label_codes: Ints, label_times: Ints) -> Ints:
    """Search each label's key, then its time within the key; -1 where there is nothing."""
    first = np.searchsorted(codes, label_codes, "left")
    low, high = first.copy(), np.searchsorted(codes, label_codes, "right")
    # A binary search of all labels at once: twenty steps for a million rows of one key.
    while (open_ := low < high).any():
        middle = (low + high) // 2
        not_after = open_.copy()
        not_after[open_] = times[middle[open_]] <= label_times[open_]
        low = np.where(not_after, middle + 1, low)
        high = np.where(open_ & ~not_after, middle, high)
    return np.where((low > first) & (label_codes >= 0), low - 1, -1)


def _last_not_above(values: Ints, start: Ints, limits: Ints) -> Ints:
    """Walk back from each start to the last value at or below a limit; -1 where none is.

    A pyramid of block minima makes that a logarithmic walk even where everything before
    the start was backfilled later.
    """
    pyramid = [values]
    while len(pyramid[-1]) > 1:
        level = pyramid[-1]
        if len(level) % 2:
            level = np.append(level, np.iinfo(np.int64).max)
        pyramid.append(level.reshape(-1, 2).min(axis=1))
    end = start + 1  # all blocks from here on have been ruled out
    block = np.full(len(start), -1, np.int64)
    at_level = np.full(len(start), -1, np.int64)
    for height, minima in enumerate(pyramid):
        looking = np.flatnonzero((block < 0) & (((end >> height) & 1) == 1))
        candidate = (end[looking] >> height) - 1
        fits = minima[candidate] <= limits[looking]
        block[looking[fits]] = candidate[fits]
        at_level[looking[fits]] = height
        end[looking[~fits]] -= 1 << height
    for height in range(len(pyramid) - 1, 0, -1):
        down = np.flatnonzero(at_level == height)
        right = block[down] * 2 + 1
        below = pyramid[height - 1]
        inside = right < len(below)
        fits = inside & (below[np.minimum(right, len(below) - 1)] <= limits[down])
        block[down] = np.where(fits, right, right - 1)
        at_level[down] = height - 1
    return block


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return pc.cast(column, column.type.value_type)
    return column


def _like(values: pa.Array, column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Give the labels' keys the type of the feature rows' keys, if nothing is lost by it."""
    target = _plain(column).type
    if values.type == target:
        return values
    if pa.types.is_null(values.type):  # pandas has no type for a column without values
        return pc.cast(values, target)
    kinds = (pa.types.is_string, pa.types.is_large_string)
    texts = [any(kind(type_) for kind in kinds) for type_ in (values.type, target)]
    if texts[0] == texts[1]:
        try:
            return pc.cast(values, target)
        except pa.ArrowInvalid:
            return _castable(values, target)
        except pa.ArrowNotImplementedError:
            pass
    raise JoinError(
        f"the labels' key is {values.type}, the feature rows' key is {target}: no value of one "
        f"equals a value of the other. Convert the labels' column."
    )


def _castable(values: pa.Array, target: pa.DataType) -> pa.Array:
    """Cast one by one; a key that the target type cannot hold becomes null: it matches nothing."""
    cast = []
    for value in values:
        try:
            cast.append(value.cast(target))
        except pa.ArrowInvalid:
            cast.append(pa.scalar(None, target))
    return pa.array([value.as_py() for value in cast], target)


def _positions(column: pa.Array | pa.ChunkedArray, values: pa.Array) -> Ints:
    found = pc.fill_null(pc.index_in(column, values, skip_nulls=True), -1)
    return np.asarray(found, dtype=np.int64)
