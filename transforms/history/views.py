"""Feature views' histories, joined to label rows as of their times.

The positions are found once, from keys and times; features are then gathered as Arrow
columns or straight into slices of a matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepfeast.transforms.errors import ColumnNotFound, JoinError
from deepfeast.transforms.files.table import FeatureTable
from deepfeast.transforms.history.asof import AsOf
from deepfeast.transforms.times import Ints, nanoseconds


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
    timestamp : str
        Column of the event times.
    created : str or None
        Column of the created times.
    features : dict of output name -> table column
    ttl : timedelta, optional
        How old a row may be; None or zero for any age.

    Raises
    ------
    ColumnNotFound
        If the table lacks one of these columns.
    """

    view: str
    table: FeatureTable
    join_keys: Mapping[str, str]
    timestamp: str
    created: str | None
    features: Mapping[str, str]
    ttl: timedelta | None = None

    def __post_init__(self) -> None:
        self.table.require([*self._key_columns, *self.features.values()])

    @property
    def _key_columns(self) -> list[str]:
        times = [self.timestamp, *([self.created] if self.created else [])]
        return list(dict.fromkeys([*self.join_keys.values(), *times]))

    def as_of(self, labels: pa.Table, times: Ints, *, known: bool = False) -> Ints:
        """Return the table's row for each label row; -1 where there is none.

        Parameters
        ----------
        labels : Table of n_labels rows
            With the label columns of `join_keys`.
        times : ndarray of int64 of shape (n_labels,)
            Nanoseconds, UTC.
        known : bool
            Leave out rows created after the label's time, or at no known time.
        """
        for column in self.join_keys:
            if column not in labels.column_names:
                raise ColumnNotFound.of(
                    column, f"the labels (join key of view {self.view!r})", labels.column_names
                )
        keys = [labels.column(column) for column in self.join_keys]
        found = AsOf(keys, times, ttl=self.ttl, known=known and self.created is not None)
        try:
            for batch_keys, batch_times, created in self._scan():
                found.add(batch_keys, batch_times, created)
        except JoinError as error:
            raise JoinError(f"view {self.view!r}: {error}") from None
        return found.rows

    def _scan(self) -> Iterator[tuple[list[pa.ChunkedArray], Ints, Ints | None]]:
        for batch in self.table.scan(self._key_columns):
            keys = [batch.column(column) for column in self.join_keys.values()]
            created = nanoseconds(batch.column(self.created)) if self.created else None
            yield keys, nanoseconds(batch.column(self.timestamp)), created


@dataclass
class JoinedHistory(ViewHistory):
    """What somebody else has joined: the table has the features, and each label knows its row.

    Parameters
    ----------
    rows : ndarray of int64 of shape (n_labels,)
        The table's row of each label; -1 where there is none.
    """

    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        self.table.require([*self.features.values()])

    def as_of(self, labels: pa.Table, times: Ints, *, known: bool = False) -> Ints:
        return self.rows


@dataclass
class PointInTimeJoin:
    """Label rows, and the histories to put beside them.

    Parameters
    ----------
    labels : Table of n_labels rows
    timestamp : str
        The label column that says as of when; where it is null, nothing is known.
    histories : sequence of ViewHistory
    known : bool
        Leave out what was created after the label's time.
    """

    labels: pa.Table
    timestamp: str
    histories: Sequence[ViewHistory]
    known: bool = False
    _rows: list[Ints] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        names = [name for history in self.histories for name in history.features]
        taken = set(names) & set(self.labels.column_names)
        if taken:
            raise JoinError(
                f"the labels already have columns called {', '.join(sorted(taken)[:3])}, which "
                f"are also features. Rename them, or pass full_feature_names=True."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def row_bytes(self) -> float:
        """About how large a joined row is."""
        features = (h.table.row_bytes(set(h.features.values())) for h in self.histories)
        return sum(features) + self.labels.nbytes / max(1, len(self))

    @property
    def rows(self) -> list[Ints]:
        """Return the table row of each label in each history, found on first use."""
        if not self._rows:
            times = nanoseconds(self.labels.column(self.timestamp))
            self._rows = [
                history.as_of(self.labels, times, known=self.known) for history in self.histories
            ]
        return self._rows

    def features(
        self,
        matrices: Mapping[str, NDArray[np.floating]] | None = None,
        part: slice = slice(None),
    ) -> pa.Table:
        """Gather the features of label rows.

        Parameters
        ----------
        matrices : dict of output name -> ndarray of shape (n_rows, dim), optional
            Where to write vectors instead of returning them.
        part : slice
            Which label rows; all of them by default.

        Returns
        -------
        Table of n_rows rows
            The other features, in order, each in one chunk.
        """
        matrices = matrices or {}
        columns: dict[str, pa.ChunkedArray] = {}
        for history, rows in zip(self.histories, self.rows, strict=True):
            named = history.features.items()
            vectors = {source: matrices[name] for name, source in named if name in matrices}
            rest = {name: source for name, source in named if name not in matrices}
            taken = history.table.take(rows[part], list(dict.fromkeys(rest.values())), vectors)
            columns.update({name: taken.column(source) for name, source in rest.items()})
        return pa.table(columns)

    def to_table(self, part: slice = slice(None)) -> pa.Table:
        """Return label rows with their features, each column in one chunk."""
        start, stop, _ = part.indices(len(self))
        joined = self.labels.slice(start, stop - start).combine_chunks()
        gathered = self.features(part=part)
        for name in gathered.column_names:
            joined = joined.append_column(name, gathered.column(name))
        return joined


@dataclass
class StoredRows:
    """Some rows of one table, as they are stored.

    Parameters
    ----------
    table : FeatureTable
    rows : ndarray of int64
        Row numbers, ascending.
    columns : sequence of str
    """

    table: FeatureTable
    rows: Ints
    columns: Sequence[str]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def row_bytes(self) -> float:
        """About how large a row is."""
        return self.table.row_bytes(set(self.columns))

    def to_table(self, part: slice = slice(None)) -> pa.Table:
        """Read the rows, each column in one chunk."""
        return self.table.take(self.rows[part], self.columns)
