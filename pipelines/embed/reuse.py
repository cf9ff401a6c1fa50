"""Vectors that the embedding table has already, copied to the spill instead of encoded again.

Hashes and where they stand pass by once, and only what is wanted of them is kept, on disk; vectors
are read of those files that have a wanted one, a file at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.features import hash_column

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from duckdb import DuckDBPyConnection as Session
    from duckdb import DuckDBPyRelation as Relation

    from deepfeast.pipelines.embed.folder import Spill

BATCH_ROWS = 65_536
STANDS = pa.schema([("hash", pa.binary()), ("place", pa.int64())])


def reuse(
    session: Session,
    table: ds.Dataset,
    features: Sequence[str],
    wanted: Relation,
    spill: Spill | None,
    run: str,
) -> Relation:
    """Copy the vectors of wanted hashes from a table to a spill, and return which; see `held`.

    Parameters
    ----------
    spill : Spill, optional
        By default nothing is written.
    run : str
        Begins the names of the files that are written.

    Returns
    -------
    Relation
        ``hash``, kept in the session as ``reused``.
    """
    session.execute("create or replace table reused (hash blob)")
    for number, (feature, taken) in enumerate(held(session, table, features, wanted)):
        if spill:
            matrix = vectors_to_matrix(taken[feature])
            spill.write(f"{run}-reused-{number:06d}", taken["hash"], matrix)
        session.from_arrow(taken.select(["hash"])).insert_into("reused")
    return session.table("reused")


def held(
    session: Session, table: ds.Dataset, features: Sequence[str], wanted: Relation
) -> Iterator[tuple[str, pa.Table]]:
    """Yield the vectors that a table has of wanted hashes, each hash once.

    Parameters
    ----------
    session : Session
        Keeps where they stand, as a relation ``stands``.
    table : Dataset
        The embedding table.
    features : sequence of str
        Its columns whose vectors are of one encoder.
    wanted : Relation
        With a column ``hash``.

    Yields
    ------
    feature : str
        The column they are of.
    taken : Table
        Columns ``hash`` and the feature's. A content that was rejected has no vector and is left
        out.
    """
    fragments = list(table.get_fragments())
    if not features or not wanted.limit(1).fetchall():
        return
    rows = pa.RecordBatchReader.from_batches(STANDS, _stands(fragments, features))
    here = session.from_arrow(rows).set_alias("here")
    found = here.join(wanted.set_alias("wanted"), "here.hash = wanted.hash", how="semi")
    found.aggregate("hash, min(place) as place", "hash").order("place").create("stands")
    stands = session.table("stands")
    for (number,) in stands.project("place >> 32 as file").distinct().order("file").fetchall():
        feature, fragment = features[number // len(fragments)], fragments[number % len(fragments)]
        mine = stands.filter(f"place >> 32 = {number}").order("place")
        taken = mine.project("hash, place & 4294967295 as at").to_arrow_table()
        vectors = fragment.to_table(columns=[feature]).take(taken["at"])
        taken = taken.select(["hash"]).append_column(feature, vectors[feature])
        taken = taken.filter(taken[feature].is_valid())
        if len(taken):
            yield feature, taken
    session.execute("drop table stands")


def _stands(fragments: Sequence[Any], features: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the hashes of all rows, each with its place: file and row, as one number."""
    for feature_number, feature in enumerate(features):
        name = hash_column(feature)
        for file_number, fragment in enumerate(fragments):
            number = feature_number * len(fragments) + file_number
            row = 0
            for batch in fragment.to_batches(columns=[name], batch_size=BATCH_ROWS):
                place = np.arange(row, row + len(batch), dtype=np.int64) + (number << 32)
                row += len(batch)
                hashes = batch.column(0).cast(pa.binary())
                yield pa.record_batch([hashes, pa.array(place)], schema=STANDS)
