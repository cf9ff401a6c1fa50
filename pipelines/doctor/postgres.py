"""What a PostgreSQL lets us do, what it lacks to do it quickly, and what a read will cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.pipelines.doctor.findings import Finding
from deepfeast.pipelines.doctor.uses import Use, check_columns
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.warehouse.catalog import (
    PATIENCE,
    Relation,
    arrow_type,
    relation_of,
    schema_to_write,
    unbounded,
)
from deepfeast.transforms.warehouse.foretell import Rows, Sample, count, sample
from deepfeast.transforms.warehouse.postgres import quoted, reaching

if TYPE_CHECKING:
    from deepfeast.transforms.warehouse.open import Warehouse

# A table of fewer rows is read as soon as an index of it.
MANY = 100_000
# No clock is further ahead of UTC.
EASTERNMOST = timedelta(hours=14)


def check_rights(connection: Any, warehouse: Warehouse, most: int) -> Iterator[Finding]:
    """Say what a user who may not write has to do without.

    Parameters
    ----------
    most : int
        Rows of a view that are pulled for a join, at most.
    """
    if schema_to_write(connection):
        return
    config = warehouse.config.offline_store
    who = f"user {config.user!r} may make no tables in schema {config.db_schema!r}"
    if most == 0:
        yield Finding(
            "error",
            "offline_store",
            f"pull_rows is 0, so that the warehouse joins, for which Feast writes the labels into "
            f"a table; {who}.",
            f"Raise pull_rows, or GRANT CREATE ON SCHEMA {quoted(config.db_schema)} TO "
            f"{quoted(config.user)};",
        )
        return
    yield Finding(
        "note",
        "offline_store",
        f"{who}. Frames, embed and materialize need it to read alone; feast monitor keeps its "
        f"counts in a table there, and so does the warehouse's own join its labels, which is taken "
        f"above pull_rows ({most:,}).",
    )


def check_table(connection: Any, warehouse: Warehouse, use: Use, most: int) -> Iterator[Finding]:
    """Look at a table or query: its columns, times and indexes, and what it costs to read."""
    what = f"its {use.name}"
    try:
        with reaching(warehouse, what):
            relation = relation_of(connection, use.asked.source)
        types = {name: arrow_type(type_) for name, type_ in relation.columns.items()}
        yield from check_columns(use, relation.columns, types)
        yield from _check_times(use, relation, types)
        times = [name for name in (use.asked.time, use.asked.created) if name]
        if {*use.asked.columns} - types.keys() or not all(_is_time(types[name]) for name in times):
            return
        over = [name for name in use.types if unbounded(relation.columns[name])]
        with reaching(warehouse, what):
            rows = count(connection, use.asked, use.ttl, over)
        yield from _check_rows(use, relation, rows)
        yield from _check_indexes(use, relation, rows, most)
        if rows.seconds is None:
            yield _not_counted(use, rows)
        elif not rows.beyond:
            with reaching(warehouse, what):
                some = sample(warehouse, use.asked, use.types, what)
            yield _cost(use, rows, some, most)
            yield from _check_join(connection, warehouse, use, rows, most)
    except SourceError as error:
        yield Finding("error", use.where, str(error), "Mend it as told.")


def _is_time(type_: pa.DataType | None) -> bool:
    return type_ is not None and pa.types.is_temporal(type_)


def _check_times(
    use: Use, relation: Relation, types: dict[str, pa.DataType | None]
) -> Iterator[Finding]:
    for column in dict.fromkeys(name for name in (use.asked.time, use.asked.created) if name):
        if column not in types:
            continue
        name = relation.columns[column]
        told = f"the time column {column!r} of its {use.name}"
        if not _is_time(types[column]):
            cast = f"{quoted(column)}::timestamptz AS {quoted(column)}"
            mend = f"Make it timestamptz, or name a query as the source that has {cast}."
            yield Finding("error", use.where, f"{told} is {name}, which is no time.", mend)
        elif types[column] != pa.timestamp("us", "UTC"):
            taken = "its midnight in UTC" if name == "date" else "UTC"
            yield Finding(
                "note",
                use.where,
                f"{told} is {name}: it has no zone and is taken as {taken}, whatever the zone of "
                f"the server.",
                "If it is another clock's, name a query as the source that has "
                f"{quoted(column)} AT TIME ZONE '<that zone>' AS {quoted(column)}.",
            )


def _check_rows(use: Use, relation: Relation, rows: Rows) -> Iterator[Finding]:
    for column in rows.beyond:
        yield Finding(
            "error",
            use.where,
            f"the column {column!r} of its {use.name} is numeric, with a number that is larger "
            f"than a double ({1.7976931348623157e308:.1e}): no read that meets it ends well.",
            "Mend the row; or name a query as the source that leaves it out.",
        )
    now = datetime.now(timezone.utc)
    bare = relation.columns[use.asked.time].endswith("without time zone")
    if bare and rows.last and now < rows.last < now + EASTERNMOST:
        yield Finding(
            "warning",
            use.where,
            f"the time column {use.asked.time!r} of its {use.name} is taken as UTC, and its newest "
            f"row, {rows.last:%Y-%m-%d %H:%M}, is then of the future: is it a local time?",
            f"Name a query as the source that has {quoted(use.asked.time)} AT TIME ZONE "
            f"'<that zone>' AS {quoted(use.asked.time)}.",
        )


def _check_indexes(use: Use, relation: Relation, rows: Rows, most: int) -> Iterator[Finding]:
    """Look for what an index would spare; queries have none, and small tables need none."""
    held = max(relation.rows, rows.all)
    if not relation.table or held < MANY:
        return
    asked = use.asked
    wanted: list[tuple[list[str], str]] = []
    if not use.contents:
        wanted.append(([asked.time], "the span of time of a frame or a materialization"))
        if rows.all > most and asked.keys:
            wanted.append(([*asked.keys, asked.time], "each label, where the warehouse joins,"))
    elif asked.created:
        wanted.append(([asked.created], "what is newer than the last run"))
    for columns, what in wanted:
        if not relation.indexed(columns):
            named = ", ".join(map(repr, columns))
            yield Finding(
                "warning",
                use.where,
                f"{relation.table}, about {held:,} rows, has no index that begins with {named}: "
                f"{what} is found by reading all of it.",
                relation.index(columns),
            )


def _check_join(
    connection: Any, warehouse: Warehouse, use: Use, rows: Rows, most: int
) -> Iterator[Finding]:
    """Look whether the warehouse may join what is too much to be pulled."""
    if use.contents or not 0 < most < rows.all or schema_to_write(connection):
        return
    yield Finding(
        "warning",
        use.where,
        f"frames with more than offline_store.pull_rows ({most:,}) rows of its {use.name} in their "
        f"span are joined by the warehouse, for which user {warehouse.config.offline_store.user!r} "
        f"may make no table.",
        "Raise pull_rows, or let the user create tables in its schema.",
    )


def _not_counted(use: Use, rows: Rows) -> Finding:
    return Finding(
        "note",
        use.where,
        f"the rows of its {use.name} could not be counted within {PATIENCE}; the planner guesses "
        f"{rows.all:,}, {rows.recent:,} of them within the ttl before now. Values and cost were "
        f"not looked at.",
    )


def _cost(use: Use, rows: Rows, some: Sample, most: int) -> Finding:
    """Foretell a read of everything: whatever else is asked for costs a part of it."""
    size, seconds = some.all(rows.all)
    cost = f"about {size / 1e6:,.1f} MB in {seconds + (rows.seconds or 0):,.1f} s"
    span = f", from {rows.first:%Y-%m-%d} to {rows.last:%Y-%m-%d}" if rows.first else ""
    told = f"its {use.name} has {rows.all:,} rows{span}"
    if use.contents:
        news = (
            f"later runs read what is newer than the last by {use.asked.created!r}"
            if use.asked.created
            else "so does every later one, for it has no created column"
        )
        return Finding("note", use.where, f"{told}. The first run reads them: {cost}; {news}.")
    if use.ttl:
        told += f", {rows.recent:,} of them of the last {_length(use.ttl)}"
    ways = f"offline_store.pull_rows ({most:,}) decides"
    if rows.all > most:
        way = (
            f"joined by the warehouse's own query, which writes the labels down first; to bring "
            f"the rows here would take {cost}. {ways}."
        )
    else:
        way = f"joined here, which brings {cost}. {ways}: above it the warehouse joins."
    return Finding("note", use.where, f"{told}. Labels that can see all of them are {way}")


def _length(ttl: timedelta) -> str:
    """Write a length of time.

    >>> _length(timedelta(days=10)), _length(timedelta(hours=36))
    ('10 days', '1 day, 12:00:00')
    """
    return str(ttl).removesuffix(", 0:00:00")
