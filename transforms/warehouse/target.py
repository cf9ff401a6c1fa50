"""A table of PostgreSQL that takes rows of an embedding table, each run whole or not at all.

Each row says of which run it is, so that the table itself tells which runs it has: also after it
was emptied, dropped or restored from a backup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.errors import NotWritable, RunInProgress, SourceError, SpecError
from deepfeast.transforms.warehouse import postgres
from deepfeast.transforms.warehouse.binary import REALS, pgvectors, real_arrays, takes_ready

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.transforms.warehouse.open import Warehouse

RUN = "deepfeast_run"
ARRAY, VECTOR = "array", "vector"
KEYS = 10_000
# Another export ends, or the server notices that its client is gone.
WAIT_SECONDS = 30
_NO_RIGHT, _NO_SCHEMA, _HELD, _READ_ONLY = "42501", "3F000", "55P03", "25006"
_INTEGERS = ("bigint", "integer", "smallint")
# By the name that Arrow gives a type: what a column of it is made as, and what it may be.
_TYPES = {
    "string": ("text", "character varying"),
    "bool": ("boolean",),
    "binary": ("bytea",),
    "float": ("real", "double precision"),
    "double": ("double precision",),
    "timestamp": ("timestamp with time zone",),
    "date32[day]": ("date",),
}


@dataclass(frozen=True)
class Layout:
    """The columns of a view's rows, as the target calls them.

    Attributes
    ----------
    keys : dict of str to DataType
    time, created : str
    vectors : dict of str to int
        The length of each vector.
    """

    keys: Mapping[str, pa.DataType]
    time: str
    created: str
    vectors: Mapping[str, int]

    @property
    def plain(self) -> list[str]:
        """All columns but the vectors."""
        return [*self.keys, self.time, self.created, RUN]


@dataclass(frozen=True)
class Target:
    """A table that rows are written to, in a transaction that is under way.

    Attributes
    ----------
    connection : psycopg.Connection
    name : str
        As it is called in messages.
    layout : Layout
    kinds : dict of str to str
        By feature, ``"array"`` or ``"vector"``.
    types : dict of str to int
        By column, the number of its type.
    table : sql.Composable
        Its name as SQL.
    fresh : bool
        Whether this transaction made it.
    """

    connection: Any
    name: str
    layout: Layout
    kinds: Mapping[str, str]
    types: Mapping[str, int]
    table: Any
    fresh: bool

    def runs(self) -> set[str]:
        """Return the runs that it has rows of.

        Raises
        ------
        SpecError
            If it has rows of no run.
        """
        found = {run for (run,) in self._execute(f"SELECT DISTINCT {RUN} FROM {{}}")}
        if None in found:
            raise SpecError(
                f"the table {self.name} has rows that no export put there: their {RUN} is null. "
                f"An export has its table to itself: name another one, or delete them."
            )
        return found

    def remove_runs(self, runs: Iterable[str]) -> int:
        """Delete the rows of some runs; return how many there were."""
        gone = sorted(runs)
        if not gone:
            return 0
        return int(self._execute(f"DELETE FROM {{}} WHERE {RUN} = ANY(%s)", [gone]).rowcount)

    def distinct_keys(self) -> Iterator[pa.Table]:
        """Yield the distinct keys, some thousands at a time."""
        from psycopg import sql

        names = [*self.layout.keys]
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        with self.connection.cursor("deepfeast_keys") as cursor:
            cursor.itersize = KEYS
            cursor.execute(sql.SQL("SELECT DISTINCT {} FROM {}").format(columns, self.table))
            while rows := cursor.fetchmany(KEYS):
                found = zip(names, zip(*rows, strict=True), strict=True)
                yield pa.table({name: pa.array(values) for name, values in found})

    def remove_keys(self, keys: Sequence[Mapping[str, Any]]) -> int:
        """Delete the rows of some keys; return how many there were."""
        from psycopg import sql

        names = [*self.layout.keys]
        which = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(n)) for n in names)
        delete = sql.SQL("DELETE FROM {} WHERE ").format(self.table) + which
        return sum(
            self.connection.execute(delete, [key[name] for name in names]).rowcount for key in keys
        )

    @contextmanager
    def copying(self) -> Iterator[Copying]:
        """Take rows until the block ends."""
        from psycopg import sql

        names = [*self.layout.plain, *self.layout.vectors]
        takes_ready(self.connection, *{self.types[name] for name in self.layout.vectors})
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(self.table, columns)
        with self.connection.cursor() as cursor, cursor.copy(query) as copy:
            copy.set_types([self.types[name] for name in names])
            yield Copying(copy, self)

    def index(self) -> None:
        """Make the indexes of a table that is new: by key and time, and by run."""
        from psycopg import sql

        names = [*self.layout.keys, self.layout.time]
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        make = sql.SQL("CREATE INDEX ON {} ({})").format(self.table, columns)
        self.connection.execute(make)
        self._execute(f"CREATE INDEX ON {{}} ({RUN})")

    def _execute(self, query: str, values: Sequence[Any] | None = None) -> Any:
        from psycopg import sql

        return self.connection.execute(sql.SQL(query).format(self.table), values)


@dataclass(frozen=True)
class Copying:
    """Rows on their way to a target."""

    copy: Any
    target: Target

    def add(
        self,
        rows: pa.Table,
        runs: Sequence[str],
        matrices: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Send some rows.

        Parameters
        ----------
        rows : Table of n_rows rows
            Keys, event time and created time, in that order.
        runs : sequence of str
            The run of each row.
        matrices : mapping of feature to ndarray of shape (n_rows, dim)

        Raises
        ------
        SourceError
            If a key is no value of its column; it names the key.
        """
        from psycopg import DataError

        written = {ARRAY: real_arrays, VECTOR: pgvectors}
        ready = [written[self.target.kinds[name]](matrix) for name, matrix in matrices.items()]
        for column in filter(_has_nul, rows.columns):
            bad = pc.match_substring(column, "\0")
            self._refuse(rows.filter(bad).slice(0, 1), "PostgreSQL takes no NUL in a text")
        plain = [column.to_pylist() for column in rows.columns]
        for number, row in enumerate(zip(*plain, runs, *ready, strict=True)):
            try:
                self.copy.write_row(row)
            except (DataError, OverflowError, ValueError) as error:
                self._refuse(rows.slice(number, 1), str(error), error)

    def _refuse(self, row: pa.Table, why: str, error: Exception | None = None) -> None:
        """Raise an error that names the key of a row."""
        keys = row.select([*self.target.layout.keys]).to_pylist()[0]
        told = ", ".join(f"{name}={value!r}" for name, value in keys.items())
        raise SourceError(
            f"the row {told} cannot be kept in the table {self.target.name}: {why}."
        ) from error


def _has_nul(column: pa.ChunkedArray) -> bool:
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return text and bool(pc.any(pc.match_substring(column, "\0")).as_py())


@contextmanager
def open_target(
    warehouse: Warehouse, table: str, layout: Layout, kind: str | None, what: str
) -> Iterator[Target]:
    """Open a table in a transaction of its own, which ends with the block; make it if need be.

    Nobody else sees anything of what is done before the block has ended, or if it fails.

    Parameters
    ----------
    table : str
        Its name as PostgreSQL reads it, with or without a schema.
    kind : {"array", "vector"}, optional
        What vectors are kept as. By default what the columns are that are there; arrays in a new
        table.
    what : str
        What is written, for messages.

    Raises
    ------
    SourceNotFound
        If the server cannot be reached, or stops in the middle.
    NotWritable
        If the user may not write there; it says what to grant.
    SpecError
        If the table is there with other columns, or there is no type ``vector``.
    RunInProgress
        If somebody else is writing to it.
    """
    import psycopg
    from psycopg import sql

    with (
        _writing(warehouse, table, layout, kind, what),
        psycopg.connect(postgres.conninfo(warehouse)) as connection,
    ):
        connection.read_only = False
        parts = name_parts(connection, table, warehouse.config.offline_store.db_schema)
        name = ".".join(parts)
        connection.execute(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
        held = "SELECT pg_advisory_xact_lock(hashtextextended('deepfeast ' || %s, 0))"
        connection.execute(held, [name])
        quoted = sql.Identifier(*parts)
        columns = _columns(connection, quoted)
        fresh = not columns
        if fresh:
            connection.execute(sql.SQL(_create(layout, kind or ARRAY)).format(quoted))
            columns = _columns(connection, quoted)
        kinds = _check(name, columns, layout, kind)
        types = {column: found[0] for column, found in columns.items()}
        yield Target(connection, name, layout, kinds, types, quoted, fresh)


def name_parts(connection: Any, table: str, schema: str | None) -> list[str]:
    """Split a name as PostgreSQL does; without a schema it is in that of the repo."""
    from psycopg import errors

    try:
        (parts,) = connection.execute("SELECT parse_ident(%s)", [table]).fetchone()
    except errors.InvalidParameterValue:
        parts = []
    if len(parts) not in (1, 2):
        raise SpecError(
            f"{table!r} names no table of PostgreSQL: write a name, or schema.name; names with "
            f"capitals or other signs in double quotes."
        )
    return [schema or "public", *parts][-2:]


def _columns(connection: Any, table: Any) -> dict[str, tuple[int, str, int]]:
    """Return by column of a table the number and the name of its type, and its modifier."""
    query = (
        "SELECT attname, atttypid, format_type(atttypid, NULL), atttypmod FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
    )
    found = connection.execute(query, [table.as_string(connection)]).fetchall()
    return {name: (kind, called.split(".")[-1], more) for name, kind, called, more in found}


def _types(kind: pa.DataType) -> tuple[str, ...]:
    name = str(kind).removeprefix("large_")
    if pa.types.is_integer(kind):
        return _INTEGERS
    return _TYPES.get("timestamp" if pa.types.is_timestamp(kind) else name, ("text",))


def _create(layout: Layout, kind: str) -> str:
    """Write the statement that makes the table, its name left open."""
    moment = _TYPES["timestamp"][0]
    columns = {name: f"{_types(kind)[0]} NOT NULL" for name, kind in layout.keys.items()}
    columns |= {layout.time: f"{moment} NOT NULL", layout.created: f"{moment} NOT NULL"}
    columns |= {
        name: "real[]" if kind == ARRAY else f"vector({dim})"
        for name, dim in layout.vectors.items()
    }
    columns[RUN] = "text NOT NULL"
    declared = ", ".join(f"{postgres.quoted(name)} {what}" for name, what in columns.items())
    return f"CREATE TABLE {{}} ({declared.replace('{', '{{').replace('}', '}}')})"


def _check(
    table: str, columns: Mapping[str, tuple[int, str, int]], layout: Layout, kind: str | None
) -> dict[str, str]:
    """Return what each vector is kept as; raise where the columns are other than they should be."""
    expected = {name: _types(kind) for name, kind in layout.keys.items()}
    expected |= dict.fromkeys((layout.time, layout.created), _TYPES["timestamp"])
    expected[RUN] = ("text", "character varying")
    wanted = {ARRAY: "real[]", VECTOR: "vector"}
    either = (wanted[kind],) if kind else tuple(wanted.values())
    expected |= dict.fromkeys(layout.vectors, either)
    faults = []
    for name, allowed in expected.items():
        _, called, modifier = columns.get(name, (0, "", -1))
        if called not in allowed:
            has = f"it is {called}" if called else "there is none"
            faults.append(f"{name} should be {' or '.join(allowed)}, and {has}")
        elif called == "vector" and modifier not in (-1, layout.vectors[name]):
            dim = layout.vectors[name]
            faults.append(f"{name} should be vector({dim}), and it is vector({modifier})")
    if faults:
        raise SpecError(
            f"the table {table} has other columns than are written: {'; '.join(faults)}. Name "
            f"another table, or drop this one: an export makes it anew."
        )
    return {name: ARRAY if columns[name][0] == REALS else VECTOR for name in layout.vectors}


@contextmanager
def _writing(
    warehouse: Warehouse, table: str, layout: Layout, kind: str | None, what: str
) -> Iterator[None]:
    """Turn what the server says of a write into an error that says what to do."""
    import psycopg

    user = warehouse.config.offline_store.user
    with postgres.reaching(warehouse, what):
        try:
            yield
        except psycopg.Error as error:
            state = error.sqlstate or ""
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            if state == _NO_RIGHT:
                made = _create(layout, kind or ARRAY).format(table)
                raise NotWritable(
                    f"{what}: user {user!r} may not write there ({said}). GRANT USAGE, CREATE ON "
                    f"SCHEMA … TO {user}; or have the owner make it, {made}; and GRANT SELECT, "
                    f"INSERT, DELETE ON {table} TO {user}."
                ) from error
            if state == _READ_ONLY:
                raise NotWritable(
                    f"{what}: the server only reads ({said}). Name one that takes rows."
                ) from error
            if state == _NO_SCHEMA:
                raise SpecError(f"{what}: {said}. CREATE SCHEMA first.") from error
            if state == _HELD:
                raise RunInProgress(
                    f"{what}: another session writes to {table}. Run again when it has ended."
                ) from error
            if 'type "vector" does not exist' in said:
                raise SpecError(
                    f"{what}: the database has no type vector. CREATE EXTENSION vector; where "
                    f"pgvector is installed; or leave out --as vector: arrays need nothing."
                ) from error
            raise
