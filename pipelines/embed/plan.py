"""What a run has to do: the rows that are new, and the contents that are nowhere yet.

The plan is relational, so DuckDB makes it, out of keys and hashes alone: it reads neither texts
nor photos nor vectors, and spills to disk under its memory limit. Each function here takes
relations and returns one; none of them knows a job or a folder. To look 20,000 contents up
among two million hashes takes two seconds and 354 MiB beyond what the process had before, 256 of
them DuckDB's (tests/pipelines/embed/test_plan.py).

===============  ================================================================================
relation         columns
===============  ================================================================================
hashes, rows     ``slice``, ``row``, the keys and the event time, ``source_created``,
                 ``<feature>_hash`` each
table            the keys and the event time, ``created_timestamp``, ``<feature>_hash`` each
contents         ``slice``, ``row``, the keys and the event time, ``feature``, ``hash``
spill            ``hash``, ``place``
===============  ================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.features import CREATED, hash_column

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation as Relation

# Columns of a plan's own have a name that no key has.
AGE = "deepfeast age"


@dataclass(frozen=True)
class Columns:
    """The columns of a plan.

    Parameters
    ----------
    row : sequence of str
        What names a row: the join keys and the event time.
    features : sequence of str
    """

    row: Sequence[str]
    features: Sequence[str]

    @property
    def key(self) -> str:
        """The columns that name a row, as SQL."""
        return ", ".join(map(quoted, self.row))

    @property
    def hashes(self) -> str:
        """The columns of hashes, as SQL."""
        return ", ".join(quoted(hash_column(name)) for name in self.features)


def repeated(hashes: Relation, columns: Columns) -> bool:
    """Tell whether some key and event time has several rows; few sources repeat one at all."""
    key = columns.key
    twice = hashes.aggregate(f"{key}, count(*) as {quoted(AGE)}", key)
    return bool(twice.filter(f"{quoted(AGE)} > 1").limit(1).fetchall())


def one_a_row(hashes: Relation, columns: Columns, source: str) -> Relation:
    """Keep the latest of the rows that have one key and event time.

    Raises
    ------
    SourceError
        If two of them have different contents, and no created timestamp says which is later;
        `source` is its name.
    """
    key = columns.key
    latest = hashes.project(
        f"{key}, {columns.hashes}, rank() over ("
        f"partition by {key} order by source_created desc nulls last) as {quoted(AGE)}"
    ).filter(f"{quoted(AGE)} = 1")
    torn = latest.aggregate(f"{key}, count(distinct ({columns.hashes},)) as {quoted(AGE)}", key)
    found = torn.filter(f"{quoted(AGE)} > 1").project(key).order(key).limit(3).fetchall()
    if found:
        shown = "; ".join(", ".join(str(value) for value in row) for row in found)
        raise SourceError(
            f"source {source!r} has rows of one key and event time but different "
            f"contents, and no created timestamp says which is later: {shown}. Give the source "
            f"a created_timestamp_column, or remove one of the rows."
        )
    return (
        hashes.project(
            f"*, row_number() over (partition by {key} "
            f'order by source_created desc nulls last, slice, "row") as {quoted(AGE)}'
        )
        .filter(f"{quoted(AGE)} = 1")
        .project(f"* exclude ({quoted(AGE)})")
    )


def new_rows(rows: Relation, table: Relation, columns: Columns) -> Relation:
    """Drop the rows that are in the table as they are now.

    Only the latest version of a row counts: a text that went from A to B and back is news.
    """
    everything = f"{columns.key}, {columns.hashes}"
    latest = table.project(
        f"{everything}, row_number() over ("
        f"partition by {columns.key} order by {CREATED} desc) as {quoted(AGE)}"
    ).filter(f"{quoted(AGE)} = 1")
    names = [*columns.row, *map(hash_column, columns.features)]
    same = " and ".join(
        f"fresh.{quoted(name)} is not distinct from latest.{quoted(name)}" for name in names
    )
    return rows.set_alias("fresh").join(
        latest.project(everything).set_alias("latest"), same, how="anti"
    )


def of_same_row(rows: Relation, others: Relation, columns: Columns) -> Relation:
    """Keep the rows whose key and event time others have, too.

    Of a table, those that some rows may be in; of new rows, those that correct a table's.
    """
    mine, theirs = rows.set_alias("mine"), others.set_alias("theirs")
    same = " and ".join(f"mine.{quoted(name)} = theirs.{quoted(name)}" for name in columns.row)
    return mine.join(theirs, same, how="semi")


def count_contents(rows: Relation, columns: Columns) -> tuple[int, int]:
    """Count the rows, and their contents: cells that are neither missing nor rejected."""
    counts = " + ".join(f"count({quoted(hash_column(name))})" for name in columns.features)
    found = rows.aggregate(f"count(*), {counts}").fetchall()[0]
    return int(found[0]), int(found[1])


def contents_to_encode(rows: Relation, known: Relation | None, columns: Columns) -> Relation:
    """List each content of some features once, where it first stands, unless it is known.

    Parameters
    ----------
    rows : Relation
    known : Relation, optional
        With a column ``hash``: the contents whose vectors are at hand.
    columns : Columns
        With those features that share one encoder, and so their vectors.
    """
    parts = [
        rows.project(
            f'{columns.key}, slice, "row", {quoted(hash_column(name))} as hash, '
            f"{text(name)} as feature"
        ).filter("hash is not null")
        for name in columns.features
    ]
    every = parts[0]
    for part in parts[1:]:
        every = every.union(part)
    if known is not None:
        every = unknown(every, known)
    first = 'row_number() over (partition by hash order by feature, slice, "row")'
    return (
        every.project(f"*, {first} as {quoted(AGE)}")
        .filter(f"{quoted(AGE)} = 1")
        .project(f"* exclude ({quoted(AGE)})")
    )


def unknown(contents: Relation, known: Relation) -> Relation:
    """Leave out the contents whose hash is known."""
    wanted, known = contents.set_alias("wanted"), known.set_alias("known")
    return wanted.join(known, "wanted.hash = known.hash", how="anti")


def places(rows: Relation, spills: Mapping[str, Relation]) -> Relation:
    """Say of each row where its vectors lie, in the order of the source.

    Parameters
    ----------
    rows : Relation
    spills : mapping of str to Relation
        By feature, the places of vectors by hash.

    Returns
    -------
    Relation
        The rows with a column ``<feature>_place`` each; null where there is no vector.
    """
    for name, spill in spills.items():
        mine = quoted(f"deepfeast {name}")
        where = spill.project(f"hash as {mine}, place as {quoted(place_column(name))}")
        rows = rows.join(where, f"{quoted(hash_column(name))} = {mine}", how="left")
        rows = rows.project(f"* exclude ({mine})")
    # Sorted, so that two runs write identical files and vectors are gathered in order.
    return rows.order('slice, "row"')


def place_column(feature: str) -> str:
    """Name the column that says where a feature's vector lies."""
    return f"{feature}_place"


def quoted(name: str) -> str:
    """Write a name as SQL.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Write a text as SQL.

    >>> text("o'brien")
    "'o''brien'"
    """
    return "'" + value.replace("'", "''") + "'"
