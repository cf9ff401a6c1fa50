"""A look at a table: of each column a sample of its cells, drawn over all rows in little memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.pipelines.start.table import Table
from deepfeast.transforms.errors import SourceEmpty, SourceError

SAMPLE_ROWS = 20_000
SAMPLE_BYTES = 1 << 26
CELL_LETTERS = 2000
HEAVY_ROWS = 50


@dataclass(frozen=True)
class Look:
    """What was seen of a table.

    Attributes
    ----------
    rows : int
        All rows of the file that can be read.
    sample : Table of shape (n_seen, n_columns)
        Rows drawn at random, all of a small table, in their order; long texts are cut. Columns
        of bytes have null for all but the first rows.
    left_out : int
        Rows with another number of cells than the header.
    """

    rows: int
    sample: pa.Table
    left_out: int = 0

    @property
    def whole(self) -> bool:
        """Whether every row was seen."""
        return self.sample.num_rows == self.rows


@dataclass
class _Draw:
    """A sample of a stream: each row gets a random number, and the lowest ones stay."""

    limit_rows: int
    limit_bytes: int
    random: np.random.Generator
    parts: list[pa.Table] = field(default_factory=list)
    numbers: list[np.ndarray] = field(default_factory=list)
    below: float = 1.0
    size: int = 0
    count: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        drawn = self.random.random(batch.num_rows)
        kept = np.flatnonzero(drawn < self.below)
        if not len(kept):
            return
        part = pa.Table.from_batches([batch]).take(pa.array(kept))
        self.parts.append(_cut(part))
        self.numbers.append(drawn[kept])
        self.size += self.parts[-1].nbytes
        self.count += len(kept)
        while self.count > 1 and (self.count > self.limit_rows or self.size > self.limit_bytes):
            self._shrink()

    def _shrink(self) -> None:
        drawn = np.concatenate(self.numbers)
        half = min(self.limit_rows, max(1, len(drawn) * 2 // 3))
        self.below = float(np.partition(drawn, half)[half])
        kept = np.flatnonzero(drawn < self.below)
        table = pa.concat_tables(self.parts).take(pa.array(kept)).combine_chunks()
        self.parts, self.numbers = [table], [drawn[kept]]
        self.size, self.count = table.nbytes, len(kept)


def _cut(part: pa.Table) -> pa.Table:
    """Cut long texts: a look needs no more of them."""
    columns = [
        pc.utf8_slice_codeunits(column, 0, CELL_LETTERS)
        if pa.types.is_string(column.type)
        else column
        for column in part.columns
    ]
    return pa.Table.from_arrays(columns, names=part.schema.names)


def look_at(table: Table, progress: Callable[[int], None] | None = None, seed: int = 0) -> Look:
    """Read a table once, and keep a sample of it.

    Parameters
    ----------
    table : Table
    progress : callable, optional
        Takes the rows read so far.
    seed : int
        Draws the sample.

    Raises
    ------
    SourceEmpty
        If it has no rows.
    SourceError
        If most of its rows have another number of cells than its header.
    """
    heavy = table.heavy()
    draw = _Draw(SAMPLE_ROWS, SAMPLE_BYTES, np.random.default_rng(seed))
    rows = 0
    for batch in table.batches(skip=heavy):
        rows += batch.num_rows
        draw.add(batch)
        if progress:
            progress(rows)
    if table.left_out > rows:
        raise SourceError(
            f"{table.path}: {table.left_out:,} of {rows + table.left_out:,} rows have another "
            f"number of cells than the {len(table.names)} names above them. Are texts with a "
            f"{(table.form and table.form.delimiter)!r} in them not in quotes?"
        )
    if not rows:
        raise SourceEmpty(f"{table.path} has names of columns and no rows below them.")
    sample = pa.concat_tables(draw.parts) if draw.parts else pa.table({})
    for name in heavy:
        sample = sample.append_column(name, _first(table, name, sample.num_rows))
    order = [name for name in table.names if name in sample.schema.names]
    return Look(rows, sample.select(order), table.left_out)


def _first(table: Table, name: str, length: int) -> pa.Array:
    """Return the first cells of a column of bytes, and nulls for the others."""
    others = frozenset(table.names) - {name}
    batch = next(iter(table.batches(skip=others)))
    cells = batch.column(0).slice(0, min(HEAVY_ROWS, length))
    return pa.concat_arrays([cells, pa.nulls(length - len(cells), cells.type)])
