"""Feature tables on disk, read a few thousand rows at a time.

Keys and times are small and are read in full; the wide columns are read batch by batch,
and of each batch only the rows that a label needs are kept. A vector column of any size
passes through some twenty megabytes a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepfeast.transforms.arrow import as_read, says_packed, vectors_to_matrix
from deepfeast.transforms.cores import cores
from deepfeast.transforms.errors import ColumnNotFound, SourceError, SpecError
from deepfeast.transforms.files.bucket import at
from deepfeast.transforms.files.damage import reading
from deepfeast.transforms.files.row_groups import RowGroup
from deepfeast.transforms.files.schema import plain_schema
from deepfeast.transforms.times import Ints

if TYPE_CHECKING:
    import pyarrow.dataset as ds

Choose = Callable[[Any, Sequence[str]], Collection[str]]
KEY_ROWS = 1 << 20
# A batch of wide columns: small enough for the processor's cache, large enough to be few.
WIDE_BYTES = 3 << 20


@dataclass
class FeatureTable:
    """The rows of a table, numbered in the order in which they are stored.

    Pickles to references to row groups, not to rows, so that a worker can read it.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
        Of Parquet files.
    name : str
        What to call it in errors.
    threads : int
        How many row groups are read at once.
    kept : object, optional
        What goes with the table, such as the folder that a CSV was rewritten in.
    choose : callable, optional
        Given the filesystem and the paths of all files, returns those to open. The others are no
        part of the table, and not even their footers are read.
    """

    dataset: InitVar[ds.Dataset]
    name: str
    threads: int = field(default_factory=cores)

    kept: Any = None
    choose: InitVar[Choose | None] = None

    def __post_init__(self, dataset: ds.Dataset, choose: Choose | None) -> None:
        # Four times as large, once they are read.
        self._packed = {one.name for one in dataset.schema if says_packed(one)}
        self._schema = as_read(plain_schema(dataset.schema))
        self._pieces = [
            RowGroup(fragment, group.id, group.num_rows)
            for fragment in _chosen(dataset, choose)
            for group in _groups(fragment)
        ]
        counts = [piece.n_rows for piece in self._pieces]
        self._offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._offsets[-1])

    @property
    def schema(self) -> pa.Schema:
        """Columns of the whole table; a file that lacks one counts as null there."""
        return self._schema

    @property
    def row_groups(self) -> list[RowGroup]:
        """The row groups of all files, in the order of the rows."""
        return self._pieces

    def require(self, columns: Sequence[str]) -> None:
        """Raise ColumnNotFound for the first column that the table does not have."""
        for column in columns:
            if column not in self.schema.names:
                raise ColumnNotFound.of(column, self.name, self.schema.names)

    def row_bytes(self, columns: Collection[str]) -> float:
        """Estimate the size of a row of some columns, from what the first files say of it."""
        first = self._pieces[:8]
        rows = sum(piece.n_rows for piece in first)
        packed = self._packed.intersection(columns)
        found = sum(p.stored_bytes(columns) + 3 * p.stored_bytes(packed) for p in first)
        return found / max(1, rows)

    def scan(self, columns: Sequence[str], rows: int = KEY_ROWS) -> Iterator[pa.Table]:
        """Yield all rows of some columns, in order, about `rows` at a time."""
        schema = self._select(columns)
        pending: list[pa.RecordBatch] = []
        held = 0
        for piece in self._pieces:
            for batch in piece.read(schema, rows):
                pending.append(batch)
                held += len(batch)
                if held >= rows:
                    yield pa.Table.from_batches(pending, schema)
                    pending, held = [], 0
        if pending:
            yield pa.Table.from_batches(pending, schema)

    def by_group(self, rows: Ints) -> Iterator[tuple[int, Ints]]:
        """Yield the row groups that some rows lie in, each with the rows' numbers inside it.

        Parameters
        ----------
        rows : ndarray of int64
            Row numbers, ascending.
        """
        bounds = np.searchsorted(rows, self._offsets)
        for group in np.flatnonzero(bounds[1:] > bounds[:-1]).tolist():
            yield group, rows[bounds[group] : bounds[group + 1]] - self._offsets[group]

    def read_group(self, group: int, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield all rows of some columns of one row group, in order, about `rows` at a time."""
        return self._pieces[group].read(self._select(columns), rows)

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
            Of `columns`, each in one chunk, since Feast reads no further than the first.
        """
        matrices = matrices or {}
        wanted = _Wanted.of(rows)
        for matrix in matrices.values():
            if len(wanted.at) < len(rows):
                matrix[rows < 0] = np.nan

        width = max(1.0, self.row_bytes({*columns, *matrices}))
        batch_rows = int(min(max(WIDE_BYTES / width, 256), 1 << 16))

        def gather(piece: int) -> list[pa.RecordBatch]:
            return self._gather(piece, wanted, columns, matrices, batch_rows)

        bounds = np.searchsorted(wanted.distinct, self._offsets)
        needed = np.flatnonzero(bounds[1:] > bounds[:-1])
        with ThreadPoolExecutor(max(1, min(self.threads, len(needed)))) as pool:
            parts = [batch for part in pool.map(gather, needed) for batch in part]
        found = pa.Table.from_batches(parts, self._select(columns)).combine_chunks()
        if not columns or wanted.as_stored:
            return found
        return found.take(wanted.positions(len(rows))).combine_chunks()

    def _gather(
        self,
        number: int,
        wanted: _Wanted,
        columns: Sequence[str],
        matrices: Mapping[str, NDArray[np.floating]],
        batch_rows: int,
    ) -> list[pa.RecordBatch]:
        """Read one row group; keep wanted rows of `columns`, write those of the matrices."""
        kept: list[pa.RecordBatch] = []
        start = int(self._offsets[number])
        schema = self._select(dict.fromkeys([*columns, *matrices]))
        for batch in self._pieces[number].read(schema, batch_rows):
            stop = start + len(batch)
            rows, at, distinct = wanted.between(start, stop)
            for name, matrix in matrices.items():
                self._write(batch.column(name), rows - start, at, matrix, name)
            if columns and len(distinct):
                kept.append(batch.select(list(columns)).take(pa.array(distinct - start)))
            start = stop
            if not wanted.any_from(stop):
                break
        return kept

    def _write(
        self, column: pa.Array, rows: Ints, at: Ints, matrix: NDArray[np.floating], name: str
    ) -> None:
        """Copy vectors of a batch into rows of a matrix; NaN where the vector is null."""
        if not len(rows):
            return
        try:
            matrix[at] = vectors_to_matrix(column, matrix.shape[1])[rows]
        except ValueError as error:
            raise SpecError(
                f"column {name!r} of {self.name}: {error}, the vector_length of its feature. "
                f"Mend the data or the declaration."
            ) from None

    def _select(self, columns: Sequence[str] | Mapping[str, Any]) -> pa.Schema:
        return pa.schema([self.schema.field(column) for column in columns])


def _chosen(dataset: ds.Dataset, choose: Choose | None) -> list[Any]:
    """Return the files of a dataset that are to be opened."""
    fragments = list(dataset.get_fragments())
    if choose is None or not fragments:
        return fragments
    wanted = set(choose(fragments[0].filesystem, [fragment.path for fragment in fragments]))
    return [fragment for fragment in fragments if fragment.path in wanted]


def _groups(fragment: Any) -> Any:
    try:
        return fragment.row_groups
    except (pa.ArrowInvalid, FileNotFoundError) as error:
        kind = (
            "is missing" if isinstance(error, FileNotFoundError) else "is not readable as Parquet"
        )
        raise SourceError(
            f"the file {fragment.path} {kind} ({error}). Replace it, or write its table anew; of "
            f"a deep view, deepfeast doctor says what is left."
        ) from error


@dataclass
class _Wanted:
    """Which rows to gather: `rows` ascending, where each goes, and each of them once."""

    rows: Ints
    at: Ints
    distinct: Ints
    as_stored: bool

    @classmethod
    def of(cls, rows: Ints) -> _Wanted:
        as_stored = bool(len(rows) == 0 or (rows[0] >= 0 and (np.diff(rows) > 0).all()))
        if as_stored:
            return cls(rows, np.arange(len(rows)), rows, True)
        at = np.flatnonzero(rows >= 0)
        at = at[np.argsort(rows[at], kind="stable")]
        return cls(rows[at], at, np.unique(rows[at]), False)

    def between(self, start: int, stop: int) -> tuple[Ints, Ints, Ints]:
        low, high = np.searchsorted(self.rows, [start, stop])
        first, last = np.searchsorted(self.distinct, [start, stop])
        return self.rows[low:high], self.at[low:high], self.distinct[first:last]

    def any_from(self, start: int) -> bool:
        return len(self.distinct) > 0 and bool(self.distinct[-1] >= start)

    def positions(self, n_rows: int) -> pa.Array:
        """Return where each asked row lies among the distinct ones; null for "no row"."""
        positions = np.full(n_rows, -1, np.int64)
        positions[self.at] = np.searchsorted(self.distinct, self.rows)
        return pa.array(positions, mask=positions < 0)


def open_table(
    path: str | list[str],
    *,
    delta: bool = False,
    name: str = "",
    filesystem: Any = None,
    storage_options: dict[str, str] | None = None,
    choose: Choose | None = None,
) -> FeatureTable:
    """Open Parquet (a file or a folder) or a Delta table for reading.

    Parameters
    ----------
    path : str or list of str
        A local path, or a path on `filesystem`, or several of files; for Delta, a local path or
        a URI.
    delta : bool
    name : str, optional
        What to call it in errors; the path by default.
    filesystem : pyarrow.fs.FileSystem, optional
        The local one by default.
    storage_options : dict, optional
        For Delta in an object store, as ``deltalake`` takes them.
    choose : callable, optional
        Which files to open: see `FeatureTable`.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    """
    if delta and isinstance(path, str):
        dataset = _delta(path, storage_options)
    else:
        dataset = _parquet(path, filesystem)
    return FeatureTable(dataset, name or str(path), choose=choose)


def _delta(path: str, storage_options: dict[str, str] | None) -> ds.Dataset:
    import pyarrow.fs as fs
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    local = "://" not in path
    if local and not (Path(path) / "_delta_log").is_dir():
        raise FileNotFoundError(path)
    try:
        with reading(
            at(path, storage_options), SourceError, "Restore it from a backup, or write it anew."
        ):
            table = DeltaTable(path, storage_options=storage_options)
    except TableNotFoundError:
        raise FileNotFoundError(path) from None
    # Arrow's own local filesystem reads half as fast again as the one Delta brings.
    system = fs.SubTreeFileSystem(path, fs.LocalFileSystem()) if local else None
    return table.to_pyarrow_dataset(filesystem=system)


def _parquet(path: str | list[str], filesystem: Any) -> ds.Dataset:
    import pyarrow.dataset as ds
    import pyarrow.fs as fs

    system = filesystem or fs.LocalFileSystem()
    folder = isinstance(path, str) and system.get_file_info(path).type == fs.FileType.Directory
    return ds.dataset(
        path, format="parquet", filesystem=system, partitioning="hive" if folder else None
    )
