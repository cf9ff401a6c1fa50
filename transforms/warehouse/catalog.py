"""What PostgreSQL knows of a source before any row is read: columns, indexes, and who may what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.warehouse.postgres import conninfo, quoted, rows_of

if TYPE_CHECKING:
    from deepfeast.transforms.warehouse.open import Warehouse

# Nothing that is only looked at is worth more of a busy server's time.
PATIENCE = "30s"
_TYPES = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "numeric": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "character varying": pa.string(),
    "character": pa.string(),
    "uuid": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}
_INDEXES = """
    SELECT ARRAY(
        SELECT attname::text FROM unnest(indkey::int2[]) WITH ORDINALITY AS keys(number, place)
        JOIN pg_attribute ON attrelid = indrelid AND attnum = number ORDER BY place)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
    WHERE indrelid = %s AND indisvalid AND indpred IS NULL AND indexprs IS NULL
    AND amname IN ('btree', 'brin')
"""


@dataclass(frozen=True)
class Relation:
    """What a source is.

    Attributes
    ----------
    columns : dict of str to str
        Its columns, and their types in PostgreSQL's words.
    table : str
        Its schema and name as SQL, where it is a table that an index can be made on; else empty.
    rows : int
        How many it had when it was last analyzed; of tables alone.
    partitioned : bool
    indexes : tuple of tuple of str
        The columns of each index that holds all rows, in order.
    """

    columns: dict[str, str]
    table: str = ""
    rows: int = 0
    partitioned: bool = False
    indexes: tuple[tuple[str, ...], ...] = ()

    def indexed(self, columns: Sequence[str]) -> bool:
        """Tell whether an index begins with columns, the first of them in any order."""
        first, last = set(columns[:-1]), columns[-1]
        return any(
            set(index[: len(first)]) == first and index[len(first) : len(columns)] == (last,)
            for index in self.indexes
        )

    def index(self, columns: Sequence[str]) -> str:
        """Write the statement that makes an index, while others write where that can be.

        >>> Relation({}, table='public."Sales"').index(["id", "At"])
        'CREATE INDEX CONCURRENTLY ON public."Sales" ("id", "At");'
        """
        how = "" if self.partitioned else "CONCURRENTLY "
        return f"CREATE INDEX {how}ON {self.table} ({', '.join(map(quoted, columns))});"


@contextlib.contextmanager
def looking(warehouse: Warehouse) -> Iterator[Any]:
    """Hold a connection that reads alone, and waits for no answer longer than `PATIENCE`."""
    import psycopg

    with psycopg.connect(conninfo(warehouse), autocommit=True) as connection:
        connection.execute(f"SET statement_timeout = '{PATIENCE}'")
        yield connection


def relation_of(connection: Any, source: Any) -> Relation:
    """Look up what a source is, a table or a query."""
    cursor = connection.execute(f"SELECT * FROM {rows_of(source)} LIMIT 0")
    names = [column.name for column in cursor.description]
    codes = [column.type_code for column in cursor.description]
    lengths = [cursor.pgresult.fmod(place) for place in range(len(names))]
    types = connection.execute(
        "SELECT format_type(code, length) FROM unnest(%s::oid[], %s::int[]) "
        "WITH ORDINALITY AS types(code, length, place) ORDER BY place",
        [codes, lengths],
    ).fetchall()
    columns = dict(zip(names, (name for (name,) in types), strict=True))
    asked = source.get_table_query_string()
    if asked.startswith("("):
        return Relation(columns)
    oid, table, kind, rows = connection.execute(
        "SELECT pg_class.oid, format('%%I.%%I', nspname, relname), relkind::text, "
        "reltuples::int8 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE pg_class.oid = %s::regclass",
        [asked],
    ).fetchone()
    if kind not in "rpm":  # of a view and of a foreign table the indexes are another's
        return Relation(columns)
    found = connection.execute(_INDEXES, [oid]).fetchall()
    indexes = tuple(tuple(index) for (index,) in found)
    return Relation(columns, table, max(rows, 0), kind == "p", indexes)


def schema_to_write(connection: Any) -> str:
    """Return the schema in which the user may make tables now; empty where there is none."""
    (schema,) = connection.execute(
        "SELECT current_schema() WHERE NOT pg_is_in_recovery() "
        "AND has_schema_privilege(current_schema(), 'CREATE') UNION ALL SELECT '' LIMIT 1"
    ).fetchone()
    return str(schema)


def arrow_type(name: str) -> pa.DataType | None:
    """Return what a type of PostgreSQL comes as; None where that is not known.

    >>> arrow_type("numeric(10,2)"), arrow_type("integer[]"), arrow_type("tsvector")
    (DataType(double), ListType(list<item: int32>), None)
    """
    if name.endswith("[]"):
        item = arrow_type(name.removesuffix("[]"))
        return None if item is None else pa.list_(item)
    before, _, behind = name.partition("(")
    return _TYPES.get(f"{before}{behind.partition(')')[2]}")


def unbounded(name: str) -> bool:
    """Tell whether a type holds numbers that no double can hold.

    >>> unbounded("numeric"), unbounded("numeric(10,2)"), unbounded("numeric(400,2)")
    (True, False, True)
    """
    kind, _, digits = name.partition("(")
    if kind != "numeric":
        return False
    whole, _, behind = digits.rstrip(")").partition(",")
    return not digits or int(whole) - int(behind or 0) > 308
