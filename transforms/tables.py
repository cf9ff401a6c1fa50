"""Feature tables on disk, read a few thousand rows at a time.

Keys and times are small and are read in full; the wide columns are read batch by batch,
and of each batch only the rows that a label needs are kept. A vector column of any size
passes through a few megabytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deepfeast.transforms.errors import ColumnNotFound, SourceNotFound

if TYPE_CHECKING:
    import pyarrow.dataset as ds

    from deepfeast.transforms.times import Ints

KEY_BATCH = 1 << 20
WIDE_BATCH = 4096


@dataclass
class FeatureTable:
    """The rows of one source, numbered in the order in which they are stored.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
    name : str
        What to call it in errors.
    """

    dataset: ds.Dataset
    name: str
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        self._pieces = [
            piece for fragment in self.dataset.get_fragments() for piece in _row_groups(fragment)
        ]
        counts = [sum(group.num_rows for group in piece.row_groups) for piece in self._pieces]
        self._offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._offsets[-1])

    @property
    def schema(self) -> pa.Schema:
        """Columns of the whole table; a file that lacks one counts as null there."""
        return self.dataset.schema

    def require(self, columns: Sequence[str]) -> None:
        """Raise ColumnNotFound for the first column that the table does not have."""
        for column in columns:
            if column not in self.schema.names:
                raise ColumnNotFound.of(column, self.name, self.schema.names)

    def scan(self, columns: Sequence[str], batch_rows: int = KEY_BATCH) -> Iterator[pa.RecordBatch]:
        """Yield all rows of some columns, in order."""
        for piece in self._pieces:
            yield from self._read(piece, columns, batch_rows)

    def take(
        self,
        rows: Ints,
        columns: Sequence[str],
        matrices: Mapping[str, NDArray[np.floating]] | None = None,
    ) -> pa.Table:
        """Gather rows of wide columns.

        Parameters
        ----------
        rows : ndarray of int64 of shape (n,)
            Row numbers in any order, repeated or not; -1 for "no row": null, or NaN.
        columns : sequence of str
            Columns to return as Arrow.
        matrices : dict of column -> ndarray of shape (n, dim), optional
            Vector columns to write into these matrices (or slices of them) instead.

        Returns
        -------
        Table of n rows
            Of `columns`, each in one chunk.
        """
        matrices = matrices or {}
        order = np.argsort(rows, kind="stable")
        order = order[np.searchsorted(rows, 0, sorter=order) :]
        wanted = rows[order]
        for matrix in matrices.values():
            if len(order) < len(rows):
                matrix[:] = np.nan
        distinct, inverse = np.unique(wanted, return_inverse=True)

        def gather(piece: int) -> list[pa.RecordBatch]:
            return self._gather(piece, wanted, order, distinct, columns, matrices)

        bounds = np.searchsorted(wanted, self._offsets)
        needed = np.flatnonzero(bounds[1:] > bounds[:-1])
        with ThreadPoolExecutor(max(1, min(self.threads, len(needed)))) as pool:
            parts = [batch for part in pool.map(gather, needed) for batch in part]
        schema = pa.schema([self.schema.field(column) for column in columns])
        taken = pa.Table.from_batches(parts, schema)
        positions = np.full(len(rows), -1, np.int64)
        positions[order] = inverse
        if not columns:
            return pa.table({})
        indices = pa.array(positions, mask=positions < 0)
        return taken.combine_chunks().take(indices).combine_chunks()

    def _gather(
        self,
        number: int,
        wanted: Ints,
        order: Ints,
        distinct: Ints,
        columns: Sequence[str],
        matrices: Mapping[str, NDArray[np.floating]],
    ) -> list[pa.RecordBatch]:
        """Read one piece; keep the wanted rows of its columns, fill those of the matrices."""
        kept, offset = [], int(self._offsets[number])
        last = int(self._offsets[number + 1])
        names = [*columns, *(name for name in matrices if name not in columns)]
        for batch in self._read(self._pieces[number], names, WIDE_BATCH):
            end = offset + len(batch)
            low, high = np.searchsorted(wanted, [offset, end])
            for name, matrix in matrices.items():
                if low < high:
                    column = batch.column(name)
                    local = wanted[low:high] - offset
                    _write_rows(column, local, matrix, order[low:high], name, self.name)
            if columns:
                first, stop = np.searchsorted(distinct, [offset, end])
                local = pa.array(distinct[first:stop] - offset)
                kept.append(batch.select(list(columns)).take(local))
            offset = end
            if offset >= last or high >= len(wanted):
                break
        return kept

    def _read(
        self, piece: Any, columns: Sequence[str], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        # Reading ahead would hold whole row groups of vectors in memory, and is not faster.
        return piece.to_batches(
            schema=self.schema,
            columns=list(columns),
            batch_size=batch_rows,
            batch_readahead=0,
            fragment_readahead=0,
            use_threads=False,
        )


def _write_rows(
    column: pa.Array,
    rows: Ints,
    matrix: NDArray[np.floating],
    at: Ints,
    name: str,
    table: str,
) -> None:
    """Copy vectors of a batch into rows of a matrix; NaN where the vector is null."""
    from deepfeast.transforms.arrow import vectors_to_matrix

    try:
        dense = vectors_to_matrix(column, matrix.shape[1])
    except ValueError as error:
        column = column.take(pa.array(rows))
        rows = np.arange(len(rows))
        try:
            dense = vectors_to_matrix(column, matrix.shape[1])
        except ValueError:
            from deepfeast.transforms.errors import SpecError

            raise SpecError(
                f"column {name!r} of {table}: {error}. "
                f"Mend the data, or the vector_length of the feature's Field."
            ) from None
    matrix[at] = dense[rows]


def _row_groups(fragment: Any) -> list[Any]:
    fragment.ensure_complete_metadata()
    return list(fragment.split_by_row_group())


def open_table(
    path: str,
    *,
    delta: bool = False,
    name: str = "",
    filesystem: Any = None,
    storage_options: dict[str, str] | None = None,
    missing: Callable[[str], Exception] | None = None,
) -> FeatureTable:
    """Open Parquet (a file or a folder) or a Delta table for reading.

    Parameters
    ----------
    path : str
        A local path or a URI.
    delta : bool
    name : str, optional
        What to call it in errors; the path by default.
    filesystem : pyarrow.fs.FileSystem, optional
        Where the path lies, if the path alone does not say it.
    storage_options : dict, optional
        For Delta in an object store, as ``deltalake`` takes them.
    missing : callable, optional
        Makes the error for a path at which there is nothing.
    """
    label = name or path
    try:
        dataset = (
            _delta_dataset(path, storage_options) if delta else _parquet_dataset(path, filesystem)
        )
    except FileNotFoundError:
        make = missing or (lambda where: SourceNotFound(f"{label}: there is nothing at {where}."))
        raise make(path) from None
    return FeatureTable(dataset, label)


def _delta_dataset(path: str, storage_options: dict[str, str] | None) -> ds.Dataset:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    if "://" not in path and not (Path(path) / "_delta_log").is_dir():
        raise FileNotFoundError(path)
    try:
        return DeltaTable(path, storage_options=storage_options).to_pyarrow_dataset()
    except TableNotFoundError:
        raise FileNotFoundError(path) from None


def _parquet_dataset(path: str, filesystem: Any) -> ds.Dataset:
    import pyarrow.dataset as ds

    if filesystem is None and "://" in path:
        filesystem, path = resolve_filesystem(path)
    return ds.dataset(path, format="parquet", filesystem=filesystem, partitioning="hive")


def resolve_filesystem(uri: str) -> tuple[Any, str]:
    """Return the filesystem of a URI and the path on it; fsspec's where Arrow has none."""
    import pyarrow.fs as fs

    try:
        return fs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        import fsspec

        system, path = fsspec.core.url_to_fs(uri)
        return fs.PyFileSystem(fs.FSSpecHandler(system)), path


def all_columns(table: FeatureTable, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a whole table."""
    schema = pa.schema([table.schema.field(column) for column in columns])
    return pa.Table.from_batches(table.scan(columns), schema)


__all__ = ["FeatureTable", "all_columns", "open_table", "pc", "resolve_filesystem"]
