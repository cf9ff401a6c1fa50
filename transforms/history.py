"""One feature view's history, joined to label rows as of their times.

The positions are found once, from keys and times; features are then gathered as Arrow
columns or straight into slices of a matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepfeast.transforms.asof import AsOf
from deepfeast.transforms.errors import ColumnNotFound, JoinError
from deepfeast.transforms.times import NEVER, Ints, nanoseconds

if TYPE_CHECKING:
    from deepfeast.transforms.tables import FeatureTable


@dataclass
class ViewHistory:
    """How a feature view lies in its table.

    Parameters
    ----------
    view : str
        Its name, for errors.
    table : FeatureTable
    join_keys : dict of label column -> table column
        Empty for a view without entities.
    timestamp, created : str
        Columns of the table; `created` may be None.
    features : dict of output name -> table column
    ttl : timedelta, optional
    """

    view: str
    table: FeatureTable
    join_keys: Mapping[str, str]
    timestamp: str
    created: str | None
    features: Mapping[str, str]
    ttl: timedelta | None = None

    def __post_init__(self) -> None:
        times = [self.timestamp, *([self.created] if self.created else [])]
        self.table.require([*self.join_keys.values(), *times, *self.features.values()])

    def as_of(self, labels: pa.Table, times: Ints, *, known: bool = False) -> Ints:
        """Return the table's row for each label row; -1 where there is none.

        Parameters
        ----------
        labels : Table of n_labels rows
            With the label columns of `join_keys`.
        times : ndarray of int64 of shape (n_labels,)
        known : bool
            Leave out rows created after the label's time.
        """
        for column in self.join_keys:
            if column not in labels.column_names:
                raise ColumnNotFound.of(
                    column, f"the labels (join key of view {self.view!r})", labels.column_names
                )
        keys = [labels.column(column) for column in self.join_keys]
        try:
            found = AsOf(keys, times, ttl=self.ttl, known=known and self.created is not None)
            for batch_keys, batch_times, created in self._key_batches():
                found.add(batch_keys, batch_times, created)
        except JoinError as error:
            raise JoinError(f"view {self.view!r}: {error}") from None
        return found.rows

    def _key_batches(self) -> Iterator[tuple[list[pa.Array], Ints, Ints | None]]:
        columns = [*self.join_keys.values(), self.timestamp]
        if self.created:
            columns.append(self.created)
        for batch in self.table.scan(list(dict.fromkeys(columns))):
            keys = [batch.column(column) for column in self.join_keys.values()]
            created = nanoseconds(batch.column(self.created)) if self.created else None
            yield keys, nanoseconds(batch.column(self.timestamp)), created


@dataclass
class PointInTimeJoin:
    """Label rows, and the histories to put beside them.

    Parameters
    ----------
    labels : Table of n_labels rows
    timestamp : str
        The label column that says as of when.
    histories : sequence of ViewHistory
    known : bool
        Leave out what was created after the label's time.
    """

    labels: pa.Table
    timestamp: str
    histories: Sequence[ViewHistory]
    known: bool = False
    _rows: dict[int, Ints] = field(default_factory=dict, repr=False)

    @cached_property
    def times(self) -> Ints:
        """Label times in nanoseconds, UTC."""
        times = nanoseconds(self.labels.column(self.timestamp))
        if (missing := int((times == NEVER).sum())) > 0:
            raise JoinError(
                f"{missing} label rows have no {self.timestamp}: nothing is known as of no time. "
                f"Drop them: labels.dropna(subset=[{self.timestamp!r}])."
            )
        return times

    def rows(self, number: int) -> Ints:
        """Return the rows of one history, found on first use."""
        if number not in self._rows:
            history = self.histories[number]
            self._rows[number] = history.as_of(self.labels, self.times, known=self.known)
        return self._rows[number]

    def features(self, matrices: Mapping[str, NDArray[np.floating]] | None = None) -> pa.Table:
        """Gather every feature, in order, beside nothing.

        Parameters
        ----------
        matrices : dict of output name -> ndarray of shape (n_labels, dim), optional
            Vectors to write here instead of returning them.

        Returns
        -------
        Table of n_labels rows
        """
        matrices = matrices or {}
        columns: dict[str, pa.ChunkedArray] = {}
        for number, history in enumerate(self.histories):
            vectors = {
                source: matrices[name]
                for name, source in history.features.items()
                if name in matrices
            }
            rest = {n: source for n, source in history.features.items() if n not in matrices}
            distinct = list(dict.fromkeys(rest.values()))
            taken = history.table.take(self.rows(number), distinct, vectors)
            columns.update({name: taken.column(source) for name, source in rest.items()})
        return pa.table(columns)

    def table(self) -> pa.Table:
        """Return labels and features as one Arrow table, each column in one chunk."""
        joined = self.labels.combine_chunks()
        gathered = self.features()
        for name in gathered.column_names:
            if name in joined.column_names:
                raise JoinError(
                    f"the labels already have a column {name!r}, which is also a feature. Rename "
                    f"it, or pass full_feature_names=True."
                )
            joined = joined.append_column(name, gathered.column(name))
        return joined
