"""The current rows of an embedding table: of each key the latest, as of a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from deepfeast.pipelines.search.where import TIME
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.files.table import FeatureTable, open_table
from deepfeast.transforms.history.latest import Span, latest_rows
from deepfeast.transforms.times import EVENT_TIME, Ints

if TYPE_CHECKING:
    from feast import FeatureView
    from numpy.typing import NDArray

    from deepfeast.transforms.embeddings.table import EmbeddingTable


@dataclass(frozen=True)
class CurrentRows:
    """Where the current rows of a deep view lie.

    Attributes
    ----------
    view : FeatureView
    rows : FeatureTable
        The table as it was when it was opened.
    latest : ndarray of int64 of shape (n_keys,)
        Numbers of the current rows.
    """

    view: FeatureView
    rows: FeatureTable
    latest: Ints

    @classmethod
    def of(cls, view: FeatureView, table: EmbeddingTable, as_of: datetime) -> CurrentRows:
        """Open an embedding table, and find the rows.

        Raises
        ------
        NeverEmbedded
            If there is no table yet.
        """
        table.must_exist()
        rows = open_table(table.uri, delta=True, name=view.name, storage_options=table.options)
        columns = SourceColumns.of(view)
        keys = list(columns.keys.values())
        latest = latest_rows(rows, keys, columns.time, columns.created, Span(None, as_of))
        return cls(view, rows, latest)

    def __len__(self) -> int:
        return len(self.latest)

    def read(
        self, features: Sequence[str], at: Ints | None = None
    ) -> tuple[pa.Table, list[NDArray[np.float32]]]:
        """Read keys and vectors of the current rows, or of some of them.

        Parameters
        ----------
        features : sequence of str
        at : ndarray of int64, optional
            Which current rows; by default all.

        Returns
        -------
        keys : Table of n_rows rows
            The join keys, and ``event_timestamp``.
        matrices : list of ndarray of shape (n_rows, dim), float32
            One a feature; NaN where there is no vector.
        """
        columns = SourceColumns.of(self.view)
        wanted = self.latest if at is None else self.latest[at]
        dims = {field.name: field.vector_length for field in self.view.features}
        found = {name: np.empty((len(wanted), dims[name]), np.float32) for name in features}
        named = [*columns.keys.values(), columns.time]
        into = {columns.features[name]: matrix for name, matrix in found.items()}
        keys = self.rows.take(wanted, named, into).rename_columns([*columns.keys, TIME])
        times = keys.column(TIME).cast(EVENT_TIME, safe=False)
        return keys.set_column(len(columns.keys), TIME, times), list(found.values())
