"""Vectors that the embedding table has already, copied to the spill instead of encoded again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.cells.content import HASH_TYPE
from deepfeast.transforms.features import hash_column

if TYPE_CHECKING:
    import pyarrow.dataset as ds

    from deepfeast.pipelines.embed.folder import Spill


def reuse(
    table: ds.Dataset, features: Sequence[str], wanted: pa.ChunkedArray, spill: Spill, run: str
) -> None:
    """Copy the vectors of wanted hashes from a table to a spill, a file of the table at a time.

    Parameters
    ----------
    table : Dataset
        The embedding table.
    features : sequence of str
        Its columns whose vectors are of the spill's encoder.
    wanted : ChunkedArray of 16-byte hashes
    run : str
        Begins the names of the files that are written.
    """
    left = wanted.cast(HASH_TYPE).combine_chunks()
    for feature in features:
        for index, fragment in enumerate(table.get_fragments()):
            if not len(left):
                return
            found = vectors_of(fragment, feature, left)
            if len(found):
                matrix = vectors_to_matrix(found[feature])
                spill.write(f"{run}-reused-{feature}-{index:06d}", found["hash"], matrix)
                left = left.filter(pc.invert(pc.is_in(left, found["hash"].combine_chunks())))


def vectors_of(fragment: ds.Fragment, feature: str, wanted: pa.Array) -> pa.Table:
    """Return the vectors of a data file whose hashes are wanted, each once.

    Returns
    -------
    Table
        Columns ``hash`` and the feature's; a hash without a vector is left out.
    """
    name = hash_column(feature)
    hashes = fragment.to_table(columns=[name])[name].cast(HASH_TYPE).combine_chunks()
    rows = np.flatnonzero(pc.is_in(hashes, wanted).to_numpy(zero_copy_only=False))
    empty = pa.table(
        {"hash": pa.array([], HASH_TYPE), feature: pa.array([], pa.list_(pa.float32()))}
    )
    if not len(rows):
        return empty
    table = fragment.to_table(columns=[feature]).take(rows)
    table = table.append_column("hash", hashes.take(pa.array(rows)))
    table = table.filter(pc.is_valid(table[feature]))
    _, first = np.unique(np.asarray(table["hash"].to_pylist(), dtype="S16"), return_index=True)
    return table.take(np.sort(first)) if len(table) else empty
