"""Row groups of Parquet files, read in small batches with little memory.

Arrow's dataset scanner would do, but it reads ahead, whatever it is told, until it holds a
row group of vectors several times over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from deepfeast.transforms.arrow import is_packed, matrix_to_vectors, vectors_to_matrix

# Read in pieces of this many bytes: whole column chunks of vectors would fill the memory.
LOCAL_BUFFER, REMOTE_BUFFER = 1 << 20, 1 << 23


@dataclass
class RowGroup:
    """One row group of one file of a dataset.

    Parameters
    ----------
    fragment : pyarrow.dataset.ParquetFileFragment
    number : int
        Of the row group in its file.
    n_rows : int
    """

    fragment: Any
    number: int
    n_rows: int

    def stored_bytes(self, columns: Collection[str]) -> int:
        """Return the size of some columns, before compression."""
        group = self.fragment.metadata.row_group(self.number)
        parts = (group.column(number) for number in range(group.num_columns))
        # A list column lies there as "vec.list.element".
        return sum(
            part.total_uncompressed_size
            for part in parts
            if part.path_in_schema.partition(".")[0] in columns
        )

    def read(self, schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield all rows, in order, in batches of about `rows`.

        Parameters
        ----------
        schema : Schema
            The wanted columns as the whole table has them. A file that lacks one, or has it as
            another type, is made to agree: filled from its partition, with nulls, or cast.
        rows : int
        """
        import pyarrow.dataset as ds
        import pyarrow.fs as fs
        import pyarrow.parquet as pq

        local = isinstance(self.fragment.filesystem, (fs.LocalFileSystem, fs.SubTreeFileSystem))
        constants = ds.get_partition_keys(self.fragment.partition_expression)
        with pq.ParquetFile(
            self.fragment.path,
            filesystem=self.fragment.filesystem,
            metadata=self.fragment.metadata,
            pre_buffer=False,
            buffer_size=LOCAL_BUFFER if local else REMOTE_BUFFER,
        ) as file:
            stored = [name for name in schema.names if name in file.schema_arrow.names]
            if not stored:
                stored = file.schema_arrow.names[:1]  # for the number of rows
            for batch in file.iter_batches(
                rows, row_groups=[self.number], columns=stored, use_threads=False
            ):
                yield _conform(batch, schema, constants)


def _conform(
    batch: pa.RecordBatch, schema: pa.Schema, constants: Mapping[str, Any]
) -> pa.RecordBatch:
    """Give a batch the columns of the table: unpacked, cast, filled from the partition, or null."""
    arrays = []
    for column in schema:
        if column.name in batch.schema.names:
            found = batch.column(column.name)
            if pa.types.is_list(column.type) and is_packed(found.type):
                valid = found.is_valid().to_numpy(zero_copy_only=False)
                found = matrix_to_vectors(vectors_to_matrix(found), valid)
            arrays.append(found)
        else:
            value = pa.scalar(constants.get(column.name), column.type)
            arrays.append(pa.repeat(value, len(batch)))
    # It casts a column of another type, and raises where that would lose values.
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
