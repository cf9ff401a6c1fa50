"""The rows of an embedding table by run, as an export reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.files.columns import SourceColumns, in_source
from deepfeast.transforms.files.table import FeatureTable, open_table
from deepfeast.transforms.times import EVENT_TIME, Ints
from deepfeast.transforms.warehouse.target import Layout

if TYPE_CHECKING:
    from feast import FeatureView
    from numpy.typing import NDArray

    from deepfeast.transforms.embeddings.table import EmbeddingTable

BATCH_BYTES = 4 << 20
Batch = tuple[pa.Table, list[str], "dict[str, NDArray[np.float32]]"]


@dataclass(frozen=True)
class RunRows:
    """The rows of the current version of an embedding table, and the run of each.

    Attributes
    ----------
    view : FeatureView
    rows : FeatureTable
    version : int
    runs : list of str
        Those that have rows, in their order.
    run : ndarray of int64 of shape (n_rows,)
        Of each row, the place of its run.
    known : set of str
        The runs of all versions.
    """

    view: FeatureView
    rows: FeatureTable
    version: int
    runs: list[str]
    run: Ints
    known: set[str]

    @classmethod
    def of(cls, view: FeatureView, table: EmbeddingTable) -> RunRows:
        """Open a table.

        Raises
        ------
        NeverEmbedded
            If there is none.
        """
        commits = table.commits(table.must_exist())
        named = {commit.meta["created"]: commit.meta["run_id"] for commit in commits}
        rows = open_table(table.uri, delta=True, name=view.name, storage_options=table.options)
        created = SourceColumns.of(view).created
        parts = [
            part.column(0).cast(EVENT_TIME, safe=False).cast(pa.int64()).to_numpy()
            for part in rows.scan([created])
        ]
        times, run = np.unique(np.concatenate(parts or [np.array([], int)]), return_inverse=True)
        return cls(
            view,
            rows,
            commits[0].meta["generation"],
            [named[time] for time in times.tolist()],
            run,
            set(named.values()),
        )

    def layout(self, source: Any) -> Layout:
        """Return how the columns are called in a source; as in the embedding table for none."""
        own = SourceColumns.of(self.view)
        time, created, names = own.time, own.created, list[str]()
        dims = {field.name: field.vector_length for field in self.view.features}
        names = [*own.keys, *dims]
        if source is not None:
            time = source.timestamp_field or time
            created = source.created_timestamp_column or created
            names = [in_source(source, name) for name in names]
        keys = names[: len(own.keys)]
        types = [self.rows.schema.field(column).type for column in own.keys.values()]
        return Layout(
            dict(zip(keys, types, strict=True)),
            time,
            created,
            dict(zip(names[len(keys) :], dims.values(), strict=True)),
        )

    def of_runs(self, runs: Collection[str]) -> Ints:
        """Return the numbers of the rows of some runs, ascending."""
        wanted = np.array([run in runs for run in self.runs], bool)
        return np.flatnonzero(wanted[self.run]) if len(wanted) else self.run

    def read(self, numbers: Ints, layout: Layout) -> Iterator[Batch]:
        """Yield rows with columns as a layout calls them: plain columns, runs, vectors."""
        own = SourceColumns.of(self.view)
        plain = [*own.keys.values(), own.time, own.created]
        named = [*layout.keys, layout.time, layout.created]
        dims = dict(zip(own.features.values(), layout.vectors.values(), strict=True))
        step = max(1, BATCH_BYTES // (4 * sum(dims.values())))
        for start in range(0, len(numbers), step):
            some = numbers[start : start + step]
            matrices = {name: np.empty((len(some), n), np.float32) for name, n in dims.items()}
            found = self.rows.take(some, plain, matrices).rename_columns(named)
            for time in (layout.time, layout.created):
                place = found.column_names.index(time)
                found = found.set_column(
                    place, time, found.column(place).cast(EVENT_TIME, safe=False)
                )
            runs = [self.runs[run] for run in self.run[some].tolist()]
            yield found, runs, dict(zip(layout.vectors, matrices.values(), strict=True))
